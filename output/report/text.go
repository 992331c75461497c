package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"batch/output"
)

// Lines of a text report are about so long at most; a name takes up to a half, and is shortened to no less than leastWidth.
const (
	lineWidth  = 100
	nameWidth  = lineWidth / 2
	leastWidth = 20
)

// text is for a terminal.
func (d *Document) text(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n%s\n", printable(d.headline()), d.standing(), d.when())
	if asked := d.asked(); asked != "" {
		fmt.Fprintln(w, printable(asked))
	}
	for _, t := range d.tables() {
		fmt.Fprintf(w, "\n%s\n", strings.ToUpper(t.Title))
		if t.Note != "" {
			fmt.Fprintf(w, "  %s\n", t.Note)
		}
		t.fit()
		columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		widths := t.widths()
		if t.Head != nil {
			head := make([]cell, len(t.Head))
			for i, h := range t.Head {
				head[i] = cell{Text: h, Num: t.Rows[0][i].Num}
			}
			textRow(columns, head, widths)
		}
		for _, row := range t.Rows {
			textRow(columns, row, widths)
		}
		if err := columns.Flush(); err != nil {
			return err
		}
	}
	var err error
	for i, s := range d.Samples {
		if i == 0 {
			fmt.Fprint(w, "\nSAMPLES OF ANSWERS\n")
		}
		_, err = fmt.Fprintf(w, "  %s\n    > %s\n    %s\n", printable(s.Where.String()), shorten(printable(s.Prompt), lineWidth-6), shorten(printable(s.Text), lineWidth-4))
	}
	return err
}

// fit shortens words so that lines stay readable: names, then what stands last, then what stands before it.
func (t *table) fit() {
	shortened := func(column, most int) {
		for _, row := range t.Rows {
			if c := &row[column]; !c.Num {
				c.Text = shorten(printable(c.Text), most)
			}
		}
	}
	for i := range len(t.Rows[0]) - 1 {
		shortened(i, nameWidth)
	}
	for i := range slices.Backward(t.Rows[0]) {
		widths := t.widths()
		over := 2*len(widths) - lineWidth
		for _, width := range widths {
			over += width
		}
		if over <= 0 {
			return
		}
		shortened(i, max(widths[i]-over, leastWidth))
	}
}

// widths are those of the columns; numbers stand right.
func (t *table) widths() []int {
	all := make([]int, len(t.Rows[0]))
	for i := range all {
		if i < len(t.Head) {
			all[i] = utf8.RuneCountInString(t.Head[i])
		}
		for _, row := range t.Rows {
			all[i] = max(all[i], utf8.RuneCountInString(printable(row[i].Text)))
		}
	}
	return all
}

func textRow(w io.Writer, row []cell, widths []int) {
	for i, c := range row {
		text := strings.Repeat("  ", c.Part) + printable(c.Text)
		if c.Num {
			text = fmt.Sprintf("%*s", widths[i], text)
		}
		if i == 0 {
			text = "  " + text
		} else {
			text = "\t" + text
		}
		fmt.Fprint(w, text)
	}
	fmt.Fprintln(w)
}

// printable is for a line: line breaks in it are spaces.
func printable(s string) string { return output.Printable(strings.ReplaceAll(s, "\n", " ")) }
