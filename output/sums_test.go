package output

import (
	"context"
	"iter"
	"strings"
	"testing"

	"batch/store"
)

// calls is a source with every call that its sums are made of.
type calls struct {
	*source
	all []store.Attempt
}

func (c *calls) Attempts(context.Context) iter.Seq2[*store.Attempt, error] {
	return func(yield func(*store.Attempt, error) bool) {
		for i := range c.all {
			if !yield(&c.all[i], nil) {
				return
			}
		}
	}
}

// bookkeeping is a job file of one answered row, one of which the usage was counted here, a wasted call and one that nobody knows of.
func bookkeeping() *calls {
	const endpoint, model = "https://api.example/v1", "m"
	used := func(prompt, completion int64) store.Usage {
		return store.Usage{Known: true, Prompt: prompt, Completion: completion, Total: prompt + completion}
	}
	row := store.Row{State: store.Done, Endpoint: endpoint, Model: model, Usage: used(10, 5)}
	counted := store.Row{State: store.Done, Endpoint: endpoint, Model: model, EstimatedPrompt: 7, Estimated: 9}
	bill := func(kind store.BillKind, estimated bool, u store.Usage) store.Bill {
		return store.Bill{Endpoint: endpoint, Model: model, Kind: kind, Estimated: estimated, Attempts: 1, Usage: u}
	}
	return &calls{
		source: &source{
			rows: []store.Row{row, counted, {State: store.Pending}, {Skipped: true}},
			totals: []store.UsageTotal{{Endpoint: endpoint, Model: model, Jobs: 3, Done: 2, Pending: 1, Attempts: 4, Prompt: 10, Completion: 5,
				Total: 15, Estimated: 9, UsageUnknown: 1, Wasted: 3, PossiblyPaid: 1}},
			bills: []store.Bill{bill(store.BillDone, false, used(10, 5)), bill(store.BillDone, true, used(7, 2)),
				bill(store.BillWasted, false, used(3, 0)), bill(store.BillLost, true, used(10, 100))},
			prices: []store.Price{{Endpoint: endpoint, Model: model, Input: 3, Output: 7}},
		},
		all: []store.Attempt{
			{Endpoint: endpoint, Model: model, Answer: true, Usage: used(10, 5)},
			{Endpoint: endpoint, Model: model, Answer: true, Estimated: used(7, 2)},
			{Endpoint: endpoint, Model: model, Usage: used(3, 0)},
			{Endpoint: endpoint, Model: model, PossiblyPaid: true},
		},
	}
}

// Whatever is off by a single token or picodollar, in whichever of the books, is found.
func TestCheckSums(t *testing.T) {
	for name, spoil := range map[string]func(*calls){
		"":                                func(*calls) {},
		"a call more":                     func(c *calls) { c.all = append(c.all, store.Attempt{}) },
		"a token of a call":               func(c *calls) { c.all[2].Usage.Prompt++; c.all[2].Usage.Total++ },
		"a cached token of a call":        func(c *calls) { c.all[0].Usage.Cached++ },
		"an estimated token":              func(c *calls) { c.all[1].Estimated.Total++ },
		"a call whose outcome is unknown": func(c *calls) { c.all[3].PossiblyPaid = false },
		"a token of a row":                func(c *calls) { c.rows[0].Usage.Total++ },
		"a token of a counted row":        func(c *calls) { c.rows[1].Estimated++ },
		"a row that is missing":           func(c *calls) { c.rows = c.rows[1:] },
		"a token of the totals":           func(c *calls) { c.totals[0].Total++ },
		"a wasted token of the totals":    func(c *calls) { c.totals[0].Wasted-- },
		"a token of a bill":               func(c *calls) { c.bills[0].Usage.Completion--; c.bills[0].Usage.Total-- },
		"a call without a price":          func(c *calls) { c.all[2].Model = "other" },
	} {
		c := bookkeeping()
		spoil(c)
		wrong, err := CheckSums(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if (wrong.Count > 0) != (name != "") {
			t.Errorf("%q: %s", name, strings.Join(wrong.Named, "; "))
		}
	}
}
