package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Input is a prompt file as it was imported.
type Input struct {
	Path   string // as its user named it
	Place  string // the absolute path of that
	SHA256 [32]byte
	Size   int64
	Rows   int // jobs and skipped lines
}

// Changes counts what an import did to the jobs of the input.
type Changes struct {
	New, Changed, Kept, Gone int64
	AnsweredGone             int64 // answered jobs that this import took out of the input
	Answered                 int64 // answered jobs that stood in the input before
}

// BrakeError says that an import would throw more answers out of the input than an edit usually does; it was undone.
type BrakeError struct{ Changes Changes }

func (e *BrakeError) Error() string {
	return fmt.Sprintf("%d of %d answered prompts are no longer in the input", e.Changes.AnsweredGone, e.Changes.Answered)
}

// The brake: more than a tenth of the answered jobs, and more than 20.
const (
	brakeShare = 10
	brakeLeast = 20
)

// ImportOptions say what an import leaves beside the jobs.
type ImportOptions struct {
	Settings      map[string]string // written with the jobs
	AcceptChanges bool              // no brake
	DryRun        bool              // undo everything in the end
	// Check looks at what the import came to; its error undoes everything, and is returned as it is.
	Check func(Imported) error
}

// Imported is what an import did, and where the jobs stand after it.
type Imported struct {
	Changes Changes
	Counts  Counts
	Backlog []Backlog
}

var errUndo = errors.New("dry run")

// Import replaces the input by the jobs that load adds, in one transaction: when load or the brake fails, nothing has
// changed. Jobs that were imported before are found again by their request, so answers stay with their prompts however
// the lines moved:
//
//   - the same custom_id and key, answered ones first, then in order of occurrence;
//   - then the same key under a custom_id that is no longer in the input.
//
// What is left of the old jobs is gone from the input but stays in the file, and serves again when its line comes back.
func (s *Store) Import(ctx context.Context, opt ImportOptions, load func(*Importer) error) (Imported, error) {
	var done Imported
	var callers error // the caller's own or the brake's, to be returned as they are
	err := s.transact(ctx, func() error {
		ctx := context.WithoutCancel(ctx)
		imp := &Importer{s: s, ctx: ctx}
		err := imp.begin()
		if err != nil {
			return err
		}
		if callers = load(imp); callers != nil {
			return callers
		}
		if err := imp.flush(); err != nil {
			return err
		}
		if done.Changes, err = imp.settle(); err != nil {
			return err
		}
		if c := done.Changes; c.AnsweredGone > brakeLeast && c.AnsweredGone*brakeShare > c.Answered && !opt.AcceptChanges {
			callers = &BrakeError{c}
			return callers
		}
		if err := s.writeSettings(ctx, opt.Settings); err != nil {
			return err
		}
		if done.Counts, err = readCounts(ctx, s.conn); err != nil {
			return err
		}
		if done.Backlog, err = readBacklog(ctx, s.conn, unanswered); err != nil {
			return err
		}
		if opt.Check != nil {
			if callers = opt.Check(done); callers != nil {
				return callers
			}
		}
		if opt.DryRun {
			return errUndo
		}
		return nil
	})
	switch {
	case err == nil, errors.Is(err, errUndo):
		return done, nil
	case callers != nil:
		return Imported{}, callers
	}
	return Imported{}, s.explain("import into", err)
}

// Importer takes the lines of an import in input order.
type Importer struct {
	s        *Store
	ctx      context.Context
	table    string // jobs for the first import, else incoming
	position int64
	inputs   []string
	args     []any
	rows     int
	bytes    int
	ids      bool // some line has a custom_id
}

// A row costs a dozen microseconds as a statement of its own and a third of that among fifty. Large rows gain nothing.
const (
	importGroup = 50
	importBytes = 1 << 20
)

// noBound is more tokens than any answer has: a request that allows more does not bound it. Sums over all jobs stay integers.
const noBound = 1e10

const importColumns = "position, input, line, tokens, max_tokens, model, custom_id, key, carried, body"

func (imp *Importer) begin() error {
	var any bool
	if err := imp.s.conn.QueryRowContext(imp.ctx, "SELECT EXISTS (SELECT 1 FROM jobs)").Scan(&any); err != nil {
		return err
	}
	imp.table = "jobs"
	if any {
		imp.table = "incoming"
	}
	script := `DELETE FROM inputs; DELETE FROM skipped;`
	if any {
		script += `
			CREATE TEMP TABLE IF NOT EXISTS incoming (
			  position INTEGER PRIMARY KEY, input INTEGER, line INTEGER, tokens INTEGER, max_tokens INTEGER,
			  model TEXT, custom_id TEXT, key BLOB, carried BLOB, body BLOB, job INTEGER
			) STRICT;
			DELETE FROM temp.incoming;`
	}
	_, err := imp.s.conn.ExecContext(imp.ctx, script)
	return err
}

