package runner

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"batch/runner/chat"
	"batch/runner/tokens"
	"batch/store"
)

const (
	sameFailures  = 20 // answers in a row, all the same failure, that stop a run
	forbiddenJobs = 3  // jobs in a row met by a bare 403 that stop a run
	limitedJob    = 10 // episodes of rate limiting after which a job is given up while others are answered
	timeoutsJob   = 2  // a timeout is retried once
)

// judge turns what an attempt gave into what becomes of its job, and of the run. It is called by the worker that made
// the call, so that a run-stopping answer closes the gate before that worker takes another job.
type judge struct {
	gate        *gate
	maxAttempts int
	keepGoing   bool
	simulated   bool
	random      func() float64
	check       func(response []byte) error
	maxInvalid  int

	mu         sync.Mutex
	heard      bool          // the endpoint has answered something
	streak     streak        // of the same failure
	forbidden  streak        // of bare 403s
	stopped    []failure     // those that made the stop
	invalidRow int           // answers in a row that were no good
	refused    map[int64]int // how often in a row a job was not processed; it uses up no attempt, but must not be tried ever faster
}

// streak is a row of jobs that failed alike.
type streak struct {
	status     int
	kind, code string
	jobs       []failure
}

type failure struct{ job, attempt int64 }

func newJudge(g *gate, opt Options) *judge {
	j := &judge{gate: g, refused: map[int64]int{}, maxAttempts: opt.MaxAttempts, keepGoing: opt.KeepGoing, simulated: opt.AllowSimulated, random: opt.Random,
		check: opt.Check, maxInvalid: opt.MaxInvalid}
	if j.random == nil {
		j.random = rand.Float64
	}
	return j
}

// judge decides one outcome.
func (j *judge) judge(c *store.Claim, p pass, res *chat.Result) store.Outcome {
	var answer int64 // tokens, where they have to be counted
	if res.Class == chat.Done && !res.Answer.Usage.Known {
		answer = tokens.CountText(c.Model, res.Answer.Text) // before any lock, as it takes a while
	}
	var flaw error
	if res.Class == chat.Done && j.check != nil {
		flaw = j.check(res.Body)
	}
	j.gate.leave(p, res, answer)
	j.mu.Lock()
	defer j.mu.Unlock()
	o := outcome(c, res)
	if res.Class != chat.NotProcessed {
		delete(j.refused, c.Job)
	}
	j.heard = j.heard || res.Status != 0
	if res.Simulated && !j.simulated || j.simulated && res.Class == chat.Done && !res.Simulated {
		return j.stop(o, res, Simulated)
	}
	if replayedFailure(res) {
		o.Generation++
		return j.retry(o, res, true)
	}
	switch res.Class {
	case chat.Done:
		j.streak, j.forbidden = streak{}, streak{}
		j.gate.answered(p)
		if flaw != nil {
			return j.invalid(o, res, flaw)
		}
		j.invalidRow = 0
		return complete(o, c, res, answer)
	case chat.NotProcessed:
		switch {
		case res.Reason == chat.RateLimited:
			return j.limited(o, p, res)
		case res.Reason == chat.NoSuchHost && !j.heard: // a typing error rather than an outage
			return j.stop(o, res, Endpoint)
		}
		return j.retry(o, res, false)
	case chat.Interrupted:
		if !res.Sent {
			return store.Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: store.HandBack}
		}
		o.Arrow = store.Release
		return o
	case chat.RunStops:
		return j.stop(o, res, causeOf(res.Reason))
	case chat.JobFailed:
		return j.fail(o, res)
	}
	if res.Reason == chat.TimedOut {
		o.Timeouts++
		if o.Timeouts >= timeoutsJob && !j.gate.down() {
			o.Used++
			o.Arrow = store.Fail
			return o
		}
	}
	return j.retry(o, res, true)
}

// outcome fills in what the attempt was; the judge adds where its job goes.
func outcome(c *store.Claim, res *chat.Result) store.Outcome {
	o := store.Outcome{
		Job: c.Job, Attempt: c.Attempt, Started: res.Started, Duration: res.Duration,
		Class: string(res.Class), Reason: string(res.Reason), Sent: res.Sent, Status: res.Status,
		Type: res.Type, Code: res.Code, Message: res.Message, RequestID: res.RequestID,
		Usage: store.Usage(res.Answer.Usage),
		Used:  c.Used, Timeouts: c.Timeouts, Limited: c.Limited, Invalid: c.Invalid, Generation: c.Generation,
	}
	if res.Class != chat.Done {
		o.ErrorBody = res.Body
	}
	if res.Reason == chat.ResponseTooLarge { // it was made, and most likely paid
		o.Class = string(chat.Unknown)
	}
	return o
}

// replayedFailure is a failure that the API gave before and kept under the job's idempotency key: only another key can get an answer.
// A good answer that broke off on its way is still kept under the old one, as is one that is too large.
func replayedFailure(res *chat.Result) bool {
	return res.Replayed && res.Reason != chat.ResponseTooLarge && (res.Class == chat.JobFailed || res.Class == chat.Unknown && res.Status >= 400)
}

