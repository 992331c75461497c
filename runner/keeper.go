package runner

import (
	"context"
	"fmt"
	"time"

	"batch/store"
)

// memory bounds the claimed bodies and the answers that are not yet saved, together.
const memory = 256 << 20

// Jobs are claimed ahead of the workers, so that none has to wait for a commit: few while answers take seconds, more whenever the
// workers ran out during a turn. After a death they count as possibly sent, so no more than are needed.
const leastAhead = 4

func mostAhead(concurrency int) int { return max(leastAhead, 8*concurrency) }

// gatherFor is how long the keeper waits for more outcomes before it saves those that have come, while the workers have jobs left: a
// transaction for every answer would cost more processor time than the calls.
const gatherFor = 2 * time.Millisecond

// keeper is the one goroutine that writes the job file: it saves the outcomes that have gathered and claims the next jobs in one
// transaction, and hands those to the pool.
type keeper struct {
	*Runner
	giveUp context.CancelFunc // of the calls in flight

	out      map[int64]out // claimed and not yet back, by attempt
	most     amount        // that these can cost, as far as a budget needs it
	tooDear  *Stop         // of the job that the last turn could not claim beside them
	bytes    int64         // of these, and of answers not yet saved
	unsaved  []store.Outcome
	aside    aside
	ahead    int                     // jobs to claim beyond one for each worker
	claimed  int                     // jobs new to this run, counted against the limit
	due      time.Time               // of the next waiting retry
	drained  bool                    // the last turn found nothing to claim now
	heldBack bool                    // it did not look: what kept it, as a pause, may be over by now
	pauseAt  time.Time               // the pause that was saved last
	back     map[int64]store.Outcome // failures that a stop takes back, by attempt
	err      error                   // of the job file; nothing is claimed any more, and what is unsaved is tried again
	doubtful bool                    // there was one, and jobs may be claimed that nobody heard of
	retryAt  time.Time               // when it is tried again
	gaveUp   bool                    // the calls in flight are
}

// out is what a claim that is not yet back takes up.
type out struct {
	bytes int64 // of its body
	most  amount
}

func (k *keeper) keep(ctx context.Context) error {
	k.out, k.ahead = make(map[int64]out), leastAhead
	for {
		k.turn(ctx)
		if k.finished(ctx) {
			return k.lost()
		}
		k.gather(ctx)
	}
}

// finished says, after a turn, that nothing is out and nothing more will be claimed.
func (k *keeper) finished(ctx context.Context) bool {
	switch {
	case len(k.out) > 0:
		return false
	case k.err != nil:
		return k.leaves(ctx)
	case k.gate.stopped() != nil:
		return true
	}
	return k.drained && k.due.IsZero()
}

// turn saves and claims.
func (k *keeper) turn(ctx context.Context) {
	now := k.clock.now()
	k.takeBack()
	if k.err != nil && now.Before(k.retryAt) {
		if k.setAside(); !k.leaves(ctx) {
			return
		} // else this is the last try
	}
	want := k.want(now)
	k.heldBack = want.Jobs == 0
	if want.Jobs == 0 && len(k.unsaved) == 0 {
		k.err = nil // nothing was lost with the turn that failed
		return
	}
	most := k.budgetClaims(&want)
	turned, err := k.store.Turn(ctx, k.unsaved, k.pause(), want)
	if err != nil && !(k.err != nil && store.AlreadySaved(err)) {
		// What was saved is not known, and the answers are paid for: keep them, let nothing more go out, and try again.
		k.err, k.doubtful, k.retryAt, k.pauseAt = err, true, now.Add(saveAgainAfter), time.Time{}
		k.gate.close(&Stop{Cause: Storage, Message: err.Error()})
		k.setAside()
		return
	}
	k.err = nil
	k.saved()
	k.adapt()
	k.claimed += turned.New
	k.due, k.drained = k.clock.of(turned.NextDue), len(turned.Claims) < want.Jobs
	for i, c := range turned.Claims {
		o := out{bytes: int64(len(c.Body))}
		if want.Fits != nil {
			o.most = (*most)[i]
			k.most = k.most.plus(o.most)
		}
		k.out[c.Attempt] = o
		k.bytes += int64(len(c.Body))
		k.queue <- c // has room for all that may be out
	}
	if k.tooDear != nil && len(k.out) == 0 {
		k.gate.close(k.tooDear)
	}
	k.refuseLongWait(now)
}

