package main

import (
	"os"
	"testing"
)

// TestSimulatedDeathKeepsFiles: what the ghost of a dead process replaces or takes away is, once it is led out, the very file that it was.
func TestSimulatedDeathKeepsFiles(t *testing.T) {
	s := &simulation{t: t, dir: t.TempDir()}
	before := map[string]os.FileInfo{}
	for _, name := range []string{"in.results.jsonl", "in.errors.jsonl", "in.usage.jsonl"} {
		if err := os.WriteFile(s.path(name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(s.path(name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = info
	}
	left := s.snapshot()
	if err := os.WriteFile(s.path("made.by.it"), []byte("more"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path("made.by.it"), s.path("in.results.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.path("in.errors.jsonl")); err != nil {
		t.Fatal(err)
	}
	s.restore(left)
	for name, was := range before {
		is, err := os.Stat(s.path(name))
		if err != nil {
			t.Error(err)
		} else if !os.SameFile(was, is) || is.Size() != was.Size() || !is.ModTime().Equal(was.ModTime()) {
			t.Errorf("%s is another file than before", name)
		}
		if _, err := os.Lstat(s.beside(name)); err == nil {
			t.Errorf("%s is left behind", s.beside(name))
		}
	}
}
