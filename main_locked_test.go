package main

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestS10_LockedByAnotherProgram: a program that works on the job file is waited for, but not for ever; no job suffers.
func TestS10_LockedByAnotherProgram(t *testing.T) {
	t.Parallel()
	binary, dir := buildBatch(t), t.TempDir()
	input := filepath.Join(dir, "p.jsonl")
	if err := os.WriteFile(input, []byte(strings.Repeat(`{"prompt": "Name a river.", "model": "m"}`+"\n", 3)), 0o600); err != nil {
		t.Fatal(err)
	}
	jobFile := filepath.Join(dir, "p"+simulatedSuffix)
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(binary, append([]string{"run", "--simulate", "--latency", "0s", input}, args...)...)
		cmd.Stderr = new(strings.Builder)
		return cmd
	}
	ends := func(cmd *exec.Cmd, code int) string {
		t.Helper()
		cmd.Wait()
		said := cmd.Stderr.(*strings.Builder).String()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Fatalf("exit %d, not %d: %s", got, code, said)
		}
		return said
	}
	start := func(cmd *exec.Cmd) *exec.Cmd {
		t.Helper()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	ends(start(command("--limit", "1")), exitStopped)

	said := func() string {
		defer lockExclusively(t, jobFile)()
		began := time.Now()
		defer func() {
			if waited := time.Since(began); waited < 5*time.Second {
				t.Errorf("it waited only %s", waited)
			}
		}()
		return ends(start(command()), exitBusy)
	}()
	if !strings.Contains(said, "another program has locked it") || !strings.Contains(said, "batch: hint: close the program") {
		t.Errorf("it said: %s", said)
	}
	unlock := lockExclusively(t, jobFile)
	running, stop := poll(func() bool { return identify(jobFile+".lock") != "" }) // the last it does before it needs the file
	defer stop()
	waiting := start(command())
	<-running
	unlock()
	if said := ends(waiting, exitOK); !strings.Contains(said, "will send 2 of 3 (1 answered)") {
		t.Errorf("it said: %s", said)
	}
}

// lockExclusively keeps everybody from writing until it is undone.
func lockExclusively(t *testing.T, jobFile string) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+jobFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(context.Background(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		conn.Close() // which ends the transaction
		db.Close()
	}
}
