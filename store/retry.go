package store

import (
	"context"
	"errors"
)

// InvalidAnswer is the reason of an attempt whose answer came whole and was no good. Its class is that of a failure, or unknown when the API
// did not report what it used.
const InvalidAnswer = "invalid_answer"

// nextGeneration is that of a failed job that is to be sent again. One that the API answered with a failure gets a new idempotency key, or
// the API would replay that failure, and so does one whose answer was no good; one whose outcome is unknown keeps its key, or it could be
// paid for twice.
const nextGeneration = `generation +
	(SELECT a.status IS NOT NULL AND (a.class = 'job_failed' OR a.reason IS '` + InvalidAnswer + `') FROM attempts a WHERE a.id = jobs.attempt)`

// putBack is the arrow of `batch retry` for a failed job.
const putBack = `
	UPDATE jobs SET state = 'pending', attempt = NULL, run_after = 0, last = 0, used = 0, timeouts = 0, limited = 0, invalid = 0,
	  generation = ` + nextGeneration + `
	WHERE state = 'failed' AND position IS NOT NULL`

// RetryFailed puts all failed jobs of the input back to pending, with a new count of attempts, and n says how many.
func (s *Store) RetryFailed(ctx context.Context) (n int64, err error) {
	err = s.transact(ctx, func() error {
		n, err = s.execN(context.WithoutCancel(ctx), putBack)
		return err
	})
	if err != nil {
		return 0, s.explain("retry jobs of", err)
	}
	return n, nil
}

// Changed is a request that takes the place of another. The messages are the same.
type Changed struct {
	Model     string
	Key       [32]byte
	Body      []byte
	Tokens    int64 // this and the rest as in Job
	MaxTokens int64
	Boundless bool
}

// Retry lets choose send jobs out again by calling again for each of them, in one transaction: with an error of choose nothing has
// changed. The rows are those of a picture that is taken before.
//
// A failed job goes back to pending. What has an answer, or is to send another request, gets a new job in its place, with idempotency
// keys and attempts of its own; the old one stays in the file with its attempts and its answer, out of the input. A job that was never
// sent is changed where it is. With the request that it has, a pending job is left alone.
func (s *Store) Retry(ctx context.Context, choose func(v *View, again func(row *Row, c *Changed) error) error) error {
	return s.retry(ctx, func(v *View, r *retrier) error {
		if err := s.conn.QueryRowContext(r.ctx, "SELECT coalesce(max(id), 0) FROM jobs").Scan(&r.newest); err != nil {
			return s.explain("retry jobs of", err)
		}
		return choose(v, r.again)
	})
}

func (s *Store) retry(ctx context.Context, do func(*View, *retrier) error) error {
	v, err := s.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	var callers error
	err = s.transact(ctx, func() error {
		callers = do(v, &retrier{s: s, ctx: context.WithoutCancel(ctx)})
		return callers
	})
	if err != nil && !errors.Is(err, callers) {
		return s.explain("retry jobs of", err)
	}
	return err
}

type retrier struct {
	s      *Store
	ctx    context.Context
	newest int64 // job
}

func (r *retrier) again(row *Row, c *Changed) error {
	var err error
	switch {
	case row.State == Failed && c == nil:
		err = r.one(row, putBack+" AND id = ?", row.ID)
	case row.State == Pending && c == nil:
	case row.State == Pending && row.Attempts == 0:
		err = r.one(row, `
			UPDATE jobs SET origin = coalesce(origin, key), key = ?, model = ?, tokens = ?, max_tokens = ?, body = ?
			WHERE state = 'pending' AND attempts = 0 AND id = ?`, c.Key[:], c.Model, c.Tokens, bound(c.MaxTokens, c.Boundless), c.Body, row.ID)
	default:
		err = r.replace(row, c)
	}
	if err != nil {
		return r.s.explain("retry jobs of", err)
	}
	return nil
}

// replace puts a new job in the place of one.
func (r *retrier) replace(row *Row, c *Changed) error {
	st, err := r.s.stmt(r.ctx, "SELECT position FROM jobs WHERE id = ?")
	if err != nil {
		return err
	}
	var position int64
	if err := st.QueryRowContext(r.ctx, row.ID).Scan(&position); err != nil {
		return err
	}
	r.newest++
	if err := r.one(row, "UPDATE jobs SET position = NULL, replaced = ? WHERE state <> 'running' AND position IS NOT NULL AND id = ?", r.newest, row.ID); err != nil {
		return err
	}
	const insert = `
		INSERT INTO jobs (id, position, input, line, custom_id, sample, trimmed, carried, tokens, max_tokens, model, key, origin, body)
		SELECT ?, ?, input, line, custom_id, sample, trimmed, carried, `
	if c == nil {
		return r.one(row, insert+"tokens, max_tokens, model, key, origin, body FROM jobs WHERE id = ?", r.newest, position, row.ID)
	}
	return r.one(row, insert+"?, ?, ?, ?, coalesce(origin, key), ? FROM jobs WHERE id = ?",
		r.newest, position, c.Tokens, bound(c.MaxTokens, c.Boundless), c.Model, c.Key[:], c.Body, row.ID)
}

// one runs a guarded statement that must write one job.
func (r *retrier) one(row *Row, query string, args ...any) error {
	return r.s.change(r.ctx, &Outcome{Job: row.ID}, query, args...)
}
