package store

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var processWrites = flag.Int("process-writes", 1000, "transactions of each process of TestS19")

const countVariable = "STORE_TEST_COUNT"

// fileInProcess is the job file that a test in a process of its own is to open, when all are to begin.
func fileInProcess(t *testing.T, variable string) string {
	path := os.Getenv(variable)
	if path == "" {
		t.Skip("runs in processes of its own")
	}
	os.Stdin.Read(make([]byte, 1)) // returns when all are there
	return path
}

// atOnce runs n processes of this test and waits for them; they begin together.
func atOnce(t *testing.T, n int, test, env string, args ...string) {
	t.Helper()
	begin, signal, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer begin.Close()
	processes, said := make([]*exec.Cmd, n), make([]bytes.Buffer, n)
	for i := range processes {
		cmd := exec.Command(os.Args[0], append([]string{"-test.run=^" + test + "$"}, args...)...)
		cmd.Env = append(os.Environ(), env)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = begin, &said[i], &said[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		processes[i] = cmd
	}
	signal.Close()
	for i, cmd := range processes {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, &said[i])
		}
	}
}

// TestCountInProcess is one of the processes of TestS19: it reads a number and writes the next.
func TestCountInProcess(t *testing.T) {
	path := fileInProcess(t, countVariable)
	s, err := Open(ctx, path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range *processWrites {
		err := s.transact(ctx, func() error {
			var n int
			if err := s.conn.QueryRowContext(ctx, "SELECT coalesce((SELECT value FROM settings WHERE name = 'count'), 0)").Scan(&n); err != nil {
				return err
			}
			return s.exec(ctx, "INSERT OR REPLACE INTO settings (name, value) VALUES ('count', ?)", fmt.Sprint(n+1))
		})
		if err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
	}
}

// Eight processes that read and then write in one transaction wait for each other, and none is told that what it read is out of date.
func TestS19_ProcessesAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(fastDir(t), "prompts.batch.db")
	s, err := Open(ctx, path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const processes = 8
	atOnce(t, processes, "TestCountInProcess", countVariable+"="+path, fmt.Sprint("-process-writes=", *processWrites))
	var n int
	if err := s.conn.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = 'count'").Scan(&n); err != nil || n != processes**processWrites {
		t.Errorf("%d writes are there, of %d (%v)", n, processes**processWrites, err)
	}
}
