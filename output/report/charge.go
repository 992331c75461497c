package report

import (
	"batch/output"
	"batch/runner/tokens"
	"batch/store"
)

// used is what a call used, as reported, else as it was estimated here.
func used(c *store.Call) tokens.Usage {
	if c.Usage.Known {
		return tokens.Usage(c.Usage)
	}
	return tokens.Usage{Known: true, Prompt: c.EstimatedPrompt, Completion: c.Estimated - c.EstimatedPrompt, Total: c.Estimated}
}

// reported charges a call for what the API reported.
func (g *gatherer) reported(s *sums, c *store.Call, end *Bucket, answered bool) {
	a := g.price(c, tokens.Usage(c.Usage))
	sp := &s.part.Spend
	sp.Billed.add(a)
	switch {
	case answered && c.Gone:
		sp.Gone.add(a)
	case answered:
		sp.Done.add(a)
		if c.Finish == finishLength {
			sp.Truncated.add(a)
		}
	case c.State == store.Failed:
		sp.Wasted.add(a)
		sp.OfFailed.add(a)
	default:
		sp.Wasted.add(a)
		sp.Retried.add(a)
	}
	end.Prompt = output.Plus(end.Prompt, c.Usage.Prompt)
	end.Completion = output.Plus(end.Completion, c.Usage.Total-c.Usage.Prompt)
	end.Spent = end.Spent.Plus(a.AtLeast)
	end.CostUnknown += a.Unknown
}

func (g *gatherer) estimated(s *sums, c *store.Call) {
	a := g.price(c, used(c))
	if c.Gone {
		s.part.Spend.GoneEstimated.add(a)
	} else {
		s.part.Spend.Estimated.add(a)
	}
}

// price is the amount of one call.
func (g *gatherer) price(c *store.Call, u tokens.Usage) Amount {
	a := Amount{Attempts: 1, Tokens: u.Total}
	price := g.prices.Of(c.Endpoint, c.Model)
	cost, known := price.Cost(u)
	a.AtLeast = cost
	if !known {
		why := "no price is known"
		if price != nil {
			why = "audio tokens have a price of their own"
		}
		g.unknown[Unknown{Endpoint: c.Endpoint, Model: c.Model, Why: why}]++
		a.Unknown = 1
	}
	return a
}
