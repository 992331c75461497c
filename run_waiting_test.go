package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner"
	"batch/runner/chat"
	"batch/store"
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

// fullDisk gives out three jobs and takes no outcome while it is full, nor does any place beside it.
type fullDisk struct {
	given bool
	full  atomic.Bool
}

func (d *fullDisk) Turn(_ context.Context, _ []store.Outcome, _ *store.Pause, want store.Want) (store.Turned, error) {
	switch {
	case !d.given:
		d.given = true
		return store.Turned{New: 3, Claims: []store.Claim{{Job: 1, Attempt: 1}, {Job: 2, Attempt: 2}, {Job: 3, Attempt: 3}}}, nil
	case d.full.Load():
		return store.Turned{}, errors.New("the disk is full")
	}
	return store.Turned{}, nil
}

func (d *fullDisk) SetAside([]store.Outcome) (string, error) {
	if d.full.Load() {
		return "", errors.New("no room")
	}
	return "aside", nil
}

// hanging is an API that answers after a second, but for one call, which lasts until it is given up.
type hanging struct{ calls atomic.Int64 }

func (a *hanging) Do(ctx context.Context, _ chat.Call) chat.Result {
	if a.calls.Add(1) == 2 {
		<-ctx.Done()
		return chat.Result{Class: chat.Interrupted, Sent: true}
	}
	<-time.After(time.Second)
	return chat.Result{Class: chat.Done, Sent: true, Status: 200, Body: []byte("{}")}
}

// Answers that no disk takes are told of in every mode, once, with what to do; programs find in every event how many there are.
func TestS2_UnkeptSaid(t *testing.T) {
	t.Setenv("TMPDIR", "/elsewhere")
	const warning = "batch: warning: no disk takes 2 answers, neither beside p.batch.db nor in /elsewhere\nbatch: hint: make room"
	for mode, want := range map[string]map[string]int{ // how often it is said
		"people": {warning: 1, "\nbatch: 0/3, 0 failed, 0.0/s, ? left, 0 tokens, no disk takes 2 answers, trying again; who ends the run loses ": 6,
			", no disk takes 3 outcomes (2 answers), trying again; ": 354},
		"quiet": {warning: 1, "\n": 2},
		"json": {`{"db":"p.batch.db","event":"unkept","hint":"make room`: 1, `"temp":"/elsewhere","unkept":{"outcomes":2,"answers":2},"unsaved":`: 1,
			`,"unkept":{"outcomes":3,"answers":2},"unsaved":{"outcomes":3,"answers":2},"waiting":"storage"}`: 354, `"waiting":"storage"`: 360},
	} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said bytes.Buffer
				term := newTerminal(&said)
				term.json, term.quiet = mode == "json", mode == "quiet"
				var disk fullDisk
				disk.full.Store(true)
				r := runner.New(&disk, &hanging{}, runner.Options{Concurrency: 3, Grace: time.Minute})
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					r.Run(t.Context())
				}()
				go newProgress(term, r, store.Counts{Pending: 3}, &money{}, "p.batch.db", 0).show(ended)
				<-time.After(time.Hour + 5*time.Second)
				synctest.Wait()
				for text, times := range want {
					if n := strings.Count(said.String(), text); n != times {
						t.Errorf("%q is said %d times, not %d\n%.1500s", text, n, times, &said)
					}
				}
				disk.full.Store(false)
				<-ended
			})
		})
	}
}

// A warning is heard anew when the trouble comes back.
func TestS2_UnkeptAgain(t *testing.T) {
	var said bytes.Buffer
	w := unkeptWarning{term: newTerminal(&said), db: "p.batch.db"}
	for _, n := range []int64{0, 1, 1, 2, 0, 0, 1, 1} {
		u := runner.Unsaved{Outcomes: n, Answers: n}
		w.watch(runner.Progress{Unsaved: u, Unkept: u})
	}
	if n := strings.Count(said.String(), "batch: warning: no disk takes 1 answer, "); n != 2 || strings.Count(said.String(), "\n") != 4 {
		t.Errorf("%s", &said)
	}
}
