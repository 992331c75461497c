package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/mattn/go-sqlite3"
)

// Claim is a job that was taken for one attempt: it is running, and its attempt is on record, before anything is sent.
type Claim struct {
	Job, Attempt   int64
	Generation     int
	Body           []byte
	IdempotencyKey string
	Model          string // requested
	Tokens         int64  // estimated prompt tokens
	MaxTokens      int64  // of the answer, 0 when the request does not bound it
	Used           int    // attempts used up so far
	Timeouts       int
	Limited        int // rate limit episodes met
	Invalid        int // answers that were no good
}

// Arrow is a change of state that ends an attempt.
type Arrow int

const (
	Complete Arrow = iota // running -> done, with the answer
	Fail                  // running -> failed
	Retry                 // running -> pending, not before RunAfter
	Release               // running -> pending: the run stops or was interrupted
	HandBack              // running -> pending: nothing was sent, so the attempt is forgotten
	TakeBack              // failed -> pending: a stop takes the failures back that made it
)

// Outcome is how an attempt ended and where its job goes.
type Outcome struct {
	Job, Attempt int64
	Arrow        Arrow

	// Of the attempt.
	Started             time.Time
	Duration            time.Duration
	Class, Reason       string
	Sent                bool
	Status              int
	Type, Code, Message string
	RequestID           string
	Usage               Usage
	ErrorBody           []byte

	// Complete only.
	Response                   []byte
	Assembled                  bool
	FinishReason               string
	EstimatedPrompt, Estimated int64 // when Usage is not Known

	// Retry and Release: the job's counters from now on. Fail: Used and Generation.
	RunAfter                time.Time
	Used, Timeouts, Limited int
	Invalid                 int
	Generation              int
	Last                    bool // claim it after all others; RunAfter is zero then
}

// Want says what a turn may claim.
type Want struct {
	Jobs  int
	New   int   // of these, at most so many that this run has not claimed before
	Bytes int64 // of bodies together; the first job is claimed whatever its size
	Now   time.Time
	// Fits, if there is one, is asked about each job in turn; the first that does not fit ends the claiming.
	Fits func(*Claim) bool
}

// Turned is what a turn gave.
type Turned struct {
	Claims []Claim
	New    int // of the claims, those that this run had not claimed before
	// NextDue is when the earliest waiting retry is due, zero when none waits. It is only looked up when a turn could
	// claim less than it wanted.
	NextDue time.Time
}

// Pause is the pool's own wait, kept so that the next run keeps it too.
type Pause struct {
	Endpoint string
	Until    time.Time
}

// FenceError says that an outcome came for a job that its attempt no longer holds. It cannot happen under the lock.
type FenceError struct{ Job, Attempt int64 }

func (e *FenceError) Error() string {
	return fmt.Sprintf("job %d is not held by attempt %d", e.Job, e.Attempt)
}

// AlreadySaved says of an error of Turn that every outcome it refused was no longer held by its attempt. After a turn that failed, that is
// what comes of trying again when the failed one had been saved after all.
func AlreadySaved(err error) bool {
	var refused *spoiltError
	return errors.As(err, &refused) && refused.fences
}

// spoiltError is what applyOneByOne could not save.
type spoiltError struct {
	error
	fences bool // all of them are FenceErrors
}

func (e *spoiltError) Unwrap() error { return e.error }

// Turn saves the outcomes that have gathered and claims the next jobs in one transaction (group commit): what it returns
// without an error is on disk. When one outcome breaks a constraint the others are saved one by one, and the error names
// the one that could not be. After any other error it is not known what was saved: stop, open again, read.
func (s *Store) Turn(ctx context.Context, outcomes []Outcome, pause *Pause, want Want) (Turned, error) {
	ctx = context.WithoutCancel(ctx)
	var t Turned
	err := s.transact(ctx, func() error {
		for i := range outcomes {
			if err := s.apply(ctx, &outcomes[i]); err != nil {
				return err
			}
		}
		if pause != nil {
			if err := s.exec(ctx, `
				INSERT INTO limits (endpoint, not_before) VALUES (?, ?)
				ON CONFLICT (endpoint) DO UPDATE SET not_before = excluded.not_before`, pause.Endpoint, millis(pause.Until)); err != nil {
				return err
			}
		}
		var err error
		t, err = s.claim(ctx, want)
		return err
	})
	if err == nil {
		s.spill.clear()
		return t, nil
	}
	if spoilt(err) {
		each := s.applyOneByOne(ctx, outcomes)
		if each == nil || AlreadySaved(each) {
			s.spill.clear()
		}
		if each != nil {
			err = each
		} // else it was a claim that was refused
	}
	return Turned{}, s.explain("save answers to", err)
}

// spoilt tells an outcome that the table refuses from a store that fails.
func spoilt(err error) bool {
	var fence *FenceError
	var e sqlite3.Error
	return errors.As(err, &fence) || errors.As(err, &e) && e.Code == sqlite3.ErrConstraint
}

