package report

import (
	"fmt"
	"strconv"
	"strings"

	"batch/output"
)

// modelsTable tells the models apart; of one alone the totals have told all.
func (d *Document) modelsTable() table {
	t := table{ID: "models", Title: "By model", Head: []string{"model", "answered", "failed", "attempts", "prompt", "completion", "billed", "p50", "p99"}}
	if len(d.Models) < 2 {
		return t
	}
	for i := range d.Models {
		m := &d.Models[i]
		key := fmt.Sprintf("models.%d.", i)
		t.Rows = append(t.Rows, []cell{words(d.place(m.Endpoint, m.Name)), number(key+"jobs.done", m.Jobs.Done), number(key+"jobs.failed", m.Jobs.Failed),
			number(key+"attempts.all", m.Attempts.All), number(key+"tokens.prompt", m.Tokens.Prompt), number(key+"tokens.completion", m.Tokens.Completion),
			d.spent(key+"spend.billed", &m.Part, m.Spend.Billed), millis(key+"latency_ms.p50", m.Latency.P50), millis(key+"latency_ms.p99", m.Latency.P99)})
	}
	return t
}

func (d *Document) runsTable() table {
	const most = 20
	t := table{ID: "runs", Title: "Runs", Head: []string{"started (UTC)", "took", "calls", "limits", "ended"}}
	runs := d.Runs
	if n := len(runs); n > most {
		t.Note = fmt.Sprintf("the last %d of %s", most, output.Count(int64(n)))
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
		all = append(all, output.Count(int64(*r.RPM))+" calls a minute")
	}
	if r.TPM != nil {
		all = append(all, output.Count(int64(*r.TPM))+" tokens a minute")
	}
	if l := d.stated(r.Endpoint); l != nil && len(all) == 0 {
		if l.Requests != nil {
			all = append(all, output.Count(*l.Requests)+" calls, as stated")
		}
		if l.Tokens != nil {
			all = append(all, output.Count(*l.Tokens)+" tokens, as stated")
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
	if f.Status != nil && !f.answered() {
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
	case f.answered():
		parts = append(parts, "answer cut off or unusable")
	case f.Class == classUnknown:
		parts = append(parts, "outcome unknown")
	default:
		parts = append(parts, strings.ReplaceAll(f.Class, "_", " "))
	}
	return strings.Join(parts, " ")
}

// answered says that the API meant to answer and named no error: its status is no part of what went wrong.
func (f *Failure) answered() bool {
	return f.Class == classUnknown && f.Status != nil && *f.Status/100 == 2 && f.Code == "" && f.Type == ""
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
