package output

import (
	"math"

	"batch/store"
)

var usageColumns = []string{"endpoint", "requested_model", "jobs", "done", "failed", "pending", "attempts",
	"prompt_tokens", "completion_tokens", "total_tokens", "estimated_tokens", "usage_unknown", "wasted_tokens",
	"gone_tokens", "possibly_paid", "cost", "estimated_cost", "wasted_cost", "gone_cost", "complete", "total"}

// usageRow fills rec with one line of the usage file. complete is that of the whole output: jobs that wait have met no
// endpoint yet, so no line could say it for itself. reused says that some answer of the output was taken over from another file.
func usageRow(rec *record, t store.UsageTotal, cost Cost, complete, total, reused bool) {
	rec.text("endpoint", t.Endpoint)
	rec.text("requested_model", t.Model)
	for _, c := range []struct {
		name string
		n    int64
	}{
		{"jobs", t.Jobs}, {"done", t.Done}, {"failed", t.Failed}, {"pending", t.Pending}, {"attempts", t.Attempts},
		{"prompt_tokens", t.Prompt}, {"completion_tokens", t.Completion}, {"total_tokens", t.Total},
		{"estimated_tokens", t.Estimated}, {"usage_unknown", t.UsageUnknown}, {"wasted_tokens", t.Wasted},
		{"gone_tokens", t.Gone}, {"possibly_paid", t.PossiblyPaid},
	} {
		rec.int(c.name, c.n)
	}
	for _, c := range []struct {
		name string
		Amount
	}{{"cost", cost.Done.Beside(cost.Estimated)}, {"estimated_cost", cost.Estimated}, {"wasted_cost", cost.Wasted}, {"gone_cost", cost.Gone.Beside(cost.GoneEstimated)}} {
		rec.money(c.name, c.Money, c.Known())
	}
	rec.bool("complete", complete)
	rec.bool("total", total)
	if reused {
		rec.int("reused", t.Reused)
		rec.int("reused_tokens", t.ReusedTokens)
	}
	if t.Simulated {
		rec.bool("simulated", true)
	}
}

// sum adds up the lines of the usage file.
func sum(totals []store.UsageTotal) (all store.UsageTotal) {
	for _, t := range totals {
		for _, c := range []struct {
			sum *int64
			n   int64
		}{
			{&all.Jobs, t.Jobs}, {&all.Done, t.Done}, {&all.Failed, t.Failed}, {&all.Pending, t.Pending},
			{&all.Attempts, t.Attempts}, {&all.Prompt, t.Prompt}, {&all.Completion, t.Completion},
			{&all.Total, t.Total}, {&all.Estimated, t.Estimated}, {&all.UsageUnknown, t.UsageUnknown},
			{&all.Wasted, t.Wasted}, {&all.Gone, t.Gone}, {&all.PossiblyPaid, t.PossiblyPaid},
			{&all.Reused, t.Reused}, {&all.ReusedTokens, t.ReusedTokens},
		} {
			*c.sum = Plus(*c.sum, c.n)
		}
		all.Simulated = all.Simulated || t.Simulated
	}
	return all
}

// Plus adds counts and stays at the largest int64 instead of wrapping: a server may report any number of tokens.
func Plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
