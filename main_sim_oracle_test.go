package main

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing/synctest"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
	"batch/runner/tokens"
)

// check is what must hold after a run, however it ended.
func (s *simulation) check(p *simProcess) {
	s.t.Helper()
	finished := []int{exitOK, exitPartial, exitStopped}
	if !p.died && !slices.Contains(finished, p.code) && !(p.stopped && (p.code == exitInterrupted || p.code == exitTerminated)) {
		s.t.Errorf("batch %q: exit %d", p.args, p.code)
	}
	s.open = p.died
	s.look(p, !p.died && slices.Contains(finished, p.code))
	if !p.died {
		s.checkSaved()
	}
	s.checkMoney()
	if !s.lossy() { // else a call may be on its way for long, and a refusal get lost
		for _, early := range s.api.early {
			s.t.Error(early)
		}
		s.checkStopped(p)
	}
}

// checkStopped: once an answer or a user has stopped its run, a process calls no more.
func (s *simulation) checkStopped(p *simProcess) {
	calls := slices.DeleteFunc(s.api.log(), func(c simCall) bool { return c.child != p.number })
	stopped := p.told
	for _, c := range calls {
		if c.stops && c.Whole && (stopped.IsZero() || c.answer.Before(stopped)) {
			stopped = c.answer
		}
	}
	for _, c := range calls {
		if !stopped.IsZero() && c.When.After(stopped) {
			s.t.Errorf("process %d called %s after its run was stopped", p.number, c.When.Sub(stopped))
		}
	}
}

// look asks the oracle; current says that the files in the folder are what the job file says now, but for the older ones.
func (s *simulation) look(p *simProcess, current bool, older ...string) {
	s.t.Helper()
	synctest.Wait() // for the API to see how its last answers went
	var ask oracle.Ask
	if s.seed%8 == 0 { // the answer takes half as long as a run
		ask = s.ask
	}
	for _, wrong := range oracle.Check(oracle.Case{Folder: s.dir, Ledgers: map[string][]sim.Call{simURL: s.api.ledger(s.lossy())}, Key: simKey,
		Said: append(p.said.Bytes(), p.out.Bytes()...), Ask: ask, Died: s.deaths > 0 || p.code == exitInterrupted && p.hasty, Open: s.open, Lossy: true, Virtual: true, Current: current, Except: older}) {
		s.t.Error(wrong)
	}
}

// ask is that of the oracle. A signal of the system has no way into a bubble.
func (s *simulation) ask(args ...string) ([]byte, error) {
	var out, said bytes.Buffer
	c := command{args: append([]string{"batch"}, args...), stdin: strings.NewReader(""), stdout: &out, term: newTerminal(&said), signals: make(chan os.Signal)}
	if code := c.run(); code != exitOK {
		return nil, fmt.Errorf("exit %d: %s", code, &said)
	}
	return out.Bytes(), nil
}

// lossy says that the network of the plan loses what is sent.
func (s *simulation) lossy() bool { return s.plan.network != (netFaults{}) || len(s.plan.outages) > 0 }

// checkSaved: an answer that was saved stays as it was.
func (s *simulation) checkSaved() {
	now := map[int64]string{}
	s.answers("SELECT job, response FROM answers", func(job int64, response string) { now[job] = response })
	for job, response := range s.saved {
		if now[job] != response {
			s.t.Errorf("the answer of job %d was saved as %.60q, and is %.60q", job, response, now[job])
		}
	}
	s.saved = now
}

// answers reads the job file where it is, which puts nothing right in it.
func (s *simulation) answers(text string, each func(int64, string)) {
	if _, err := os.Stat(s.jobFile()); errors.Is(err, fs.ErrNotExist) {
		return // interrupted before it was kept
	}
	db, err := sql.Open("sqlite3", s.jobFile())
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if err := query(db, text, each); err != nil {
		s.t.Fatal(err)
	}
}

// checkMoney: the budget of the command holds, whatever the API charged for.
func (s *simulation) checkMoney() {
	if charged := s.charged(); s.budget > 0 && charged.cost > s.budget {
		s.t.Errorf("%s charged, of %s", charged, s.budget.Dollars())
	}
}

func (s *simulation) charged() spent {
	price, err := tokens.ParsePrice(budgetPrice)
	if err != nil {
		s.t.Fatal(err)
	}
	st := s.api.practice.Stats()
	return spent{}.plus(tokens.Usage{Known: true, Prompt: st.PromptTokens, Completion: st.CompletionTokens, Total: st.PromptTokens + st.CompletionTokens}, price)
}

// checkEnd is what must hold when everything is answered.
func (s *simulation) checkEnd() {
	s.checkLines()
	s.answers(`SELECT w.job, j.body || char(0) || w.response FROM answers w JOIN jobs j ON j.id = w.job WHERE j.state = 'done'`, s.checkAnswer)
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
}

// checkLines: every line that was written is a job that is done, or shares one, in its place, and nothing else is.
func (s *simulation) checkLines() {
	var asked []string
	s.answers(`SELECT position, state || ' ' || body FROM jobs WHERE position IS NOT NULL UNION ALL
		SELECT s.position, j.state || ' ' || j.body FROM shared s JOIN jobs j ON j.position = s.first ORDER BY 1`, func(position int64, text string) {
		asked = append(asked, text)
		if position != int64(len(asked)) {
			s.t.Errorf("the job at %d is the %dth", position, len(asked))
		}
	})
	if len(asked) != len(s.lines) {
		s.t.Errorf("%d jobs for %d lines", len(asked), len(s.lines))
		return
	}
	for i, l := range s.lines {
		state, body, _ := strings.Cut(asked[i], " ")
		var request struct {
			Messages []struct{ Content string }
			Most     int `json:"max_tokens"`
		}
		if err := json.Unmarshal([]byte(body), &request); err != nil || state != "done" || len(request.Messages) != 1 || request.Messages[0].Content != l.prompt || request.Most != l.most {
			s.t.Errorf("line %d asks %q for %d tokens; it is %s as %s (%v)", i+1, l.prompt, l.most, state, body, err)
		}
	}
}

// checkAnswer holds a stored answer against what the API says to its request.
func (s *simulation) checkAnswer(job int64, text string) {
	body, response, _ := strings.Cut(text, "\x00")
	want, err := answerOf(s.api.answers, s.api.bodies[sha256.Sum256([]byte(body))])
	if err != nil {
		s.t.Error(err)
		return
	}
	var got struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal([]byte(response), &got); err != nil || len(got.Choices) != 1 || got.Choices[0].Message.Content != want.content {
		s.t.Errorf("job %d is answered with %q\nthe API says %q (%v)", job, response, want.content, err)
	}
}
