package main

import (
	"context"
	"fmt"

	"batch/output"
	"batch/runner"
	"batch/store"
)

// sampled is what came of a sample.
type sampled struct {
	prompts int64 // asked for
	sent    int64 // of them, this time
	runner.Summary
	cost     output.Amount // of this time
	possibly output.Amount // beside it, at most
	counted  bool          // some of the cost is by our own count
}

// send sends the prompts of the sample that have no answer yet, as a run would. The code says how that ended.
func (e *estimate) send(ctx context.Context) (code int, err error) {
	if err := e.keepMoney(ctx); err != nil {
		return exitError, err
	}
	chosen, err := e.chosen(ctx)
	if err != nil {
		return exitError, err
	}
	pending, err := e.store.Choose(ctx, e.sample)
	if err != nil {
		return exitError, err
	}
	e.sampled = &sampled{prompts: min(int64(e.sample), e.counts.Jobs)}
	if pending == 0 {
		return exitOK, nil
	}
	before, err := e.costUntilNow(ctx)
	if err != nil {
		return exitError, err
	}
	var tokens int64
	for _, b := range chosen {
		tokens += b.Tokens
	}
	known := output.Known{Endpoint: e.endpointName(), Prices: e.money.prices, Seen: e.money.seen, Bills: e.money.bills}
	e.term.say("plan", nil, "will send %s as a sample to %s: about %s prompt tokens, %s", plural(pending, "prompt"), e.endpointName(),
		count(tokens), e.costOf(output.NewForecast(chosen, known)))
	e.sampled.sent = pending
	part := e.drain
	part.counts.Pending = pending
	if e.sampled.Summary, err = part.drain(ctx); err != nil {
		return exitError, err
	}
	after, err := e.costUntilNow(context.WithoutCancel(ctx))
	if err != nil {
		return exitError, err
	}
	minus := func(a, b output.Amount) output.Amount {
		return output.Amount{Money: a.Money - b.Money, Unknown: a.Unknown - b.Unknown, Attempts: a.Attempts - b.Attempts}
	}
	e.sampled.cost, e.sampled.possibly = minus(after.Spent(), before.Spent()), minus(after.Possibly(), before.Possibly())
	e.sampled.counted = minus(after.Counted(), before.Counted()).Money > 0
	return e.stopped(), nil
}

// chosen is what the sample will send.
func (e *estimate) chosen(ctx context.Context) ([]store.Backlog, error) {
	v, err := e.store.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return v.Choice(ctx, int64(e.sample))
}

// costOf says what a sample costs.
func (e *estimate) costOf(f output.Forecast) string {
	switch cost := f.Total.Cost; {
	case e.free():
		return "nothing to pay"
	case cost.Likely != nil:
		return "about " + cost.Likely.Dollars()
	case cost.Most != nil:
		return "at most about " + cost.Most.Dollars()
	case cost.Least == nil:
		return "price unknown (--price)"
	case f.Total.Boundless > 0:
		return "cost not bounded"
	}
	return "cost not bounded (--max-tokens)"
}

// stopped says why a sample ended early, and how to go on.
func (e *estimate) stopped() int {
	s := e.sampled.Stop
	if s == nil && e.interrupts.signal() == nil {
		return exitOK
	}
	if s != nil && s.Cause != runner.Interrupt {
		reason, hint := e.explainStop(s)
		e.term.warn("stopped", nil, "stopped: %s", reason)
		if hint != "" {
			e.term.write("", nil, "batch: hint: "+hint)
		}
	}
	e.term.write("", nil, "batch: to go on: "+e.resumeCommand())
	return e.exitCode(e.sampled.Summary, output.Report{})
}

func (e *estimate) costUntilNow(ctx context.Context) (output.Cost, error) {
	v, err := e.store.View(ctx)
	if err != nil {
		return output.Cost{}, err
	}
	defer v.Close()
	bills, err := v.BillsAt(ctx, output.Tiers(e.money.rows, e.money.margins))
	if err != nil {
		return output.Cost{}, fmt.Errorf("read what was spent: %w", err)
	}
	return e.money.prices.Cost(bills, e.money.margins), nil
}
