package report

import (
	"fmt"
	"strconv"
	"strings"

	"batch/runner/tokens"
)

// modelsTable tells the models apart; of one alone the totals have told all.
func (d *Document) modelsTable() table {
	t := table{ID: "models", Title: "By model", Head: []string{"model", "prompts", "answered", "failed", "pending", "attempts", "prompt tokens",
		"completion tokens", "billed", "wasted", "p50", "p99"}}
	for i, m := range d.Models {
		key := fmt.Sprintf("models.%d.", i)
		billed, wasted := money(key+"spend.billed.cost", m.Spend.Billed.Cost), money(key+"spend.wasted.cost", m.Spend.Wasted.Cost)
		billed.Text, wasted.Text = m.Spend.Billed.cost(), m.Spend.Wasted.cost()
		t.Rows = append(t.Rows, []cell{words(place(m.Endpoint, m.Name)), number(key+"jobs.all", m.Jobs.All), number(key+"jobs.done", m.Jobs.Done),
			number(key+"jobs.failed", m.Jobs.Failed), number(key+"jobs.pending", m.Jobs.Pending), number(key+"attempts.all", m.Attempts.All),
			number(key+"tokens.prompt", m.Tokens.Prompt), number(key+"tokens.completion", m.Tokens.Completion), billed, wasted,
			millis(key+"latency_ms.p50", m.Latency.P50), millis(key+"latency_ms.p99", m.Latency.P99)})
	}
	return t
}

func (d *Document) pricesTable() table {
	t := table{ID: "prices", Title: "Prices in force", Note: "US dollars for a million tokens",
		Head: []string{"model", "prompt above", "input", "output", "cached", "cache write", "reasoning", "source"}}
	for _, p := range d.Prices {
		row := []cell{words(place(p.Endpoint, p.Model)), {Text: thousands(p.Above), Num: true}}
		for _, m := range []tokens.Money{p.Input, p.Output, p.Cached, p.CacheWrite, p.Reasoning} {
			million := tokens.Money(0)
			if m <= tokens.Money(1<<63-1)/1e6 {
				million = m * 1e6
			}
			row = append(row, cell{Text: million.String(), Num: true})
		}
		t.Rows = append(t.Rows, append(row, words(p.Source)))
	}
	return t
}

func (d *Document) runsTable() table {
	const most = 20
	t := table{ID: "runs", Title: "Runs", Head: []string{"started (UTC)", "took", "calls", "limits", "ended"}}
	runs := d.Runs
	if n := len(runs); n > most {
		t.Note = fmt.Sprintf("the last %d of %s", most, thousands(int64(n)))
		runs = runs[n-most:]
	}
	for i, r := range runs {
		took, ended := words("–"), "it has not"
		if r.Ended != nil {
			took, ended = words(duration(r.Ended.Sub(r.Started).Milliseconds())), r.Reason
		}
		took.Num = true
		key := fmt.Sprintf("runs.%d.attempts", len(d.Runs)-len(runs)+i)
		t.Rows = append(t.Rows, []cell{words(r.Started.Format(clockFormat)), took, number(key, r.Attempts), words(d.limitsOf(r)), words(ended)})
	}
	return t
}

// limitsOf names the limits of a run: the user's, else what the API stated.
func (d *Document) limitsOf(r Run) string {
	var all []string
	if r.RPM != nil {
		all = append(all, thousands(int64(*r.RPM))+" calls a minute")
	}
	if r.TPM != nil {
		all = append(all, thousands(int64(*r.TPM))+" tokens a minute")
	}
	if l := d.stated(r.Endpoint); l != nil && len(all) == 0 {
		if l.Requests != nil {
			all = append(all, thousands(*l.Requests)+" calls, as stated")
		}
		if l.Tokens != nil {
			all = append(all, thousands(*l.Tokens)+" tokens, as stated")
		}
	}
	if len(all) == 0 {
		return "none known"
	}
	return strings.Join(all, ", ")
}

func (d *Document) stated(endpoint string) *Limit {
	for i := range d.Limits {
		if d.Limits[i].Endpoint == endpoint {
			return &d.Limits[i]
		}
	}
	return nil
}

func (d *Document) errorsTable() table {
	t := table{ID: "errors", Title: "Most frequent errors", Head: []string{"error", "attempts", "jobs failed", "for example"}}
	for i, f := range d.Errors {
		key := fmt.Sprintf("errors.%d.", i)
		example := f.Example.Where.String()
		if f.Example.Message != "" {
			example += ": " + f.Example.Message
		}
		if f.Example.RequestID != "" {
			example += " (" + f.Example.RequestID + ")"
		}
		t.Rows = append(t.Rows, []cell{words(f.name()), number(key+"attempts", f.Attempts), number(key+"failed_jobs", f.Jobs), words(example)})
	}
	return t
}

// name is the error as briefly as it can be told from others.
func (f *Failure) name() string {
	var parts []string
	if f.Status != nil {
		parts = append(parts, strconv.Itoa(*f.Status))
	}
	switch {
	case f.Code != "":
		parts = append(parts, f.Code)
	case f.Type != "":
		parts = append(parts, f.Type)
	}
	switch {
	case f.Code != "" || f.Type != "":
	case f.Reason != "":
		parts = append(parts, f.Reason)
	case f.Class == "unknown":
		parts = append(parts, "outcome unknown")
	default:
		parts = append(parts, strings.ReplaceAll(f.Class, "_", " "))
	}
	return strings.Join(parts, " ")
}

// String is where a prompt stands, as in prompts.jsonl:17 (r-1).
func (w Where) String() string {
	s := fmt.Sprintf("%s:%d", w.File, w.Line)
	if w.File == "" {
		s = fmt.Sprintf("line %d", w.Line)
	}
	if w.CustomID != nil {
		s += " [" + *w.CustomID + "]"
	}
	return s
}

func (d *Document) answersTable(id, title string, answers []Answer) table {
	t := table{ID: id, Title: title, Head: []string{"prompt", "model", "took", "tokens", "cost", "attempts"}}
	for i, a := range answers {
		key := fmt.Sprintf("%s.%d.", id, i)
		t.Rows = append(t.Rows, []cell{words(a.Where.String()), words(a.Model), millis(key+"latency_ms", &a.Millis),
			number(key+"total_tokens", a.Tokens), money(key+"cost", a.Cost), number(key+"attempts", int64(a.Attempts))})
	}
	return t
}
