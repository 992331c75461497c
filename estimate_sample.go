package main

import (
	"context"
	"fmt"

	"batch/output"
	"batch/runner"
	"batch/runner/tokens"
)

// sampled is what came of a sample.
type sampled struct {
	prompts int64 // asked for
	runner.Summary
	cost output.Amount // of this time
}

// send sends the prompts of the sample that have no answer yet, as a run would. The code says how that ended.
func (e *estimate) send(ctx context.Context) (code int, err error) {
	if err := e.keepMoney(ctx); err != nil {
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
	before, err := e.spentUntilNow(ctx)
	if err != nil {
		return exitError, err
	}
	e.term.say("plan", nil, "will send %s as a sample: about %s prompt tokens, %s", plural(pending, "prompt"),
		count(e.counts.PendingTokens*pending/e.counts.Pending), e.costOf(pending))
	part := e.drain
	part.counts.Pending = pending
	if e.sampled.Summary, err = part.drain(ctx); err != nil {
		return exitError, err
	}
	after, err := e.spentUntilNow(context.WithoutCancel(ctx))
	if err != nil {
		return exitError, err
	}
	e.sampled.cost = output.Amount{Money: after.Money - before.Money, Unknown: after.Unknown - before.Unknown}
	return e.stopped(), nil
}

// costOf says what so many of the pending prompts cost, if they are like the rest.
func (e *estimate) costOf(prompts int64) string {
	cost := e.forecast(e.counts.Pending).Total.Cost
	share := func(m *tokens.Money) string {
		return (*m / tokens.Money(e.counts.Pending) * tokens.Money(prompts)).Dollars()
	}
	switch {
	case e.free():
		return "nothing to pay"
	case cost.Likely != nil:
		return "about " + share(cost.Likely)
	case cost.Most != nil:
		return "at most about " + share(cost.Most)
	case cost.Least == nil:
		return "price unknown (--price)"
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

func (e *estimate) spentUntilNow(ctx context.Context) (output.Amount, error) {
	v, err := e.store.View(ctx)
	if err != nil {
		return output.Amount{}, err
	}
	defer v.Close()
	bills, err := v.Bills(ctx)
	if err != nil {
		return output.Amount{}, fmt.Errorf("read what was spent: %w", err)
	}
	c := e.money.prices.Cost(bills, e.money.margins)
	return c.Billed().Plus(c.Estimated).Plus(c.GoneEstimated), nil
}
