//go:build linux

package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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
	cmd, held := p.measured(p.binary, "run", "in.jsonl", "--db", filepath.Base(p.jobFile()), "--base-url", p.http.URL+"/v1", "--quiet")
	if code, said := p.command(nil, cmd); code != exitOK {
		t.Fatalf("exit %d\n%s", code, said)
	}
	return held()
}

// measured is a command whose memory is known once it has ended: the most that it has held.
func (p *patient) measured(args ...string) (cmd *exec.Cmd, held func() int64) {
	file := filepath.Join(p.t.TempDir(), "held")
	return exec.Command("measure", append([]string{file}, args...)...), func() (most int64) {
		p.t.Helper()
		text, err := os.ReadFile(file)
		if err == nil {
			most, err = strconv.ParseInt(string(text), 10, 64)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		return most
	}
}

func init() { programs["measure"] = measure }

// measure is a program: measure FILE COMMAND... runs a command and writes to the file the most memory that it has held, in bytes. A
// process is charged from the start with what the one held that started it, so that must be a small one: not the tests.
func measure() {
	runtime.LockOSThread() // the command is killed with the thread that started it
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); cmd.ProcessState == nil {
		log.Fatal(err)
	}
	most := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	if err := os.WriteFile(os.Args[1], fmt.Append(nil, most), 0o600); err != nil {
		log.Fatal(err)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// One processor, and no more than 256 MiB, which is enough for prompts that are longer than most.
func TestR4_SmallMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("under the race detector a program takes more")
	}
	t.Parallel()
	const most = 256 << 20
	p := newPatient(t, t.TempDir(), 5000, 0)
	p.lengthen(2000)
	cmd, held := p.measured("sh", "-c", fmt.Sprintf(`ulimit -d %d; exec "$@"`, most>>10), "sh",
		p.binary, "run", "in.jsonl", "--db", filepath.Base(p.jobFile()), "--base-url", p.http.URL+"/v1", "--quiet")
	if code, said := p.command([]string{"GOMAXPROCS=1"}, cmd); code != exitOK {
		t.Errorf("exit %d\n%s", code, said)
	}
	t.Logf("%d MiB of %d", held()>>20, most>>20)
	if n := held(); n > most {
		t.Errorf("it held %d MiB", n>>20)
	}
	p.cure(false)
}

// lengthen makes every prompt so many bytes longer.
func (p *patient) lengthen(by int) {
	p.t.Helper()
	text, err := os.ReadFile(p.path("in.jsonl"))
	if err != nil {
		p.t.Fatal(err)
	}
	more := strings.Repeat(" And more.", by/10)
	if err := os.WriteFile(p.path("in.jsonl"), bytes.ReplaceAll(text, []byte(`.", "model"`), []byte("."+more+`", "model"`)), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// A device that gives zeros without an end is no text: it is refused at once, and not read on.
func TestI14_R1_Endless(t *testing.T) {
	t.Parallel()
	p := newPatient(t, t.TempDir(), 1, 0)
	cmd, held := p.measured(p.binary, "run", "--simulate", "--model", "m", "--db", "z"+simulatedSuffix, "/dev/zero")
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	code, said := p.command(nil, cmd)
	if code != exitUsage || !strings.Contains(said, "batch: error: /dev/zero: the file is binary data, not UTF-8 text\n") {
		t.Errorf("exit %d\n%s", code, said)
	}
	if n := held(); n > 200<<20 {
		t.Errorf("it held %d MiB", n>>20)
	}
}
