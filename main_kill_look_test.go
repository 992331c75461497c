package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"batch/runner/chat"
	"batch/store"
)

// What a kill can meet, as far as what it left behind tells.
const (
	untouched      = "nothing had been done"
	makingJobFile  = "the job file was being made"
	firstImport    = "the first prompts were not all in the job file"
	inRecovery     = "the kill before had not been recovered from"
	furtherImport  = "further prompts were not all in the job file"
	beforeRun      = "all was ready to call"
	callsInFlight  = "jobs were claimed and calls in flight"
	noCallInFlight = "a run began or ended, with nothing in flight"
	writingFiles   = "an output file was in the making"
	afterRun       = "the run had ended"

	// Beside these, and more than one of them at a time:
	claimedUnsent   = "a job was claimed and its call had not come"
	onWire          = "a call had come and had no answer"
	answeredUnsaved = "a call was answered and the answer not saved"
	afterSaving     = "answers of the run were saved"
	checkpointing   = "the write-ahead log was being moved into the job file"
)

// look holds what a child left behind against all that must hold at any moment. It reads a copy: SQLite repairs what it opens, and
// that is the next child's to do.
func (v *victim) look(killed bool) {
	v.t.Helper()
	phase := untouched
	if identify(v.jobFile()) != v.before.jobFile {
		phase = makingJobFile
	}
	if path := v.copyJobFile(); path != "" {
		defer os.RemoveAll(filepath.Dir(path))
		switch wrong, err := verifyCopy(path); {
		case errors.Is(err, store.ErrNotJobFile):
			if len(v.saved) > 0 {
				v.t.Error(err)
			}
		case err != nil:
			v.t.Errorf("verify: %v", err)
		case len(wrong) > 0:
			v.t.Errorf("verify: %q", wrong)
		default:
			phase = v.lookInside(path, killed)
		}
	}
	if killed {
		made := slices.DeleteFunc(v.temporary(), func(name string) bool { return slices.Contains(v.before.litter, name) })
		if len(made) > 0 {
			phase = writingFiles
		}
		v.tally.kills++
		v.tally.phases[phase]++
	}
	v.lookAtResults(false)
	v.checkAll(killed, false)
}

func (v *victim) copyJobFile() string {
	dir := v.t.TempDir()
	for _, suffix := range []string{"-wal", ""} {
		b, err := os.ReadFile(v.jobFile() + suffix)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(b) == 0 {
			if suffix == "" {
				return ""
			}
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "copy.batch.db"+suffix), b, 0o600)
		}
		if err != nil {
			v.t.Fatal(err)
		}
	}
	return filepath.Join(dir, "copy.batch.db")
}

// verifyCopy asks package store, which checks the pages too.
func verifyCopy(path string) ([]string, error) {
	ctx := context.Background()
	st, err := store.OpenRead(ctx, path)
	if err != nil {
		return nil, err
	}
	defer st.Close()
	view, err := st.View(ctx)
	if err != nil {
		return nil, err
	}
	defer view.Close()
	wrong, err := view.Verify(ctx, chat.Key)
	return wrong.Named, err
}

// lookInside says what the child was at.
func (v *victim) lookInside(path string, killed bool) (phase string) {
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer db.Close()
	var run int64
	var jobs, open, openBefore, unended int
	err = db.QueryRow(`SELECT (SELECT coalesce(max(id), 0) FROM runs), (SELECT count(*) FROM jobs),
		(SELECT count(*) FROM attempts WHERE class IS NULL AND run > ?1), (SELECT count(*) FROM attempts WHERE class IS NULL AND run <= ?1),
		(SELECT count(*) FROM runs WHERE ended_at IS NULL)`, v.lastRun).Scan(&run, &jobs, &open, &openBefore, &unended)
	if err != nil {
		v.t.Fatal(err)
	}
	begun := run > v.lastRun
	v.lastRun = run
	if killed {
		v.meet(db, run)
	}
	v.lookAtAnswers(db)
	switch {
	case identify(v.jobFile()+".lock") == v.before.lock: // it had not even taken the lock
		return untouched
	case jobs == 0:
		return firstImport
	case openBefore > 0:
		return inRecovery
	case jobs < len(v.prompts):
		return furtherImport
	case open > 0:
		return callsInFlight
	case !begun:
		return beforeRun
	case unended > 0:
		return noCallInFlight
	}
	return afterRun
}

