package runner

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat"
	"batch/store"
)

func TestInterrupt(t *testing.T) {
	t.Run("calls in flight are waited for", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			w.api.latency = 10 * time.Second
			r, wait := w.start(Options{Concurrency: 4})
			<-time.After(time.Second)
			r.Stop(time.Minute)
			synctest.Wait()
			if p := r.Progress(); p.InFlight != 4 || p.GraceEnds.IsZero() {
				t.Errorf("%+v", p)
			}
			sum := wait()
			if sum.Done != 4 || sum.Stop.Cause != Interrupt || len(w.api.calls) != 4 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
		})
	})
	t.Run("until the grace time ends", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			w.api.latency = time.Hour
			r, wait := w.start(Options{Concurrency: 4})
			synctest.Wait()
			begun := time.Now()
			r.Stop(8 * time.Second)
			if sum := wait(); sum.Done != 0 || time.Since(begun) != 8*time.Second {
				t.Errorf("%+v after %s", sum, time.Since(begun))
			}
			if c := w.counts(); c.Pending != 20 {
				t.Errorf("%+v", c)
			}
			keys := map[string]string{}
			for _, call := range w.api.calls {
				keys[call.prompt] = call.key
			}
			w.api.latency = 0
			w.run(Options{})
			for _, call := range w.api.calls {
				if key := keys[call.prompt]; key != "" && key != call.key {
					t.Errorf("%s was interrupted and came back with another key", call.prompt)
				}
			}
		})
	})
	t.Run("before it began", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			w.begin()
			ctx, cancel := context.WithCancel(w.t.Context())
			cancel()
			sum, err := New(w.store, w.api, Options{Concurrency: 4}).Run(ctx)
			w.end(sum)
			if err != nil || sum.Stop == nil || sum.Stop.Cause != Interrupt || len(w.api.calls) != 0 || w.counts().Pending != 20 {
				t.Errorf("%+v %v after %d calls: %+v", sum, err, len(w.api.calls), w.counts())
			}
		})
	})
	t.Run("while the pool is paused", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			r, wait := w.start(Options{Concurrency: 4, NotBefore: time.Now().Add(5 * time.Minute)})
			synctest.Wait()
			r.Stop(time.Minute)
			if sum := wait(); sum.Done != 0 || len(w.api.calls) != 0 {
				t.Errorf("%+v", sum)
			}
		})
	})
}

func TestTermAfterStop(t *testing.T) {
	in(t, 20, func(_ int, prompt string) chat.Result {
		if prompt == "p0" {
			return refused(chat.RunStops, chat.KeyRefused, 401, "")
		}
		return done("x")
	}, func(w *world) {
		w.api.latency, w.api.slow = time.Hour, map[string]time.Duration{"p0": time.Second}
		r, wait := w.start(Options{Concurrency: 4})
		<-time.After(5 * time.Second)
		begun := time.Now()
		r.Stop(8 * time.Second)
		if sum := wait(); time.Since(begun) > 8*time.Second || sum.Stop.Cause != KeyRefused {
			t.Errorf("%+v after %s", sum, time.Since(begun))
		}
	})
}

// brokenStore refuses the turns from failAt on, until as many have failed. With saved set it saves them all the same, as a COMMIT may
// that failed.
type brokenStore struct {
	Store
	turns, failAt, fails int
	saved                bool
	nowhere              bool // does it keep anything aside either
	mended               atomic.Bool
}

func (s *brokenStore) SetAside(outs []store.Outcome) (string, error) {
	if s.nowhere && !s.mended.Load() {
		return "", fmt.Errorf("no disk has room")
	}
	return s.Store.SetAside(outs)
}

func (s *brokenStore) Turn(ctx context.Context, outs []store.Outcome, pause *store.Pause, want store.Want) (store.Turned, error) {
	s.turns++
	if !s.mended.Load() && s.turns >= s.failAt && s.turns < s.failAt+s.fails {
		if s.saved {
			s.Store.Turn(ctx, outs, pause, want) // what it claims, nobody learns
		}
		return store.Turned{}, fmt.Errorf("disk full")
	}
	return s.Store.Turn(ctx, outs, pause, want)
}

// smallStore has as much room for answers that are set aside.
type smallStore struct {
	brokenStore
	room int
}

func (s *smallStore) SetAside(outs []store.Outcome) (string, error) {
	size := 0
	for i := range outs {
		size += len(outs[i].Response)
	}
	if size > s.room {
		return "", fmt.Errorf("no disk has room")
	}
	s.room -= size
	return s.Store.SetAside(outs)
}

// stoppedStore is told to stop in the turn that fails.
type stoppedStore struct {
	brokenStore
	stop func()
}