// budgetClaims lets a turn claim only what the budget has room for, all that is out at its worst, and notes what each can cost.
// What has been settled and not yet saved counts twice until it is saved.
func (k *keeper) budgetClaims(want *store.Want) *[]amount {
	k.tooDear = nil
	var each []amount
	if k.opt.Budget.limited() {
		together := k.most
		want.Fits = func(c *store.Claim) bool {
			most, stop := k.gate.claim(c, together)
			if k.tooDear = stop; stop != nil {
				return false
			}
			together, each = together.plus(most), append(each, most)
			return true
		}
	}
	return &each
}

// saveAgainAfter is the wait between tries to save what could not be saved.
const saveAgainAfter = time.Second

// refuseLongWait stops a run that has nothing to do but to wait for a retry longer than it may.
func (k *keeper) refuseLongWait(now time.Time) {
	if len(k.out) > 0 || !k.drained || k.due.Sub(now) <= k.opt.MaxWait {
		return
	}
	k.gate.close(&Stop{Cause: RateLimit, Until: k.due,
		Message: fmt.Sprintf("what is left has to wait %s for its next try, longer than %s", inSeconds(k.due.Sub(now)), k.opt.MaxWait)})
}

// takeBack undoes the failures that made a stop, in the transaction that comes next: those that are saved already, and those that
// are about to be.
func (k *keeper) takeBack() {
	if k.back == nil && k.gate.stopped() != nil {
		k.back = k.judge.takeBack()
	}
	for i := k.aside.n; i < len(k.unsaved); i++ { // what is set aside stays as it stands there
		o := &k.unsaved[i]
		if _, found := k.back[o.Attempt]; found && o.Arrow == store.Fail {
			o.Arrow, o.Last = store.Release, true
			o.Generation++ // as TakeBack does: it was answered
			delete(k.back, o.Attempt)
		}
	}
	for attempt, o := range k.back {
		if _, out := k.out[attempt]; !out {
			k.unsaved = append(k.unsaved, o)
			delete(k.back, attempt)
		}
	}
}

// adapt learns how many jobs to claim ahead from whether the workers ran out of them while the last turn was made.
func (k *keeper) adapt() {
	if k.opt.Budget.limited() {
		return // what is claimed when a run dies counts as possibly spent
	}
	if len(k.queue) == 0 {
		k.ahead = min(2*k.ahead, mostAhead(k.opt.Concurrency))
	} else {
		k.ahead = max(k.ahead-k.ahead/64, leastAhead)
	}
}

// want is what may be claimed now: nothing while the run stops or the pool is paused.
func (k *keeper) want(now time.Time) store.Want {
	stop := k.gate.stopped()
	if stop != nil || k.gate.paused().After(now) {
		return store.Want{Now: now}
	}
	w := store.Want{Jobs: max(k.opt.Concurrency+k.ahead-len(k.out), 0), Bytes: memory - k.bytes, Now: now}
	w.New = w.Jobs
	if k.opt.Limit > 0 {
		w.New = min(w.New, k.opt.Limit-k.claimed)
	}
	if w.Bytes <= 0 && len(k.out) > 0 {
		w.Jobs = 0
	}
	w.Bytes = max(w.Bytes, 1)
	return w
}

// pause is the pool's wait, where it has changed since it was last saved.
func (k *keeper) pause() *store.Pause {
	until := k.gate.paused()
	if k.opt.Endpoint == "" || until.Equal(k.pauseAt) {
		return nil
	}
	k.pauseAt = until
	return &store.Pause{Endpoint: k.opt.Endpoint, Until: until}
}

