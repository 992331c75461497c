// Package runner drains a job file: it claims jobs, sends them through a bounded pool of workers, retries what is worth
// retrying and stops when going on would only cost money. It knows neither files nor terminals; main tells it what to do and
// asks it how it stands.
//
//	[job file] --claim--> keeper --queue--> worker --gate--> API --judge--> keeper --commit--> [job file]
//
// One goroutine, the keeper, owns the job file. The workers own the calls. What may go out and when, the gate decides; what
// an answer means, the judge.
package runner

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"batch/runner/chat"
	"batch/runner/tokens"
	"batch/store"
)

// Caller makes one attempt.
type Caller interface {
	Do(ctx context.Context, call chat.Call) chat.Result
}

// Store is what a run needs of the job file.
type Store interface {
	Turn(ctx context.Context, outcomes []store.Outcome, pause *store.Pause, want store.Want) (store.Turned, error)
	// SetAside keeps outcomes that Turn does not save, until it does or the next run begins, and says where.
	SetAside(outcomes []store.Outcome) (path string, err error)
}

// Options say how to drain.
type Options struct {
	Concurrency int           // workers; 16 by default
	Limit       int           // jobs to claim at most, 0 for all
	RPM, TPM    float64       // the user's own pace, requests and tokens a minute; 0 is none
	MaxAttempts int           // attempts of a job with an unknown outcome; 8 by default
	MaxWait     time.Duration // longest wait for a rate limit or a provider that is down; 10 min by default
	Grace       time.Duration // how long calls in flight are waited for once the run stops; 10 min by default
	KeepGoing   bool          // no stop after 20 equal failures, or as many answers that are no good

	// Check says what is wrong with an answer, given the whole response; nil is an answer that is good. It is called by many workers at once.
	// Its error is kept and shown, and should not tell the text of the answer.
	Check      func(response []byte) error
	MaxInvalid int // times that a job is asked again whose answer was no good

	Endpoint       string    // for the pause that is kept in the job file
	NotBefore      time.Time // a pause of the run before
	Budget         Budget
	AllowSimulated bool // answers of a practice server are welcome

	Random func() float64 // for jitter; in [0, 1)
}

func (o Options) withDefaults() Options {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 8
	}
	if o.MaxWait <= 0 {
		o.MaxWait = 10 * time.Minute
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Minute
	}
	if wait := time.Until(o.NotBefore); wait > absurdWait { // a clock that was wrong must not hold us for ever
		o.NotBefore = time.Time{}
	} else if !o.NotBefore.IsZero() {
		o.NotBefore = time.Now().Add(wait) // however the clock is set from now on
	}
	return o
}

// absurdWait is longer than any wait that an API asks for; store has the same bound for the waits of jobs.
const absurdWait = store.AbsurdWait

// Runner drains one job file once.
type Runner struct {
	store  Store
	caller Caller
	opt    Options
	clock  clock
	gate   *gate
	judge  *judge

	queue chan store.Claim
	ended chan store.Outcome

	grace    atomic.Int64            // the end of the grace time in nanoseconds since the run began, once it stops
	hurry    chan struct{}           // tells the keeper that it has become shorter
	told     atomic.Bool             // that it is to end, by Stop
	untaken  atomic.Pointer[untaken] // nil while the job file takes everything
	done     atomic.Int64
	failed   atomic.Int64
	retried  atomic.Int64
	prompt   atomic.Int64
	answered atomic.Int64 // completion tokens
	idle     atomic.Int64 // when the keeper's own wait ends, for the next retry or the next try to save, in Unix nanoseconds
}

// New prepares a run.
func New(st Store, caller Caller, opt Options) *Runner {
	opt = opt.withDefaults()
	g := newGate(opt)
	room := opt.Concurrency + mostAhead(opt.Concurrency)
	return &Runner{
		store: st, caller: caller, opt: opt, clock: newClock(), gate: g, judge: newJudge(g, opt),
		queue: make(chan store.Claim, room),
		ended: make(chan store.Outcome, room),
		hurry: make(chan struct{}, 1),
	}
}

// Summary is what a run did.
type Summary struct {
	Done, Failed int64 // jobs, in this run
	Retried      int64 // attempts that gave their job back for later
	Stop         *Stop // nil when no job is left to claim
	Doubtful     bool  // a turn failed, and may have claimed jobs all the same, which nobody heard of: store.End.Doubtful

	Waited map[string]time.Duration // how long nothing could go out, by what Waiting calls it
	Limits store.Limits             // that the API stated last
}

// Run drains until no job is left, or something stops it. It returns when every goroutine has ended and every outcome is
// saved; an error is the job file's. Cancelling ctx gives up the calls in flight at once; Stop waits for them.
func (r *Runner) Run(ctx context.Context) (Summary, error) {
	calls, giveUp := context.WithCancel(ctx)
	defer giveUp()
	var pool errgroup.Group
	for range r.opt.Concurrency {
		pool.Go(func() error {
			r.work(calls)
			return nil
		})
	}
	if wait := time.Until(r.opt.NotBefore); wait > r.opt.MaxWait {
		r.gate.close(&Stop{Cause: RateLimit, Until: r.opt.NotBefore,
			Message: fmt.Sprintf("the API asked the last run to wait; %s of that are left, longer than %s", inSeconds(wait), r.opt.MaxWait)})
	}
	k := keeper{Runner: r, giveUp: giveUp}
	err := k.keep(ctx)
	close(r.queue)
	pool.Wait()
	sum := Summary{Done: r.done.Load(), Failed: r.failed.Load(), Retried: r.retried.Load(), Stop: r.gate.stopped(), Doubtful: k.doubtful}
	sum.Waited, sum.Limits = r.gate.history()
	return sum, err
}