func (s *stoppedStore) Turn(ctx context.Context, outs []store.Outcome, pause *store.Pause, want store.Want) (store.Turned, error) {
	turned, err := s.brokenStore.Turn(ctx, outs, pause, want)
	if err != nil {
		s.stop()
	}
	return turned, err
}

// Whatever stopped a run first: when a turn failed, jobs may be claimed of which nobody heard. They were not sent, and go back as the run ends.
func TestStorageFailsWhileStopping(t *testing.T) {
	in(t, 40, always(done("x")), func(w *world) {
		w.begin()
		s := &stoppedStore{brokenStore: brokenStore{Store: w.store, failAt: 1, fails: 1, saved: true}}
		r := New(s, w.api, Options{Concurrency: 4})
		s.stop = func() { r.Stop(time.Minute) }
		sum, err := r.Run(w.t.Context())
		if err != nil || sum.Stop == nil || sum.Stop.Cause != Interrupt || w.counts().Running == 0 {
			t.Errorf("%+v %v: %+v", sum, err, w.counts())
		}
		w.end(sum)
		w.unheard()
		if sum := w.run(Options{}); sum.Done != 40 || sum.Doubtful {
			t.Errorf("%+v: %+v", sum, w.counts())
		}
	})
}

// unheard says that the last run has ended, and that nothing of it is left that was not sent.
func (w *world) unheard() {
	w.t.Helper()
	if last, err := w.store.LastRun(w.t.Context()); err != nil || last.Ended.IsZero() {
		w.t.Errorf("%+v %v", last, err)
	}
	if c := w.counts(); c.Running != 0 || w.possiblyPaid() != 0 {
		w.t.Errorf("%+v, %d possibly paid", c, w.possiblyPaid())
	}
}

func TestStorageFails(t *testing.T) {
	run := func(w *world, s *brokenStore, opt Options) (Summary, error) {
		w.begin()
		s.Store, opt.Concurrency = w.store, 4
		return New(s, w.api, opt).Run(w.t.Context())
	}
	for _, saved := range []bool{false, true} {
		t.Run(fmt.Sprintf("for a while, saved=%v", saved), func(t *testing.T) {
			in(t, 40, always(done("x")), func(w *world) {
				sum, err := run(w, &brokenStore{failAt: 3, fails: 25, saved: saved}, Options{})
				if err != nil || sum.Stop == nil || sum.Stop.Cause != Storage {
					t.Errorf("%+v %v", sum, err)
				}
				w.end(sum)
				w.unheard()
				if c := w.counts(); c.Done != int64(len(w.api.calls)) || c.Running != 0 || len(w.api.calls) > 12 {
					t.Errorf("%d calls were answered: %+v", len(w.api.calls), c)
				}
			})
		})
	}
	t.Run("S2_for good: every answer is kept for the next run", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			begun := time.Now()
			_, err := run(w, &brokenStore{failAt: 3, fails: 1e9}, Options{Grace: time.Minute})
			if kept := w.store.Path() + ".unsaved, and the next run takes it up"; err == nil || !strings.Contains(err.Error(), kept) {
				t.Errorf("the run must end with the job file's error, and say what became of the rest: %v", err)
			}
			if took := time.Since(begun); took < healing || took > healing+5*time.Second {
				t.Errorf("it was tried for %s", took)
			}
			before := w.counts().Done
			w.store.Close()
			if w.store, err = store.Open(w.t.Context(), w.store.Path(), false); err != nil {
				t.Fatal(err)
			}
			if _, err := w.store.Recover(w.t.Context()); err != nil {
				t.Fatal(err)
			}
			if c := w.counts(); c.Done != int64(len(w.api.calls)) || w.store.TakenUp() != c.Done-before || c.Done == before {
				t.Errorf("%d calls were answered: %+v, of which %d taken up", len(w.api.calls), c, w.store.TakenUp())
			}
			w.died = true
		})
	})
	t.Run("S2_a kill while it is tried again: every answer is kept", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			s := &brokenStore{failAt: 3, fails: 1e9}
			r, wait := w.startOn(s, Options{Concurrency: 4})
			<-time.After(10 * time.Second) // all calls are back, and the job file still takes nothing
			synctest.Wait()
			if p := r.Progress(); p.Unsaved.Answers == 0 || p.Unkept != (Unsaved{}) || p.Waiting.Why != "storage" {
				t.Errorf("%+v", p)
			}
			another, err := store.Open(w.t.Context(), w.store.Path(), false) // what a run would find that came after a kill
			if err != nil {
				t.Fatal(err)
			}
			defer another.Close()
			if _, err := another.Recover(w.t.Context()); err != nil {
				t.Fatal(err)
			}
			if c := w.counts(); c.Done != int64(len(w.api.calls)) || another.TakenUp() == 0 {
				t.Errorf("%d calls were answered: %+v, of which %d taken up", len(w.api.calls), c, another.TakenUp())
			}
			s.mended.Store(true)
			w.died = true
			wait()
		})
	})
}

