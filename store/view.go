package store

import (
	"context"
	"database/sql"
	"iter"
	"time"
)

// View is a consistent picture of the job file at one moment; a run may go on beside it. Keep it short: the write-ahead
// log cannot shrink while a View is open.
type View struct {
	s  *Store
	tx *sql.Tx
}

// View begins to read.
func (s *Store) View(ctx context.Context) (*View, error) {
	tx, err := s.read.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, s.explain("read", err)
	}
	return &View{s: s, tx: tx}, nil
}

// Close ends the picture.
func (v *View) Close() error { return v.tx.Rollback() }

// Counts is where the jobs of the present input stand.
type Counts struct {
	Jobs, Pending, Running, Done, Failed int64
	Skipped                              int64 // bad lines left out
	Shared                               int64 // lines that ask what a job of another line asks
	PendingTokens                        int64 // estimated prompt tokens of the pending and running ones
}

// Counts reads where the jobs of the input stand.
func (v *View) Counts(ctx context.Context) (Counts, error) {
	c, err := readCounts(ctx, v.tx, v.s.countedAs())
	if err != nil {
		return c, v.s.explain("read", err)
	}
	return c, nil
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func readCounts(ctx context.Context, q querier, state string) (Counts, error) {
	var c Counts
	rows, err := q.QueryContext(ctx, `
		SELECT `+state+`, count(*), coalesce(sum(tokens), 0) FROM jobs WHERE position IS NOT NULL GROUP BY 1`)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	for rows.Next() {
		var state State
		var n, tokens int64
		if err := rows.Scan(&state, &n, &tokens); err != nil {
			return c, err
		}
		c.Jobs += n
		switch state {
		case Pending:
			c.Pending, c.PendingTokens = n, c.PendingTokens+tokens
		case Running:
			c.Running, c.PendingTokens = n, c.PendingTokens+tokens
		case Done:
			c.Done = n
		case Failed:
			c.Failed = n
		}
	}
	if err := rows.Err(); err != nil {
		return c, err
	}
	return c, q.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM skipped), (SELECT count(*) FROM shared)").Scan(&c.Skipped, &c.Shared)
}

// Models names the models that the jobs of the file request, in order.
func (v *View) Models(ctx context.Context) ([]string, error) {
	rows, err := v.tx.QueryContext(ctx, "SELECT DISTINCT model FROM jobs ORDER BY model")
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var model string
		if err := rows.Scan(&model); err != nil {
			return nil, v.s.explain("read", err)
		}
		all = append(all, model)
	}
	return all, v.s.explain("read", rows.Err())
}

// Tally is a number of things of one kind.
type Tally struct {
	Kind string
	N    int64
}

// FinishReasons counts the answers of the input by why they ended; "" is an answer that did not say.
func (v *View) FinishReasons(ctx context.Context) ([]Tally, error) {
	return v.tally(ctx, `
		SELECT coalesce(a.finish_reason, ''), count(*) FROM jobs j JOIN answers a ON a.job = j.id
		WHERE j.state = 'done' AND j.position IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1`)
}

// Failures counts the failed jobs of the input by code, else type, else status.
func (v *View) Failures(ctx context.Context) ([]Tally, error) {
	return v.tally(ctx, `
		SELECT coalesce(a.code, a.type, a.reason, 'status ' || a.status, a.class), count(*)
		FROM jobs j JOIN attempts a ON a.id = j.attempt
		WHERE j.state = 'failed' AND j.position IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1`)
}

// Endpoints names the endpoints that the answers of the input came from.
func (v *View) Endpoints(ctx context.Context) ([]Tally, error) {
	return v.tally(ctx, `
		SELECT coalesce(r.endpoint, o.endpoint), count(*) FROM jobs j
		LEFT JOIN attempts a ON a.id = j.attempt LEFT JOIN runs r ON r.id = a.run
		LEFT JOIN reused u ON u.job = j.id LEFT JOIN sources o ON o.id = u.source
		WHERE j.state = 'done' AND j.position IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1`)
}

func (v *View) tally(ctx context.Context, query string) ([]Tally, error) {
	rows, err := v.tx.QueryContext(ctx, query)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []Tally
	for rows.Next() {
		var t Tally
		if err := rows.Scan(&t.Kind, &t.N); err != nil {
			return nil, v.s.explain("read", err)
		}
		all = append(all, t)
	}
	return all, v.s.explain("read", rows.Err())
}

