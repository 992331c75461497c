package report

import (
	"fmt"
	"io"
	"strings"
)

// markdown is for an issue or a wiki.
func (d *Document) markdown(w io.Writer) error {
	fmt.Fprintf(w, "# %s\n\n%s (%s)\n", escapeMarkdown(d.headline()), d.standing(), d.when())
	if asked := d.asked(); asked != "" {
		fmt.Fprintf(w, "\n%s\n", escapeMarkdown(asked))
	}
	for _, t := range d.tables() {
		fmt.Fprintf(w, "\n## %s\n\n", t.Title)
		if t.Note != "" {
			fmt.Fprintf(w, "%s\n\n", t.Note)
		}
		head := t.Head
		if head == nil {
			head = make([]string, len(t.Rows[0]))
		}
		fmt.Fprintf(w, "| %s |\n|", strings.Join(head, " | "))
		for _, c := range t.Rows[0] {
			fmt.Fprint(w, map[bool]string{true: " ---: |", false: " --- |"}[c.Num])
		}
		fmt.Fprintln(w)
		for _, row := range t.Rows {
			fmt.Fprint(w, "|")
			for _, c := range row {
				fmt.Fprintf(w, " %s%s |", strings.Repeat("– ", c.Part), escapeMarkdown(c.Text))
			}
			fmt.Fprintln(w)
		}
	}
	if len(d.Samples) > 0 {
		fmt.Fprint(w, "\n## Samples of answers\n\n| prompt | asked | answered |\n| --- | --- | --- |\n")
	}
	var err error
	for _, s := range d.Samples {
		_, err = fmt.Fprintf(w, "| %s | %s | %s |\n", escapeMarkdown(s.Where.String()), escapeMarkdown(shorten(s.Prompt, 100)), escapeMarkdown(shorten(s.Text, 200)))
	}
	return err
}

// escapeMarkdown makes a text stand in a cell as it is: nothing of it is markup, a link, a mention or the end of the cell.
func escapeMarkdown(s string) string {
	var b strings.Builder
	for _, r := range printable(s) {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@':
			b.WriteString("&#64;")
		case strings.ContainsRune("\\`*_[]#|~!>", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "://", ":&#47;&#47;")
}
