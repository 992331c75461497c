package main

import (
	"testing"
	"testing/synctest"
	"time"

	"batch/runner"
)

// Who stops a run is told what that costs: calls that are being paid for, and answers that are held only as long as it goes on. Whoever
// watches learns what it waits for, and for how long.
func TestS2_StoppingSays(t *testing.T) {
	const calls = "stopping: 2 calls in flight, already being paid for; waiting up to 8s; "
	three, mixed := runner.Unsaved{Outcomes: 3, Answers: 3}, runner.Unsaved{Outcomes: 11, Answers: 7}
	synctest.Test(t, func(t *testing.T) {
		in8s, over := time.Now().Add(8*time.Second), time.Now().Add(-time.Hour)
		for _, c := range []struct {
			run      runner.Progress
			told     string // when it is stopped
			watching string // then
		}{
			{runner.Progress{GraceEnds: in8s}, "stopping: no call is in flight", "stopping: 0 calls in flight, given up in 8s"},
			{runner.Progress{GraceEnds: in8s, InFlight: 2}, calls + "Ctrl-C again gives up", "stopping: 2 calls in flight, given up in 8s"},
			{runner.Progress{GraceEnds: in8s, InFlight: 2, Unsaved: three}, calls + "Ctrl-C again gives up",
				"the job file takes nothing, 3 answers kept aside; 2 calls in flight, given up in 8s"},
			{runner.Progress{GraceEnds: in8s, Unsaved: three},
				"stopping: the job file takes nothing, 3 answers kept aside; tried again for up to 8s; Ctrl-C again gives up",
				"the job file takes nothing, 3 answers kept aside; tried again for up to 8s"},
			{runner.Progress{GraceEnds: in8s, Unsaved: mixed, Unkept: mixed},
				"stopping: no disk takes 11 outcomes (7 answers), tried again for up to 8s and then lost; Ctrl-C again gives up",
				"no disk takes 11 outcomes (7 answers), tried again for up to 8s and then lost"},
			{runner.Progress{GraceEnds: in8s, InFlight: 2, Unsaved: mixed, Unkept: three},
				calls + "no disk takes 3 answers, tried again for up to 8s and then lost; Ctrl-C again gives up",
				"no disk takes 3 answers, tried again for up to 8s and then lost"},
			{runner.Progress{GraceEnds: over, Unsaved: three, Unkept: three}, // held for longer than the grace time
				"stopping: no disk takes 3 answers, tried once more and then lost", "no disk takes 3 answers, tried once more and then lost"},
		} {
			c.run.Stop, c.run.Told = &runner.Stop{Cause: runner.Interrupt}, true
			if got := stopping(c.run); got != c.told {
				t.Errorf("%+v: told %q, want %q", c.run, got, c.told)
			}
			if got := waiting(c.run); got != c.watching {
				t.Errorf("%+v: watching %q, want %q", c.run, got, c.watching)
			}
		}
		const held = "no disk takes 11 outcomes (7 answers), trying again; who ends the run loses what is left of them"
		if got := waiting(runner.Progress{GraceEnds: in8s, Stop: &runner.Stop{Cause: runner.Storage}, Unsaved: mixed, Unkept: mixed}); got != held {
			t.Errorf("nobody ends the run: %q", got)
		}
	})
}
