package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"batch/output"
	"batch/runner/tokens"
)

// modelsShown is how many models have a block of their own.
const modelsShown = 10

const unknownWord = "unknown"

// print writes the estimate for people: what is left, a table of what it will come to, and how that is known.
func (e *estimate) print(w io.Writer) error {
	var b strings.Builder
	e.printCounts(&b)
	f := &e.foreseen
	if f.Total.Jobs > 0 {
		b.WriteByte('\n')
		e.table().write(&b)
	}
	if notes := e.notes(); len(notes) > 0 {
		b.WriteByte('\n')
		writeNotes(&b, notes)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printCounts says what is estimated: what is left to send.
func (e *estimate) printCounts(w io.Writer) {
	c := e.counts
	parts := []string{}
	for _, p := range []struct {
		n    int64
		what string
	}{{c.Done, "answered"}, {c.Failed, "failed"}, {c.Skipped, "skipped"}, {c.Pending, "to send"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n)+" "+p.what)
		}
	}
	if c.Pending == 0 {
		parts = append(parts, "nothing to send")
	}
	fmt.Fprintf(w, "%s: %s\n", plural(c.Jobs, "prompt"), strings.Join(parts, ", "))
}

// guesses is a table of rows under least, likely and most.
type guesses struct{ rows [][4]string }

// head begins a block of rows.
func (t *guesses) head(name string) {
	row := [4]string{name, "least", "likely", "most"}
	if len(t.rows) > 0 {
		t.rows = append(t.rows, [4]string{})
		row = [4]string{name}
	}
	t.rows = append(t.rows, row)
}

func guessRow[T any](t *guesses, name string, least, likely, most *T, show func(T) string) {
	row := [4]string{name}
	for i, v := range []*T{least, likely, most} {
		row[i+1] = unknownWord
		if v != nil {
			row[i+1] = show(*v)
		}
	}
	t.rows = append(t.rows, row)
}

// write sets the names to the left and the numbers to the right.
func (t *guesses) write(w io.Writer) {
	var widths [4]int
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range t.rows {
		line := fmt.Sprintf("%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			line += fmt.Sprintf("   %*s", max(widths[i+1], len(unknownWord)), cell)
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

func (e *estimate) table() *guesses {
	f, t := &e.foreseen, &guesses{}
	block := func(m *output.ModelForecast) {
		guessRow(t, "  prompt tokens", m.Prompt.Least, m.Prompt.Likely, m.Prompt.Most, count)
		guessRow(t, "  completion tokens", m.Completion.Least, m.Completion.Likely, m.Completion.Most, count)
		if e.free() {
			return
		}
		guessRow(t, "  cost", m.Cost.Least, m.Cost.Likely, m.Cost.Most, tokens.Money.Dollars)
	}
	if len(f.Models) == 1 {
		t.head(named(&f.Total, printable(f.Models[0].Model)))
	} else {
		shown := e.largest()
		for _, m := range shown {
			t.head(named(m, printable(m.Model)))
			block(m)
		}
		all := fmt.Sprintf("all %d models", len(f.Models))
		if len(shown) < len(f.Models) {
			all += fmt.Sprintf(" (%d shown)", len(shown))
		}
		t.head(named(&f.Total, all))
	}
	block(&f.Total)
	guessRow(t, "  time", f.Time.Least, f.Time.Likely, f.Time.Most, lasting)
	return t
}

func named(m *output.ModelForecast, name string) string {
	return fmt.Sprintf("%s, %s", name, plural(m.Jobs, "prompt"))
}

// largest are the models with the most to send, in the order of their names.
func (e *estimate) largest() []*output.ModelForecast {
	var all []*output.ModelForecast
	for i := range e.foreseen.Models {
		all = append(all, &e.foreseen.Models[i])
	}
	if len(all) <= modelsShown {
		return all
	}
	slices.SortStableFunc(all, func(a, b *output.ModelForecast) int { return cmp.Compare(b.Jobs, a.Jobs) })
	all = all[:modelsShown]
	slices.SortFunc(all, func(a, b *output.ModelForecast) int { return cmp.Compare(a.Model, b.Model) })
	return all
}

// lasting is a duration for people, to two or three digits: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 3 days 4 h.
func lasting(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "0 s"
	case d < 50*time.Millisecond:
		return "0.1 s"
	case d.Round(100*time.Millisecond) < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d.Round(time.Second) < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d.Round(time.Second) < time.Hour:
		return inTwo(d, time.Minute, time.Second, "min", "s")
	case d.Round(time.Minute) < day:
		return inTwo(d, time.Hour, time.Minute, "h", "min")
	case d.Round(time.Hour) < 2*day:
		return inTwo(d, day, time.Hour, "day", "h")
	}
	return inTwo(d, day, time.Hour, "days", "h")
}

func inTwo(d, large, small time.Duration, name, rest string) string {
	d = d.Round(small)
	text := fmt.Sprintf("%d %s", d/large, name)
	if part := d % large / small; part > 0 {
		text += fmt.Sprintf(" %d %s", part, rest)
	}
	return text
}
