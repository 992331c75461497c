package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"batch/output"
)

// tables are the parts of the report, in order. Empty ones are left out.
func (d *Document) tables() []table {
	all := []table{d.jobsTable(), d.attemptsTable(), d.tokensTable(), d.timeTable(), d.spendTable(), d.unknownTable(), d.modelsTable(),
		d.pricesTable(), d.runsTable(), d.errorsTable(), d.slowestTable(), d.dearestTable()}
	return slices.DeleteFunc(all, func(t table) bool { return len(t.Rows) == 0 })
}

func (d *Document) jobsTable() table {
	t := table{ID: "jobs", Title: "Jobs"}
	j := d.Total.Jobs
	t.counts([]string{"prompts", "- answered", "- - taken over from other files"}, []string{"total.jobs.all", "total.jobs.done", "total.jobs.reused"}, j.All, j.Done, j.Reused)
	for _, reason := range byCount(d.Total.Finish) {
		n := cell{Text: output.Count(d.Total.Finish[reason]), Num: true}
		if knownReason(reason) {
			n = number("total.finish_reasons."+reason, d.Total.Finish[reason])
		}
		name := "- - ended by " + reason
		switch reason {
		case "":
			name = "- - ended without a reason"
		case finishLength:
			name += " (cut short)"
		}
		t.Rows = append(t.Rows, []cell{part(name), n})
	}
	out := "- in work"
	if !d.RunOn {
		out = "- without a saved outcome"
	}
	t.counts([]string{"", "- failed", "- pending", out, "lines skipped"},
		[]string{"", "total.jobs.failed", "total.jobs.pending", "total.jobs.running", "skipped"},
		0, j.Failed, j.Pending, j.Running, d.Skipped)
	return t
}

// finishLength is the finish reason of an answer that was cut short.
const finishLength = "length"

// knownReason says that a finish reason is a word, so that it can be a part of a key.
func knownReason(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

func (d *Document) attemptsTable() table {
	t := table{ID: "attempts", Title: "Attempts"}
	a := d.Total.Attempts
	keys := []string{"all", "done", "not_processed", "unknown", "job_failed", "run_stops", "interrupted", "open", "unsaved"}
	for i := range keys {
		keys[i] = "total.attempts." + keys[i]
	}
	t.counts([]string{"calls", "- answered", "- not processed", "- outcome unknown", "- refused for good",
		"- stopped the run", "- interrupted", "- without an outcome yet", "- - known, and waiting for the next run"}, keys,
		a.All, a.Done, a.NotProcessed, a.Unknown, a.JobFailed, a.RunStops, a.Interrupted, a.Open, a.Unsaved)
	return t
}

func (d *Document) tokensTable() table {
	t := table{ID: "tokens", Title: "Tokens of the answers"}
	u := d.Total.Tokens
	t.counts([]string{"reported", "- prompt", "- - cached", "- - written to a cache", "- completion", "- - reasoning", "- beside prompt and completion",
		"- - audio", "estimated here", "answers that reported none"},
		[]string{"total.tokens.total", "total.tokens.prompt", "total.tokens.cached", "total.tokens.cache_write", "total.tokens.completion",
			"total.tokens.reasoning", "total.tokens.beyond", "total.tokens.audio", "total.estimated_tokens", "total.usage_unknown"},
		u.Total, u.Prompt, u.Cached, u.CacheWrite, u.Completion, u.Reasoning, u.Beyond, u.Audio, d.Total.Estimated, d.Total.UsageUnknown)
	return t
}

func (d *Document) spendTable() table {
	t := table{ID: "spend", Title: "Where the money went", Head: []string{"", "attempts", "tokens", "cost"}}
	s := &d.Total.Spend
	names := []string{"billed, as reported", "- for answers", "- - cut short (length)", "- wasted", "- - by jobs that failed", "- - by attempts that were retried",
		"- for answers no longer in the input", "estimated: answers without usage", "estimated: the same, no longer in the input", "possibly paid and lost, at most"}
	if silent := d.Total.Finish[finishLength] - d.Total.Jobs.reusedCut - s.Truncated.Attempts; s.Truncated.Attempts > 0 && silent > 0 {
		names[2] += fmt.Sprintf("; %s more reported no usage", output.Count(silent))
	}
	for i, a := range s.amounts() {
		if a.Attempts == 0 && i > 0 {
			continue
		}
		key := "total.spend." + spendKeys[i]
		cost := d.spent(key, &d.Total, *a)
		used := number(key+".tokens", a.Tokens)
		if a.Unbounded > 0 {
			used.Text += " or more"
		}
		t.Rows = append(t.Rows, []cell{part(names[i]), number(key+".attempts", a.Attempts), used, cost})
	}
	return t
}

func (d *Document) unknownTable() table {
	t := table{ID: "unknown", Title: "Costs that are not known", Head: []string{"model", "why", "attempts"}}
	for i, u := range d.Unknown {
		t.Rows = append(t.Rows, []cell{words(d.place(u.Endpoint, u.Model)), words(u.Why), number(fmt.Sprintf("cost_unknown.%d.attempts", i), u.Attempts)})
	}
	return t
}

func (d *Document) timeTable() table {
	t := table{ID: "time", Title: "Latency and time"}
	if l := d.Total.Latency; l.P50 != nil {
		t.Rows = [][]cell{
			{words("latency p50"), millis("total.latency_ms.p50", l.P50)},
			{words("latency p90"), millis("total.latency_ms.p90", l.P90)},
			{words("latency p99"), millis("total.latency_ms.p99", l.P99)},
			{words("slowest answer"), millis("total.latency_ms.max", l.Max)},
		}
	}
	if d.Rate.Calls == nil {
		return t
	}
	rate := func(name, key string, r float64) {
		t.Rows = append(t.Rows, []cell{words(name), {Text: output.Count(int64(r + 0.5)), Num: true, Key: key, Value: strconv.FormatFloat(r, 'f', -1, 64)}})
	}
	t.Rows = append(t.Rows, []cell{words("time with calls"), millis("rate.active_ms", &d.Rate.ActiveMillis)})
	rate("calls a minute", "rate.calls_per_minute", *d.Rate.Calls)
	rate("answers a minute", "rate.answers_per_minute", *d.Rate.Answers)
	rate("tokens a minute", "rate.tokens_per_minute", *d.Rate.Tokens)
	for i, w := range d.Waits {
		t.Rows = append(t.Rows, []cell{words("waited: " + w.Why), millis(fmt.Sprintf("waits.%d.ms", i), &w.Millis)})
	}
	return t
}

// headline is what the report is of.
func (d *Document) headline() string {
	s := d.JobFile
	if d.Simulated {
		s += " (simulated: the answers are made up)"
	}
	return s
}

// standing says in a sentence how far the job file is.
func (d *Document) standing() string {
	j := d.Total.Jobs
	s := fmt.Sprintf("%s of %s prompts answered", output.Count(j.Done), output.Count(j.All))
	if j.Failed > 0 {
		s += fmt.Sprintf(", %s failed", output.Count(j.Failed))
	}
	if n := j.Pending + j.Running; n > 0 {
		s += fmt.Sprintf(", %s to go", output.Count(n))
	}
	if d.RunOn {
		s += "; a run is on"
	}
	return s
}

func (d *Document) when() string { return d.WrittenAt.Format(clockFormat) + " UTC" }
