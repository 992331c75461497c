package runner

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"batch/runner/chat"
	"batch/store"
)

// jumped is t as a machine tells it whose clock was set while time passed as ever: the wall clock differs, the monotonic reading does not.
func jumped(t *testing.T, at time.Time, by time.Duration) time.Time {
	t.Helper()
	const secondsFrom = 30 // a Time with a monotonic reading begins with one bit, 33 of seconds and 30 of nanoseconds
	word := (*uint64)(unsafe.Pointer(&at))
	before := at
	*word += uint64(int64(by/time.Second)) << secondsFrom
	if got := at.Round(0).Sub(before.Round(0)); got != by || at.Sub(before) != 0 {
		t.Fatalf("the clock was to be set by %s, and was by %s; the monotonic reading by %s", by, got, at.Sub(before))
	}
	return at
}

// jumps are how far clocks are set in the middle of things: summer time, a wrong zone, a battery that was empty, a lid that was closed.
var jumps = map[string]time.Duration{"an hour ahead": time.Hour, "an hour back": -time.Hour, "ten years ahead": 87660 * time.Hour, "ten years back": -87660 * time.Hour,
	"a leap second": time.Second, "suspended for 8 hours": 8 * time.Hour}

func TestC1_C3_TheClockIsSetDuringARun(t *testing.T) {
	for name, by := range jumps {
		t.Run(name, func(t *testing.T) {
			r := New(nil, nil, Options{NotBefore: time.Now().Add(time.Minute)})
			now := jumped(t, time.Now(), by)
			due := now.Add(30 * time.Second) // a retry, by the clock as it is now
			kept := r.clock.of(due)
			if wait := time.UnixMilli(kept.UnixMilli()).Sub(r.clock.began.Round(0)); wait < 29*time.Second || wait > 31*time.Second {
				t.Errorf("a wait of 30 s is kept as %s after the beginning", wait)
			}
			// It comes back from the job file as a time of the wall clock.
			if wait := r.clock.of(time.UnixMilli(kept.UnixMilli())).Sub(now); wait < 29*time.Second || wait > 31*time.Second {
				t.Errorf("a wait of 30 s has become %s", wait)
			}
			if wait := r.gate.paused().Sub(now); wait < 59*time.Second || wait > 61*time.Second {
				t.Errorf("a pause of a minute has become %s", wait)
			}
			r.Stop(time.Minute)
			if wait := r.graceEnds().Sub(now); wait < 59*time.Second || wait > 61*time.Second {
				t.Errorf("a minute of grace has become %s", wait)
			}
		})
	}
}

// TestC1_TheClockIsSetBetweenRuns: what the last run kept to wait for lasts as long as it was meant to.
func TestC1_TheClockIsSetBetweenRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prompts.batch.db")
	at := func(year int, story func(w *world)) {
		synctest.Test(t, func(t *testing.T) {
			<-time.After(time.Until(time.Date(year, 5, 1, 0, 0, 0, 0, time.UTC)))
			st, err := store.Open(t.Context(), path, true)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			story(&world{t: t, store: st, api: &api{latency: time.Second}})
		})
	}
	at(2036, func(w *world) {
		w.load(4)
		w.api.answer = func(int, string) chat.Result {
			res := refused(chat.NotProcessed, chat.RateLimited, 429, "rate_limit_exceeded")
			res.Wait = chat.Wait{Known: true, Until: time.Now().Add(2 * time.Hour)}
			return res
		}
		if sum := w.run(Options{Concurrency: 1}); sum.Stop == nil || sum.Stop.Cause != RateLimit {
			t.Fatalf("%+v", sum)
		}
	})
	at(2026, func(w *world) {
		w.api.answer = always(done("x"))
		begun := time.Now()
		if err := w.store.BeginRun(w.t.Context(), store.Run{Started: begun, Endpoint: "test", Version: "test"}); err != nil {
			w.t.Fatal(err)
		}
		until, err := w.store.NotBefore(w.t.Context(), "test")
		if err != nil {
			w.t.Fatal(err)
		}
		sum := w.run(Options{MaxWait: 3 * time.Hour, NotBefore: until})
		if sum.Done != 4 || sum.Stop != nil {
			t.Fatalf("%+v", sum)
		}
		if waited := w.api.sentAt(0).Sub(begun); waited < 119*time.Minute || waited > 121*time.Minute {
			t.Errorf("the two hours that the API asked for were %s", waited)
		}
	})
}
