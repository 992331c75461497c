package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody has no rights but those that everybody has.
const nobody = 65534

// as has commands run by another user, where that can be; root may do everything.
func (p *patient) as(user uint32, args ...string) (code int, said string) {
	p.t.Helper()
	cmd := exec.Command(p.binary, args...)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	return p.command(nil, cmd)
}

// withRights is a job file that is finished, with a batch beside it that everybody may run.
func withRights(t *testing.T) *patient {
	dir := t.TempDir()
	change(t, filepath.Dir(dir), 0o755) // of all folders of this test
	p := newPatient(t, dir, 3, 0)
	if code, said := p.run(nil); code != exitOK {
		t.Fatalf("exit %d\n%s", code, said)
	}
	own := filepath.Join(t.TempDir(), "batch")
	real, err := filepath.EvalSymlinks(p.binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("cp", real, own).Run(); err != nil {
		t.Fatal(err)
	}
	p.binary = own
	return p
}

// exported is a results file of the job file, in a folder of its own that everybody may write to.
func (p *patient) exported(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "exported.jsonl")
	if code, said := p.batch(nil, "export", filepath.Base(p.jobFile()), "-o", path); code != exitOK {
		t.Fatalf("exit %d\n%s", code, said)
	}
	return path
}

func change(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(path, before.Mode().Perm()) })
}

// In a folder, or on a file system, that cannot be written to, all verbs that only look work all the same, and put no
// report in the place of results; run says what is in its way.
func TestS8_ReadOnly(t *testing.T) {
	t.Parallel()
	look := func(t *testing.T, p *patient, exported, missing string) {
		t.Helper()
		elsewhere, name := filepath.Dir(exported), filepath.Base(p.jobFile())
		other := filepath.Join(elsewhere, "b.batch.db")
		if err := exec.Command("cp", p.jobFile(), other).Run(); err != nil {
			t.Fatal(err)
		}
		change(t, other, 0o644)
		for _, args := range [][]string{{"status", name}, {"verify", name}, {"export", name, "-o", filepath.Join(elsewhere, "x.jsonl")},
			{"report", name, "-o", filepath.Join(elsewhere, "x.html")}, {"compare", name, other, "-o", filepath.Join(elsewhere, "x.csv")}} {
			if code, said := p.as(nobody, args...); code != exitOK {
				t.Errorf("batch %q: exit %d\n%s", args, code, said)
			}
		}
		for _, verb := range [][]string{{"report", name}, {"compare", name, other}} {
			code, said := p.as(nobody, append(verb, "--format", "json", "-o", exported, "--force")...)
			if code != exitUsage || !strings.Contains(said, exported+": holds the results of this job file") {
				t.Errorf("batch %q: exit %d\n%s", verb, code, said)
			}
		}
		if code, said := p.as(nobody, "export", name, "-o", exported); code != exitUsage || !strings.Contains(said, "cannot be noted in this job file") {
			t.Errorf("exit %d\n%s", code, said)
		}
		want, wantErr := os.ReadFile(p.path("in.simulated.results.jsonl"))
		for _, path := range []string{filepath.Join(elsewhere, "x.jsonl"), exported} {
			rows, err := os.ReadFile(path)
			if err != nil || wantErr != nil || string(rows) != string(want) {
				t.Errorf("%s: the rows are not those of before: %v %v\n%s", path, err, wantErr, rows)
			}
		}
		code, said := p.as(nobody, "run", "in.jsonl", "--db", name, "--base-url", p.http.URL+"/v1")
		if code != exitStorage || !strings.Contains(said, missing) {
			t.Errorf("exit %d\n%s", code, said)
		}
	}
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		p := withRights(t)
		for _, name := range []string{"in.jsonl", filepath.Base(p.jobFile())} {
			change(t, p.path(name), 0o644)
		}
		exported := p.exported(t)
		change(t, p.dir, 0o555)
		look(t, p, exported, "lock job file: open in.simulated.batch.db.lock: permission denied")
	})
	t.Run("mount", func(t *testing.T) {
		t.Parallel()
		dir := small(t, 8<<10)
		p := withRights(t)
		exported := p.exported(t)
		if err := exec.Command("cp", "-r", p.dir+"/.", dir).Run(); err != nil {
			t.Fatal(err)
		}
		p.dir = dir
		for _, name := range []string{"in.jsonl", filepath.Base(p.jobFile())} {
			change(t, p.path(name), 0o666)
		}
		change(t, dir, 0o777)
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		look(t, p, exported, "read-only file system")
	})
}

// Without a right, the file and the right are named.
func TestS9_NoPermission(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		mode os.FileMode
		says string
	}{
		{"nothing", 0, "there is no right to read in.simulated.batch.db"},
		{"reading alone", 0o444, "there is no right to write in.simulated.batch.db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := withRights(t)
			change(t, p.path("in.jsonl"), 0o644)
			change(t, p.jobFile(), c.mode)
			change(t, p.dir, 0o777)
			code, said := p.as(nobody, "run", "in.jsonl", "--db", filepath.Base(p.jobFile()), "--base-url", p.http.URL+"/v1")
			if code != exitStorage || !strings.Contains(said, c.says) {
				t.Errorf("exit %d\n%s", code, said)
			}
		})
	}
}