// File begins a prompt file; the lines added next are its own.
func (imp *Importer) File(path string) { imp.inputs = append(imp.inputs, path) }

// EndFile records what the file was, so that the same bytes need not be parsed again.
func (imp *Importer) EndFile(in Input) error {
	return imp.s.exec(imp.ctx, "INSERT INTO inputs (number, path, place, sha256, size, rows) VALUES (?, ?, ?, ?, ?, ?)",
		len(imp.inputs), in.Path, in.Place, in.SHA256[:], in.Size, in.Rows)
}

// Add takes a good line.
func (imp *Importer) Add(j Job) error {
	imp.position++
	var id, most any
	switch {
	case j.Boundless:
		most = 0
	case j.MaxTokens > 0 && j.MaxTokens <= noBound:
		most = j.MaxTokens
	}
	if j.HasCustomID {
		id = j.CustomID
		imp.ids = true
	}
	imp.args = append(imp.args, imp.position, len(imp.inputs), j.Line, j.Tokens, most, j.Model, id, j.Key[:], nullable(j.Carried), j.Body)
	imp.bytes += len(j.Body) + len(j.Carried)
	if imp.rows++; imp.rows < importGroup && imp.bytes < importBytes {
		return nil
	}
	return imp.flush()
}

// Skip takes a bad line that is left out.
func (imp *Importer) Skip(l Skipped) error {
	imp.position++
	return imp.s.exec(imp.ctx, "INSERT INTO skipped (position, input, line, custom_id, message) VALUES (?, ?, ?, ?, ?)",
		imp.position, len(imp.inputs), l.Line, text(l.CustomID), l.Message)
}

func (imp *Importer) flush() error {
	if imp.rows == 0 {
		return nil
	}
	tuple := "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?), "
	query := "INSERT INTO " + imp.table + " (" + importColumns + ") VALUES " +
		strings.TrimSuffix(strings.Repeat(tuple, imp.rows), ", ")
	err := imp.s.exec(imp.ctx, query, imp.args...)
	clear(imp.args) // let the bodies go
	imp.args, imp.rows, imp.bytes = imp.args[:0], 0, 0
	return err
}

// Duplicate is a custom_id that two lines bear.
type Duplicate struct {
	CustomID            string
	FirstFile, ThisFile string
	FirstLine, ThisLine int
}

// Duplicates names the lines whose custom_id an earlier line of the input bears: at most limit of them, and their number.
func (imp *Importer) Duplicates(limit int) ([]Duplicate, int, error) {
	if err := imp.flush(); err != nil || !imp.ids {
		return nil, 0, err
	}
	rows, err := imp.s.conn.QueryContext(imp.ctx, `
		WITH twice AS (
		  SELECT custom_id, min(position) AS first FROM `+imp.table+`
		  WHERE custom_id IS NOT NULL GROUP BY custom_id HAVING count(*) > 1)
		SELECT t.custom_id, f.input, f.line, d.input, d.line
		FROM `+imp.table+` d
		JOIN twice t ON t.custom_id = d.custom_id AND d.position > t.first
		JOIN `+imp.table+` f ON f.position = t.first
		ORDER BY d.position`)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	var all []Duplicate
	n := 0
	for ; rows.Next(); n++ {
		if len(all) == limit {
			continue
		}
		var d Duplicate
		var first, this int
		if err := rows.Scan(&d.CustomID, &first, &d.FirstLine, &this, &d.ThisLine); err != nil {
			return nil, 0, err
		}
		d.FirstFile, d.ThisFile = imp.inputs[first-1], imp.inputs[this-1]
		all = append(all, d)
	}
	return all, n, rows.Err()
}

// SkipDuplicates leaves out every line whose custom_id an earlier line bears. The files have been ended.
func (imp *Importer) SkipDuplicates() error {
	if err := imp.flush(); err != nil {
		return err
	}
	_, err := imp.s.conn.ExecContext(imp.ctx, `
		INSERT INTO skipped (position, input, line, custom_id, message)
		SELECT d.position, d.input, d.line, d.custom_id, 'custom_id: is already used at ' || i.path || ':' || f.line
		FROM `+imp.table+` d
		JOIN (SELECT custom_id, min(position) AS first FROM `+imp.table+`
		      WHERE custom_id IS NOT NULL GROUP BY custom_id HAVING count(*) > 1) t
		  ON t.custom_id = d.custom_id AND d.position > t.first
		JOIN `+imp.table+` f ON f.position = t.first
		JOIN inputs i ON i.number = f.input;
		DELETE FROM `+imp.table+` WHERE position IN (SELECT position FROM skipped)`)
	return err
}