func (k *keeper) saved() {
	k.count(k.unsaved)
	for i := range k.unsaved {
		k.bytes -= held(&k.unsaved[i])
		k.unsaved[i] = store.Outcome{}
	}
	k.unsaved = k.unsaved[:0]
	k.aside = aside{}
	k.untaken.Store(nil)
}

// gather waits until there is something to do and takes every outcome that has come.
func (k *keeper) gather(ctx context.Context) {
	stop := k.gate.stopped()
	ending := k.gate.ending
	if stop != nil {
		ending = nil
	}
	var alarm <-chan time.Time
	if wake := k.wakeAt(stop); !wake.IsZero() {
		timer := time.NewTimer(time.Until(wake))
		defer timer.Stop()
		alarm = timer.C
		if len(k.out) == 0 {
			k.idle.Store(wake.UnixNano())
			defer k.idle.Store(0)
			if stop == nil {
				defer k.gate.held(k.idleFor(), time.Now())
			}
		}
	}
	if k.tooDear != nil && stop == nil {
		defer k.gate.held("budget", time.Now())
	}
	var left <-chan struct{}
	if len(k.out) == 0 { // else the calls that are given up will say so
		left = ctx.Done()
	}
	select {
	case o := <-k.ended:
		k.take(o)
	case <-alarm:
		if stop != nil && !time.Now().Before(k.graceEnds()) {
			k.gaveUp = true
			k.giveUp()
		}
	case <-ending:
	case <-k.hurry: // the grace time has become shorter
	case <-left:
	}
	k.gatherMore(stop)
}

// idleFor says what keeps a run waiting that has nothing out.
func (k *keeper) idleFor() string {
	if k.gate.paused().After(time.Now()) {
		return "rate limit"
	}
	return "retry"
}

// gatherMore takes what else has come, or comes within gatherFor while the workers are provided for.
func (k *keeper) gatherMore(stop *Stop) {
	var enough <-chan time.Time
	if stop == nil && len(k.unsaved) > 0 && len(k.queue) > 0 {
		timer := time.NewTimer(gatherFor)
		defer timer.Stop()
		enough = timer.C
	}
	for {
		select {
		case o := <-k.ended:
			k.take(o)
			continue
		default:
		}
		if enough == nil || len(k.unsaved) >= len(k.queue) {
			return
		}
		select {
		case o := <-k.ended:
			k.take(o)
		case <-enough:
			return
		case <-k.gate.ending:
			return
		}
	}
}

// wakeAt is when something other than an outcome has to be done, zero for never: the grace time ends, the pause of the pool, or the
// wait of the next retry.
func (k *keeper) wakeAt(stop *Stop) time.Time {
	if stop != nil {
		k.shorten(k.opt.Grace)
		switch grace := k.graceEnds(); {
		case k.err != nil && (k.gaveUp || k.retryAt.Before(grace)):
			return k.retryAt
		case k.gaveUp:
			return time.Time{}
		default:
			return grace
		}
	}
	if k.tooDear != nil && len(k.out) > 0 || len(k.out) >= k.opt.Concurrency+k.ahead || len(k.out) > 0 && k.bytes >= memory {
		return time.Time{} // only an outcome makes room
	}
	if until := k.gate.paused(); until.After(time.Now()) {
		return until
	}
	if k.heldBack {
		return time.Now()
	}
	return k.due
}

func (k *keeper) take(o store.Outcome) {
	was := k.out[o.Attempt]
	k.bytes += held(&o) - was.bytes
	k.most.cost -= was.most.cost
	k.most.tokens -= was.most.tokens
	delete(k.out, o.Attempt)
	o.RunAfter = k.clock.of(o.RunAfter)
	k.unsaved = append(k.unsaved, o)
}

// held is the bytes that an outcome keeps until it is saved.
func held(o *store.Outcome) int64 { return int64(len(o.Response) + len(o.ErrorBody)) }
