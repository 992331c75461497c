package store

import (
	"context"
	"database/sql"
	"errors"
)

// Wait is how long the first in line was held, over all runs.
type Wait struct {
	Why    string
	Millis int64
}

// Waits sums up what the calls were held by, the longest first.
func (v *View) Waits(ctx context.Context) ([]Wait, error) {
	rows, err := v.tx.QueryContext(ctx, "SELECT why, sum(ms) FROM waits GROUP BY why ORDER BY 2 DESC, 1")
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []Wait
	for rows.Next() {
		var w Wait
		if err := rows.Scan(&w.Why, &w.Millis); err != nil {
			return nil, v.s.explain("read", err)
		}
		all = append(all, w)
	}
	return all, v.s.explain("read", rows.Err())
}

// Limits returns what each endpoint stated last.
func (v *View) Limits(ctx context.Context) (map[string]Limits, error) {
	rows, err := v.tx.QueryContext(ctx, `
		SELECT endpoint, coalesce(requests, 0), coalesce(tokens, 0) FROM limits WHERE requests IS NOT NULL OR tokens IS NOT NULL`)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	all := map[string]Limits{}
	for rows.Next() {
		var endpoint string
		var l Limits
		if err := rows.Scan(&endpoint, &l.Requests, &l.Tokens); err != nil {
			return nil, v.s.explain("read", err)
		}
		all[endpoint] = l
	}
	return all, v.s.explain("read", rows.Err())
}

// ErrorKind is a number of attempts that failed alike, with the first of them as an example.
type ErrorKind struct {
	Class, Type, Code, Reason string
	Status                    int // 0 without an answer
	Attempts                  int64
	Fatal                     int64 // of these, attempts that failed a job of the input

	File, CustomID, Message, RequestID string
	HasCustomID                        bool
	Line                               int
}

// ErrorKinds returns the most frequent ways to fail, at most so many.
func (v *View) ErrorKinds(ctx context.Context, most int) ([]ErrorKind, error) {
	rows, err := v.tx.QueryContext(ctx, `
		WITH kinds AS (
		  SELECT class, coalesce(type, '') AS type, coalesce(code, '') AS code, coalesce(reason, '') AS reason, coalesce(status, 0) AS status,
		    count(*) AS n, sum(EXISTS (SELECT 1 FROM jobs j
		      WHERE j.id = attempts.job AND j.attempt = attempts.id AND j.state = 'failed' AND j.position IS NOT NULL)) AS fatal,
		    min(id) AS first
		  FROM attempts WHERE class <> 'done' GROUP BY 1, 2, 3, 4, 5 ORDER BY n DESC, first LIMIT ?)
		SELECT k.class, k.type, k.code, k.reason, k.status, k.n, k.fatal,
		  coalesce(i.path, ''), j.custom_id, coalesce(a.message, ''), coalesce(a.request_id, ''), j.line
		FROM kinds k JOIN attempts a ON a.id = k.first JOIN jobs j ON j.id = a.job LEFT JOIN inputs i ON i.number = j.input
		ORDER BY k.n DESC, k.first`, most)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []ErrorKind
	for rows.Next() {
		var k ErrorKind
		var id sql.NullString
		if err := rows.Scan(&k.Class, &k.Type, &k.Code, &k.Reason, &k.Status, &k.Attempts, &k.Fatal,
			&k.File, &id, &k.Message, &k.RequestID, &k.Line); err != nil {
			return nil, v.s.explain("read", err)
		}
		k.CustomID, k.HasCustomID = id.String, id.Valid
		all = append(all, k)
	}
	return all, v.s.explain("read", rows.Err())
}

// Place is where the prompt of a job stands.
type Place struct {
	File, CustomID string
	HasCustomID    bool
	Line           int
	Attempts       int
}

// Place tells where the prompt of a job stands, or stood.
func (v *View) Place(ctx context.Context, job int64) (Place, error) {
	var p Place
	var file, id sql.NullString
	err := v.tx.QueryRowContext(ctx, `
		SELECT i.path, j.custom_id, j.line, j.attempts FROM jobs j LEFT JOIN inputs i ON i.number = j.input WHERE j.id = ?`, job).
		Scan(&file, &id, &p.Line, &p.Attempts)
	if err != nil {
		return p, v.s.explain("read", err)
	}
	p.File, p.CustomID, p.HasCustomID = file.String, id.String, id.Valid
	return p, nil
}

// Sample yields answers of the input, at most so many, spread evenly over it. A Row is good only until the next one.
func (v *View) Sample(ctx context.Context, n int, each func(*Row) error) error {
	var purged *PurgedError
	if err := v.s.assertText(ctx); errors.As(err, &purged) {
		return nil // there is nothing to show
	} else if err != nil {
		return err
	}
	var first, last sql.NullInt64
	if err := v.tx.QueryRowContext(ctx, "SELECT min(position), max(position) FROM jobs WHERE position IS NOT NULL").Scan(&first, &last); err != nil {
		return v.s.explain("read", err)
	}
	from := first.Int64
	for i := range int64(n) {
		from = max(from, first.Int64+(last.Int64-first.Int64)*i/int64(n))
		position, found, err := v.sampleFrom(ctx, from, each)
		if err != nil || !found {
			return err
		}
		from = position + 1
	}
	return nil
}

func (v *View) sampleFrom(ctx context.Context, from int64, each func(*Row) error) (position int64, found bool, err error) {
	rows, err := v.tx.QueryContext(ctx, `
		SELECT j.position, i.path, j.line, j.custom_id, j.model, j.body, w.response, w.finish_reason
		FROM jobs j JOIN answers w ON w.job = j.id LEFT JOIN inputs i ON i.number = j.input
		WHERE j.position >= ? AND j.state = 'done' ORDER BY j.position LIMIT 1`, from)
	if err != nil {
		return 0, false, v.s.explain("read", err)
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return 0, false, v.s.explain("read", err)
		}
		return 0, false, nil // no answer stands behind it
	}
	row := Row{State: Done}
	var file, id, finish sql.NullString
	var body, response sql.RawBytes
	if err := rows.Scan(&position, &file, &row.Line, &id, &row.Model, &body, &response, &finish); err != nil {
		return 0, false, v.s.explain("read", err)
	}
	row.File, row.CustomID, row.HasCustomID = file.String, id.String, id.Valid
	row.Body, row.Response, row.FinishReason = body, response, finish.String
	return position, true, each(&row)
}
