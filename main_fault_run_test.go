package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
)

// patient is a job file that is run by a real batch while its disk is ill, and the practice server that answers it.
type patient struct {
	t        testing.TB
	binary   string
	dir      string // of the job file and all that is beside it
	prompts  int
	practice *sim.Server
	http     *httptest.Server
	flags    []string
	onCall   atomic.Pointer[func(n int64)] // when the n-th comes in, from 1
	calls    atomic.Int64
	said     bytes.Buffer
}

// testedBatch is this test's own binary under the name by which it is the command, as the stories use it: nothing has to be built.
func testedBatch(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("batch")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const patientKey = "ask_fault_canary_81b2"

func newPatient(t testing.TB, dir string, prompts int, latency time.Duration) *patient {
	p := &patient{t: t, binary: testedBatch(t), dir: dir, prompts: prompts}
	var err error
	if p.practice, err = sim.New(sim.Options{Seed: 1, APIKey: patientKey, Ledger: true, Latency: latency}); err != nil {
		t.Fatal(err)
	}
	p.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := p.calls.Add(1)
		if do := p.onCall.Load(); do != nil {
			(*do)(n)
		}
		p.practice.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		p.practice.Close()
		p.http.Close()
	})
	var lines strings.Builder
	for i := range prompts {
		fmt.Fprintf(&lines, `{"prompt": "Tell me about number %d.", "model": "practice", "max_tokens": 40}`+"\n", i)
	}
	if err := os.WriteFile(p.path("in.jsonl"), []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *patient) path(name string) string { return filepath.Join(p.dir, name) }
func (p *patient) jobFile() string         { return p.path("in" + simulatedSuffix) }

// run is batch run with so much more in its environment. It says how it ended; a signal is -1.
func (p *patient) run(env []string, flags ...string) (code int, said string) {
	args := append([]string{"run", "in.jsonl", "--db", filepath.Base(p.jobFile()), "--base-url", p.http.URL + "/v1", "--max-wait", "1m"}, p.flags...)
	return p.batch(env, append(args, flags...)...)
}

func (p *patient) batch(env []string, args ...string) (code int, said string) {
	return p.command(env, exec.Command(p.binary, args...))
}

func (p *patient) command(env []string, cmd *exec.Cmd) (code int, said string) {
	p.t.Helper()
	cmd.Dir, cmd.Env = p.dir, append(append(os.Environ(), "ASSISTERS_API_KEY="+patientKey, "ASSISTERS_BASE_URL="), env...)
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatal(err)
	}
	p.said.Write(out)
	if text := string(out); strings.Contains(text, "panic:") || strings.Contains(text, "goroutine ") {
		p.t.Errorf("it crashed:\n%s", text)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// cure runs batch on a disk that is well again, and holds everything against everything. No call may have been made twice, but those that
// were given up when the grace time ended, on a machine that was too busy for them.
func (p *patient) cure(died bool) {
	p.t.Helper()
	if code, said := p.run(nil); code != exitOK {
		p.t.Errorf("the run after it: exit %d\n%s", code, said)
	}
	calls := p.practice.Ledger()
	for _, wrong := range oracle.Check(oracle.Case{Folder: p.dir, Ledgers: map[string][]sim.Call{p.http.URL + "/v1": calls}, Key: patientKey,
		Said: p.said.Bytes(), Ask: ask, Died: died, Current: true, Except: []string{"counts"}}) {
		p.t.Error(wrong)
	}
	keys := map[string]bool{}
	for _, c := range calls {
		keys[c.Key] = true
	}
	if twice := len(calls) - len(keys); len(keys) != p.prompts || twice < 0 || twice > p.givenUp() {
		p.t.Errorf("%d calls with %d keys for %d prompts, %d of them given up", len(calls), len(keys), p.prompts, p.givenUp())
	}
	if rows, err := os.ReadFile(p.path("in.simulated.results.jsonl")); err != nil || bytes.Count(rows, []byte("\n")) != p.prompts {
		p.t.Errorf("%d rows: %v", bytes.Count(rows, []byte("\n")), err)
	}
}

// givenUp counts the calls that a run did not wait for any longer.
func (p *patient) givenUp() (n int) {
	p.t.Helper()
	db, err := sql.Open("sqlite3", p.jobFile())
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM attempts WHERE class = 'interrupted' AND sent").Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}