func (s *Store) applyOneByOne(ctx context.Context, outcomes []Outcome) error {
	var spoiled []error
	fences := true
	for i := range outcomes {
		err := s.transact(ctx, func() error { return s.apply(ctx, &outcomes[i]) })
		switch {
		case err == nil:
		case spoilt(err):
			var fence *FenceError
			fences = fences && errors.As(err, &fence)
			spoiled = append(spoiled, fmt.Errorf("job %d: %w", outcomes[i].Job, err))
		default:
			return err
		}
	}
	if len(spoiled) == 0 {
		return nil
	}
	return &spoiltError{errors.Join(spoiled...), fences}
}

func (s *Store) apply(ctx context.Context, o *Outcome) error {
	switch o.Arrow {
	case Complete: // the guards first: an answer that was saved before is told by them
		if err := s.end(ctx, o, `
			UPDATE jobs SET state = 'done', last = 0
			WHERE id = ? AND state = 'running' AND attempt = ?`, o.Job, o.Attempt); err != nil {
			return err
		}
		return s.saveAnswer(ctx, o)
	case Fail:
		return s.end(ctx, o, `
			UPDATE jobs SET state = 'failed', unknown = unknown + ?, used = ?, generation = ?
			WHERE id = ? AND state = 'running' AND attempt = ?`, o.possiblyPaid(), o.Used, o.Generation, o.Job, o.Attempt)
	case Retry, Release:
		return s.end(ctx, o, `
			UPDATE jobs SET state = 'pending', attempt = NULL, run_after = ?, last = ?, unknown = unknown + ?,
			  used = ?, timeouts = ?, limited = ?, invalid = ?, generation = ?
			WHERE id = ? AND state = 'running' AND attempt = ?`,
			millis(o.RunAfter), o.Last, o.possiblyPaid(), o.Used, o.Timeouts, o.Limited, o.Invalid, o.Generation, o.Job, o.Attempt)
	case HandBack:
		if err := s.change(ctx, o, `
			UPDATE jobs SET state = 'pending', attempt = NULL, attempts = attempts - 1
			WHERE id = ? AND state = 'running' AND attempt = ?`, o.Job, o.Attempt); err != nil {
			return err
		}
		return s.exec(ctx, "DELETE FROM attempts WHERE id = ? AND class IS NULL", o.Attempt)
	case TakeBack:
		return s.change(ctx, o, `
			UPDATE jobs SET state = 'pending', attempt = NULL, run_after = 0, last = 1, generation = `+nextGeneration+`
			WHERE id = ? AND state = 'failed' AND attempt = ?`, o.Job, o.Attempt)
	}
	return fmt.Errorf("no such arrow: %d", o.Arrow)
}

// possiblyPaid is 1 for an attempt that the API may have worked on and charged without our having its answer.
func (o *Outcome) possiblyPaid() int {
	if o.Class == "unknown" || o.Class == "interrupted" && o.Sent {
		return 1
	}
	return 0
}

// end closes the attempt and moves its job.
func (s *Store) end(ctx context.Context, o *Outcome, query string, args ...any) error {
	var prompt, completion, total, cached, written, thought, audio any
	if u := o.Usage; u.Known {
		prompt, completion, total, cached, written, thought, audio = u.Prompt, u.Completion, u.Total, u.Cached, u.CacheWrite, u.Reasoning, u.Audio
	}
	var status any
	if o.Status != 0 {
		status = o.Status
	}
	n, err := s.execN(ctx, `
		UPDATE attempts SET started_at = ?, duration_ms = ?, class = ?, reason = ?, sent = ?, status = ?, type = ?, code = ?,
		  message = ?, request_id = ?, prompt_tokens = ?, completion_tokens = ?, total_tokens = ?,
		  cached_tokens = ?, cache_write_tokens = ?, reasoning_tokens = ?, audio_tokens = ?, body = ?
		WHERE id = ? AND class IS NULL`,
		millis(o.Started), o.Duration.Milliseconds(), o.Class, text(o.Reason), o.Sent, status, text(o.Type), text(o.Code),
		text(o.Message), text(o.RequestID), prompt, completion, total, cached, written, thought, audio, nullable(o.ErrorBody), o.Attempt)
	if err != nil {
		return err
	}
	if n != 1 {
		return &FenceError{o.Job, o.Attempt}
	}
	return s.change(ctx, o, query, args...)
}

// change runs a guarded UPDATE that must move exactly the one job.
func (s *Store) change(ctx context.Context, o *Outcome, query string, args ...any) error {
	n, err := s.execN(ctx, query, args...)
	if err == nil && n != 1 {
		err = &FenceError{o.Job, o.Attempt}
	}
	return err
}

func (s *Store) saveAnswer(ctx context.Context, o *Outcome) error {
	var prompt, all any
	if !o.Usage.Known {
		prompt, all = o.EstimatedPrompt, o.Estimated
	}
	return s.exec(ctx, `
		INSERT INTO answers (job, assembled, finish_reason, estimated_prompt, estimated, response) VALUES (?, ?, ?, ?, ?, ?)`,
		o.Job, o.Assembled, text(o.FinishReason), prompt, all, o.Response)
}

