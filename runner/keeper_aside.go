package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"batch/store"
)

// aside is what of the unsaved outcomes has been set aside: whatever ends the process now, they are kept.
type aside struct {
	n     int // from the first on
	paths []string
	err   error // of the last try
}

// Reserve is how many bytes should be kept free, for a run with so many workers, for outcomes that may have to be set aside: of the calls in
// flight and of those claimed ahead, with answers of some pages.
func Reserve(concurrency int) int64 {
	const most = 64 << 20
	return min(most, int64(concurrency+mostAhead(concurrency))*8<<10)
}

// healing is how long the job file is tried again once all is set aside and nothing is in flight: a disk may get room, a lock may go.
const healing = 30 * time.Second

// setAside keeps, outside the job file, the outcomes that it does not take.
func (k *keeper) setAside() {
	a := &k.aside
	if a.n < len(k.unsaved) {
		k.setAsideRest()
	}
	k.untaken.Store(&untaken{all: countUnsaved(k.unsaved), unkept: countUnsaved(k.unsaved[a.n:])})
	if a.n == len(k.unsaved) && len(k.out) == 0 {
		k.shorten(healing)
	}
}

// leaves says of a run whose job file takes nothing that it ends now. Outcomes that nothing else takes either hold it: they are paid for,
// and only somebody who tells it to end may give them up.
func (k *keeper) leaves(ctx context.Context) bool {
	kept := k.aside.n == len(k.unsaved)
	return len(k.out) == 0 && (ctx.Err() != nil || k.gaveUp && (kept || k.told.Load()))
}

// setAsideRest keeps what is not set aside yet: all at once, or else each that there is room for, whatever came before it.
func (k *keeper) setAsideRest() {
	a := &k.aside
	if a.set(k.store, k.unsaved[a.n:]) || len(k.unsaved[a.n:]) == 1 {
		return
	}
	for i := a.n; i < len(k.unsaved); i++ {
		// Their order is nobody's concern: a failure that is to be taken back is set aside before the outcome that does so is made.
		k.unsaved[a.n], k.unsaved[i] = k.unsaved[i], k.unsaved[a.n]
		a.set(k.store, k.unsaved[a.n:a.n+1])
	}
}

// set keeps the outcomes that are next. Those that it cannot are still held, and tried again.
func (a *aside) set(st Store, next []store.Outcome) bool {
	path, err := st.SetAside(next)
	if err != nil {
		a.err = err
		return false
	}
	a.n += len(next)
	if !slices.Contains(a.paths, path) {
		a.paths = append(a.paths, path)
	}
	return true
}

// lost is the error of a run that ends while the job file takes nothing, nil of any other: it says what became of what is unsaved.
func (k *keeper) lost() error {
	if k.err == nil || len(k.unsaved) == 0 {
		return k.err
	}
	err := k.err
	for _, path := range k.aside.paths {
		err = fmt.Errorf("%w; what came since is kept in %s, and the next run takes it up", err, path)
	}
	if lost := countUnsaved(k.unsaved[k.aside.n:]); lost.Outcomes > 0 {
		err = fmt.Errorf("%w; %d of %d outcomes could be kept nowhere (answers: %d): %w", err, lost.Outcomes, len(k.unsaved), lost.Answers, k.aside.err)
	}
	return err
}