// settle gives every line its job.
func (imp *Importer) settle() (Changes, error) {
	if imp.table == "jobs" {
		var c Changes
		if _, err := imp.s.conn.ExecContext(imp.ctx, indexes); err != nil {
			return c, err
		}
		return c, imp.s.conn.QueryRowContext(imp.ctx, "SELECT count(*) FROM jobs").Scan(&c.New)
	}
	for _, round := range []string{matchExactly, matchByKey} {
		if err := imp.s.exec(imp.ctx, round); err != nil {
			return Changes{}, err
		}
	}
	c, err := imp.count()
	if err != nil {
		return c, err
	}
	_, err = imp.s.conn.ExecContext(imp.ctx, takeOver)
	return c, err
}

// The rounds of Import: lines and jobs of one group are numbered alike and paired by that number.
const (
	jobOrder = "ORDER BY (state = 'done') DESC, position IS NULL, position, id"

	matchExactly = `
		UPDATE temp.incoming AS n SET job = m.id FROM (
		  SELECT l.position, j.id
		  FROM (SELECT position, custom_id, key, row_number() OVER (PARTITION BY key, custom_id ORDER BY position) AS nth
		        FROM temp.incoming) l
		  JOIN (SELECT id, custom_id, key, row_number() OVER (PARTITION BY key, custom_id ` + jobOrder + `) AS nth
		        FROM jobs) j
		    ON j.key = l.key AND j.custom_id IS l.custom_id AND j.nth = l.nth) AS m
		WHERE n.position = m.position`

	matchByKey = `
		UPDATE temp.incoming AS n SET job = m.id FROM (
		  SELECT l.position, j.id
		  FROM (SELECT position, key, row_number() OVER (PARTITION BY key ORDER BY position) AS nth
		        FROM temp.incoming WHERE job IS NULL) l
		  JOIN (SELECT id, key, row_number() OVER (PARTITION BY key ` + jobOrder + `) AS nth
		        FROM jobs
		        WHERE id NOT IN (SELECT job FROM temp.incoming WHERE job IS NOT NULL)
		          AND (custom_id IS NULL OR custom_id NOT IN (SELECT custom_id FROM temp.incoming WHERE custom_id IS NOT NULL))) j
		    ON j.key = l.key AND j.nth = l.nth) AS m
		WHERE n.position = m.position`

	// A job that was never sent takes the line's own spelling of the request. One that was sent keeps its bytes: its
	// idempotency key is made of them.
	takeOver = `
		UPDATE jobs SET position = NULL WHERE position IS NOT NULL;
		UPDATE jobs SET position = n.position, input = n.input, line = n.line, custom_id = n.custom_id, carried = n.carried,
		  tokens = n.tokens, max_tokens = n.max_tokens, body = CASE WHEN jobs.attempts = 0 THEN n.body ELSE jobs.body END
		FROM temp.incoming n WHERE n.job = jobs.id;
		INSERT INTO jobs (` + importColumns + `)
		SELECT ` + importColumns + ` FROM temp.incoming WHERE job IS NULL ORDER BY position;
		DROP TABLE temp.incoming`
)

// count says what takeOver is about to do. A changed line is a new one that stands where a gone one stood: under the
// same custom_id, or without one on the same line.
func (imp *Importer) count() (Changes, error) {
	var c Changes
	err := imp.s.conn.QueryRowContext(imp.ctx, `
		SELECT
		  (SELECT count(*) FROM temp.incoming WHERE job IS NULL),
		  (SELECT count(*) FROM temp.incoming WHERE job IS NOT NULL),
		  (SELECT count(*) FROM jobs WHERE position IS NOT NULL AND id NOT IN (SELECT job FROM temp.incoming WHERE job IS NOT NULL)),
		  (SELECT count(*) FROM jobs WHERE position IS NOT NULL AND state = 'done' AND id NOT IN (SELECT job FROM temp.incoming WHERE job IS NOT NULL)),
		  (SELECT count(*) FROM jobs WHERE position IS NOT NULL AND state = 'done'),
		  (SELECT count(*) FROM temp.incoming n JOIN jobs g ON g.custom_id = n.custom_id
		   WHERE n.job IS NULL AND g.position IS NOT NULL AND g.id NOT IN (SELECT job FROM temp.incoming WHERE job IS NOT NULL))
		  +
		  (SELECT count(*) FROM temp.incoming n JOIN jobs g ON g.input = n.input AND g.line = n.line
		   WHERE n.job IS NULL AND n.custom_id IS NULL AND g.custom_id IS NULL
		     AND g.position IS NOT NULL AND g.id NOT IN (SELECT job FROM temp.incoming WHERE job IS NOT NULL))`).
		Scan(&c.New, &c.Kept, &c.Gone, &c.AnsweredGone, &c.Answered, &c.Changed)
	c.New -= c.Changed
	c.Gone -= c.Changed
	return c, err
}

func nullable(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}