const (
	claimColumns = `SELECT id, generation, model, tokens, coalesce(max_tokens, 0), used, timeouts, limited, invalid, body FROM jobs
		WHERE state = 'pending' AND position IS NOT NULL AND run_after <= ? AND `

	claimOwnDue   = "last = 0 AND run_after > 0 AND run = ?"
	claimOtherDue = "last = 0 AND run_after > 0 AND run <> ?"
	claimFresh    = "last = 0 AND run_after = 0 AND ? > 0"
	// The jobs whose answers stopped the last run wait until everything else has its answer.
	claimLast = `last = 1 AND run <> ?
		AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'pending' AND position IS NOT NULL AND last = 0)`
)

// claimQuery selects jobs of one kind, in the order in which they are claimed.
func (s *Store) claimQuery(kind string) string {
	order := " ORDER BY run_after, position LIMIT ?"
	if kind == claimFresh {
		order = " ORDER BY position LIMIT ?"
	}
	return claimColumns + kind + s.chosen + order
}

// claim takes due retries first, so that the tail of a run is not all retries, then fresh jobs in input order.
func (s *Store) claim(ctx context.Context, want Want) (Turned, error) {
	var t Turned
	bytes := want.Bytes
	for _, kind := range []string{claimOwnDue, claimOtherDue, claimFresh, claimLast} {
		n := want.Jobs - len(t.Claims)
		if kind != claimOwnDue {
			n = min(n, want.New)
		}
		if n <= 0 || bytes <= 0 || kind == claimLast && len(t.Claims) > 0 {
			continue
		}
		claims, err := s.take(ctx, s.claimQuery(kind), n, want, &bytes)
		if err != nil {
			return Turned{}, err
		}
		if kind != claimOwnDue {
			want.New -= len(claims)
			t.New += len(claims)
		}
		t.Claims = append(t.Claims, claims...)
	}
	if len(t.Claims) >= want.Jobs {
		return t, nil
	}
	var err error
	t.NextDue, err = s.nextDue(ctx, want.New <= 0)
	return t, err
}

// nextDue is when the earliest waiting retry is due. The jobs that go last wait for the others, not for a time.
func (s *Store) nextDue(ctx context.Context, ownOnly bool) (time.Time, error) {
	st, err := s.stmt(ctx, `
		SELECT min(run_after) FROM jobs
		WHERE state = 'pending' AND position IS NOT NULL AND last = 0 AND run_after > 0 AND (run = ?1 OR ?2 = 0)`+s.chosen)
	if err != nil {
		return time.Time{}, err
	}
	var ms sql.NullInt64
	if err := st.QueryRowContext(ctx, s.run, ownOnly).Scan(&ms); err != nil {
		return time.Time{}, err
	}
	return fromMillis(ms.Int64), nil
}

func (s *Store) take(ctx context.Context, query string, n int, want Want, bytes *int64) ([]Claim, error) {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(ctx, millis(want.Now), s.run, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var claims []Claim
	for *bytes > 0 && rows.Next() {
		var c Claim
		if err := rows.Scan(&c.Job, &c.Generation, &c.Model, &c.Tokens, &c.MaxTokens, &c.Used, &c.Timeouts, &c.Limited, &c.Invalid, &c.Body); err != nil {
			return nil, err
		}
		if want.Fits != nil && !want.Fits(&c) {
			*bytes = 0 // none of another kind either: they would overtake it
			break
		}
		*bytes -= int64(len(c.Body))
		claims = append(claims, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close() // before the updates: they would move the index under the reader
	for i := range claims {
		if err := s.begin(ctx, &claims[i], want.Now); err != nil {
			return nil, err
		}
	}
	return claims, nil
}

// begin opens an attempt for a job and marks it running.
func (s *Store) begin(ctx context.Context, c *Claim, now time.Time) error {
	s.attempt++
	c.Attempt = s.attempt
	c.IdempotencyKey = s.idempotencyKey(c)
	if err := s.exec(ctx, "INSERT INTO attempts (id, job, run, generation, started_at) VALUES (?, ?, ?, ?, ?)",
		c.Attempt, c.Job, s.run, c.Generation, millis(now)); err != nil {
		return err
	}
	return s.change(ctx, &Outcome{Job: c.Job, Attempt: c.Attempt}, `
		UPDATE jobs SET state = 'running', run = ?, attempt = ?, attempts = attempts + 1
		WHERE id = ? AND state = 'pending'`, s.run, c.Attempt, c.Job)
}

// idempotencyKey is the same for every attempt of a job, after a kill too, until its generation grows. The salt keeps
// two job files apart.
func (s *Store) idempotencyKey(c *Claim) string {
	body := sha256.Sum256(c.Body)
	var n [16]byte
	binary.BigEndian.PutUint64(n[:8], uint64(c.Job))
	binary.BigEndian.PutUint64(n[8:], uint64(c.Generation))
	h := sha256.New()
	h.Write(s.salt)
	h.Write(n[:8])
	h.Write(body[:])
	h.Write(n[8:])
	return "batch-" + hex.EncodeToString(h.Sum(nil)[:16])
}
