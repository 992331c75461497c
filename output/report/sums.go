package report

import (
	"math"

	"batch/store"
)

// plus adds counts and stays at the largest int64 instead of wrapping: a server may report any number of tokens.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

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
	t, u := &p.Tokens, &o.Tokens
	t.Prompt = plus(t.Prompt, u.Prompt)
	t.Completion = plus(t.Completion, u.Completion)
	t.Total = plus(t.Total, u.Total)
	t.Cached = plus(t.Cached, u.Cached)
	t.CacheWrite = plus(t.CacheWrite, u.CacheWrite)
	t.Reasoning = plus(t.Reasoning, u.Reasoning)
	t.Audio = plus(t.Audio, u.Audio)
	t.Beyond = plus(t.Beyond, u.Beyond)
	p.Estimated = plus(p.Estimated, o.Estimated)
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
	t.Prompt = plus(t.Prompt, u.Prompt)
	t.Completion = plus(t.Completion, u.Completion)
	t.Total = plus(t.Total, u.Total)
	t.Cached = plus(t.Cached, u.Cached)
	t.CacheWrite = plus(t.CacheWrite, u.CacheWrite)
	t.Reasoning = plus(t.Reasoning, u.Reasoning)
	t.Audio = plus(t.Audio, u.Audio)
	t.Beyond = plus(t.Beyond, u.Total-u.Prompt-u.Completion)
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
	a.Tokens = plus(a.Tokens, b.Tokens)
	a.AtLeast = a.AtLeast.Plus(b.AtLeast)
	a.Unknown += b.Unknown
	a.Unbounded += b.Unbounded
}
