package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// folder is where a test calls batch, as a user would.
type folder struct {
	t    *testing.T
	dir  string
	said bytes.Buffer // by all commands
}

func newFolder(t *testing.T) *folder { return &folder{t: t, dir: t.TempDir()} }

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// batch runs a command to its end and returns what it wrote on standard output. A run may leave jobs failed or pending.
func (f *folder) batch(args ...string) []byte {
	f.t.Helper()
	cmd := exec.Command("batch", args...)
	cmd.Dir, cmd.Stderr = f.dir, &f.said
	cmd.Env = append(os.Environ(), "ASSISTERS_API_KEY="+canary)
	out, err := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); err != nil && code != exitPartial && code != exitStopped {
		f.t.Fatalf("batch %q: %v\n%s", args, err, &f.said)
	}
	return out
}

// prompts writes a file of as many.
func (f *folder) prompts(name string, n int) {
	f.t.Helper()
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `{"prompt": "Name river %d."}`+"\n", i)
	}
	if err := os.WriteFile(f.path(name), []byte(text.String()), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) read(name string) []byte {
	f.t.Helper()
	text, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

func (f *folder) lines(name string) []string {
	f.t.Helper()
	return strings.Split(strings.TrimSuffix(string(f.read(name)), "\n"), "\n")
}

// rows reads a CSV file by the names of its columns.
func (f *folder) rows(name string) (all []map[string]string) {
	f.t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(f.read(name))).ReadAll()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, row := range rows[1:] {
		fields := map[string]string{}
		for i, value := range row {
			fields[rows[0][i]] = value
		}
		all = append(all, fields)
	}
	return all
}
