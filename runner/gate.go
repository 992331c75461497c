package runner

import (
	"context"
	"maps"
	"sync"
	"time"

	"batch/runner/chat"
	"batch/store"
)

// gate decides when the next call may go out. Every call passes it, one at a time: while a rate limit, the pace, an outage
// or the budget holds the first in line, the others wait behind it. Nobody's wait for a slot counts as time of a call.
type gate struct {
	turn   chan struct{} // held by the one call that is first in line
	ending chan struct{} // closed when the run stops

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew when a wait may have become shorter or needless
	asleep   bool          // the first in line waits for that
	stop     *Stop
	inFlight int
	tokens   int64 // estimated, of the calls in flight
	waiting  Waiting
	waited   map[string]time.Duration // by what held the first in line

	pause    pause
	outage   outage
	pace     pace
	requests quota
	used     quota // tokens
	ledger   ledger
}

// Waiting says what holds the calls back: rate limit, pace, provider down, budget, or retry while nothing but those is left; or storage, which
// holds a run from its end while the job file does not take what came. Why is empty while nothing does. What a wait for the budget takes is
// not known, as it is for calls in flight to end; Until is later. Storage is tried all the time; Until is zero.
type Waiting struct {
	Why   string
	Until time.Time
}

func newGate(opt Options) *gate {
	return &gate{
		turn:    make(chan struct{}, 1),
		ending:  make(chan struct{}),
		changed: make(chan struct{}),
		pause:   pause{until: opt.NotBefore, maxWait: opt.MaxWait, spread: opt.Concurrency, left: opt.Concurrency},
		outage:  outage{maxWait: opt.MaxWait},
		pace:    pace{rpm: opt.RPM, tpm: opt.TPM},
		waited:  map[string]time.Duration{},
		ledger:  newLedger(opt.Budget),
	}
}

// pass is a call's permission, to be given back by leave.
type pass struct {
	started time.Time
	tokens  int64 // reserved of the pace and the quota
	probe   bool
	reservation
}

// enter waits until the call may go out. ok is false when the run stops instead: nothing may be sent then.
func (g *gate) enter(ctx context.Context, c *store.Claim) (p pass, ok bool) {
	price := g.ledger.price(c.Model)
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		g.close(&Stop{Cause: Interrupt}) // nobody must claim more jobs only to hand them back
		return pass{}, false
	}
	defer func() { <-g.turn }()
	for {
		g.mu.Lock()
		now := time.Now()
		r := g.ledger.most(c, price) // anew each time: answers may have taught another factor
		wait := g.next(now, c, r)
		g.waiting = wait
		if ctx.Err() != nil {
			g.stopLocked(&Stop{Cause: Interrupt})
		}
		if g.stop != nil {
			g.mu.Unlock()
			return pass{}, false
		}
		if wait.Why == "" {
			p = g.open(now, c.Tokens, r)
			g.mu.Unlock()
			return p, true
		}
		changed := g.changed
		g.asleep = true
		g.mu.Unlock()
		sleep(ctx, wait.Until.Sub(now), changed)
		g.held(wait.Why, now)
	}
}

// held notes that nothing could go out since then, and why.
func (g *gate) held(why string, since time.Time) {
	g.mu.Lock()
	g.waited[why] += time.Since(since)
	g.mu.Unlock()
}

// sleep ends after d, or earlier when changed is closed or ctx ends.
func sleep(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

// next says what the first in line has to wait for; it may stop the run when that wait has become too long.
func (g *gate) next(now time.Time, c *store.Claim, r reservation) Waiting {
	if until, stop := g.ledger.next(now, c, r, g.inFlight); stop != nil {
		g.stopLocked(stop)
		return Waiting{}
	} else if until.After(now) {
		return Waiting{"budget", until}
	}
	if until, stop := g.outage.next(now); stop != nil {
		g.stopLocked(stop)
		return Waiting{}
	} else if until.After(now) {
		return Waiting{"provider down", until}
	}
	if g.pause.until.After(now) {
		return Waiting{"rate limit", g.pause.until}
	}
	if until := g.requests.next(now, int64(g.inFlight), 1); until.After(now) {
		return Waiting{"rate limit", until}
	}
	if until := g.used.next(now, g.tokens, c.Tokens); until.After(now) {
		return Waiting{"rate limit", until}
	}
	if until := latest(g.pace.next(), g.pause.next()); until.After(now) {
		return Waiting{"pace", until}
	}
	return Waiting{}
}

// claim is ledger.claim.
func (g *gate) claim(c *store.Claim, out amount) (amount, *Stop) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ledger.claim(c, out)
}

func (g *gate) open(now time.Time, tokens int64, r reservation) pass {
	reserved := g.pace.take(now, tokens)
	g.pause.take(now)
	g.ledger.take(r)
	g.inFlight++
	g.tokens += reserved
	return pass{started: now, tokens: reserved, probe: g.outage.take(now), reservation: r}
}

// leave counts a call out, settles what it has cost and learns from its answer what the limits are. answer is the tokens that were
// counted in an answer without usage.
func (g *gate) leave(p pass, res *chat.Result, answer int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.tokens -= p.tokens
	g.requests.learn(p.started, res.Limits.Requests)
	g.used.learn(p.started, res.Limits.Tokens)
	g.pace.settle(p.tokens, res)
	g.ledger.settle(p.reservation, res, answer)
	if res.Status != 0 && res.Reason != chat.RateLimited {
		g.pause.since = time.Time{} // not only rate limit errors
	}
	g.outage.observe(time.Now(), p, res)
	g.wake()
}

// hold pauses every call until the time given, or the default of the episode when it is zero; it reports the end of the pause and
// whether this was a new episode of rate limiting.
func (g *gate) hold(p pass, wait chat.Wait, random float64) (until time.Time, episode int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, episode, stop := g.pause.begin(time.Now(), p.started, wait, random)
	if stop != nil {
		g.stopLocked(stop)
	}
	g.wake()
	return until, episode
}

// answered notes that a job got its answer.
func (g *gate) answered(p pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pause.answered(p.started)
	g.wake()
}

// close stops the run: from now on nothing goes out. It reports whether this is the first cause, which stays.
func (g *gate) close(stop *Stop) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopLocked(stop)
	return g.stop == stop
}

func (g *gate) stopLocked(stop *Stop) {
	if g.stop == nil {
		g.stop = stop
		close(g.ending)
		g.wake()
	}
}

func (g *gate) wake() {
	if g.asleep {
		close(g.changed)
		g.changed, g.asleep = make(chan struct{}), false
	}
}

// stopped is the run's early end, or nil.
func (g *gate) stopped() *Stop {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stop
}

// down says that the provider seems to be down.
func (g *gate) down() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.outage.on()
}

// paused is the end of the present pause, zero when there is none.
func (g *gate) paused() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pause.until
}

func (g *gate) status(p *Progress) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.InFlight, p.Waiting, p.Stop = g.inFlight, g.waiting, g.stop
	g.ledger.status(p)
}

// history is how long calls were held by what, and the limits that the API stated last.
func (g *gate) history() (waited map[string]time.Duration, limits store.Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.waited), store.Limits{Requests: g.requests.limit, Tokens: g.used.limit}
}
