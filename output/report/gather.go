package report

import (
	"cmp"
	"context"
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
	Prices    []store.Price   // in force
	Unsaved   []store.Waiting // foreseen
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
	margins output.Margins // how long prompts can have been
	runOn   bool
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
		runs: map[int64]int64{}, unknown: map[Unknown]int64{}, runOn: opt.RunOn,
		slowest: ranking{by: func(a, b ranked) int { return cmp.Compare(a.millis, b.millis) }},
		dearest: ranking{by: func(a, b ranked) int { return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(a.tokens, b.tokens)) }}}
	var err error
	if g.margins, err = output.ReadMargins(ctx, v); err != nil {
		return nil, err
	}
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
		Simulated: opt.Simulated, RunOn: opt.RunOn, Unsaved: opt.Unsaved, Models: []Model{}, Prices: []Price{}, Unknown: []Unknown{}}
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
	if c.Unsaved {
		p.Attempts.Unsaved++
	}
	g.clock.call(c.Run, c.Started, c.Started+c.Millis)
	g.clock.at(c.Started).Calls++
	end := g.clock.at(c.Started + c.Millis)
	answered := c.Final && c.State == store.Done
	switch {
	case answered:
		end.Answers++
	case c.Class != "" && c.Class != classDone:
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
	case c.Class == classUnknown || c.Class == classInterrupted && c.Sent, c.Class == "" && !g.runOn && !c.Free: // out when a run died, or what it cost is not saved yet
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
		p.Estimated = output.Plus(p.Estimated, c.Estimated)
		p.UsageUnknown++
	}
	g.lengths[total]++
	r := ranked{job: c.Job, model: c.Model, millis: c.Millis, tokens: total}
	r.cost, r.priced = g.prices.Of(c.Endpoint, c.Model).Cost(used(c))
	g.slowest.offer(r)
	g.dearest.offer(r)
}