func complete(o store.Outcome, c *store.Claim, res *chat.Result, answer int64) store.Outcome {
	o.Arrow = store.Complete
	o.Response, o.Assembled, o.FinishReason = res.Body, res.Assembled, res.Answer.FinishReason
	if !o.Usage.Known {
		o.EstimatedPrompt = c.Tokens
		o.Estimated = c.Tokens + answer
	}
	return o
}

// retry puts the job back for later. During an outage nothing is failed: it says nothing about the job.
func (j *judge) retry(o store.Outcome, res *chat.Result, usesUp bool) store.Outcome {
	if usesUp {
		o.Used++
		if o.Used >= j.maxAttempts && !j.gate.down() {
			o.Arrow = store.Fail
			return o
		}
	}
	tries := o.Used
	if !usesUp {
		j.refused[o.Job]++
		tries += j.refused[o.Job] - 1
	}
	o.Arrow = store.Retry
	o.RunAfter = time.Now().Add(max(backoff(tries, j.random()), time.Millisecond))
	if res.Wait.Known {
		o.RunAfter = latest(o.RunAfter, res.Wait.Until)
	}
	return o
}

// limited handles a 429: the pool waits, and the job with it. An episode counts against the job only when others were
// answered since the one before.
func (j *judge) limited(o store.Outcome, p pass, res *chat.Result) store.Outcome {
	until, episode := j.gate.hold(p, res.Wait, j.random())
	if episode == 1 {
		o.Limited++
		if o.Limited >= limitedJob {
			o.Arrow = store.Fail
			return o
		}
	}
	o.Arrow = store.Retry
	o.RunAfter = latest(until, time.Now().Add(time.Millisecond))
	return o
}

// fail marks the job failed, unless the same failure has now met so many that it cannot be the jobs' own: then the run
// stops and those jobs stay pending.
func (j *judge) fail(o store.Outcome, res *chat.Result) store.Outcome {
	if res.Reason != chat.Forbidden {
		j.forbidden = streak{}
	} else if j.forbidden.alike(res) >= forbiddenJobs-1 {
		return j.stop(o, res, Refused)
	} else {
		j.forbidden.add(o, res)
	}
	if j.keepGoing || !shared(res) {
		j.streak = streak{}
	} else if j.streak.alike(res) >= sameFailures-1 {
		return j.stop(o, res, SameFailure)
	} else {
		j.streak.add(o, res)
	}
	o.Arrow = store.Fail
	return o
}

// shared says that a failure may be about what the jobs have in common, as an unknown model or parameter is. An answer that is too
// large is not: it was made and most likely paid, and would be again if its job were taken back.
func shared(res *chat.Result) bool {
	if res.Status == http.StatusRequestEntityTooLarge || res.Reason == chat.TooLarge || res.Reason == chat.ResponseTooLarge {
		return false
	}
	for _, own := range []string{"context_length", "content_policy", "content_filter"} {
		if strings.Contains(res.Code, own) || strings.Contains(res.Type, own) {
			return false
		}
	}
	return true
}

// alike is how many jobs in a row failed as res does.
func (s *streak) alike(res *chat.Result) int {
	if s.status != res.Status || s.kind != res.Type || s.code != res.Code {
		return 0
	}
	return len(s.jobs)
}

func (s *streak) add(o store.Outcome, res *chat.Result) {
	if s.alike(res) == 0 {
		*s = streak{status: res.Status, kind: res.Type, code: res.Code}
	}
	s.jobs = append(s.jobs, failure{o.Job, o.Attempt})
}

// stop closes the gate; the job that met the cause goes back and is claimed last by the next run. It gets another idempotency key where what
// it met was its own failure, or one that the API had kept, and would stop each run anew.
func (j *judge) stop(o store.Outcome, res *chat.Result, cause Cause) store.Outcome {
	stop := &Stop{Cause: cause, Status: res.Status, Type: res.Type, Code: res.Code, Message: res.Message}
	if res.Wait.Known {
		stop.Until = res.Wait.Until
	}
	if j.gate.close(stop) { // a late answer may yet end the streaks
		switch cause {
		case SameFailure:
			j.stopped = j.streak.jobs
		case Refused:
			j.stopped = j.forbidden.jobs
		}
	}
	if o.ErrorBody = res.Body; !possiblyPaid(res) {
		o.Class = string(chat.RunStops)
	}
	if res.Class == chat.JobFailed || res.Class == chat.RunStops && res.Replayed {
		o.Generation++
	}
	o.Arrow, o.Last = store.Release, true
	return o
}

// takeBack lists the failures that made a stop, by attempt.
func (j *judge) takeBack() map[int64]store.Outcome {
	j.mu.Lock()
	defer j.mu.Unlock()
	back := map[int64]store.Outcome{}
	for _, f := range j.stopped {
		back[f.attempt] = store.Outcome{Job: f.job, Attempt: f.attempt, Arrow: store.TakeBack}
	}
	return back
}

func causeOf(reason chat.Reason) Cause {
	switch reason {
	case chat.KeyRefused:
		return KeyRefused
	case chat.QuotaSpent:
		return QuotaSpent
	case chat.BadCertificate:
		return Certificate
	case chat.SimulatedAnswer:
		return Simulated
	case chat.Forbidden:
		return Refused
	case chat.KeyReused:
		return KeyReused
	}
	return Endpoint
}
