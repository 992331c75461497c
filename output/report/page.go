package report

import (
	_ "embed"
	"html/template"
	"io"
	"strings"

	"batch/output"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"printable": printable, "prose": prose}).Parse(pageText))

// html is a page that is whole in itself: it loads nothing and runs nothing.
func (d *Document) html(w io.Writer) error {
	return page.Execute(w, struct {
		*Document
		Standing, When, Asked string
		Cards                 []card
		Charts                []chart
		Tables                []table
	}{d, d.standing(), d.when(), d.asked(), d.cards(), d.charts(), d.tables()})
}

// prose keeps the lines of a text, and shows what cannot be seen.
func prose(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// card is a number to be seen first.
type card struct {
	Name  string
	Cells []cell
	Note  string
	Bad   bool
}

func (d *Document) cards() []card {
	t := &d.Total
	if t.Attempts.All == 0 && t.Jobs.Reused == 0 {
		return nil
	}
	failed := card{Name: "failed", Cells: []cell{number("total.jobs.failed", t.Jobs.Failed)},
		Note: output.Plural(t.Attempts.All-t.Attempts.Done-t.Attempts.Open, "attempt") + " without an answer", Bad: t.Jobs.Failed > 0}
	used := number("total.spend.billed.tokens", t.Spend.Billed.Tokens)
	used.Text = compact(t.Spend.Billed.Tokens)
	answered := card{Name: "answered", Cells: []cell{number("total.jobs.done", t.Jobs.Done)}, Note: "of " + output.Plural(t.Jobs.All, "prompt")}
	if n := t.Jobs.Reused; n > 0 {
		answered.Note += ", " + output.Plural(n, "answer") + " of other files"
	}
	latency := card{Name: "latency, p50 and p99", Note: "of the answers",
		Cells: []cell{millis("total.latency_ms.p50", t.Latency.P50), millis("total.latency_ms.p99", t.Latency.P99)}}
	if t.Latency.P50 == nil {
		latency.Cells, latency.Note = latency.Cells[:1], "no answers yet"
		if t.Jobs.Reused > 0 {
			latency.Note = "no call was answered"
		}
	}
	return []card{
		answered, failed, d.costCard(),
		{Name: "tokens", Cells: []cell{used},
			Note: compact(t.Tokens.Prompt) + " prompt and " + compact(t.Tokens.Completion) + " completion in the answers"},
		d.wastedCard(), latency,
	}
}

// costCard shows what was billed as reported. What was not reported, and what may have been spent, stand apart.
func (d *Document) costCard() card {
	s := &d.Total.Spend
	c := card{Name: "cost", Cells: []cell{d.spent("total.spend.billed", &d.Total, s.Billed)}}
	var notes []string
	switch {
	case s.Billed.Unknown > 0:
		notes = append(notes, output.Plural(s.Billed.Unknown, "attempt")+" without a known price")
	case s.Billed.Attempts > 0:
		notes = append(notes, "as reported")
	default:
		notes = append(notes, "no usage was reported")
	}
	silent := s.Estimated
	silent.add(s.GoneEstimated)
	switch {
	case silent.Unknown > 0:
		notes = append(notes, output.Plural(silent.Attempts, "answer")+" did not report usage")
	case silent.Attempts > 0:
		notes = append(notes, "about "+silent.cost()+" more was not reported")
	}
	c.Note = strings.Join(append(notes, s.Lost.possibly()...), "; ")
	return c
}

func (d *Document) wastedCard() card {
	s := &d.Total.Spend
	c := card{Name: "wasted", Cells: []cell{d.spent("total.spend.wasted", &d.Total, s.Wasted)}}
	notes := []string{"reported, for attempts without an answer"}
	if s.Wasted.Attempts > 0 {
		notes[0] = "reported, for " + output.Plural(s.Wasted.Tokens, "token") + " of attempts without an answer"
	}
	c.Note = strings.Join(append(notes, s.Lost.possibly()...), "; ")
	return c
}

// possibly says of Lost what may have been spent.
func (a Amount) possibly() []string {
	switch {
	case a.Attempts == 0:
		return nil
	case a.Unknown > 0:
		return []string{"possibly more for " + output.Plural(a.Attempts, "call") + " with an unknown outcome"}
	case a.Attempts == 1:
		return []string{"up to " + a.cost() + " more for a call with an unknown outcome"}
	}
	return []string{"up to " + a.cost() + " more for " + output.Count(a.Attempts) + " calls with an unknown outcome"}
}
