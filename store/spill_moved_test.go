package store

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A job file that was renamed, or a run with another folder for temporary files, finds what was set aside, a copy does not, and nobody takes
// what is another's.
func TestS2_SetAsideMoved(t *testing.T) {
	for _, c := range []struct {
		name                             string
		elsewhere, copied, temp, staying bool
		want                             int64
	}{
		{"renamed, beside", false, false, false, false, 1},
		{"renamed, elsewhere", true, false, false, false, 1},
		{"renamed, elsewhere, another folder", true, false, true, false, 1},
		{"another folder", true, false, true, true, 1},
		{"copied, beside", false, true, false, false, 0},
		{"copied, elsewhere", true, true, false, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			s := open(t)
			mustImport(t, s, "a", "b")
			mustBegin(t, s)
			if c.elsewhere {
				os.Mkdir(s.Path()+spillSuffix, 0o700)
			}
			claim := mustTurn(t, s, 2).Claims[0]
			path, err := s.SetAside([]Outcome{answer(claim, string(claim.Body))})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			os.Remove(s.Path() + spillSuffix + "/")
			job, err := os.ReadFile(s.Path())
			if err != nil {
				t.Fatal(err)
			}
			moved := t.TempDir() + "/moved.batch.db"
			if err := os.WriteFile(moved, job, 0o600); err != nil {
				t.Fatal(err)
			}
			if !c.copied {
				os.Remove(s.Path())
			}
			if c.staying {
				moved = s.Path()
				if err := os.WriteFile(moved, job, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.temp {
				t.Setenv("TMPDIR", t.TempDir())
			}
			if waits := mustWait(t, moved); int64(len(waits)) != c.want {
				t.Error(waits)
			}
			if s, err = Open(ctx, moved, false); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Recover(ctx); err != nil || s.TakenUp() != c.want {
				t.Errorf("%d were taken up: %v", s.TakenUp(), err)
			}
			if _, err := os.Stat(path); (err == nil) != c.copied {
				t.Errorf("%s: %v", path, err)
			}
		})
	}
}

// What lies at the old place and is another's stops nobody, and stays.
func TestS2_SetAsideMovedFromForeign(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a")
	mustBegin(t, s)
	s.Close()
	old := s.Path()
	moved := t.TempDir() + "/moved.batch.db"
	if err := os.Rename(old, moved); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"my only note\n", headForm + "00000000000000000000000000000000\nanother's\n"} {
		if err := os.WriteFile(old+spillSuffix, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(ctx, moved, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recover(ctx); err != nil {
			t.Error(err)
		}
		s.Close()
		if got, err := os.ReadFile(old + spillSuffix); string(got) != text {
			t.Errorf("%q became %q: %v", text, got, err)
		}
	}
}

// A disk that knows no modes, as a USB stick, shows every file as open to others. What was set aside there, and is found where the job
// file was, counts; what cannot be read there may be ours, and is told. In a folder of all, ours is told too.
func TestS2_SetAsideOpenToOthers(t *testing.T) {
	for _, c := range []struct {
		name            string
		elsewhere, move bool
		mode            os.FileMode
		told            bool
	}{
		{"renamed, beside", false, true, 0o644, false},
		{"renamed, beside, unreadable", false, true, 0, true},
		{"renamed, elsewhere", true, true, 0o644, true},
		{"elsewhere", true, false, 0o644, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			s := open(t)
			mustImport(t, s, "a")
			mustBegin(t, s)
			if c.elsewhere {
				os.Mkdir(s.Path()+spillSuffix, 0o700)
			}
			claim := mustTurn(t, s, 1).Claims[0]
			path, err := s.SetAside([]Outcome{answer(claim, string(claim.Body))})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			os.Remove(s.Path() + spillSuffix + "/")
			name := s.Path()
			if c.move {
				name = t.TempDir() + "/moved.batch.db"
				if err := os.Rename(s.Path(), name); err != nil {
					t.Fatal(err)
				}
			}
			if s, err = Open(ctx, name, false); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			s.spill.disk = ofModes{}
			_, err = s.Recover(ctx)
			if (err != nil) != c.told || err != nil && !strings.Contains(err.Error(), path) {
				t.Error(err)
			}
			if _, err := os.Stat(path); (err == nil) != c.told || (s.TakenUp() == 0) != c.told {
				t.Errorf("%d were taken up; %v", s.TakenUp(), err)
			}
		})
	}
}

// ofModes is the real disk as it is for a user who has no other rights than a file's mode gives him, which root has.
type ofModes struct{ realDisk }

func (ofModes) open(name string) (diskFile, error) {
	if info, err := os.Lstat(name); err == nil && info.Mode().Perm()&0o400 == 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	}
	return realDisk{}.open(name)
}