// meet counts what a kill met of the calls of a run, and of its job file. It goes by what had come and gone out just before the kill: the
// server answers on when its caller is dead.
func (v *victim) meet(db *sql.DB, run int64) {
	late, met := v.wire.callsOf(v.child), map[string]bool{}
	err := query(db, "SELECT j.line, a.class IS NOT NULL FROM attempts a JOIN jobs j ON j.id = a.job WHERE a.run = "+fmt.Sprint(run), func(line int, saved bool) {
		calls := v.calls[v.prompts[line-1]]
		switch {
		case saved:
			met[afterSaving] = true
		case len(late[v.prompts[line-1]]) == 0:
			met[claimedUnsent] = true
		case len(calls) == 0: // it came at the very moment of the kill
		case calls[len(calls)-1].answered():
			met[answeredUnsaved] = true
		default:
			met[onWire] = true
		}
	})
	if err != nil {
		v.t.Fatal(err)
	}
	if left, err := os.Stat(v.jobFile() + "-wal"); err == nil && left.Size() > 0 && v.before.jobFile != "" && identify(v.jobFile()) != v.before.jobFile {
		met[checkpointing] = true
	}
	for phase := range met {
		v.tally.phases[phase]++
	}
}

// lookAtAnswers: an answer that was saved stays as it was.
func (v *victim) lookAtAnswers(db *sql.DB) {
	now := map[int]string{}
	err := query(db, `SELECT j.line, w.response FROM answers w JOIN jobs j ON j.id = w.job WHERE j.state = 'done'`, func(line int, response string) {
		now[line] = response
	})
	if err != nil {
		v.t.Fatal(err)
	}
	for line, response := range v.saved {
		if now[line] != response {
			v.t.Errorf("the answer to line %d was saved as %q, and is %q", line, response, now[line])
		}
	}
	v.saved = now
}

// query hands every row of two columns to each.
func query[A, B any](db *sql.DB, text string, each func(A, B)) error {
	rows, err := db.Query(text)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var a A
		var b B
		if err := rows.Scan(&a, &b); err != nil {
			return err
		}
		each(a, b)
	}
	return rows.Err()
}

// resultRow is what the test reads of a row.
type resultRow struct {
	Line     int
	CustomID *string `json:"custom_id"`
	Prompt   string
	Content  string
	Tokens   int64 `json:"total_tokens"` // 0 where the API did not tell
}

// lookAtResults: the results file is whole at any moment, in input order, and every answer in it belongs to its prompt.
// It returns the sum of its tokens.
func (v *victim) lookAtResults(complete bool) (tokens int64) {
	text, err := os.ReadFile(v.results())
	if err != nil && (complete || !errors.Is(err, fs.ErrNotExist)) {
		v.t.Error(err)
	}
	last := 0
	for line := range bytes.Lines(text) {
		var row resultRow
		if err := json.Unmarshal(line, &row); err != nil || line[len(line)-1] != '\n' {
			v.t.Errorf("results: after line %d comes %q (%v)", last, line, err)
			return 0
		}
		if row.Line <= last || row.Line > len(v.prompts) || complete && row.Line != last+1 {
			v.t.Errorf("results: after line %d comes line %d", last, row.Line)
			return 0
		}
		last = row.Line
		tokens += row.Tokens
		v.checkRow(&row)
	}
	if complete && last != len(v.prompts) {
		v.t.Errorf("results: %d of %d prompts", last, len(v.prompts))
	}
	return tokens
}

func (v *victim) checkRow(row *resultRow) {
	if row.Prompt != v.prompts[row.Line-1] {
		v.t.Errorf("line %d is %q in the results", row.Line, row.Prompt)
	}
	if id, has := customID(row.Line); has != (row.CustomID != nil) || has && *row.CustomID != id {
		v.t.Errorf("line %d has another custom_id in the results", row.Line)
	}
	want, err := v.answer(row.Line)
	if err != nil {
		v.t.Error(err)
	} else if row.Content != want.content || row.Tokens != want.tokens && !(v.untold && row.Tokens == 0) {
		v.t.Errorf("line %d: %q, %d tokens\nthe server said %q, %d tokens", row.Line, row.Content, row.Tokens, want.content, want.tokens)
	}
}

func (v *victim) answer(line int) (wireAnswer, error) {
	if known := v.expected[line]; known != nil {
		return *known, nil
	}
	a, err := v.wire.answer(v.prompts[line-1])
	v.expected[line] = &a
	return a, err
}