// Stop ends the run gently: nothing more goes out, and calls in flight, which are being paid for, are waited for until grace has
// passed. A run that is stopping already is only made to stop sooner; answers that could be kept nowhere are then given up too.
func (r *Runner) Stop(grace time.Duration) {
	r.told.Store(true)
	r.shorten(grace)
	r.gate.close(&Stop{Cause: Interrupt})
	select {
	case r.hurry <- struct{}{}:
	default: // it has been told
	}
}

// shorten sets the end of the grace time, or brings it forward.
func (r *Runner) shorten(grace time.Duration) {
	end := int64(r.clock.elapsed() + grace)
	for {
		set := r.grace.Load()
		if set != 0 && set <= end || r.grace.CompareAndSwap(set, end) {
			return
		}
	}
}

// graceEnds is when calls in flight are given up.
func (r *Runner) graceEnds() time.Time { return r.clock.began.Add(time.Duration(r.grace.Load())) }

// work makes the calls of one worker.
func (r *Runner) work(ctx context.Context) {
	for c := range r.queue {
		r.ended <- r.attempt(ctx, &c)
	}
}

func (r *Runner) attempt(ctx context.Context, c *store.Claim) (o store.Outcome) {
	p, ok := r.gate.enter(ctx, c)
	if !ok {
		return store.Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: store.HandBack}
	}
	res := chat.Result{Sent: true, Started: time.Now()}
	defer func() {
		if what := recover(); what != nil {
			o = r.defect(c, res, what)
		}
	}()
	res = r.caller.Do(ctx, chat.Call{Body: c.Body, IdempotencyKey: c.IdempotencyKey})
	return r.judge.judge(c, p, &res)
}

// defect is what becomes of an attempt that panicked. Nobody knows how far it had come, and the next one may come no further: the run
// stops, and what the other workers have in flight is saved.
func (r *Runner) defect(c *store.Claim, res chat.Result, what any) store.Outcome {
	res.Class, res.Reason = chat.Unknown, chat.ReasonNone
	res.Message = fmt.Sprintf("a defect in batch: panic: %T", what)
	if err, ok := what.(runtime.Error); ok { // of other values the text may hold anything, a key or a prompt too
		res.Message = "a defect in batch: " + err.Error()
	}
	r.gate.close(&Stop{Cause: Defect, Message: res.Message, Stack: string(debug.Stack())})
	o := outcome(c, &res)
	o.Arrow, o.Last = store.Release, true
	return o
}

// Progress is how a run stands. What it counts as done is saved; money counts as soon as the answer is there, for then it is spent.
type Progress struct {
	Done, Failed, Retried      int64
	PromptTokens, AnswerTokens int64 // reported

	Cost          tokens.Money // of this run: of usage that was reported, failed attempts included, and of estimated answers
	CostKnown     bool         // false when Cost or PossiblySpent leaves something out, for want of a price or a bound
	PossiblySpent tokens.Money // of this run: the most that attempts with an unknown outcome can have cost
	Spent         tokens.Money // of the whole job file, possibly spent included: what counts against the budget
	SpentTokens   int64

	InFlight  int
	Waiting   Waiting
	Stop      *Stop     // set once the run is ending
	Told      bool      // to end, by Runner.Stop
	Unsaved   Unsaved   // what the job file does not take; it is tried again
	Unkept    Unsaved   // of that, what could not be set aside either: it is held for as long as nobody tells the run to end
	GraceEnds time.Time // when calls in flight will be given up, and Unkept once Told; zero while the run goes on
}

// Unsaved counts outcomes that are not saved: of calls, of those too that were interrupted, and of jobs that were claimed and never sent.
type Unsaved struct {
	Outcomes int64 `json:"outcomes"`
	Answers  int64 `json:"answers"` // that are among them
}

// untaken is what the job file does not take.
type untaken struct{ all, unkept Unsaved }

func countUnsaved(outs []store.Outcome) Unsaved {
	u := Unsaved{Outcomes: int64(len(outs))}
	for i := range outs {
		if outs[i].Arrow == store.Complete {
			u.Answers++
		}
	}
	return u
}

// Progress may be asked at any time, from any goroutine.
func (r *Runner) Progress() Progress {
	p := Progress{
		Done: r.done.Load(), Failed: r.failed.Load(), Retried: r.retried.Load(),
		PromptTokens: r.prompt.Load(), AnswerTokens: r.answered.Load(), Told: r.told.Load(),
	}
	if held := r.untaken.Load(); held != nil {
		p.Unsaved, p.Unkept = held.all, held.unkept
	}
	r.gate.status(&p)
	idle := r.idle.Load()
	switch {
	case p.Unsaved.Outcomes > 0:
		p.Waiting = Waiting{Why: "storage"} // the next try is never far
	case p.Stop != nil:
		p.Waiting = Waiting{} // what held a call back when the run was stopped holds nothing any more
	case idle != 0 && p.Waiting.Why == "":
		p.Waiting = Waiting{"retry", time.Unix(0, idle)}
	}
	if end := r.grace.Load(); end != 0 {
		p.GraceEnds = r.graceEnds()
	}
	return p
}

// count adds what has just been saved.
func (r *Runner) count(outs []store.Outcome) {
	for i := range outs {
		o := &outs[i]
		switch o.Arrow {
		case store.Complete:
			r.done.Add(1)
			r.prompt.Add(o.Usage.Prompt)
			r.answered.Add(o.Usage.Completion)
		case store.Fail:
			r.failed.Add(1)
		case store.TakeBack:
			r.failed.Add(-1)
		case store.Retry:
			r.retried.Add(1)
		}
	}
}
