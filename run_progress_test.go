package main

import (
	"testing"
	"time"

	"batch/runner"
)

// A line has what there is room for: money and waits go last, and nothing is drawn beyond the edge.
func TestProgressWithin(t *testing.T) {
	line := says{{failedFirst, "0 failed"}, {rateFirst, "33/s"}, {leftFirst, "1m24s left"}, {tokensFirst, "13,086 tokens"},
		{costFirst, "$0.0053"}, {costFirst, "in the end about $0.065"}, {waitingFirst, "waiting 1s: rate limit"}}
	for _, c := range []struct {
		room int
		want string
	}{
		{200, "0 failed, 33/s, 1m24s left, 13,086 tokens, $0.0053, in the end about $0.065, waiting 1s: rate limit"},
		{90, "0 failed, 33/s, 1m24s left, $0.0053, in the end about $0.065, waiting 1s: rate limit"},
		{70, "1m24s left, $0.0053, in the end about $0.065, waiting 1s: rate limit"},
		{60, "$0.0053, in the end about $0.065, waiting 1s: rate limit"},
		{40, "$0.0053, waiting 1s: rate limit"},
		{25, "waiting 1s: rate limit"},
		{10, "waiting 1s"},
		{0, ""},
		{-5, ""},
	} {
		if got := line.within(c.room); got != c.want {
			t.Errorf("in %d columns: %q, want %q", c.room, got, c.want)
		}
	}
}

// What is left of a run that is ending takes no time, and costs nothing.
func TestProgressForesees(t *testing.T) {
	p := &progress{total: 10}
	s := runner.Progress{Done: 4, Failed: 1, Cost: 500, CostKnown: true}
	if left, known := p.foresee(s, 0.5); !known || left != 10*time.Second {
		t.Errorf("%s left, %v", left, known)
	}
	if _, end := p.cost(s); end != 1000 {
		t.Errorf("in the end %d", end)
	}
	if _, known := p.foresee(s, 0); known {
		t.Error("nothing has been done yet, and it is foreseen how long it takes")
	}
	s.Stop = &runner.Stop{Cause: runner.Storage}
	if left, known := p.foresee(s, 0.5); known {
		t.Errorf("%s left of a run that is ending", left)
	}
	if _, end := p.cost(s); end != 0 {
		t.Errorf("in the end %d of a run that is ending", end)
	}
}
