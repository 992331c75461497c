package output

import (
	"maps"
	"slices"

	"batch/runner/tokens"
	"batch/store"
)

// ComparedSums are what some answers used, cost and took.
type ComparedSums struct {
	Prompt       int64 `json:"prompt_tokens"` // reported
	Completion   int64 `json:"completion_tokens"`
	Total        int64 `json:"total_tokens"`
	Reused       int64 `json:"reused,omitempty"` // answers taken over from another file, whose tokens are not counted here
	Estimated    int64 `json:"estimated_tokens"` // of answers without reported usage
	UsageUnknown int64 `json:"usage_unknown"`    // those answers

	Cost          *tokens.Money `json:"cost"` // in dollars; null where a part is unknown
	EstimatedCost *tokens.Money `json:"estimated_cost"`
	Spent         Amount        `json:"-"`
	SpentGuess    Amount        `json:"-"`

	Latency ComparedLatency `json:"latency_ms"`

	durations map[int64]int64 // answers by milliseconds
}

// ComparedLatency has percentiles by nearest rank, null without answers.
type ComparedLatency struct {
	P50 *int64 `json:"p50"`
	P90 *int64 `json:"p90"`
	P99 *int64 `json:"p99"`
}

// add takes in an answered row.
func (s *ComparedSums) add(row *store.Row, price *tokens.Price) {
	switch u := row.Usage; {
	case row.Reused: // what it used was charged to the other file
		s.Reused++
	case u.Known:
		s.Prompt, s.Completion, s.Total = Plus(s.Prompt, u.Prompt), Plus(s.Completion, u.Completion), Plus(s.Total, u.Total)
		s.Spent = s.Spent.Plus(costOf(price, u))
	case row.Estimated > 0:
		s.Estimated = Plus(s.Estimated, row.Estimated)
		s.SpentGuess = s.SpentGuess.Plus(costOf(price, row.EstimatedUsage()))
		fallthrough
	default:
		s.UsageUnknown++
	}
	s.durations[coarse(row.Latency.Milliseconds())]++
}

// finish makes of what was added what is told.
func (s *ComparedSums) finish() {
	s.Spent = s.Spent.Beside(Amount{Attempts: s.UsageUnknown})
	s.Cost, s.EstimatedCost = s.Spent.Exactly(), s.SpentGuess.Exactly()
	s.Latency = percentiles(s.durations)
}

// coarse bounds how many values of latency there can be: beyond ten minutes they are counted by the second.
func coarse(ms int64) int64 {
	if ms > 600_000 {
		return ms / 1000 * 1000
	}
	return ms
}

func percentiles(durations map[int64]int64) (l ComparedLatency) {
	var n, passed int64
	for _, times := range durations {
		n += times
	}
	wanted := []struct {
		percent int64
		into    **int64
	}{{50, &l.P50}, {90, &l.P90}, {99, &l.P99}}
	for _, ms := range slices.Sorted(maps.Keys(durations)) {
		passed += durations[ms]
		for len(wanted) > 0 && passed*100 >= n*wanted[0].percent {
			*wanted[0].into = &ms
			wanted = wanted[1:]
		}
	}
	return l
}
