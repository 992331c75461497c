package report

import (
	"batch/output"
	"batch/store"
)

func (p *Part) add(o *Part) {
	p.Jobs.All += o.Jobs.All
	p.Jobs.Done += o.Jobs.Done
	p.Jobs.Failed += o.Jobs.Failed
	p.Jobs.Reused += o.Jobs.Reused
	p.Jobs.reusedCut += o.Jobs.reusedCut
	p.Jobs.Pending += o.Jobs.Pending
	p.Jobs.Running += o.Jobs.Running
	for reason, n := range o.Finish {
		p.Finish[reason] += n
	}
	a, b := &p.Attempts, &o.Attempts
	a.All += b.All
	a.Done += b.Done
	a.NotProcessed += b.NotProcessed
	a.Unknown += b.Unknown
	a.JobFailed += b.JobFailed
	a.RunStops += b.RunStops
	a.Interrupted += b.Interrupted
	a.Open += b.Open
	a.Unsaved += b.Unsaved
	t, u := &p.Tokens, &o.Tokens
	t.Prompt = output.Plus(t.Prompt, u.Prompt)
	t.Completion = output.Plus(t.Completion, u.Completion)
	t.Total = output.Plus(t.Total, u.Total)
	t.Cached = output.Plus(t.Cached, u.Cached)
	t.CacheWrite = output.Plus(t.CacheWrite, u.CacheWrite)
	t.Reasoning = output.Plus(t.Reasoning, u.Reasoning)
	t.Audio = output.Plus(t.Audio, u.Audio)
	t.Beyond = output.Plus(t.Beyond, u.Beyond)
	p.Estimated = output.Plus(p.Estimated, o.Estimated)
	p.UsageUnknown += o.UsageUnknown
	amounts := o.Spend.amounts()
	for i, a := range p.Spend.amounts() {
		a.add(*amounts[i])
	}
}

func (j *Jobs) add(state store.State, n int64) {
	switch state {
	case store.Done:
		j.Done += n
	case store.Failed:
		j.Failed += n
	case store.Running:
		j.Running += n
	case store.Pending:
		j.Pending += n
	}
}

// The classes of outcomes, as the job file has them; an open attempt has none.
const (
	classDone         = "done"
	classNotProcessed = "not_processed"
	classUnknown      = "unknown"
	classJobFailed    = "job_failed"
	classRunStops     = "run_stops"
	classInterrupted  = "interrupted"
)

// of is the count of an outcome.
func (a *Attempts) of(class string) *int64 {
	switch class {
	case classDone:
		return &a.Done
	case classNotProcessed:
		return &a.NotProcessed
	case classUnknown:
		return &a.Unknown
	case classJobFailed:
		return &a.JobFailed
	case classRunStops:
		return &a.RunStops
	case classInterrupted:
		return &a.Interrupted
	}
	return &a.Open
}

func (t *Tokens) add(u store.Usage) {
	t.Prompt = output.Plus(t.Prompt, u.Prompt)
	t.Completion = output.Plus(t.Completion, u.Completion)
	t.Total = output.Plus(t.Total, u.Total)
	t.Cached = output.Plus(t.Cached, u.Cached)
	t.CacheWrite = output.Plus(t.CacheWrite, u.CacheWrite)
	t.Reasoning = output.Plus(t.Reasoning, u.Reasoning)
	t.Audio = output.Plus(t.Audio, u.Audio)
	t.Beyond = output.Plus(t.Beyond, u.Total-u.Prompt-u.Completion)
}

// spendKeys are the names of the amounts in the JSON form.
var spendKeys = []string{"billed", "done", "truncated", "wasted", "of_failed_jobs", "retried", "gone", "estimated", "gone_estimated", "possibly_lost"}

func (s *Spend) amounts() []*Amount {
	return []*Amount{&s.Billed, &s.Done, &s.Truncated, &s.Wasted, &s.OfFailed, &s.Retried, &s.Gone, &s.Estimated, &s.GoneEstimated, &s.Lost}
}

// finish says of every amount whether its cost is known.
func (s *Spend) finish() {
	for _, a := range s.amounts() {
		if a.Unknown == 0 {
			cost := a.AtLeast
			a.Cost = &cost
		}
	}
}

func (a *Amount) add(b Amount) {
	a.Attempts += b.Attempts
	a.Tokens = output.Plus(a.Tokens, b.Tokens)
	a.AtLeast = a.AtLeast.Plus(b.AtLeast)
	a.Unknown += b.Unknown
	a.Unbounded += b.Unbounded
}
