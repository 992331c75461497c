package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"batch/output"
	"batch/runner/tokens"
)

// Format is the encoding of a report.
type Format string

// The encodings. Text is the default.
const (
	Text     Format = "text"
	JSON     Format = "json"
	CSV      Format = "csv"
	Markdown Format = "md"
	HTML     Format = "html"
)

// ParseFormat reads the value of --format; "" goes by the ending of the file, and is text without one.
func ParseFormat(s, file string) (Format, error) {
	if s == "" {
		switch strings.ToLower(filepath.Ext(file)) {
		case ".json":
			return JSON, nil
		case ".csv":
			return CSV, nil
		case ".md", ".markdown":
			return Markdown, nil
		case ".html", ".htm":
			return HTML, nil
		}
		return Text, nil
	}
	switch f := Format(strings.ToLower(s)); f {
	case Text, JSON, CSV, Markdown, HTML:
		return f, nil
	}
	return "", &output.RefusedError{Problem: "format " + printable(s) + " is not known", Hint: "use --format text, json, csv, md or html"}
}

// Write writes the report in a format.
func (d *Document) Write(w io.Writer, f Format) error {
	switch f {
	case JSON:
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(d)
	case CSV:
		return d.csv(w)
	case Markdown:
		return d.markdown(w)
	case HTML:
		return d.html(w)
	}
	return d.text(w)
}

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

// markdown is for an issue or a wiki.
func (d *Document) markdown(w io.Writer) error {
	fmt.Fprintf(w, "# %s\n\n%s (%s)\n", escapeMarkdown(d.headline()), d.standing(), d.when())
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

// csv has a line for each endpoint and model, and a last one for all: what a table of costs is made of.
func (d *Document) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	names, _ := d.Total.columns()
	if err := out.Write(append([]string{"endpoint", "requested_model"}, append(names, "total", "simulated")...)); err != nil {
		return err
	}
	line := func(endpoint, model string, p *Part, total bool) error {
		_, values := p.columns()
		row := append([]string{output.GuardFormula(endpoint), output.GuardFormula(model)}, values...)
		return out.Write(append(row, strconv.FormatBool(total), strconv.FormatBool(d.Simulated)))
	}
	for i := range d.Models {
		if err := line(d.Models[i].Endpoint, d.Models[i].Name, &d.Models[i].Part, false); err != nil {
			return err
		}
	}
	if err := line("", "", &d.Total, true); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// columns are the numbers of a part under the names of the JSON form, an empty value for null.
func (p *Part) columns() (names, values []string) {
	add := func(name, value string) { names, values = append(names, name), append(values, value) }
	n := func(name string, n int64) { add(name, strconv.FormatInt(n, 10)) }
	ms := func(name string, v *int64) {
		if v == nil {
			add(name, "")
			return
		}
		n(name, *v)
	}
	cost := func(m *tokens.Money) string {
		if m == nil {
			return ""
		}
		return m.String()
	}
	n("jobs", p.Jobs.All)
	n("done", p.Jobs.Done)
	n("failed", p.Jobs.Failed)
	n("pending", p.Jobs.Pending)
	n("running", p.Jobs.Running)
	n("attempts", p.Attempts.All)
	n("attempts_done", p.Attempts.Done)
	n("attempts_not_processed", p.Attempts.NotProcessed)
	n("attempts_unknown", p.Attempts.Unknown)
	n("attempts_job_failed", p.Attempts.JobFailed)
	n("attempts_run_stops", p.Attempts.RunStops)
	n("attempts_interrupted", p.Attempts.Interrupted)
	n("attempts_open", p.Attempts.Open)
	n("prompt_tokens", p.Tokens.Prompt)
	n("completion_tokens", p.Tokens.Completion)
	n("total_tokens", p.Tokens.Total)
	n("cached_tokens", p.Tokens.Cached)
	n("cache_write_tokens", p.Tokens.CacheWrite)
	n("reasoning_tokens", p.Tokens.Reasoning)
	n("audio_tokens", p.Tokens.Audio)
	n("beyond_tokens", p.Tokens.Beyond)
	n("estimated_tokens", p.Estimated)
	n("usage_unknown", p.UsageUnknown)
	keys := []string{"billed", "done", "truncated", "wasted", "of_failed_jobs", "retried", "gone", "estimated", "gone_estimated", "possibly_lost"}
	for i, a := range p.Spend.amounts() {
		n(keys[i]+"_spent_attempts", a.Attempts)
		n(keys[i]+"_spent_tokens", a.Tokens)
		add(keys[i]+"_cost", cost(a.Cost))
	}
	ms("latency_p50_ms", p.Latency.P50)
	ms("latency_p90_ms", p.Latency.P90)
	ms("latency_p99_ms", p.Latency.P99)
	ms("latency_max_ms", p.Latency.Max)
	return names, values
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
