package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
)

// finish lets batch run to its end and holds everything against everything.
func (v *victim) finish() {
	v.t.Helper()
	v.child++
	v.exits(exitOK, v.runArgs(0)...)
	v.look(false)
	v.wire.close()
	v.child++ // with nothing left to do, and nobody to call
	v.exits(exitOK, v.runArgs(0)...)
	v.exits(exitOK, "verify", filepath.Base(v.jobFile()))
	tokens := v.lookAtResults(true)
	v.checkUsage(tokens)
	v.checkLedger(tokens)
	v.checkCalls()
	v.checkFolder()
}

func (v *victim) exits(want int, args ...string) {
	v.t.Helper()
	c := v.batch(args...)
	if !c.await(nil) {
		v.t.Fatalf("batch %q went on for %s\n%s", args, killPatience, &c.said)
	}
	if code := c.cmd.ProcessState.ExitCode(); code != want {
		v.t.Fatalf("batch %q: exit %d, not %d\n%s", args, code, want, &c.said)
	}
}

// checkUsage: the usage file says what the rows add up to.
func (v *victim) checkUsage(tokens int64) {
	text, err := os.ReadFile(v.path("in.simulated.usage.jsonl"))
	if err != nil {
		v.t.Fatal(err)
	}
	var usage struct {
		Jobs, Done, Failed, Pending, Attempts int64
		Total                                 int64 `json:"total_tokens"`
		Wasted                                int64 `json:"wasted_tokens"`
		Complete                              bool
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &usage); err != nil {
		v.t.Fatal(err)
	}
	n := int64(len(v.prompts))
	if usage.Jobs != n || usage.Done != n || usage.Failed != 0 || usage.Pending != 0 || !usage.Complete {
		v.t.Errorf("usage: %+v of %d prompts", usage, n)
	}
	if usage.Total != tokens || usage.Wasted != 0 {
		v.t.Errorf("usage: %d tokens and %d wasted, the rows add up to %d", usage.Total, usage.Wasted, tokens)
	}
	if calls := v.wire.count(); usage.Attempts < int64(calls) {
		v.t.Errorf("usage: %d attempts, the server saw %d calls", usage.Attempts, calls)
	}
}

// checkLedger: nothing was billed twice, and everything that was is in the results.
func (v *victim) checkLedger(tokens int64) {
	times := map[string]int{}
	var billed int64
	for _, c := range v.wire.practice.Ledger() {
		if c.Billed > 0 {
			times[c.Key]++
			billed += c.Billed
		}
	}
	for key, n := range times {
		if n > 1 {
			v.t.Errorf("%s was billed %d times", key, n)
		}
	}
	if billed != tokens || len(times) != len(v.prompts) {
		v.t.Errorf("the server billed %d tokens for %d keys, the results hold %d for %d prompts", billed, len(times), tokens, len(v.prompts))
	}
}

// checkCalls holds the server's log against the attempts on record, line by line.
func (v *victim) checkCalls() {
	attempts, log := v.attempts(), v.wire.log()
	keys := map[string]int{}
	for i, prompt := range v.prompts {
		line := i + 1
		if len(log[prompt]) == 0 {
			v.t.Errorf("line %d was never sent", line)
			continue
		}
		if key := log[prompt][0].key; key == "" || keys[key] != 0 {
			v.t.Errorf("line %d has the Idempotency-Key %q, and so has line %d", line, key, keys[key])
		} else {
			keys[key] = line
		}
		v.checkLine(line, log[prompt], attempts)
	}
	for child, c := range v.crashes {
		v.tally.inFlight += c.inFlight
		v.tally.repeats += c.repeats
		if c.repeats > c.inFlight {
			v.t.Errorf("child %d: %d calls were in flight, %d answered ones were repeated", child, c.inFlight, c.repeats)
		}
	}
	v.tally.calls += v.wire.count()
}

// checkLine: a job has one Idempotency-Key and one body for ever; each of its calls has an attempt on record, and each attempt a call, but for the
// one that a kill met between claim and call.
func (v *victim) checkLine(line int, calls []*wireCall, attempts map[int64]map[int]int) {
	callsBy := map[int]int{}
	for _, call := range calls {
		callsBy[call.child]++
		if v.crashes[call.child] == nil {
			v.t.Fatalf("line %d was sent by child %d, which was not to send anything", line, call.child)
		}
		if call.key != calls[0].key {
			v.t.Errorf("line %d was sent with %s and with %s", line, calls[0].key, call.key)
		}
		if call.body != calls[0].body {
			v.t.Errorf("line %d was sent in two spellings", line)
		}
	}
	inFlight := map[int]bool{} // by child, when it was killed
	for child, c := range v.crashes {
		switch unsent := attempts[c.run][line] - callsBy[child]; {
		case unsent == 0 && c.open[line]:
			inFlight[child] = true
			c.inFlight++
		case unsent != 0 && !(unsent == 1 && c.open[line]):
			v.t.Errorf("line %d: child %d has %d attempts on record and made %d calls", line, child, attempts[c.run][line], callsBy[child])
		}
	}
	v.checkRepeats(line, calls, inFlight)
}

// checkRepeats: what was answered is called again only when a kill met the call in flight: sent, and its outcome not yet saved.
func (v *victim) checkRepeats(line int, calls []*wireCall, inFlight map[int]bool) {
	answeredTo := 0
	for _, call := range calls {
		if answeredTo != 0 {
			if call.child == answeredTo || !inFlight[answeredTo] {
				v.t.Errorf("line %d was answered to child %d, and sent again by child %d", line, answeredTo, call.child)
			}
			v.crashes[answeredTo].repeats++
		}
		answeredTo = 0
		if call.whole {
			answeredTo = call.child
		}
	}
}

// attempts counts the rows of the finished job file by run and line.
func (v *victim) attempts() map[int64]map[int]int {
	db, err := sql.Open("sqlite3", v.jobFile())
	if err != nil {
		v.t.Fatal(err)
	}
	defer db.Close()
	all := map[int64]map[int]int{}
	err = query(db, `SELECT a.run, j.line FROM attempts a JOIN jobs j ON j.id = a.job`, func(run int64, line int) {
		if all[run] == nil {
			all[run] = map[int]int{}
		}
		all[run][line]++
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return all
}

// checkFolder: nothing is left but what belongs there, and the key is in none of it.
func (v *victim) checkFolder() {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		v.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if text, err := os.ReadFile(v.path(e.Name())); err != nil || bytes.Contains(text, []byte(killKey)) {
			v.t.Errorf("%s holds the API key (or cannot be read: %v)", e.Name(), err)
		}
	}
	want := []string{"in.jsonl", "in.simulated.batch.db", "in.simulated.results.jsonl", "in.simulated.usage.jsonl"}
	if !slices.Equal(names, want) {
		v.t.Errorf("left in the folder: %q", names)
	}
}
