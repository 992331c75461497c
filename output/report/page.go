package report

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"printable": printable, "prose": prose}).Parse(pageText))

// html is a page that is whole in itself: it loads nothing and runs nothing.
func (d *Document) html(w io.Writer) error {
	return page.Execute(w, struct {
		*Document
		Standing, When string
		Cards          []card
		Charts         []chart
		Tables         []table
	}{d, d.standing(), d.when(), d.cards(), d.charts(), d.tables()})
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
	billed, wasted := money("total.spend.billed.cost", t.Spend.Billed.Cost), money("total.spend.wasted.cost", t.Spend.Wasted.Cost)
	billed.Text, wasted.Text = t.Spend.Billed.cost(), t.Spend.Wasted.cost()
	failed := card{Name: "failed", Cells: []cell{number("total.jobs.failed", t.Jobs.Failed)}, Note: plural(t.Attempts.All-t.Attempts.Done, "attempt") + " without an answer",
		Bad: t.Jobs.Failed > 0}
	lost := t.Spend.Wasted
	waste := card{Name: "wasted", Cells: []cell{wasted}, Note: plural(lost.Tokens, "token") + " of attempts without an answer"}
	if n := t.Spend.Lost.Attempts; n > 0 {
		waste.Note += "; " + plural(n, "call") + " possibly paid and lost"
	}
	cost := card{Name: "cost", Cells: []cell{billed}, Note: "as the API reported the tokens"}
	if t.Spend.Billed.Cost == nil {
		cost.Note = plural(t.Spend.Billed.Unknown, "attempt") + " without a known cost"
	}
	used := number("total.spend.billed.tokens", t.Spend.Billed.Tokens)
	used.Text = compact(t.Spend.Billed.Tokens)
	answered := card{Name: "answered", Cells: []cell{number("total.jobs.done", t.Jobs.Done)}, Note: "of " + plural(t.Jobs.All, "prompt")}
	if n := t.Jobs.Reused; n > 0 {
		answered.Note += ", " + plural(n, "answer") + " of other files"
	}
	return []card{
		answered,
		failed, cost,
		{Name: "tokens", Cells: []cell{used},
			Note: compact(t.Tokens.Prompt) + " prompt and " + compact(t.Tokens.Completion) + " completion in the answers"},
		waste,
		{Name: "latency, p50 and p99", Cells: []cell{millis("total.latency_ms.p50", t.Latency.P50), millis("total.latency_ms.p99", t.Latency.P99)},
			Note: "of the answers"},
	}
}
