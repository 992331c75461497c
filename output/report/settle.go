package report

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"batch/output"
	"batch/store"
)

// lost notes a call that may have been paid for without an answer.
func (g *gatherer) lost(s *sums, c *store.Call) {
	above := int64(0)
	if price := g.prices.Of(c.Endpoint, c.Model); price != nil {
		above = price.For(g.margins.Of(c.Endpoint, c.Model).Worst(c.Tokens)).Above
	}
	b := s.lost[above]
	if b == nil {
		b = &store.Bill{Endpoint: c.Endpoint, Model: c.Model, Kind: store.BillLost, Estimated: true, Above: above, Usage: store.Usage{Known: true}}
		s.lost[above] = b
	}
	b.Attempts++
	b.Usage.Prompt = output.Plus(b.Usage.Prompt, c.Tokens)
	switch {
	case c.Boundless:
		b.Boundless++
	case c.MaxTokens == 0:
		b.Unbounded++
	default:
		b.Usage.Completion = output.Plus(b.Usage.Completion, c.MaxTokens)
	}
}

// settle prices what may be lost.
func (g *gatherer) settle(k key, s *sums) {
	for _, b := range s.lost {
		cost := g.prices.Cost([]store.Bill{*b}, g.margins).Lost
		price := g.prices.Of(k.endpoint, k.model)
		prompt, completion, bounded := output.WorstTokens(*b, price, g.margins.Of(k.endpoint, k.model))
		lost := Amount{Attempts: b.Attempts, Tokens: output.Plus(prompt, completion), AtLeast: cost.Money, Unknown: cost.Unknown}
		if !bounded {
			lost.Unbounded = max(b.Unbounded+b.Boundless, 1)
		}
		s.part.Spend.Lost.add(lost)
		if cost.Unknown > 0 {
			why := "no price is known"
			if price != nil {
				why = "lost, and nothing bounds the answer"
			}
			g.unknown[Unknown{Endpoint: k.endpoint, Model: k.model, Why: why}] += cost.Unknown
		}
	}
}

// sum makes the parts of the document of what passed.
func (g *gatherer) sum(doc *Document) {
	doc.Total.Finish = map[string]int64{}
	all := tally{}
	for k, s := range g.parts {
		g.settle(k, s)
		s.part.Latency = s.latency.latency()
		s.part.Jobs.All = s.part.Jobs.Done + s.part.Jobs.Failed + s.part.Jobs.Pending + s.part.Jobs.Running
		doc.Total.add(&s.part)
		for v, n := range s.latency {
			all[v] += n
		}
		s.part.Spend.finish()
		doc.Models = append(doc.Models, Model{k.endpoint, k.model, s.part})
	}
	slices.SortFunc(doc.Models, func(a, b Model) int {
		return cmp.Or(strings.Compare(a.Endpoint, b.Endpoint), strings.Compare(a.Name, b.Name))
	})
	doc.Total.Spend.finish()
	doc.Total.Latency = all.latency()
	doc.Complete = doc.Total.Jobs.Pending+doc.Total.Jobs.Running == 0
	doc.Latency, doc.Tokens = all.histogram(), g.lengths.histogram()
	var active int64
	doc.Time, active = g.clock.timeline()
	doc.Rate.ActiveMillis = active
	if active > 0 {
		perMinute := func(n int64) *float64 {
			rate := math.Round(float64(n)*60_000/float64(active)*100) / 100
			return &rate
		}
		doc.Rate.Calls = perMinute(doc.Total.Attempts.All)
		doc.Rate.Answers = perMinute(doc.Total.Attempts.Done)
		doc.Rate.Tokens = perMinute(doc.Total.Spend.Billed.Tokens)
	}
	for u, n := range g.unknown {
		u.Attempts = n
		doc.Unknown = append(doc.Unknown, u)
	}
	slices.SortFunc(doc.Unknown, func(a, b Unknown) int {
		return cmp.Or(cmp.Compare(b.Attempts, a.Attempts), strings.Compare(a.Endpoint+a.Model+a.Why, b.Endpoint+b.Model+b.Why))
	})
}
