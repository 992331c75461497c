package runner

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"batch/runner/chat"
	"batch/runner/tokens"
	"batch/store"
)

func TestMarginOfAModel(t *testing.T) {
	type answer struct{ estimated, reported int64 }
	given := tokens.Margin{Factor: 1200, Surplus: 50}
	for name, c := range map[string]struct {
		base    *tokens.Margin
		answers []answer
		want    tokens.Margin
	}{
		"nothing is known":                            {nil, nil, tokens.Unlearnt},
		"two good answers are not enough":             {nil, []answer{{10, 10}, {10, 10}}, tokens.Unlearnt},
		"three are":                                   {nil, []answer{{10, 10}, {10, 10}, {10, 10}}, tokens.Margin{Factor: 1100}},
		"one bad one is":                              {nil, []answer{{10, 215}}, tokens.Margin{Factor: 1500, Surplus: 200}},
		"which is not multiplied onto long ones":      {nil, []answer{{10, 210}, {10_000, 10_200}, {10_000, 10_200}}, tokens.Margin{Factor: 1133, Surplus: 199}},
		"nor forgotten when the factor is high":       {nil, []answer{{10, 210}, {10, 210}, {10, 210}}, tokens.Margin{Factor: 23100, Surplus: 195}},
		"what was given stays":                        {&given, []answer{{10, 10}, {10, 10}, {10, 10}}, given},
		"what its surplus explains is not multiplied": {&given, []answer{{10, 60}, {10, 60}, {10, 60}}, given},
		"more adds to its surplus":                    {&given, []answer{{10, 70}}, tokens.Margin{Factor: 1200, Surplus: 58}},
		"and raises its factor":                       {&given, []answer{{1000, 2050}, {1000, 2050}, {1000, 2050}}, tokens.Margin{Factor: 2200, Surplus: 850}},
		"an answer that says nothing of its prompt":   {nil, []answer{{10, 0}, {10, 0}, {10, 0}}, tokens.Unlearnt},
	} {
		m := newMargins(nil)
		if c.base != nil {
			m = newMargins(map[string]tokens.Margin{"m": *c.base})
		}
		for _, a := range c.answers {
			m.of("m").learn(a.estimated, chat.Usage{Known: true, Prompt: a.reported, Total: a.reported})
		}
		m.of("m").learn(1, chat.Usage{Prompt: 1000})
		if got := m.of("m").now(); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if got := m.of("another").now(); got != tokens.Unlearnt {
			t.Errorf("%s: another model has %+v", name, got)
		}
	}
}

// model is one whose provider puts a prompt of its own before every prompt.
type model struct {
	ratio, hidden int64 // tokens for 1,000 estimated ones; before each
	shortest      int64 // of the prompts that have been answered, as estimated
}

func (m *model) prompt(estimated int64) int64 { return (estimated*m.ratio+999)/1000 + m.hidden }

// TestMarginsHold sends prompts of several models, many at once. Where a prompt is at least as long as one that has been answered, the
// reservation is never too small. Where all are, the budget holds to the token; else it is exceeded by no more than what those were
// wrong by.
func TestMarginsHold(t *testing.T) {
	reached, exceeded := 0, 0
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 7))
		short := seed%2 == 0 // each model has been asked the shortest prompt of all before
		var models []*model
		given := map[string]tokens.Margin{}
		for i := range 1 + r.IntN(4) {
			m := &model{ratio: 400 + r.Int64N(1101), hidden: r.Int64N(2) * r.Int64N(1000), shortest: 1 << 60}
			models = append(models, m)
			if !short && r.IntN(2) > 0 {
				continue
			}
			var l tokens.Learnt
			m.shortest = 5
			for range r.IntN(5) {
				e := m.shortest + r.Int64N(2000)
				l.Add(e, m.prompt(e))
			}
			l.Add(m.shortest, m.prompt(m.shortest))
			given[fmt.Sprint(i)] = l.Margin()
		}
		limit := 1000 + r.Int64N(200_000)
		l := newLedger(Budget{MaxTokens: limit, Margins: given})
		type call struct {
			reservation
			model *model
		}
		var flight []call
		var charged, wrong int64
		for range 300 {
			if n := len(flight); n > 0 && r.IntN(2) == 0 {
				i := r.IntN(n)
				c := flight[i]
				flight[i] = flight[n-1]
				flight = flight[:n-1]
				res := used(done("x"), c.model.prompt(c.prompt), r.Int64N(c.answer+1))
				l.settle(c.reservation, &res, 0)
				charged += res.Answer.Usage.Total
				c.model.shortest = min(c.model.shortest, c.prompt)
				continue
			}
			i := r.IntN(len(models))
			m, c := models[i], store.Claim{Model: fmt.Sprint(i), Tokens: 5 + r.Int64N(1+r.Int64N(2000)), MaxTokens: 1 + r.Int64N(50)}
			res := l.most(&c, nil)
			if !l.fits(res.most) {
				reached++
				continue
			}
			if over := m.prompt(c.Tokens) - (res.most.tokens - res.answer); over > 0 {
				if c.Tokens >= m.shortest {
					t.Fatalf("seed %d: %d tokens too few for %d of %+v at %+v", seed, over, c.Tokens, m, res.margin.now())
				}
				wrong += over
			}
			l.take(res)
			flight = append(flight, call{res, m})
		}
		if charged > limit+wrong || short && wrong > 0 {
			t.Errorf("seed %d: %d tokens of %d, reservations wrong by %d", seed, charged, limit, wrong)
		}
		if charged > limit {
			exceeded++
		}
	}
	if reached < 1000 || exceeded > 20 {
		t.Errorf("calls did not fit %d times, %d budgets were exceeded", reached, exceeded)
	}
}
