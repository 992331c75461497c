package report

import (
	"encoding/csv"
	"io"
	"strconv"

	"batch/output"
	"batch/runner/tokens"
)

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
	n("usage_unknown", p.UsageUnknown)
	for i, a := range p.Spend.amounts() {
		n(spendKeys[i]+"_attempts", a.Attempts)
		n(spendKeys[i]+"_tokens", a.Tokens)
		add(spendKeys[i]+"_cost", cost(a.Cost))
	}
	ms("latency_p50_ms", p.Latency.P50)
	ms("latency_p90_ms", p.Latency.P90)
	ms("latency_p99_ms", p.Latency.P99)
	ms("latency_max_ms", p.Latency.Max)
	return names, values
}
