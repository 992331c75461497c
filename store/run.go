package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Run is one invocation that drains the job file.
type Run struct {
	Started, Ended time.Time // Ended is zero while it goes on, or when it died
	Endpoint       string
	Version        string
	Reason         string  // why it ended
	RPM, TPM       float64 // the user's own limits, 0 for none
}

// End is what a run knows when it ends.
type End struct {
	At     time.Time
	Reason string
	Waited map[string]time.Duration // how long the first in line was held, by what
	Limits Limits                   // that the API stated last

	// Doubtful says that a Turn failed, and may have claimed jobs all the same. All that the run did hear of is saved: what it has open
	// beyond that was never sent, and is handed back.
	Doubtful bool
}

// Limits are what an API states that it allows in a window, 0 where it says nothing.
type Limits struct{ Requests, Tokens int64 }

// Recover puts right what a run that died left behind. Outcomes that it set aside are saved first. Then attempts without an outcome become
// unknown (they may not have been sent), their jobs pending again, with no attempt used up; it returns how many there were. A
// file that was left in the middle is checked for damaged pages before anything is written (ErrDamaged): SQLite itself would go on
// writing over them.
func (s *Store) Recover(ctx context.Context) (int64, error) {
	ctx = context.WithoutCancel(ctx)
	var n int64
	err := s.checkAfterDeath(ctx)
	if err == nil {
		err = s.takeUp(ctx)
	}
	if err == nil {
		n, err = s.giveBack(ctx)
	}
	if err != nil {
		return 0, s.explain("recover", err)
	}
	return n, nil
}

func (s *Store) checkAfterDeath(ctx context.Context) error {
	var open bool
	err := s.conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM runs WHERE ended_at IS NULL)").Scan(&open)
	if err != nil || !open {
		return err
	}
	return quickCheck(ctx, s.conn)
}

// giveBack ends what runs that died left open.
func (s *Store) giveBack(ctx context.Context) (n int64, err error) {
	err = s.transact(ctx, func() error {
		var open bool
		err := s.conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM runs WHERE ended_at IS NULL)").Scan(&open)
		if err != nil || !open {
			return err
		}
		if n, err = s.execN(ctx, `
			UPDATE attempts SET class = 'unknown', duration_ms = 0, message = 'the run died; it may not have been sent'
			WHERE class IS NULL`); err != nil {
			return err
		}
		if err := s.exec(ctx, `
			UPDATE jobs SET state = 'pending', attempt = NULL, unknown = unknown + 1 WHERE state = 'running'`); err != nil {
			return err
		}
		return s.exec(ctx, "UPDATE runs SET ended_at = started_at, reason = 'died' WHERE ended_at IS NULL")
	})
	return n, err
}

// BeginRun opens the row of this invocation; attempts will bear its number. Waits of earlier runs that are absurd are forgotten. What
// comes after it is by the clock of now: read NotBefore later.
func (s *Store) BeginRun(ctx context.Context, r Run) error {
	err := s.transact(ctx, func() error {
		if err := s.setClockBack(context.WithoutCancel(ctx), millis(r.Started)); err != nil {
			return err
		}
		if err := s.exec(context.WithoutCancel(ctx), "UPDATE jobs SET run_after = 0 WHERE state = 'pending' AND run_after > ?",
			millis(r.Started.Add(AbsurdWait))); err != nil {
			return err
		}
		if err := s.writeSettings(context.WithoutCancel(ctx), s.spill.settings()); err != nil {
			return err
		}
		return s.conn.QueryRowContext(context.WithoutCancel(ctx),
			"INSERT INTO runs (started_at, endpoint, version, rpm, tpm) VALUES (?, ?, ?, nullif(?, 0.0), nullif(?, 0.0)) RETURNING id",
			millis(r.Started), r.Endpoint, r.Version, r.RPM, r.TPM).Scan(&s.run)
	})
	if err != nil {
		return s.explain("begin run in", err)
	}
	return nil
}

// clockSlack is how far a clock goes back without anybody noticing.
const clockSlack = 1000

