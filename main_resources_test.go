//go:build linux

package main

import (
	"flag"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

var memoryPrompts = flag.Int("memory-prompts", 60_000, "TestR1_FlatProcess holds a run of so many prompts against one of an eighth")

// Eight times the prompts take the same memory, from the reading to the last file.
//
//	go test -run TestR1_FlatProcess . -memory-prompts 1000000
func TestR1_FlatProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("sends tens of thousands of prompts")
	}
	t.Parallel()
	few, many := peak(t, *memoryPrompts/8), peak(t, *memoryPrompts)
	t.Logf("%d MiB, and with eight times the prompts %d MiB", few>>20, many>>20)
	if float64(many) > 1.3*float64(few) {
		t.Errorf("the memory grows with the number of prompts")
	}
}

// peak is the most memory that a run of so many prompts has held.
func peak(t *testing.T, prompts int) int64 {
	t.Helper()
	p := newPatient(t, t.TempDir(), prompts, 0)
	cmd := exec.Command(p.binary, "run", "in.jsonl", "--db", filepath.Base(p.jobFile()), "--base-url", p.http.URL+"/v1", "--quiet")
	if code, said := p.command(nil, cmd); code != exitOK {
		t.Fatalf("exit %d\n%s", code, said)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}
