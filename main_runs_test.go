package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	rounds = flag.Int("rounds", 5, "how often TestM1 starts eight runs of one job file at once")
	m6Rows = flag.Int("m6-rows", 20_000, "how many answered prompts TestM6 goes on with; a million take a minute to make")
)

// calm is a victim whose server does nothing wrong.
func calm(t *testing.T) *victim {
	return newVictimOf(t, buildBatch(t), 1, newFaultyWire(t, 1, "", false))
}

// One run holds the job file, and the others say so; whoever has it when, each prompt is sent once.
//
//	go test -run TestM1 . -rounds 1000 -timeout 1h
func TestM1_EightRunsAtOnce(t *testing.T) {
	t.Parallel()
	v := calm(t)
	codes := map[int]int{}
	for range *rounds {
		v.grow(10, v.random())
		var all []*child
		for range 8 {
			v.child++
			all = append(all, v.batch(v.runArgs(0)...))
		}
		for _, c := range all {
			if !c.await(nil) {
				t.Fatalf("a run went on for %s\n%s", killPatience, &c.said)
			}
			code := c.cmd.ProcessState.ExitCode()
			if codes[code]++; code != exitOK && code != exitBusy {
				t.Fatalf("exit %d\n%s", code, &c.said)
			}
		}
	}
	v.finish()
	if calls := v.wire.count(); calls != len(v.prompts) {
		t.Errorf("%d calls for %d prompts", calls, len(v.prompts))
	}
	if codes[exitOK] < *rounds || codes[exitBusy] == 0 {
		t.Errorf("exit codes: %v", codes)
	}
}

// Who comes second is told at once, while the first waits for its answers, by which process the job file is held.
func TestM1_SecondLeavesAtOnce(t *testing.T) {
	t.Parallel()
	v := newVictimOf(t, buildBatch(t), 1, newFaultyWire(t, 1, "hang=100%", false))
	v.child++
	asked := v.wire.set(v.child, 1, false)
	first := v.batch(v.runArgs(0)...)
	defer first.killAfter(0)
	if !first.await(asked) || v.wire.count() == 0 {
		t.Fatalf("the first run called nobody\n%s", &first.said)
	}
	v.child++
	before := time.Now()
	second := v.batch(v.runArgs(0)...)
	if !second.await(nil) || second.cmd.ProcessState.ExitCode() != exitBusy {
		t.Fatalf("%v\n%s", second.cmd.ProcessState, &second.said)
	}
	took := time.Since(before)
	if took > 5*time.Second { // a second is what it may take on a machine that does nothing else
		t.Errorf("the second run left after %s", took)
	}
	t.Logf("the second run left after %s", took)
	if holder := fmt.Sprintf("(process %d since ", first.cmd.Process.Pid); !strings.Contains(second.said.String(), holder) {
		t.Errorf("no %q in what it said: %s", holder, &second.said)
	}
	for _, c := range v.wire.sorted() {
		if c.child == v.child {
			t.Errorf("it asked %q", c.prompt)
		}
	}
}

// A supervisor starts it again and again, and each time it is killed after its first answers: no time is waited for to be rescued, each
// run gets further.
func TestP17_Supervisor(t *testing.T) {
	t.Parallel()
	v := calm(t)
	v.flags = []string{"--concurrency", "2"}
	for before := 0; v.tally.kills < 8; before = len(v.saved) {
		v.child++
		v.run(moment{first: answered, call: 12})
		if len(v.saved) <= before {
			t.Fatalf("%d answers after run %d, %d before", len(v.saved), v.child, before)
		}
	}
	v.finish()
}

// What was answered to its last prompt and has not changed is not even parsed.
//
//	go test -run TestM6 . -m6-rows 1000000
func TestM6_ResumeOfFinished(t *testing.T) {
	t.Parallel()
	v := calm(t)
	f, err := os.Create(v.path("many.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range *m6Rows {
		fmt.Fprintf(f, "{\"prompt\":\"Name river %d.\",\"model\":\"practice\"}\n", i)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	v.exits(exitOK, "run", "many.jsonl", "--simulate", "--latency", "0s", "--concurrency", "64", "--quiet")
	before := time.Now()
	v.exits(exitOK, "run", "many.jsonl", "--simulate", "--quiet")
	took := time.Since(before)
	if took > time.Second*5 { // a second is what it may take on a machine that does nothing else
		t.Errorf("%d answered prompts took %s", *m6Rows, took)
	}
	t.Logf("%d answered prompts: %s", *m6Rows, took)
}

// The terminal goes away: whoever reads stdout and stderr is gone, and SIGHUP comes. What is in flight is waited for and saved all
// the same, and the exit code is that of an interruption, not of a signal.
func TestP12_P13_NobodyReads(t *testing.T) {
	t.Parallel()
	v := calm(t)
	v.grow(200, v.random())
	v.child++
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := v.command(v.runArgs(0)...)
	c.cmd.Stdout, c.cmd.Stderr = write, write
	came := v.wire.set(v.child, 5, true)
	v.start(c)
	write.Close()
	if _, err := io.ReadFull(read, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	read.Close()
	if !c.await(came) {
		t.Fatal("no call came")
	}
	if err := c.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if !c.await(nil) || c.cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Fatalf("%v", c.cmd.ProcessState)
	}
	v.look(false)
	if len(v.saved) < 5 || len(v.saved) == len(v.prompts) {
		t.Errorf("%d of %d answers are saved", len(v.saved), len(v.prompts))
	}
	left, err := filepath.Glob(v.path("*.lock"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q %v", left, err)
	}
	v.finish()
	if calls := v.wire.count(); calls != len(v.prompts) {
		t.Errorf("%d calls for %d prompts", calls, len(v.prompts))
	}
}
