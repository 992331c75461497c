package runner

import (
	"fmt"
	"testing"
	"time"

	"batch/runner/chat"
)

func TestDrain(t *testing.T) {
	in(t, 100, func(_ int, prompt string) chat.Result { return done("answer to " + prompt) }, func(w *world) {
		begun := time.Now()
		sum := w.run(Options{Concurrency: 10})
		if sum.Done != 100 || sum.Stop != nil {
			t.Errorf("%+v", sum)
		}
		if took := time.Since(begun); took < 10*time.Second || took > 10*time.Second+spreadOver {
			t.Errorf("100 calls of 1 s, 10 at a time, took %s", took)
		}
		if w.api.most != 10 {
			t.Errorf("%d calls at a time", w.api.most)
		}
		v, _ := w.store.View(w.t.Context())
		defer v.Close()
		for row := range v.Rows(w.t.Context()) {
			if want := fmt.Sprintf("answer to p%d", row.Line-1); string(row.Response) != want {
				t.Errorf("line %d has %q", row.Line, row.Response)
			}
		}
		if sum := w.run(Options{}); sum.Done != 0 || len(w.api.calls) != 100 {
			t.Error("a finished job file is not drained again")
		}
	})
}

func TestRetry(t *testing.T) {
	t.Run("an unknown outcome is tried again with the same key, up to the limit", func(t *testing.T) {
		in(t, 1, always(refused(chat.Unknown, "", 500, "")), func(w *world) {
			sum := w.run(Options{MaxAttempts: 8})
			if sum.Failed != 1 || len(w.api.calls) != 8 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
			for i, call := range w.api.calls {
				if call.key != w.api.calls[0].key {
					t.Errorf("call %d has another key", i)
				}
				if i == 0 {
					continue
				}
				waited := call.at.Sub(w.api.sentAt(i-1)) - time.Second
				if want := ceiling(i) / 2; waited < want || waited > want+50*time.Millisecond {
					t.Errorf("waited %s before call %d, want %s", waited, i+1, want)
				}
			}
		})
	})
	t.Run("a call that was not processed uses up no attempt", func(t *testing.T) {
		in(t, 1, func(n int, _ string) chat.Result {
			if n < 10 {
				return refused(chat.NotProcessed, "", 503, "")
			}
			return done("x")
		}, func(w *world) {
			if sum := w.run(Options{MaxAttempts: 2}); sum.Done != 1 {
				t.Errorf("%+v", sum)
			}
		})
	})
	t.Run("a retry does not hold up its worker", func(t *testing.T) {
		in(t, 20, func(n int, _ string) chat.Result {
			if n == 1 {
				res := refused(chat.NotProcessed, "", 503, "")
				res.Wait = chat.Wait{Known: true, Until: time.Now().Add(time.Minute)}
				return res
			}
			return done("x")
		}, func(w *world) {
			w.run(Options{Concurrency: 1})
			if got := w.api.calls[20]; got.prompt != "p0" || got.at.Sub(w.api.sentAt(0)) < time.Minute {
				t.Errorf("the last call is %+v", got)
			}
			if gap := w.api.sentAt(19).Sub(w.api.sentAt(0)); gap > 20*time.Second {
				t.Errorf("the others took %s", gap)
			}
		})
	})
	t.Run("a timeout is tried once more", func(t *testing.T) {
		in(t, 1, always(refused(chat.Unknown, chat.TimedOut, 0, "")), func(w *world) {
			if sum := w.run(Options{}); sum.Failed != 1 || len(w.api.calls) != 2 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
		})
	})
	t.Run("a replayed failure gets a new key", func(t *testing.T) {
		in(t, 1, func(n int, _ string) chat.Result {
			res := refused(chat.Unknown, "", 500, "")
			if n == 2 {
				res.Replayed = true
			}
			if n == 3 {
				return done("x")
			}
			return res
		}, func(w *world) {
			w.run(Options{})
			if len(w.api.calls) != 3 || w.api.calls[0].key != w.api.calls[1].key || w.api.calls[1].key == w.api.calls[2].key {
				t.Errorf("%+v", w.api.calls)
			}
		})
	})
	t.Run("also one that fails its job", func(t *testing.T) {
		in(t, 1, func(n int, _ string) chat.Result {
			if n == 3 {
				return done("x")
			}
			res := refused(chat.Unknown, "", 500, "")
			res.Replayed = n == 2
			return res
		}, func(w *world) {
			for range 3 {
				if _, err := w.store.RetryFailed(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.run(Options{MaxAttempts: 1})
			}
			if len(w.api.calls) != 3 || w.api.calls[0].key != w.api.calls[1].key || w.api.calls[1].key == w.api.calls[2].key {
				t.Errorf("%+v", w.api.calls)
			}
		})
	})
}

func TestLimit(t *testing.T) {
	in(t, 20, func(n int, _ string) chat.Result {
		if n == 1 {
			return refused(chat.Unknown, "", 500, "")
		}
		return done("x")
	}, func(w *world) {
		if sum := w.run(Options{Limit: 5, Concurrency: 2}); sum.Done != 5 || len(w.api.calls) != 6 {
			t.Errorf("%+v after %d calls", sum, len(w.api.calls))
		}
		if c := w.counts(); c.Pending != 15 {
			t.Errorf("%+v", c)
		}
	})
}

// What held a call back when a run is stopped holds nothing any more: nobody is told that the run waits for it.
func TestStoppedWaitsForNothing(t *testing.T) {
	r := New(nil, nil, Options{})
	r.gate.waiting = Waiting{"rate limit", time.Now().Add(time.Hour)}
	if p := r.Progress(); p.Waiting.Why != "rate limit" || p.Told {
		t.Errorf("%+v", p)
	}
	r.Stop(time.Minute)
	if p := r.Progress(); p.Waiting != (Waiting{}) || !p.Told {
		t.Errorf("%+v", p)
	}
}