// setClockBack moves the waits of the last run by as much as the clock has been set back since: they last as long as they were meant to, not
// until a time that was wrong.
func (s *Store) setClockBack(ctx context.Context, now int64) error {
	var newest int64
	err := s.conn.QueryRowContext(ctx, "SELECT max(started_at, coalesce(ended_at, 0)) FROM runs ORDER BY id DESC LIMIT 1").Scan(&newest)
	back := newest - now
	if errors.Is(err, sql.ErrNoRows) || err == nil && back <= clockSlack {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.exec(ctx, "UPDATE jobs SET run_after = max(run_after - ?, 1) WHERE state = 'pending' AND run_after > 0", back); err != nil {
		return err
	}
	return s.exec(ctx, "UPDATE limits SET not_before = max(not_before - ?, 0)", back)
}

// EndRun closes the row of this invocation.
func (s *Store) EndRun(ctx context.Context, end End) error {
	err := s.transact(ctx, func() error {
		ctx := context.WithoutCancel(ctx)
		if end.Doubtful {
			if err := s.handBackOpen(ctx); err != nil {
				return err
			}
		}
		for why, waited := range end.Waited {
			if err := s.exec(ctx, "INSERT OR REPLACE INTO waits (run, why, ms) VALUES (?, ?, ?)", s.run, why, waited.Milliseconds()); err != nil {
				return err
			}
		}
		if err := s.exec(ctx, `
			INSERT INTO limits (endpoint, requests, tokens) SELECT endpoint, nullif(?, 0), nullif(?, 0) FROM runs WHERE id = ?
			ON CONFLICT (endpoint) DO UPDATE SET requests = coalesce(excluded.requests, requests), tokens = coalesce(excluded.tokens, tokens)`,
			end.Limits.Requests, end.Limits.Tokens, s.run); err != nil {
			return err
		}
		return s.exec(ctx, "UPDATE runs SET ended_at = ?, reason = ? WHERE id = ?", millis(end.At), end.Reason, s.run)
	})
	if err != nil {
		return s.explain("end run in", err)
	}
	return nil
}

// handBackOpen forgets the attempts of this run that have no outcome.
func (s *Store) handBackOpen(ctx context.Context) error {
	if err := s.exec(ctx, `
		UPDATE jobs SET state = 'pending', attempt = NULL, attempts = attempts - 1
		WHERE state = 'running' AND attempt IN (SELECT id FROM attempts WHERE run = ? AND class IS NULL)`, s.run); err != nil {
		return err
	}
	return s.exec(ctx, "DELETE FROM attempts WHERE run = ? AND class IS NULL", s.run)
}

// LastRun returns the newest run, or ErrNotFound.
func (s *Store) LastRun(ctx context.Context) (Run, error) {
	var r Run
	var started int64
	var ended sql.NullInt64
	var reason sql.NullString
	err := s.read.QueryRowContext(ctx,
		"SELECT started_at, ended_at, endpoint, version, reason FROM runs ORDER BY id DESC LIMIT 1").
		Scan(&started, &ended, &r.Endpoint, &r.Version, &reason)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return r, ErrNotFound
	case err != nil:
		return r, s.explain("read", err)
	}
	r.Started, r.Ended, r.Reason = fromMillis(started), fromMillis(ended.Int64), reason.String
	return r, nil
}

// RunEndpoints names the endpoints that the file was drained at.
func (v *View) RunEndpoints(ctx context.Context) ([]string, error) {
	rows, err := v.tx.QueryContext(ctx, "SELECT DISTINCT endpoint FROM runs ORDER BY endpoint")
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var endpoint string
		if err := rows.Scan(&endpoint); err != nil {
			return nil, v.s.explain("read", err)
		}
		all = append(all, endpoint)
	}
	return all, v.s.explain("read", rows.Err())
}

// AbsurdWait is longer than any wait that an API asks for: what is further ahead comes of a clock that was wrong.
const AbsurdWait = 24 * time.Hour

// NotBefore returns the time before which no call may go to endpoint; zero when there is none.
func (s *Store) NotBefore(ctx context.Context, endpoint string) (time.Time, error) {
	var at int64
	err := s.read.QueryRowContext(ctx, "SELECT not_before FROM limits WHERE endpoint = ?", endpoint).Scan(&at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, s.explain("read", err)
	}
	return fromMillis(at), nil
}