// Answers that nothing takes, neither the job file nor a place beside it, are held until one does. Only who ends the run gives them up.
func TestS2_KeptNowhere(t *testing.T) {
	for until, c := range map[string]struct {
		end  func(*Runner, *brokenStore, context.CancelFunc)
		lost bool
	}{
		"until a disk takes them":           {end: func(_ *Runner, s *brokenStore, _ context.CancelFunc) { s.mended.Store(true) }},
		"until it is told to stop":          {end: func(r *Runner, _ *brokenStore, _ context.CancelFunc) { r.Stop(time.Minute) }, lost: true},
		"until it is told to leave at once": {end: func(_ *Runner, _ *brokenStore, cancel context.CancelFunc) { cancel() }, lost: true},
	} {
		t.Run(until, func(t *testing.T) {
			in(t, 20, always(done("x")), func(w *world) {
				w.begin()
				w.api.slow = map[string]time.Duration{"p5": 24 * time.Hour} // this call is given up after the grace
				s := &brokenStore{Store: w.store, failAt: 3, fails: 1e9, nowhere: true}
				r := New(s, w.api, Options{Concurrency: 4, Grace: time.Minute})
				ctx, cancel := context.WithCancel(w.t.Context())
				defer cancel()
				ended := make(chan error, 1)
				go func() {
					_, err := r.Run(ctx)
					ended <- err
				}()
				<-time.After(time.Hour)
				if p := r.Progress(); p.Unkept.Answers == 0 || p.Unkept != p.Unsaved || p.Waiting.Why != "storage" || p.Told || p.InFlight != 0 || len(ended) > 0 {
					t.Errorf("after an hour: %+v, ended %d", p, len(ended))
				}
				begun := time.Now()
				c.end(r, s, cancel)
				err := <-ended
				if took := time.Since(begun); took > 2*time.Second {
					t.Errorf("it ended %s later", took)
				}
				if _, err := w.store.Recover(w.t.Context()); err != nil {
					t.Fatal(err)
				}
				answered := int64(len(w.api.calls) - 1)
				if !c.lost && (err != nil || w.counts().Done != answered) {
					t.Errorf("%d calls were answered: %+v, %v", answered, w.counts(), err)
				}
				if c.lost && (err == nil || !strings.Contains(err.Error(), " outcomes could be kept nowhere (answers: ")) {
					t.Error(err)
				}
				w.died = true
			})
		})
	}
}

// Where there is no room for all that the job file does not take, there is for some of it: of a large answer and the small ones that come
// after it, the small ones are kept.
func TestS2_KeptInPart(t *testing.T) {
	sized := func(_ int, prompt string) chat.Result {
		if prompt == "p1" {
			return done(strings.Repeat("large ", 100))
		}
		return done("small")
	}
	for _, mended := range []bool{false, true} {
		t.Run(fmt.Sprintf("mended=%v", mended), func(t *testing.T) {
			in(t, 20, sized, func(w *world) {
				w.died = !mended
				s := &smallStore{brokenStore: brokenStore{Store: w.store, failAt: 2, fails: 1e9}, room: 100}
				w.begin()
				r := New(s, w.api, Options{Concurrency: 4, Grace: time.Minute})
				ended := make(chan error, 1)
				go func() {
					_, err := r.Run(w.t.Context())
					ended <- err
				}()
				<-time.After(time.Hour)
				if p := r.Progress(); p.Unkept != (Unsaved{1, 1}) || p.Unsaved.Answers < 4 {
					t.Errorf("%+v", p)
				}
				if s.mended.Store(mended); !mended {
					r.Stop(time.Minute)
				}
				err := <-ended
				if (err == nil) != mended || !mended && !strings.Contains(err.Error(), " outcomes could be kept nowhere (answers: 1): no disk has room") {
					t.Error(err)
				}
				lost := int64(1)
				if mended {
					lost = 0
				}
				w.store.Close()
				if w.store, err = store.Open(w.t.Context(), w.store.Path(), false); err != nil {
					t.Fatal(err)
				}
				if _, err := w.store.Recover(w.t.Context()); err != nil {
					t.Fatal(err)
				}
				if c := w.counts(); c.Done != int64(len(w.api.calls))-lost || w.store.TakenUp() == 0 && !mended {
					t.Errorf("%d calls were answered: %+v, of which %d taken up", len(w.api.calls), c, w.store.TakenUp())
				}
			})
		})
	}
}
