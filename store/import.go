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
	Rows   int // jobs, skipped and shared lines
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

// Brakes says that so many answers are more to give up than is done by the way.
func Brakes(lost, answered int64) bool { return lost > brakeLeast && lost*brakeShare > answered }

// ImportOptions say what an import leaves beside the jobs.
type ImportOptions struct {
	Settings      map[string]string // written with the jobs
	AcceptChanges bool              // no brake
	Share         bool              // lines that ask the same have one job
	DryRun        bool              // undo everything in the end
	// Check looks at what the import came to; its error undoes everything, and is returned as it is.
	Check func(Imported) error
}

// Imported is what an import did, and where the jobs stand after it.
type Imported struct {
	Changes Changes
	Reused  []Tally // answers taken over, by the file that they come from
	Counts  Counts
	Backlog []Backlog
}

var errUndo = errors.New("dry run")

// Import replaces the input by the jobs that load adds, in one transaction: when load or the brake fails, nothing has
// changed. Jobs that were imported before are found again by their request, so answers stay with their prompts however
// the lines moved:
//
//   - the same custom_id and key, what Retry put into the input and then answered ones first, then in order of occurrence;
//   - then the same key under a custom_id that is no longer in the input; with Share, under any.
//
// A job whose request Retry changed is found by its line's own request, else by what is sent instead, by the line at its place before
// any other; the line that finds it is its own from then on. One that was replaced is not found. What is left of the old jobs is gone from the input but stays in the file, and serves again when its line comes back.
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
		if opt.Share {
			if err := imp.share(); err != nil {
				return err
			}
		}
		if done.Changes, err = imp.settle(opt.Share); err != nil {
			return err
		}
		if c := done.Changes; Brakes(c.AnsweredGone, c.Answered) && !opt.AcceptChanges {
			callers = &BrakeError{c}
			return callers
		}
		if err := s.writeSettings(ctx, opt.Settings); err != nil {
			return err
		}
		callers, err = s.conclude(ctx, &done, opt.Check, opt.DryRun)
		return err
	})
	return s.imported("import into", done, callers, err)
}

// conclude ends what changes jobs: it takes over answers, reads where the jobs stand, and asks check, whose error is returned apart too.
func (s *Store) conclude(ctx context.Context, done *Imported, check func(Imported) error, dryRun bool) (callers, err error) {
	if done.Reused, err = s.reuse(ctx); err != nil {
		return nil, err
	}
	if done.Counts, err = readCounts(ctx, s.conn, s.countedAs()); err != nil {
		return nil, err
	}
	if done.Backlog, err = readBacklog(ctx, s.conn, s.unanswered()); err != nil {
		return nil, err
	}
	if check != nil {
		callers = check(*done)
	}
	if callers == nil && dryRun {
		return nil, errUndo
	}
	return callers, callers
}

