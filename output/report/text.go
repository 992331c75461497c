package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// text is for a terminal.
func (d *Document) text(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n%s\n", printable(d.headline()), d.standing(), d.when())
	for _, t := range d.tables() {
		fmt.Fprintf(w, "\n%s\n", strings.ToUpper(t.Title))
		if t.Note != "" {
			fmt.Fprintf(w, "  %s\n", t.Note)
		}
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
		_, err = fmt.Fprintf(w, "  %s\n    > %s\n    %s\n", printable(s.Where.String()), printable(shorten(s.Prompt, 100)), printable(shorten(s.Text, 200)))
	}
	return err
}

// widths are those of the numbers, which stand right.
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

// printable makes text from outside fit for any screen: control and format characters are shown as escapes.
func printable(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}
