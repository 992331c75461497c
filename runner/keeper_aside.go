package runner

import (
	"context"
	"fmt"
	"slices"
	"time"
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
	k.waitUnsaved.Store(int64(len(k.unsaved)))
	k.unkept.Store(int64(len(k.unsaved) - a.n))
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

func (k *keeper) setAsideRest() {
	a := &k.aside
	var path string
	if path, a.err = k.store.SetAside(k.unsaved[a.n:]); a.err != nil {
		return // they are still held, and tried again
	}
	a.n = len(k.unsaved)
	if !slices.Contains(a.paths, path) {
		a.paths = append(a.paths, path)
	}
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
	if lost := len(k.unsaved) - k.aside.n; lost > 0 {
		err = fmt.Errorf("%w; %d outcomes could be kept nowhere: %w", err, lost, k.aside.err)
	}
	return err
}