// imported tells what a transaction came to that conclude ended.
func (s *Store) imported(op string, done Imported, callers, err error) (Imported, error) {
	switch {
	case err == nil, errors.Is(err, errUndo):
		return done, nil
	case callers != nil:
		return Imported{}, callers
	}
	return Imported{}, s.explain(op, err)
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

// bound is what the table keeps of the most tokens that a request allows for its answer.
func bound(maxTokens int64, boundless bool) any {
	switch {
	case boundless:
		return 0
	case maxTokens <= 0 || maxTokens > noBound:
		return nil
	}
	return maxTokens
}

const importColumns = "position, input, line, tokens, max_tokens, model, custom_id, sample, trimmed, key, carried, body"

func (imp *Importer) begin() error {
	var any bool
	if err := imp.s.conn.QueryRowContext(imp.ctx, "SELECT EXISTS (SELECT 1 FROM jobs)").Scan(&any); err != nil {
		return err
	}
	imp.table = "jobs"
	if any {
		imp.table = "incoming"
	}
	script := `DELETE FROM inputs; DELETE FROM skipped; DELETE FROM shared;`
	if any {
		script += `
			CREATE TEMP TABLE IF NOT EXISTS incoming (
			  position INTEGER PRIMARY KEY, input INTEGER, line INTEGER, tokens INTEGER, max_tokens INTEGER,
			  model TEXT, custom_id TEXT, sample INTEGER, trimmed INTEGER, key BLOB, carried BLOB, body BLOB, job INTEGER
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
	var id, sample any
	if j.HasCustomID {
		id = j.CustomID
		imp.ids = true
	}
	if j.Sample > 0 {
		sample = j.Sample
	}
	imp.args = append(imp.args, imp.position, len(imp.inputs), j.Line, j.Tokens, bound(j.MaxTokens, j.Boundless), j.Model, id, sample, j.Trimmed, j.Key[:], nullable(j.Carried), j.Body)
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
	tuple := "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?), "
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

// Duplicates names the lines whose custom_id an earlier line of the input bears: at most limit of them, and their number. The first
// job of a line speaks for all of them: no two lines of different custom_ids have a job under the same one.
func (imp *Importer) Duplicates(limit int) ([]Duplicate, int, error) {
	if err := imp.flush(); err != nil || !imp.ids {
		return nil, 0, err
	}
	rows, err := imp.s.conn.QueryContext(imp.ctx, `
		WITH twice AS (
		  SELECT custom_id, min(position) AS first FROM `+imp.table+`
		  WHERE custom_id IS NOT NULL AND coalesce(sample, 1) = 1 GROUP BY custom_id HAVING count(*) > 1)
		SELECT `+ownID("d")+`, f.input, f.line, d.input, d.line
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

// SkipDuplicates leaves out every line whose custom_id an earlier line bears, with all its jobs. The files have been ended.
func (imp *Importer) SkipDuplicates() error {
	if err := imp.flush(); err != nil {
		return err
	}
	_, err := imp.s.conn.ExecContext(imp.ctx, `
		INSERT INTO skipped (position, input, line, custom_id, message)
		SELECT d.position, d.input, d.line, `+ownID("d")+`, 'custom_id: is already used at ' || i.path || ':' || f.line
		FROM `+imp.table+` d
		JOIN (SELECT custom_id, min(position) AS first FROM `+imp.table+`
		      WHERE custom_id IS NOT NULL AND coalesce(sample, 1) = 1 GROUP BY custom_id HAVING count(*) > 1) t
		  ON t.custom_id = d.custom_id AND d.position > t.first
		JOIN `+imp.table+` f ON f.position = t.first
		JOIN inputs i ON i.number = f.input;
		UPDATE inputs SET rows = rows - n FROM (
		  SELECT input, count(*) AS n FROM `+imp.table+`
		  WHERE sample > 1 AND position - (sample - 1) IN (SELECT position FROM skipped) GROUP BY input) AS more
		WHERE more.input = inputs.number;
		DELETE FROM `+imp.table+` WHERE position - coalesce(sample - 1, 0) IN (SELECT position FROM skipped)`)
	return err
}

// ownID is the custom_id of the line whose first job is table: without the #1 of that.
func ownID(table string) string {
	return fmt.Sprintf("iif(%[1]s.sample IS NULL, %[1]s.custom_id, substr(%[1]s.custom_id, 1, length(%[1]s.custom_id) - 2))", table)
}

// settle gives every line its job. A line that stands for all of its request takes any job of that request, whatever it was called.
func (imp *Importer) settle(share bool) (Changes, error) {
	if imp.table == "jobs" {
		var c Changes
		if _, err := imp.s.conn.ExecContext(imp.ctx, indexes); err != nil {
			return c, err
		}
		return c, imp.s.conn.QueryRowContext(imp.ctx, "SELECT count(*) FROM jobs").Scan(&c.New)
	}
	changed := false
	if err := imp.s.conn.QueryRowContext(imp.ctx, "SELECT EXISTS (SELECT 1 FROM jobs WHERE origin IS NOT NULL)").Scan(&changed); err != nil {
		return Changes{}, err
	}
	rounds := []string{match(exactly, lineKey, ""), match(byKey, lineKey, unnamed)}
	if changed {
		rounds = append(rounds, match(exactly, "key", ""), match(byKey, "key", unnamed))
	}
	if share {
		rounds = []string{match(byKey, lineKey, ""), match(byKey, "key", "")}
	}
	if changed {
		rounds = append([]string{inPlace}, rounds...)
	}
	for _, round := range rounds {
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
	// Answered ones first; but what retry put in the place of another is not left for an older answer.
	jobOrder = `ORDER BY CASE WHEN position IS NOT NULL AND state = 'done' THEN 0
	    WHEN position IS NOT NULL AND id IN (SELECT replaced FROM jobs WHERE replaced IS NOT NULL) THEN 1
	    WHEN state = 'done' THEN 2 ELSE 3 END, position IS NULL, position, id`

	// A job whose request was changed is found by the line that it came from, and then by one that says what is sent.
	lineKey = "coalesce(origin, key)"

	// What retry changed can be found in two ways, so that its line must find it before another does.
	inPlace = `
		UPDATE temp.incoming AS n SET job = j.id FROM jobs j
		WHERE j.position = n.position AND j.custom_id IS n.custom_id AND n.key IN (coalesce(j.origin, j.key), j.key) AND j.origin IS NOT NULL`

	exactly = `
		UPDATE temp.incoming AS n SET job = m.id FROM (
		  SELECT l.position, j.id
		  FROM (SELECT position, custom_id, key, row_number() OVER (PARTITION BY key, custom_id ORDER BY position) AS nth
		        FROM temp.incoming WHERE job IS NULL) l
		  JOIN (SELECT id, custom_id, KEY AS key, row_number() OVER (PARTITION BY KEY, custom_id ` + jobOrder + `) AS nth
		        FROM jobs
		        WHERE replaced IS NULL AND id NOT IN (SELECT job FROM temp.incoming WHERE job IS NOT NULL)) j
		    ON j.key = l.key AND j.custom_id IS l.custom_id AND j.nth = l.nth) AS m
		WHERE n.position = m.position`

	byKey = `
		UPDATE temp.incoming AS n SET job = m.id FROM (
		  SELECT l.position, j.id
		  FROM (SELECT position, key, row_number() OVER (PARTITION BY key ORDER BY position) AS nth
		        FROM temp.incoming WHERE job IS NULL) l
		  JOIN (SELECT id, KEY AS key, row_number() OVER (PARTITION BY KEY ` + jobOrder + `) AS nth
		        FROM jobs
		        WHERE replaced IS NULL AND id NOT IN (SELECT job FROM temp.incoming WHERE job IS NOT NULL) NAMED) j
		    ON j.key = l.key AND j.nth = l.nth) AS m
		WHERE n.position = m.position`

	// A job that was never sent takes the line's own spelling of the request. One that was sent keeps its bytes: its
	// idempotency key is made of them. One whose request retry changed keeps that, and from now on comes from the line that found it: a
	// line that says what is sent instead must find it after the next change, too.
	takeOver = `
		UPDATE jobs SET position = NULL WHERE position IS NOT NULL;
		UPDATE jobs SET position = n.position, input = n.input, line = n.line, custom_id = n.custom_id, sample = n.sample, trimmed = n.trimmed,
		  carried = n.carried,
		  tokens = iif(jobs.origin IS NULL, n.tokens, jobs.tokens), max_tokens = iif(jobs.origin IS NULL, n.max_tokens, jobs.max_tokens),
		  body = iif(jobs.attempts = 0 AND jobs.origin IS NULL, n.body, jobs.body),
		  origin = iif(jobs.origin IS NULL, NULL, nullif(n.key, jobs.key))
		FROM temp.incoming n WHERE n.job = jobs.id;
		INSERT INTO jobs (` + importColumns + `)
		SELECT ` + importColumns + ` FROM temp.incoming WHERE job IS NULL ORDER BY position;
		DROP TABLE temp.incoming`
)

// unnamed are the jobs that no line of the input has a claim to by its custom_id.
const unnamed = "AND (custom_id IS NULL OR custom_id NOT IN (SELECT custom_id FROM temp.incoming WHERE custom_id IS NOT NULL))"

// match is a round that finds jobs by a key of theirs, among those of certain names.
func match(round, key, named string) string {
	return strings.NewReplacer("KEY", key, "NAMED", named).Replace(round)
}

// count says what takeOver is about to do. A changed line is a new one that stands where a gone one stood: under the
// same custom_id, or without one on the same line, as the same sample of it.
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
		   AND coalesce(g.sample, 1) = coalesce(n.sample, 1)
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
