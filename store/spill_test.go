package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestS2_SetAside: what the job file did not take is in it after the next Recover, once, whatever else became of it; and the file in which it
// waited is gone.
func TestS2_SetAside(t *testing.T) {
	for _, where := range []string{"beside", "elsewhere"} {
		for _, saved := range []bool{false, true} {
			t.Run(where+map[bool]string{false: "", true: "/saved all the same"}[saved], func(t *testing.T) {
				t.Setenv("TMPDIR", t.TempDir())
				s := open(t)
				mustImport(t, s, "a", "b", "c")
				mustBegin(t, s)
				claims := mustTurn(t, s, 3).Claims
				spill := s.Path() + spillSuffix
				if where == "beside" {
					if err := s.Reserve(100 << 10); err != nil {
						t.Fatal(err)
					}
				} else {
					os.Mkdir(spill, 0o700) // no file can be made there
				}
				given := answer(claims[0], string(claims[0].Body))
				given.ErrorBody = []byte("\x00\xff not even text \n")
				path, err := s.SetAside([]Outcome{given, {Job: claims[1].Job, Attempt: claims[1].Attempt, Arrow: HandBack}})
				if err != nil || (path == spill) != (where == "beside") {
					t.Fatal(path, err)
				}
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%v %v", info.Mode(), err)
				}
				if saved {
					mustApply(t, s, given)
				}
				s.Close() // as a death: the run did not end

				os.Remove(spill + "/") // if it is the folder
				if s, err = Open(ctx, s.Path(), false); err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				n, err := s.Recover(ctx)
				if err != nil || n != 1 {
					t.Errorf("%d calls are unknown, not that of c alone: %v", n, err)
				}
				if want := map[bool]int64{false: 1, true: 0}[saved]; s.TakenUp() != want {
					t.Errorf("%d answers were taken up, not %d", s.TakenUp(), want)
				}
				if diff := cmp.Diff([]string{"1 a done", "2 b pending", "3 c pending"}, rows(t, s)); diff != "" {
					t.Error(diff)
				}
				var got []byte
				if err := s.read.QueryRow("SELECT body FROM attempts WHERE class = 'done'").Scan(&got); err != nil || !bytes.Equal(got, given.ErrorBody) {
					t.Errorf("%q, %v", got, err)
				}
				if _, err := os.Lstat(path); !os.IsNotExist(err) {
					t.Errorf("%s is still there: %v", path, err)
				}
			})
		}
	}
}

// mustApply saves an outcome behind the back of the file in which it is set aside, as a COMMIT does that says it failed.
func mustApply(t *testing.T, s *Store, o Outcome) {
	t.Helper()
	if err := s.applyOneByOne(ctx, []Outcome{o}); err != nil {
		t.Fatal(err)
	}
}

// TestS2_SetAsideTorn: a file that was cut anywhere gives what is whole in it, and nothing else.
func TestS2_SetAsideTorn(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := open(t)
	mustImport(t, s, "a", "b", "c")
	mustBegin(t, s)
	claims := mustTurn(t, s, 3).Claims
	for _, c := range claims {
		if _, err := s.SetAside([]Outcome{answer(c, string(c.Body))}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	path := s.Path() + spillSuffix
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	job, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(whole); cut += 53 {
		for _, torn := range [][]byte{whole[:cut], append(bytes.Clone(whole[:cut]), make([]byte, 5000)...), flipped(whole, cut)} {
			dir := t.TempDir()
			copied := filepath.Join(dir, "x.batch.db")
			os.WriteFile(copied, job, 0o600)
			os.WriteFile(copied+spillSuffix, torn, 0o600)
			s, err := Open(ctx, copied, false)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Recover(ctx)
			var foreign *SpillError
			if errors.As(err, &foreign) {
				if head := bytes.IndexByte(whole, '\n'); cut > head {
					t.Errorf("cut at %d: %v", cut, err)
				}
				s.Close()
				continue
			}
			if err != nil {
				t.Errorf("cut at %d: %v", cut, err)
			}
			want := int64(0)
			for line := range strings.Lines(string(torn)) {
				if strings.Contains(string(whole), "\n"+line) && strings.HasSuffix(line, "\n") {
					want++
				}
			}
			if s.TakenUp() != want {
				t.Errorf("cut at %d: %d answers were taken up, %d lines are whole", cut, s.TakenUp(), want)
			}
			for _, row := range rows(t, s) {
				if !strings.HasSuffix(row, "done") && !strings.HasSuffix(row, "pending") {
					t.Errorf("cut at %d: %s", cut, row)
				}
			}
			s.Close()
		}
	}
}

func flipped(text []byte, at int) []byte {
	text = bytes.Clone(text)
	text[at] ^= 1
	return text
}

// TestS2_SetAsideOfAnother: who deletes a job file and starts over does not get the answers of the old one, nor loses them unasked.
func TestS2_SetAsideOfAnother(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a")
	mustBegin(t, s)
	if _, err := s.SetAside([]Outcome{answer(mustTurn(t, s, 1).Claims[0], "x")}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.removeFiles()
	s, err := Open(ctx, s.Path(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var foreign *SpillError
	if _, err := s.Recover(ctx); !errors.As(err, &foreign) || foreign.Path != s.Path()+spillSuffix {
		t.Error(err)
	}
	if _, err := os.Stat(foreign.Path); err != nil {
		t.Error(err)
	}
}

// TestS2_SetAsideInTheWay: a file that batch has not written is not taken away.
func TestS2_SetAsideInTheWay(t *testing.T) {
	for _, text := range []string{"my only note", "my only note\n", "a\nb\n"} {
		s := open(t)
		path := s.Path() + spillSuffix
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var foreign *SpillError
		if _, err := s.Recover(ctx); !errors.As(err, &foreign) {
			t.Errorf("%q: %v", text, err)
		}
		if got, err := os.ReadFile(path); string(got) != text {
			t.Errorf("%q became %q: %v", text, got, err)
		}
	}
}

// TestS2_Reserve: its room is there while a run is on, costs nothing to use, and goes with it; and what a run that died left is no answer.
func TestS2_Reserve(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a")
	mustBegin(t, s)
	if err := s.Reserve(1 << 20); err != nil {
		t.Fatal(err)
	}
	path := s.Path() + spillSuffix
	info, err := os.Stat(path)
	if err != nil || info.Size() < 1<<20 {
		t.Fatalf("%v %v", info, err)
	}
	c := mustTurn(t, s, 1).Claims[0]
	if _, err := s.SetAside([]Outcome{answer(c, strings.Repeat("x", 500<<10))}); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || after.Size() != info.Size() {
		t.Errorf("%d bytes became %d", info.Size(), after.Size())
	}
	mustTurn(t, s, 0, answer(c, "x")) // it is saved after all
	s.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", path, err)
	}
	os.WriteFile(path, append([]byte(s.spill.head), make([]byte, 1000)...), 0o600)
	if s, err = Open(ctx, s.Path(), false); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Recover(ctx); err != nil || s.TakenUp() != 0 {
		t.Error(s.TakenUp(), err)
	}
	if err := s.Reserve(1 << 10); err != nil {
		t.Error(err)
	}
}
