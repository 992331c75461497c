package report

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"batch/output"
	"batch/runner/tokens"
	"batch/store"
)

// Options are what the job file does not know of itself.
type Options struct {
	JobFile   string // as its user named it
	Version   string
	Now       time.Time
	Simulated bool
	RunOn     bool
	Prices    []store.Price // in force
}

const (
	mostErrors  = 12
	mostAnswers = 10
	mostSamples = 8
)

// gatherer adds up the attempts as they pass.
type gatherer struct {
	prices  output.Prices
	parts   map[key]*sums
	clock   *clock
	lengths tally
	runs    map[int64]int64 // attempts
	unknown map[Unknown]int64
	factor  int64 // reported prompt tokens for 1,000 estimated ones, where they were most
	slowest ranking
	dearest ranking
}

type key struct{ endpoint, model string }

// sums are those of one model.
type sums struct {
	part    Part
	latency tally
	lost    map[int64]*store.Bill // by price tier
}

// Gather reads a report out of a picture of the job file: one pass over its attempts, and what a few queries tell.
func Gather(ctx context.Context, v *store.View, opt Options) (*Document, error) {
	g := &gatherer{prices: output.NewPrices(opt.Prices), parts: map[key]*sums{}, clock: newClock(), lengths: tally{},
		runs: map[int64]int64{}, unknown: map[Unknown]int64{}, factor: 1000,
		slowest: ranking{by: func(a, b ranked) int { return cmp.Compare(a.millis, b.millis) }},
		dearest: ranking{by: func(a, b ranked) int { return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.tokens, b.tokens)) }}}
	for c, err := range v.Calls(ctx) {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		g.call(c)
	}
	doc := &Document{JobFile: opt.JobFile, Version: opt.Version, WrittenAt: opt.Now.UTC().Truncate(time.Millisecond),
		Simulated: opt.Simulated, RunOn: opt.RunOn, Models: []Model{}, Prices: []Price{}, Unknown: []Unknown{}}
	if err := g.rest(ctx, v, doc); err != nil {
		return nil, err
	}
	g.sum(doc)
	for _, p := range opt.Prices {
		doc.Prices = append(doc.Prices, Price{p.Endpoint, p.Model, p.Above, tokens.Money(p.Input), tokens.Money(p.Output),
			tokens.Money(p.Cached), tokens.Money(p.CacheWrite), tokens.Money(p.Reasoning), p.Source})
	}
	return doc, nil
}

// part finds the sums of a model.
func (g *gatherer) part(endpoint, model string) *sums {
	k := key{endpoint, model}
	s := g.parts[k]
	if s == nil {
		s = &sums{part: Part{Finish: map[string]int64{}}, latency: tally{}, lost: map[int64]*store.Bill{}}
		g.parts[k] = s
	}
	return s
}

func (g *gatherer) call(c *store.Call) {
	s := g.part(c.Endpoint, c.Model)
	p := &s.part
	g.runs[c.Run]++
	p.Attempts.All++
	*p.Attempts.of(c.Class)++
	g.clock.call(c.Run, c.Started, c.Started+c.Millis)
	g.clock.at(c.Started).Calls++
	end := g.clock.at(c.Started + c.Millis)
	answered := c.Final && c.State == store.Done
	switch {
	case answered:
		end.Answers++
	case c.Class != "" && c.Class != "done":
		end.Failures++
	}
	if c.Final && !c.Gone {
		p.Jobs.add(c.State, 1)
	}
	if answered && !c.Gone {
		g.answer(s, c)
	}
	switch {
	case c.Usage.Known:
		g.reported(s, c, end, answered)
	case answered:
		g.estimated(s, c)
	case c.Class == "unknown" || c.Class == "interrupted" && c.Sent:
		g.lost(s, c)
	}
}

// answer is a row of the output.
func (g *gatherer) answer(s *sums, c *store.Call) {
	p := &s.part
	p.Finish[c.Finish]++
	s.latency[c.Millis]++
	total := c.Usage.Total
	if u := c.Usage; u.Known {
		p.Tokens.add(u)
	} else {
		total = c.Estimated
		p.Estimated = plus(p.Estimated, c.Estimated)
		p.UsageUnknown++
	}
	g.lengths[total]++
	r := ranked{job: c.Job, model: c.Model, millis: c.Millis, tokens: total}
	r.cost, r.priced = g.prices.Of(c.Endpoint, c.Model).Cost(used(c))
	g.slowest.offer(r)
	g.dearest.offer(r)
}

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
	if answered {
		g.factor = max(g.factor, (min(c.Usage.Prompt, math.MaxInt64/2000)*1000+c.Tokens-1)/max(c.Tokens, 1))
	}
	switch {
	case answered && c.Gone:
		sp.Gone.add(a)
	case answered:
		sp.Done.add(a)
		if c.Finish == "length" {
			sp.Truncated.add(a)
		}
	case c.State == store.Failed:
		sp.Wasted.add(a)
		sp.OfFailed.add(a)
	default:
		sp.Wasted.add(a)
		sp.Retried.add(a)
	}
	end.Prompt = plus(end.Prompt, c.Usage.Prompt)
	end.Completion = plus(end.Completion, c.Usage.Total-c.Usage.Prompt)
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

// lost notes a call that may have been paid for without an answer.
func (g *gatherer) lost(s *sums, c *store.Call) {
	above := int64(0)
	if price := g.prices.Of(c.Endpoint, c.Model); price != nil {
		above = price.For(c.Tokens).Above
	}
	b := s.lost[above]
	if b == nil {
		b = &store.Bill{Endpoint: c.Endpoint, Model: c.Model, Kind: store.BillLost, Estimated: true, Above: above, Usage: store.Usage{Known: true}}
		s.lost[above] = b
	}
	b.Attempts++
	b.Usage.Prompt = plus(b.Usage.Prompt, c.Tokens)
	b.Usage.Completion = plus(b.Usage.Completion, c.MaxTokens)
	if c.MaxTokens == 0 {
		b.Unbounded++
	}
}

// settle prices what may be lost, once the factor is known.
func (g *gatherer) settle(k key, s *sums) {
	for _, b := range s.lost {
		cost := g.prices.Cost([]store.Bill{*b}, g.factor).Lost
		price := g.prices.Of(k.endpoint, k.model)
		prompt, completion := output.LostTokens(*b, price, g.factor)
		lost := Amount{Attempts: b.Attempts, Tokens: plus(prompt, completion), AtLeast: cost.Money, Unknown: cost.Unknown}
		if price == nil || price.Largest == 0 {
			lost.Unbounded = b.Unbounded
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
