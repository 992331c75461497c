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

// Who stops a run is told what that costs: calls that are being paid for, and answers that are held only as long as it goes on.
func TestS2_StoppingSays(t *testing.T) {
	const calls = "stopping: 2 calls in flight, already being paid for; waiting up to 8s; Ctrl-C again gives up"
	for _, c := range []struct {
		run  runner.Progress
		want string
	}{
		{runner.Progress{}, "stopping: no call is in flight"},
		{runner.Progress{InFlight: 2}, calls},
		{runner.Progress{InFlight: 2, Unsaved: 3}, calls},
		{runner.Progress{Unsaved: 3, Unkept: 3}, "stopping: no call is in flight; no disk takes 3 answers, and what is left of them when the run ends is lost"},
		{runner.Progress{InFlight: 2, Unsaved: 3, Unkept: 1}, calls + "; no disk takes 1 answer, and what is left of them when the run ends is lost"},
	} {
		if got := stopping(c.run, 8*time.Second); got != c.want {
			t.Errorf("%+v: %q, want %q", c.run, got, c.want)
		}
	}
}