// rowsQuery reads what rowScan scans: the rows of the jobs j, from the tables of a schema, each behind its position.
func rowsQuery(position, jobs, schema, order string) string {
	return "SELECT " + position + `, j.id, j.state, i.path, j.line, j.custom_id, j.sample, j.trimmed, j.model, j.key, j.body, j.carried, j.attempts, j.unknown > 0,
	  a.class, u.job IS NOT NULL, coalesce(r.endpoint, o.endpoint), coalesce(a.status, u.status), coalesce(a.request_id, u.request_id),
	  coalesce(a.duration_ms, u.duration_ms), coalesce(a.prompt_tokens, u.prompt_tokens), coalesce(a.completion_tokens, u.completion_tokens),
	  coalesce(a.total_tokens, u.total_tokens), coalesce(a.cached_tokens, u.cached_tokens), coalesce(a.cache_write_tokens, u.cache_write_tokens),
	  coalesce(a.reasoning_tokens, u.reasoning_tokens), coalesce(a.audio_tokens, u.audio_tokens),
	  a.type, a.code, a.message, a.body,
	  w.response, w.assembled, w.finish_reason, w.estimated_prompt, w.estimated
	FROM ` + jobs + `
	LEFT JOIN ` + schema + `.inputs i ON i.number = j.input
	LEFT JOIN ` + schema + `.attempts a ON a.id = j.attempt AND j.state IN ('done', 'failed')
	LEFT JOIN ` + schema + `.runs r ON r.id = a.run
	LEFT JOIN ` + schema + `.reused u ON u.job = j.id AND j.attempt = 0
	LEFT JOIN ` + schema + `.sources o ON o.id = u.source
	LEFT JOIN ` + schema + `.answers w ON w.job = j.id AND j.state = 'done'
	WHERE j.position IS NOT NULL ` + order
}

// Rows yields the prompts of the input in input order, the skipped and the shared lines among them. A Row and its bytes are good only
// until the next one.
func (v *View) Rows(ctx context.Context) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		if err := v.rows(ctx, yield); err != nil {
			yield(nil, v.s.explain("read", err))
		}
	}
}

