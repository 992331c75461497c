package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
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
	v.checkLedger(v.lookAtResults(true))
	v.checkAll(false, true)
	v.checkFolder()
	v.count()
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

// checkAll asks the oracle. killed: what a process at work leaves behind may be there.
func (v *victim) checkAll(killed, current bool) {
	v.t.Helper()
	for _, wrong := range oracle.Check(oracle.Case{Folder: v.dir, Key: killKey, Ask: v.ask, Died: true, Open: killed, Current: current,
		Ledgers: map[string][]sim.Call{v.wire.http.URL + "/v1": v.wire.seen()}}) {
		v.t.Error(wrong)
	}
}

// count adds up what the kills met: the attempts that they left without an outcome, and the answers that were given a second time.
func (v *victim) count() {
	v.t.Helper()
	db, err := sql.Open("sqlite3", v.jobFile())
	if err != nil {
		v.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM attempts WHERE class = 'unknown' AND sent IS NULL").Scan(&v.tally.lost); err != nil {
		v.t.Fatal(err)
	}
	for _, prompt := range v.prompts {
		calls := v.wire.log()[prompt]
		v.tally.calls += len(calls)
		for _, call := range calls[:max(len(calls)-1, 0)] {
			if call.answered() {
				v.tally.repeats++
			}
		}
	}
}

// checkFolder: nothing is left but what belongs there.
func (v *victim) checkFolder() {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		v.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"in.jsonl", "in.simulated.batch.db", "in.simulated.results.jsonl", "in.simulated.usage.jsonl"}
	if !slices.Equal(names, want) {
		v.t.Errorf("left in the folder: %q", names)
	}
}
