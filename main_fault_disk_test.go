package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// small makes a file system of so many kilobytes, where the right to is to be had.
func small(t *testing.T, kilobytes int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kilobytes)); err != nil {
		t.Skipf("a file system of its own cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillUp writes a file until there is no room.
func fillUp(t *testing.T, path string) {
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}

func grow(t *testing.T, dir string, kilobytes int) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%dk", kilobytes)); err != nil {
		t.Fatal(err)
	}
}

// The disk runs full in the middle of a run, and the folder for temporary files is on it, too: every answer that came is kept. With room
// again, the same command goes on, and no call is made twice.
func TestS2_DiskFull(t *testing.T) {
	t.Parallel()
	dir := small(t, 8<<10)
	p := newPatient(t, dir, 400, time.Millisecond)
	fill := func(n int64) { // somebody else takes what is left
		if n == 60 {
			fillUp(t, p.path("filler"))
		}
	}
	p.onCall.Store(&fill)
	p.flags = []string{"-c", "8", "--grace", "3s"}
	temp := p.path("temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	code, said := p.run([]string{"TMPDIR=" + temp})
	answered := 0
	for _, c := range p.practice.Ledger() {
		if c.Whole {
			answered++
		}
	}
	if code != exitStorage || answered == 0 || answered == p.prompts {
		t.Fatalf("exit %d after %d answers\n%s", code, answered, said)
	}
	kept := "is kept in " + filepath.Base(p.jobFile()) + ".unsaved, and the next run takes it up"
	if !strings.Contains(said, "the disk is full") || !strings.Contains(said, kept) || !strings.Contains(said, "\nbatch: hint: ") {
		t.Errorf("%d answers came\n%s", answered, said)
	}
	if info, err := os.Stat(p.jobFile() + ".unsaved"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if told := statusOf(t, p); !strings.Contains(told, "waits for the next run") || !strings.Contains(told, ".unsaved") {
		t.Errorf("status does not tell of what waits\n%s", told)
	}
	if code, said := p.run(nil); code != exitStorage { // as before: nothing is lost by trying
		t.Errorf("on a disk that is still full: exit %d\n%s", code, said)
	}
	if err := os.Remove(p.path("filler")); err != nil {
		t.Error(err)
	}
	if err := os.Remove(temp); err != nil {
		t.Errorf("the folder for temporary files is not empty: %v", err)
	}
	p.cure(true)
	if !strings.Contains(p.said.String(), "batch: taken up: ") {
		t.Errorf("what was kept was not taken up\n%s", &p.said)
	}
}

// A disk that has no room for the answers, or not even for the prompts, is found out before the first request.
func TestS3_DiskFullAtStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                 string
		kilobytes, prompts   int
		says                 string
		importedBefore, left bool
	}{
		{"prompts", 400, 2000, "the disk is full", false, false},
		{"answers", 6 << 10, 4000, "is nearly full: the answers need about ", false, false},
		{"what may have to be set aside", 1200, 100, "make room beside in.simulated.batch.db: ", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := small(t, c.kilobytes)
			p := newPatient(t, dir, c.prompts, 0)
			if c.importedBefore {
				if code, said := p.run(nil, "--limit", "1", "-c", "1"); code != exitStopped {
					t.Fatalf("exit %d\n%s", code, said)
				}
			}
			calls := len(p.practice.Ledger())
			code, said := p.run(nil, "-c", "16", "--grace", "1s")
			if code != exitStorage || !strings.Contains(said, c.says) || len(p.practice.Ledger()) != calls {
				t.Errorf("exit %d after %d calls\n%s", code, len(p.practice.Ledger())-calls, said)
			}
			if _, err := os.Stat(p.jobFile()); (err == nil) != c.left {
				t.Errorf("the job file: %v", err)
			}
			grow(t, dir, 64<<10)
			p.cure(false)
		})
	}
}

// A limit on the size of files (RLIMIT_FSIZE, a quota) is a full disk, not a crash.
func TestS6_FileSizeLimit(t *testing.T) {
	t.Parallel()
	p := newPatient(t, t.TempDir(), 400, time.Millisecond)
	p.flags = []string{"-c", "4", "--grace", "2s"}
	args := append([]string{"-c", "ulimit -f 1200; exec \"$@\"", "sh", p.binary, "run", "in.jsonl", "--db", filepath.Base(p.jobFile()), "--base-url", p.http.URL + "/v1"},
		p.flags...)
	code, said := p.command(nil, exec.Command("sh", args...)) // in blocks of 512 bytes
	if code != exitStorage || !strings.Contains(said, ".unsaved, and the next run takes it up") || len(p.practice.Ledger()) == 0 {
		t.Errorf("exit %d after %d calls\n%s", code, len(p.practice.Ledger()), said)
	}
	p.cure(true)
}

// A disk whose every sync takes long: nothing times out, and the answers that come meanwhile are saved by one commit together.
func TestS21_SlowDisk(t *testing.T) {
	t.Parallel()
	s := buildShim(t)
	p := newPatient(t, t.TempDir(), 120, time.Millisecond)
	p.flags = []string{"-c", "24", "--timeout", "10s"}
	env := s.env(p.jobFile(), "SHIM_COUNT="+p.path("counts"), "SHIM_FAULT=sync:1-:300ms")
	code, said := p.run(env)
	counts := readShimCounts(t, p.path("counts"))
	if code != exitOK || len(p.practice.Ledger()) != p.prompts {
		t.Errorf("exit %d after %d calls\n%s", code, len(p.practice.Ledger()), said)
	}
	if counts.Sync > 30 || counts.Faults != counts.Sync {
		t.Errorf("%d syncs for %d answers", counts.Sync, p.prompts)
	}
	t.Logf("%d syncs for %d answers", counts.Sync, p.prompts)
	p.cure(false)
}

// statusOf is what batch status tells people.
func statusOf(t *testing.T, p *patient) string {
	t.Helper()
	out, err := exec.Command(p.binary, "status", p.jobFile()).CombinedOutput()
	if err != nil {
		t.Fatalf("status: %v\n%s", err, out)
	}
	return string(out)
}
