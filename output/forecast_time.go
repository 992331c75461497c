package output

import (
	"math"
	"time"

	"batch/store"
)

// time is how long the jobs take: as long as the slowest of what holds them up, which is the calls at a time, the requests a minute
// or the tokens a minute.
func (k *Known) time(total ModelForecast, backlog []store.Backlog, seen map[string]*store.Seen) span {
	if total.Jobs == 0 {
		return span{}
	}
	calls := k.calls(total, backlog, seen)
	least, minute := unknown, float64(time.Minute)
	atLeast := func(v float64) {
		if !math.IsNaN(v) && !(least > v) {
			least = v
		}
	}
	atLeast(calls.least)
	if k.Pace.RPM > 0 { // the first goes at once
		requests := float64(total.Jobs-1) / k.Pace.RPM * minute
		atLeast(requests)
		calls.likely, calls.most = math.Max(calls.likely, requests), math.Max(calls.most, requests)
	}
	if k.Pace.TPM > 0 {
		by := func(prompt, completion float64) float64 { return (prompt + completion) / k.Pace.TPM * minute }
		atLeast(by(total.prompt.least, total.completion.least))
		calls.likely = math.Max(calls.likely, by(total.prompt.likely, total.completion.likely))
		calls.most = math.Max(calls.most, by(total.prompt.most, total.completion.most))
	}
	calls.least = least
	return calls
}

// calls is how long the calls take, in rounds of so many at a time; at best no place is ever free, and one call is waited for. Of their times only the sum is known: they are taken to scatter
// by as much as their mean.
func (k *Known) calls(total ModelForecast, backlog []store.Backlog, seen map[string]*store.Seen) span {
	work := 0.0
	for _, b := range backlog {
		s := seen[b.Model]
		if b.Jobs <= 0 {
			continue
		}
		if s == nil || s.Answers == 0 {
			return span{unknown, unknown, unknown, false}
		}
		work += float64(b.Jobs) * float64(s.Millis) / float64(s.Answers) * float64(time.Millisecond)
	}
	atOnce := float64(min(int64(max(k.Pace.Concurrency, 1)), total.Jobs))
	mean := work / float64(total.Jobs)
	rounds := math.Ceil(float64(total.Jobs)/atOnce) * mean
	if total.Answers < 2 {
		return span{unknown, rounds, unknown, false}
	}
	s := around(rounds, offOf(1, total.Answers, total.Jobs))
	s.least = math.Max(s.least*work/atOnce/rounds, mean)
	return s
}
