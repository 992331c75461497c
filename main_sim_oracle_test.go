package main

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"

	"batch/runner/tokens"
)

// check is what must hold after a run, however it ended.
func (s *simulation) check(p *simProcess) {
	s.t.Helper()
	codes := map[int]bool{exitOK: true, exitPartial: true, exitStopped: true}
	if p.stopped {
		codes[exitInterrupted], codes[exitTerminated] = true, true
	}
	if !p.died && !codes[p.code] {
		s.t.Errorf("batch %q: exit %d", p.args, p.code)
	}
	if strings.Contains(p.said.String()+p.out.String(), simKey) {
		s.t.Error("the key was said")
	}
	s.checkJobFile(p)
	s.checkResults(false)
	s.checkStop(p)
	s.checkMoney()
}

// checkJobFile reads the tables by itself. After a death the job file is read as a copy: to repair it is the next run's to do.
func (s *simulation) checkJobFile(p *simProcess) {
	path := s.jobFile()
	if _, err := os.Stat(path); err != nil {
		if !p.died && p.code != exitInterrupted && p.code != exitTerminated || len(s.saved) > 0 {
			s.t.Errorf("the job file: %v", err)
		}
		return
	}
	if p.died {
		copied, err := os.MkdirTemp(s.dir, "copy")
		if err != nil {
			s.t.Fatal(err)
		}
		defer os.RemoveAll(copied)
		for _, suffix := range []string{"", "-wal"} {
			text, err := os.ReadFile(path + suffix)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(copied+"/in.batch.db"+suffix, text, 0o600)
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
		path = copied + "/in.batch.db"
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if p.died {
		var tables int
		if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil || tables == 0 && len(s.saved) == 0 {
			if err != nil {
				s.t.Error(err)
			}
			return
		}
	}
	s.checkTables(db, p)
}

func (s *simulation) checkTables(db *sql.DB, p *simProcess) {
	var sound string
	var open, unended, running int
	err := db.QueryRow(`SELECT (SELECT count(*) FROM attempts WHERE class IS NULL), (SELECT count(*) FROM runs WHERE ended_at IS NULL),
		(SELECT count(*) FROM jobs WHERE state = 'running'), (SELECT * FROM pragma_quick_check)`).Scan(&open, &unended, &running, &sound)
	if err != nil {
		s.t.Fatal(err)
	}
	if sound != "ok" {
		s.t.Errorf("quick_check: %s", sound)
	}
	if !p.died && open+unended+running > 0 {
		s.t.Errorf("a run that ended by itself left %d attempts, %d runs and %d jobs open", open, unended, running)
	}
	now := map[int64]string{}
	if err := query(db, "SELECT job, response FROM answers", func(job int64, response string) { now[job] = response }); err != nil {
		s.t.Fatal(err)
	}
	for job, response := range s.saved {
		if now[job] != response {
			s.t.Errorf("the answer of job %d was saved as %.60q, and is %.60q", job, response, now[job])
		}
	}
	s.saved = now
	s.checkAttempts(db)
}

// checkAttempts: every call on the wire is on record, and what is on record as sent was a call, but for what a death or the network met in between.
func (s *simulation) checkAttempts(db *sql.DB) {
	sent, unsure := map[[32]byte]int{}, map[[32]byte]int{}
	rows, err := db.Query(`SELECT j.body, a.class, coalesce(a.sent, 1), coalesce(a.status, 0) FROM attempts a JOIN jobs j ON j.id = a.job`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var body []byte
		var class sql.NullString
		var wasSent bool
		var status int
		if err := rows.Scan(&body, &class, &wasSent, &status); err != nil {
			s.t.Fatal(err)
		}
		switch id := sha256.Sum256(body); {
		case !wasSent:
		case status > 0:
			sent[id]++
		default:
			unsure[id]++
		}
	}
	calls, keys := map[[32]byte]int{}, map[string][32]byte{}
	for _, c := range s.api.log() {
		calls[c.body]++
		if body, seen := keys[c.key]; seen && body != c.body {
			s.t.Errorf("%s came with two bodies", c.key)
		}
		keys[c.key] = c.body
		if !keyForm.MatchString(c.key) {
			s.t.Errorf("Idempotency-Key %q", c.key)
		}
	}
	for body, n := range calls {
		if n < sent[body] || n > sent[body]+unsure[body] {
			s.t.Errorf("%d calls, and on record %d with an answer and %d without", n, sent[body], unsure[body])
		}
	}
	for body, n := range sent {
		if calls[body] == 0 {
			s.t.Errorf("%d attempts on record, and no call", n)
		}
	}
}

// checkResults: the results are whole at any moment, in input order, and every answer in them belongs to its prompt.
func (s *simulation) checkResults(complete bool) {
	text, err := os.ReadFile(s.path("in.results.jsonl"))
	if err != nil {
		if complete || !errors.Is(err, fs.ErrNotExist) {
			s.t.Error(err)
		}
		return
	}
	last := 0
	for line := range bytes.Lines(text) {
		var row resultRow
		if err := json.Unmarshal(line, &row); err != nil || line[len(line)-1] != '\n' {
			s.t.Errorf("results: after line %d comes %q (%v)", last, line, err)
			return
		}
		if row.Line <= last || complete && row.Line != last+1 {
			s.t.Errorf("results: after line %d comes line %d", last, row.Line)
			return
		}
		last = row.Line
		if complete {
			s.checkRow(&row)
		}
	}
	if complete && last != len(s.lines) {
		s.t.Errorf("results: %d of %d prompts", last, len(s.lines))
	}
}

func (s *simulation) checkRow(row *resultRow) {
	l := s.lines[row.Line-1]
	if row.Prompt != l.prompt {
		s.t.Errorf("line %d is %q in the results, not %q", row.Line, row.Prompt, l.prompt)
	}
	if (l.id != "") != (row.CustomID != nil) || row.CustomID != nil && *row.CustomID != l.id {
		s.t.Errorf("line %d has another custom_id in the results", row.Line)
	}
}

// checkStop: after an answer that stops a run has been given, nothing more goes out in it but what was on its way.
func (s *simulation) checkStop(p *simProcess) {
	log := s.api.log()
	for _, stop := range log {
		if stop.process != p.number || !stop.stops {
			continue
		}
		late := 0
		for _, c := range log {
			if c.process == p.number && c.at.After(stop.answer) {
				late++
			}
		}
		if late > 64 {
			s.t.Errorf("%d calls after a %s", late, stop.fault)
		}
		return
	}
}

// checkMoney: the budget of the command holds, whatever the API charged for.
func (s *simulation) checkMoney() {
	if !s.plan.budget {
		return
	}
	price, err := tokens.ParsePrice(budgetPrice)
	if err != nil {
		s.t.Fatal(err)
	}
	st := s.api.practice.Stats()
	charged := spent{}.plus(tokens.Usage{Known: true, Prompt: st.PromptTokens, Completion: st.CompletionTokens, Total: st.PromptTokens + st.CompletionTokens}, price)
	if limit := tokens.Money(s.budget * float64(tokens.Dollar)); charged.cost > limit && limit > 1000 {
		s.t.Errorf("%s charged, of %s", charged, limit.Dollars())
	}
}

// checkEnd is what must hold when everything is answered.
func (s *simulation) checkEnd() {
	s.checkResults(true)
	s.checkAnswers()
	billed := map[string]int{}
	for _, c := range s.api.practice.Ledger() {
		if c.Billed > 0 {
			billed[c.Key]++
		}
	}
	for key, n := range billed {
		if n > 1 && !s.api.plan.ignores {
			s.t.Errorf("%s was billed %d times", key, n)
		}
	}
	for _, name := range s.names() {
		text, err := os.ReadFile(s.path(name))
		if err != nil || bytes.Contains(text, []byte(simKey)) {
			s.t.Errorf("%s holds the key (or cannot be read: %v)", name, err)
		}
		if strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, "-wal") || strings.HasSuffix(name, "-shm") || strings.HasSuffix(name, ".tmp") {
			s.t.Errorf("%s was left behind", name)
		}
	}
}

// checkAnswers holds every stored answer against what the API says to its request.
func (s *simulation) checkAnswers() {
	db, err := sql.Open("sqlite3", s.jobFile())
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	err = query(db, `SELECT j.body, w.response FROM answers w JOIN jobs j ON j.id = w.job WHERE j.state = 'done'`, func(body, response []byte) {
		want, err := answerOf(s.api.answers, s.api.bodies[sha256.Sum256(body)])
		if err != nil {
			s.t.Error(err)
			return
		}
		var got struct {
			Choices []struct{ Message struct{ Content string } }
		}
		if err := json.Unmarshal(response, &got); err != nil || len(got.Choices) != 1 || got.Choices[0].Message.Content != want.content {
			s.t.Errorf("%.200s is answered with %q\nthe API says %q (%v)", body, response, want.content, err)
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
