package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// lender is a job file whose answers may be taken over.
type lender struct {
	schema string // under which it is attached
	path   string // as its user named it
	place  string // where that is
	file   string // the same for every copy of it, and for no other file
}

// ReuseFrom lets Import and Reuse take over answers of other job files, until StopReuse. The files stay open until then.
func (s *Store) ReuseFrom(ctx context.Context, name string, old *Store) error {
	if err := old.assertText(ctx); err != nil {
		return err
	}
	var salt string
	if err := old.read.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = 'salt'").Scan(&salt); err != nil {
		return old.explain("read", err)
	}
	place, err := filepath.Abs(name)
	if err != nil {
		return old.explain("read", err)
	}
	sum := sha256.Sum256([]byte(salt))
	l := lender{schema: fmt.Sprintf("old%d", len(s.lenders)), path: name, place: place, file: hex.EncodeToString(sum[:16])}
	if _, err := s.conn.ExecContext(ctx, "ATTACH ? AS "+l.schema, "file:"+url.PathEscape(old.path)+"?mode=ro"); err != nil {
		return old.explain("read", err)
	}
	s.lenders = append(s.lenders, l)
	return nil
}

// StopReuse lets go of the files of ReuseFrom: each transaction would begin one on them, too.
func (s *Store) StopReuse(ctx context.Context) error {
	for _, l := range s.lenders {
		if _, err := s.conn.ExecContext(context.WithoutCancel(ctx), "DETACH "+l.schema); err != nil {
			return s.explain("close a file beside", err)
		}
	}
	s.lenders = nil
	return nil
}

// ReuseOptions are those of ImportOptions that fit.
type ReuseOptions struct {
	DryRun bool
	Check  func(Imported) error
}

// Reuse takes over answers for the pending jobs. Changes is empty.
func (s *Store) Reuse(ctx context.Context, opt ReuseOptions) (Imported, error) {
	var done Imported
	var callers error // to be returned as it is
	err := s.transact(ctx, func() (err error) {
		callers, err = s.conclude(context.WithoutCancel(ctx), &done, opt.Check, opt.DryRun)
		return err
	})
	return s.imported("take over answers into", done, callers, err)
}

// reuse gives pending jobs the answers that jobs of the same request have in the other files. No answer serves twice: a line that
// stands twice asks for two. What retry replaced serves last: its request may have failed since.
func (s *Store) reuse(ctx context.Context) ([]Tally, error) {
	var all []Tally
	for _, l := range s.lenders {
		t := Tally{Kind: l.path}
		for _, step := range takeAnswers {
			res, err := s.conn.ExecContext(ctx, strings.ReplaceAll(step.query, "old.", l.schema+"."), l.args(step.args)...)
			if err != nil {
				return nil, err
			}
			if t.N, err = res.RowsAffected(); err != nil {
				return nil, err
			}
		}
		all = append(all, t)
	}
	return all, nil
}

func (l lender) args(n int) []any { return []any{l.file, l.place}[:n] }

// Of each file: which job takes which answer, then the answers, last the jobs.
var takeAnswers = []struct {
	query string
	args  int
}{
	{`CREATE TEMP TABLE IF NOT EXISTS taken (job INTEGER PRIMARY KEY, original INTEGER NOT NULL)`, 0},
	{`DELETE FROM temp.taken`, 0},
	{`INSERT INTO temp.taken
		SELECT l.id, j.id
		FROM (SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY position) AS nth
		      FROM main.jobs WHERE state = 'pending' AND position IS NOT NULL) l
		JOIN (SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY position IS NULL, replaced IS NOT NULL, position, id) AS nth
		      FROM old.jobs
		      WHERE state = 'done'
		        AND id NOT IN (SELECT u.original FROM main.reused u JOIN main.sources o ON o.id = u.source WHERE o.file = ?)) j
		  ON j.key = l.key AND j.nth = l.nth
		ORDER BY 1`, 1},
	{`INSERT INTO main.sources (file, path, endpoint)
		SELECT DISTINCT ?1, ?2, coalesce(r.endpoint, o.endpoint)
		FROM temp.taken t JOIN old.jobs j ON j.id = t.original
		LEFT JOIN old.attempts a ON a.id = j.attempt LEFT JOIN old.runs r ON r.id = a.run
		LEFT JOIN old.reused u ON u.job = j.id LEFT JOIN old.sources o ON o.id = u.source
		WHERE true
		ON CONFLICT DO UPDATE SET path = excluded.path`, 2},
	{`INSERT INTO main.reused
		SELECT t.job, s.id, t.original, coalesce(a.status, u.status), coalesce(a.duration_ms, u.duration_ms), coalesce(a.request_id, u.request_id),
		  coalesce(a.prompt_tokens, u.prompt_tokens), coalesce(a.completion_tokens, u.completion_tokens), coalesce(a.total_tokens, u.total_tokens),
		  coalesce(a.cached_tokens, u.cached_tokens), coalesce(a.cache_write_tokens, u.cache_write_tokens),
		  coalesce(a.reasoning_tokens, u.reasoning_tokens), coalesce(a.audio_tokens, u.audio_tokens)
		FROM temp.taken t JOIN old.jobs j ON j.id = t.original
		LEFT JOIN old.attempts a ON a.id = j.attempt LEFT JOIN old.runs r ON r.id = a.run
		LEFT JOIN old.reused u ON u.job = j.id LEFT JOIN old.sources o ON o.id = u.source
		JOIN main.sources s ON s.file = ? AND s.endpoint = coalesce(r.endpoint, o.endpoint)`, 1},
	{`INSERT INTO main.answers (job, assembled, finish_reason, estimated_prompt, estimated, response)
		SELECT t.job, w.assembled, w.finish_reason, w.estimated_prompt, w.estimated, w.response
		FROM temp.taken t JOIN old.answers w ON w.job = t.original`, 0},
	{`UPDATE main.jobs SET state = 'done', attempt = 0, run_after = 0, last = 0
		WHERE state = 'pending' AND id IN (SELECT job FROM temp.taken)`, 0},
}

// Lenders are the places of the files that answers were taken over from.
func (s *Store) Lenders(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT DISTINCT path FROM sources ORDER BY 1")
	if err != nil {
		return nil, s.explain("read", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var path string
		if err := rows.Scan(&path); err != nil {
			return nil, s.explain("read", err)
		}
		all = append(all, path)
	}
	return all, rows.Err()
}

// ReusedTotal counts answers of the input that were taken over.
type ReusedTotal struct {
	Endpoint, Model, Finish string
	Answers                 int64
}

// Reused counts the answers of the input that were taken over from other files.
func (v *View) Reused(ctx context.Context) ([]ReusedTotal, error) {
	rows, err := v.tx.QueryContext(ctx, `
		SELECT o.endpoint, j.model, coalesce(w.finish_reason, ''), count(*)
		FROM reused u JOIN jobs j ON j.id = u.job JOIN sources o ON o.id = u.source JOIN answers w ON w.job = j.id
		WHERE j.position IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []ReusedTotal
	for rows.Next() {
		var t ReusedTotal
		if err := rows.Scan(&t.Endpoint, &t.Model, &t.Finish, &t.Answers); err != nil {
			return nil, v.s.explain("read", err)
		}
		all = append(all, t)
	}
	return all, v.s.explain("read", rows.Err())
}
