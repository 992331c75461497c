package runner

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"batch/runner/chat"
	"batch/store"
)

// A run is watched while it goes on, from the same process and from another connection, and stopped in the middle: what is seen holds
// together at every moment, and the next run does the rest. The race detector says what else there is to see.
func TestR5_WatchedRun(t *testing.T) {
	const jobs, stopAt = 1500, 500
	reached := make(chan struct{})
	reach := sync.OnceFunc(func() { close(reached) })
	tell(t, t.TempDir(), jobs, func(n int, _ string) chat.Result {
		if n == stopAt {
			reach()
		}
		if n%10 == 0 {
			return refused(chat.Unknown, "", 500, "")
		}
		return done("x")
	}, func(w *world) {
		w.api.latency = 0
		opt := Options{Concurrency: 32, Random: func() float64 { return 0 }}
		r, wait := w.start(opt)
		stopWatching := w.watch(r, 0)
		var stops sync.WaitGroup
		for range 4 {
			stops.Go(func() {
				<-reached
				r.Stop(time.Minute)
			})
		}
		first := wait()
		reach() // if it has not come so far
		stops.Wait()
		stopWatching()
		if c := w.counts(); first.Stop == nil || first.Stop.Cause != Interrupt || first.Done != c.Done || c.Done+c.Pending != jobs || c.Pending == 0 {
			t.Errorf("stopped: %+v, the job file has %+v", first, c)
		}

		r, wait = w.start(opt)
		stopWatching = w.watch(r, first.Done)
		second := wait()
		stopWatching()
		if second.Stop != nil || first.Done+second.Done != jobs {
			t.Errorf("to the end: %+v after %+v", second, first)
		}
	})
}

// watch looks at a run in every way, over and over, until stop is called. So many answers were saved before the run.
func (w *world) watch(r *Runner, before int64) (stop func()) {
	w.t.Helper()
	other, err := store.OpenRead(w.t.Context(), w.store.Path())
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var watchers sync.WaitGroup
	for _, st := range []*store.Store{w.store, other} {
		watchers.Go(func() {
			for ctx.Err() == nil {
				saved := before + r.Progress().Done // what it counts is in the job file
				if err := look(st, saved); err != nil {
					w.t.Error(err)
					return
				}
			}
		})
	}
	watchers.Go(func() {
		for last := int64(0); ctx.Err() == nil; {
			p := r.Progress()
			if p.Done < last || p.InFlight < 0 || p.InFlight > r.opt.Concurrency {
				w.t.Errorf("%d done before, then %+v", last, p)
				return
			}
			last = p.Done
		}
	})
	return func() {
		cancel()
		watchers.Wait()
		if err := other.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

// look is a reading command: all that one view shows must be of one moment, at which so many answers are saved.
func look(st *store.Store, saved int64) error {
	ctx := context.Background()
	v, err := st.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	counts, err := v.Counts(ctx)
	if err != nil {
		return err
	}
	var rows, answers, billed int64
	for row, err := range v.Rows(ctx) {
		if err != nil {
			return err
		}
		if row.State == store.Done {
			rows++
		}
	}
	for a, err := range v.Attempts(ctx) {
		if err != nil {
			return err
		}
		if a.Answer {
			answers++
		}
	}
	bills, err := v.Bills(ctx)
	if err != nil {
		return err
	}
	for _, b := range bills {
		if b.Kind == store.BillDone {
			billed += b.Attempts
		}
	}
	if counts.Done < saved || rows != counts.Done || answers != counts.Done || billed != counts.Done {
		return fmt.Errorf("%d answers saved; one view has %+v, %d rows, %d attempts and %d on the bill", saved, counts, rows, answers, billed)
	}
	return nil
}