func (v *View) rows(ctx context.Context, yield func(*Row, error) bool) error {
	if err := v.s.assertText(ctx); err != nil {
		return err
	}
	simulated, err := v.s.simulated(ctx)
	if err != nil {
		return err
	}
	asides, err := v.asides(ctx)
	if err != nil {
		return err
	}
	defer asides.close()
	rows, err := v.tx.QueryContext(ctx, rowsQuery("j.position", "main.jobs j", "main", "ORDER BY j.position"))
	if err != nil {
		return err
	}
	defer rows.Close()
	pass := func(row *Row) bool {
		row.Simulated = simulated && !row.Skipped
		return yield(row, nil)
	}
	var scan rowScan
	for rows.Next() {
		row, err := scan.row(rows)
		if err != nil {
			return err
		}
		if more, err := asides.before(scan.position, pass); err != nil || !more {
			return err
		}
		if !pass(row) {
			return nil
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = asides.before(end, pass)
	return err
}

// SettingBudget begins the names of the settings that limit what may be spent.
const SettingBudget = "budget."

// SettingSimulated is the setting that is "true" in a job file whose answers are made up.
const SettingSimulated = "simulated"

func (s *Store) simulated(ctx context.Context) (bool, error) {
	var n int
	err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM settings WHERE name = ? AND value = 'true'", SettingSimulated).Scan(&n)
	return n > 0, err
}

func scanSkipped(rows *sql.Rows) (position int64, row *Row, err error) {
	var file, id sql.NullString
	row = &Row{Skipped: true}
	err = rows.Scan(&position, &file, &row.Line, &id, &row.Message)
	row.File, row.CustomID, row.HasCustomID = file.String, id.String, id.Valid
	return position, row, err
}

// rowScan holds what one row is scanned into, so that a million rows do not allocate it a million times.
type rowScan struct {
	Row                                                                         Row
	position                                                                    int64
	file, id, class, endpoint, request, kind, code, message, finish             sql.NullString
	status, duration, prompt, completion, total, assembled, estPrompt, estimate sql.NullInt64
	cached, written, thought, audio, sample                                     sql.NullInt64
	key, body, carried, errBody, response                                       sql.RawBytes
}

func (c *rowScan) row(rows *sql.Rows) (*Row, error) {
	r := &c.Row
	if err := rows.Scan(&c.position, &r.ID, &r.State, &c.file, &r.Line, &c.id, &c.sample, &r.Trimmed, &r.Model, &c.key, &c.body, &c.carried, &r.Attempts, &r.PossiblyPaid,
		&c.class, &r.Reused, &c.endpoint, &c.status, &c.request, &c.duration, &c.prompt, &c.completion, &c.total,
		&c.cached, &c.written, &c.thought, &c.audio,
		&c.kind, &c.code, &c.message, &c.errBody,
		&c.response, &c.assembled, &c.finish, &c.estPrompt, &c.estimate); err != nil {
		return nil, err
	}
	r.File, r.CustomID, r.HasCustomID = c.file.String, c.id.String, c.id.Valid
	r.Sample = int(c.sample.Int64)
	r.Key, r.Body, r.Carried, r.ErrorBody, r.Response = c.key, c.body, c.carried, c.errBody, c.response
	r.Class, r.Endpoint, r.Status, r.RequestID = c.class.String, c.endpoint.String, int(c.status.Int64), c.request.String
	r.Latency = time.Duration(within(c.duration.Int64, maxDuration)) * time.Millisecond
	r.Usage = tokensOf(c.prompt, c.completion, c.total, c.cached, c.written, c.thought, c.audio)
	r.PlainOnly = c.total.Valid && !c.cached.Valid
	r.Type, r.Code, r.Message = c.kind.String, c.code.String, c.message.String
	r.Assembled, r.FinishReason = c.assembled.Int64 == 1, c.finish.String
	r.EstimatedPrompt, r.Estimated = within(c.estPrompt.Int64, maxTokens), within(c.estimate.Int64, maxTokens)
	return r, nil
}

// Totals sums what was used, a line per endpoint and requested model. The tokens of the done rows, the wasted and the
// gone add up to all that the API reported for this file.
func (v *View) Totals(ctx context.Context) ([]UsageTotal, error) {
	simulated, err := v.s.simulated(ctx)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	rows, err := v.tx.QueryContext(ctx, `
		WITH parts (run, model, jobs, done, failed, pending, attempts, prompt, completion, total, estimated, unknown, wasted, gone, paid, reused, spared) AS (
		  SELECT coalesce(a.run, -u.source, (SELECT max(id) FROM runs), 0), j.model,
		    count(*), sum(j.state = 'done'), sum(j.state = 'failed'), sum(j.state IN ('pending', 'running')), 0,
		    sum(iif(j.state = 'done', a.prompt_tokens, 0)), sum(iif(j.state = 'done', a.completion_tokens, 0)),
		    sum(iif(j.state = 'done', a.total_tokens, 0)), 0, sum(j.state = 'done' AND a.total_tokens IS NULL AND u.job IS NULL), 0, 0, 0,
		    count(u.job), sum(u.total_tokens)
		  FROM jobs j LEFT JOIN attempts a ON a.id = j.attempt LEFT JOIN reused u ON u.job = j.id
		  WHERE j.position IS NOT NULL GROUP BY 1, 2
		  UNION ALL
		  SELECT a.run, j.model, 0, 0, 0, 0, 0, 0, 0, 0, sum(w.estimated), 0, 0, 0, 0, 0, 0
		  FROM attempts a JOIN jobs j ON j.id = a.job AND j.attempt = a.id JOIN answers w ON w.job = j.id
		  WHERE a.total_tokens IS NULL AND a.class = 'done' AND j.position IS NOT NULL GROUP BY 1, 2
		  UNION ALL
		  SELECT a.run, j.model, 0, 0, 0, 0, count(*), 0, 0, 0, 0, 0,
		    sum(iif(j.state = 'done' AND j.attempt = a.id, 0, a.total_tokens)),
		    sum(iif(j.state = 'done' AND j.attempt = a.id AND j.position IS NULL, a.total_tokens, 0)),
		    sum(a.class = 'unknown' OR (a.class = 'interrupted' AND a.sent)), 0, 0
		  FROM attempts a JOIN jobs j ON j.id = a.job GROUP BY 1, 2)
		SELECT coalesce(r.endpoint, o.endpoint, ''), model, sum(jobs), sum(done), sum(failed), sum(pending), sum(attempts),
		  coalesce(sum(prompt), 0), coalesce(sum(completion), 0), coalesce(sum(total), 0), coalesce(sum(estimated), 0), sum(unknown),
		  coalesce(sum(wasted), 0), coalesce(sum(gone), 0), coalesce(sum(paid), 0), sum(reused), coalesce(sum(spared), 0)
		FROM parts LEFT JOIN runs r ON r.id = parts.run LEFT JOIN sources o ON o.id = -parts.run GROUP BY 1, 2 ORDER BY 1, 2`)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []UsageTotal
	for rows.Next() {
		t := UsageTotal{Simulated: simulated}
		if err := rows.Scan(&t.Endpoint, &t.Model, &t.Jobs, &t.Done, &t.Failed, &t.Pending, &t.Attempts, &t.Prompt, &t.Completion,
			&t.Total, &t.Estimated, &t.UsageUnknown, &t.Wasted, &t.Gone, &t.PossiblyPaid, &t.Reused, &t.ReusedTokens); err != nil {
			return nil, v.s.explain("read", err)
		}
		all = append(all, t)
	}
	return all, v.s.explain("read", rows.Err())
}
