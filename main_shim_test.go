package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shim stands between a real batch and the disk, below SQLite: it counts, fails, delays and records what is done to a job file.
// testdata/shim/shim.c says how.
type shim struct{ library string }

func buildShim(t testing.TB) shim {
	t.Helper()
	s := shim{filepath.Join(t.TempDir(), "shim.so")}
	if out, err := exec.Command("cc", "-Wall", "-Werror", "-O1", "-shared", "-fPIC", "-o", s.library, filepath.Join("testdata", "shim", "shim.c")).CombinedOutput(); err != nil {
		t.Fatalf("build the shim: %v\n%s", err, out)
	}
	return s
}

// env is what to add to the environment of a batch, with more of the shim's own settings, as in SHIM_FAULT=write:5:EIO.
func (s shim) env(jobFile string, more ...string) []string {
	return append([]string{"LD_PRELOAD=" + s.library, "SHIM_FILE=" + jobFile}, more...)
}

// shimCounts is what SHIM_COUNT holds.
type shimCounts struct{ Open, Write, Sync, Truncate, Unlink, Faults uint64 }

func readShimCounts(t testing.TB, path string) (c shimCounts) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := binary.Read(f, binary.NativeEndian, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// The shim itself: a fault that lies beyond the last call changes nothing, one before it ends the run, and half a write is gone on with.
func TestShim(t *testing.T) {
	t.Parallel()
	binary, s := buildBatch(t), buildShim(t)
	run := func(t *testing.T, fault string) (shimCounts, int) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "in.jsonl"), []byte(`{"prompt": "Name a river.", "model": "m"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		counts := filepath.Join(dir, "counts")
		cmd := exec.Command(binary, "run", "--simulate", "--latency", "0s", "in.jsonl")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), s.env(filepath.Join(dir, "in"+simulatedSuffix), "SHIM_COUNT="+counts, "SHIM_FAULT="+fault)...)
		out, _ := cmd.CombinedOutput()
		t.Logf("%s", out)
		return readShimCounts(t, counts), cmd.ProcessState.ExitCode()
	}
	whole, code := run(t, "")
	if code != exitOK || whole.Open == 0 || whole.Write == 0 || whole.Sync == 0 || whole.Truncate == 0 || whole.Unlink == 0 || whole.Faults != 0 {
		t.Fatalf("exit %d, %+v", code, whole)
	}
	for fault, want := range map[string]int{
		"write:100000-:EIO": exitOK, "sync:2-3:1ms": exitOK, "write:20-30:half": exitOK,
		"write:20:EIO": exitStorage, "sync:3-:ENOSPC": exitStorage, "write:20:half-ENOSPC": exitStorage, "open:2:EACCES": exitStorage,
	} {
		t.Run(fault, func(t *testing.T) {
			got, code := run(t, fault)
			if code != want {
				t.Errorf("exit %d", code)
			}
			if untouched := strings.Contains(fault, "100000"); untouched != (got.Faults == 0) {
				t.Errorf("%+v", got)
			}
		})
	}
}
