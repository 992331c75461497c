package output

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"batch/runner/tokens"
)

// WriteText writes the comparison for people: both files side by side, how the prompts were found, and the first changed answers.
func (doc *Compared) WriteText(w io.Writer) error {
	var b strings.Builder
	for i, f := range []*ComparedFile{&doc.A, &doc.B} {
		fmt.Fprintf(&b, "%c: %s%s", 'a'+i, Printable(f.JobFile), f.models())
		if f.RunOn {
			b.WriteString("; a run is on")
		}
		if f.Simulated {
			b.WriteString("; the answers are made up")
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	doc.sideBySide().write(&b)
	fmt.Fprintf(&b, "\nprompts: %s in both by their request, %s by custom_id, %s by their messages, %s only in a, %s only in b\n",
		Count(doc.MatchedByKey), Count(doc.MatchedByCustomID), Count(doc.MatchedByMessages), Count(doc.JobsOnlyA), Count(doc.JobsOnlyB))
	fmt.Fprintf(&b, "answers: %s the same, %s changed, %s only in a, %s only in b\n",
		Count(doc.Same), Count(doc.Changed), Count(doc.OnlyA), Count(doc.OnlyB))
	if n := int64(len(doc.Changes)); n > 0 {
		first := "changed answers"
		if n < doc.Changed {
			first = fmt.Sprintf("the first %d changed answers", n)
		}
		fmt.Fprintf(&b, "\n%s, from where they part:\n", first)
	}
	for _, change := range doc.Changes {
		fmt.Fprintf(&b, "%s:%d", Printable(change.File), change.Line)
		if change.CustomID != nil {
			b.WriteString(" " + Printable(*change.CustomID))
		}
		fmt.Fprintf(&b, "\n  a: %s\n  b: %s\n", Printable(change.A), Printable(change.B))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// models names what was asked: the models of the most jobs, and how many others there are.
func (f *ComparedFile) models() string {
	const most = 3
	names := slices.Sorted(maps.Keys(f.Models))
	slices.SortStableFunc(names, func(a, b string) int { return int(max(min(f.Models[b]-f.Models[a], 1), -1)) })
	rest := ""
	if len(names) > most {
		names, rest = names[:most], fmt.Sprintf(" and %d more", len(names)-most)
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return ", model " + Printable(names[0])
	}
	return ", models " + Printable(strings.Join(names, ", ")) + rest
}

// sides is a table of the two files; the last column says how b differs from a.
type sides [][4]string

func (doc *Compared) sideBySide() *sides {
	a, b := &doc.A, &doc.B
	t := &sides{{"", "a", "b", "b to a"}}
	t.number("prompts", a.Jobs, b.Jobs, true)
	t.number("  answered", a.Done, b.Done, true)
	t.number("  failed", a.Failed, b.Failed, true)
	t.number("  pending", a.Pending, b.Pending, false)
	t.number("  answers damaged", a.Damaged, b.Damaged, false)
	reasons := maps.Clone(a.FinishReasons)
	maps.Copy(reasons, b.FinishReasons)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		shown := strings.TrimSpace(Printable(reason))
		if shown == "" {
			shown = "none"
		}
		t.number("  finish "+shown, a.FinishReasons[reason], b.FinishReasons[reason], true)
	}
	both := doc.Same + doc.Changed
	if both < a.Done || both < b.Done {
		t.row("of all answers", "", "", "")
		t.sums(&a.ComparedSums, &b.ComparedSums)
	}
	if both > 0 {
		t.row("of the "+Count(both)+" answered in both", "", "", "")
		t.sums(&a.Both, &b.Both)
	}
	return t
}

func (t *sides) row(cells ...string) { *t = append(*t, [4]string(cells)) }

func (t *sides) number(name string, a, b int64, always bool) {
	if always || a > 0 || b > 0 {
		t.row(name, Count(a), Count(b), "")
	}
}

// sums are the rows of some answers.
func (t *sides) sums(a, b *ComparedSums) {
	used := func(name string, a, b int64, always bool) {
		if always || a > 0 || b > 0 {
			t.row("  "+name, Count(a), Count(b), percent(a, b))
		}
	}
	cost := func(name string, a, b Amount) {
		change := ""
		if a.Known() && b.Known() {
			change = percent(a.Money, b.Money)
		}
		t.row("  "+name, a.Dollars(), b.Dollars(), change)
	}
	took := func(name string, a, b *int64) {
		switch {
		case a == nil && b == nil:
		case a == nil || b == nil:
			t.row("  "+name, milliseconds(a), milliseconds(b), "")
		default:
			t.row("  "+name, milliseconds(a), milliseconds(b), percent(*a, *b))
		}
	}
	used("prompt tokens", a.Prompt, b.Prompt, true)
	used("completion tokens", a.Completion, b.Completion, true)
	used("estimated tokens", a.Estimated, b.Estimated, false)
	t.number("  answers of other files", a.Reused, b.Reused, false)
	t.number("  usage not reported", a.UsageUnknown, b.UsageUnknown, false)
	cost("cost", a.Spent, b.Spent)
	if a.Estimated > 0 || b.Estimated > 0 {
		cost("estimated cost", a.SpentGuess, b.SpentGuess)
	}
	took("latency p50", a.Latency.P50, b.Latency.P50)
	took("latency p90", a.Latency.P90, b.Latency.P90)
	took("latency p99", a.Latency.P99, b.Latency.P99)
}

// percent is how much more b is than a; of nothing there is no part.
func percent[T int64 | tokens.Money](a, b T) string {
	if a == 0 {
		return ""
	}
	change := (float64(b) - float64(a)) / float64(a) * 100
	switch {
	case a == b:
		return "same"
	case math.Abs(change) < 0.05:
		return fmt.Sprintf("%+.2g %%", change)
	case math.Abs(change) < 100:
		return fmt.Sprintf("%+.1f %%", change)
	}
	return fmt.Sprintf("%+.0f %%", change)
}

func milliseconds(ms *int64) string {
	if ms == nil {
		return "-"
	}
	return Count(*ms) + " ms"
}

// write aligns the columns.
func (t *sides) write(w io.Writer) {
	var widths [4]int
	for _, r := range *t {
		for i, text := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	for _, r := range *t {
		line := fmt.Sprintf("%-*s  %*s  %*s  %*s", widths[0], r[0], widths[1], r[1], widths[2], r[2], widths[3], r[3])
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}
