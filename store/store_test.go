package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var ctx = context.Background()

// open creates a job file in a folder of the test's own.
func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "prompts.batch.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// job makes a line whose request is told by its text; "id=text" gives it a custom_id.
func job(line int, spec string) Job {
	j := Job{Line: line, Model: "m", Tokens: 10}
	if id, rest, found := strings.Cut(spec, "="); found {
		j.CustomID, j.HasCustomID, spec = id, true, rest
	}
	j.Key = sha256.Sum256([]byte(spec))
	j.Body = []byte(`{"prompt":"` + spec + `"}`)
	return j
}

func load(specs ...string) func(*Importer) error {
	return func(imp *Importer) error {
		imp.File("prompts.jsonl")
		for i, spec := range specs {
			if err := imp.Add(job(i+1, spec)); err != nil {
				return err
			}
		}
		return imp.EndFile(Input{Path: "prompts.jsonl", Rows: len(specs)})
	}
}

func mustImport(t testing.TB, s *Store, specs ...string) Changes {
	t.Helper()
	c, err := s.Import(ctx, ImportOptions{AcceptChanges: true}, load(specs...))
	if err != nil {
		t.Fatal(err)
	}
	return c.Changes
}

func mustBegin(t testing.TB, s *Store) {
	t.Helper()
	if err := s.BeginRun(ctx, Run{Started: time.Now(), Endpoint: "http://127.0.0.1/v1", Version: "test"}); err != nil {
		t.Fatal(err)
	}
}

func mustTurn(t testing.TB, s *Store, jobs int, outcomes ...Outcome) Turned {
	t.Helper()
	turned, err := s.Turn(ctx, outcomes, nil, Want{Jobs: jobs, New: jobs, Bytes: 1 << 20, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return turned
}

func answer(c Claim, text string) Outcome {
	return Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: Complete, Started: time.Now(), Class: "done", Sent: true, Status: 200,
		Usage: Usage{Known: true, Prompt: 10, Completion: 5, Total: 15}, Response: []byte(text), FinishReason: "stop"}
}

// drain answers every job of the input with its own body.
func drain(t testing.TB, s *Store) {
	t.Helper()
	for {
		turned := mustTurn(t, s, 100)
		if len(turned.Claims) == 0 {
			return
		}
		var outs []Outcome
		for _, c := range turned.Claims {
			outs = append(outs, answer(c, "answer to "+string(c.Body)))
		}
		mustTurn(t, s, 0, outs...)
	}
}

// rows tells the file's rows as "line body state answer".
func rows(t testing.TB, s *Store) []string {
	t.Helper()
	v := viewOf(t, s)
	defer v.Close()
	var all []string
	for r, err := range v.Rows(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Skipped {
			all = append(all, fmt.Sprintf("%d skipped %s", r.Line, r.Message))
			continue
		}
		text := strings.TrimSuffix(strings.TrimPrefix(string(r.Body), `{"prompt":"`), `"}`)
		all = append(all, strings.TrimSpace(fmt.Sprintf("%d %s%s %s", r.Line, r.CustomID, text, r.State)))
		if r.State == Done && !strings.Contains(string(r.Response), string(r.Body)) {
			t.Errorf("line %d: the answer %q is not this prompt's", r.Line, r.Response)
		}
	}
	return all
}

func TestPrivateFile(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(s.Path() + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", info.Name(), info.Mode())
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	t.Run("S22_names", func(t *testing.T) {
		for _, name := range []string{"a b.db", "jobs?_sync=OFF&x=.db", "50%.db", "%2e%2e.db", "#1.db", "-x.db", "new\nline.db", "ü東.db", "'q'\".db"} {
			folder := t.TempDir()
			s, err := Open(ctx, filepath.Join(folder, name), true)
			if err != nil {
				t.Errorf("%q: %v", name, err)
				continue
			}
			var sync int
			if err := s.conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&sync); err != nil || sync != 2 {
				t.Errorf("%q: synchronous is %d (%v)", name, sync, err)
			}
			s.Close()
			if made, err := os.ReadDir(folder); err != nil || len(made) != 1 || made[0].Name() != name {
				t.Errorf("%q: %v %v", name, made, err)
			}
		}
	})
	t.Run("its maker died", func(t *testing.T) {
		for name, script := range map[string]string{"unborn.db": "", "strange.db": "CREATE TABLE t (a)", "marked.db": "PRAGMA application_id = 7"} {
			path := filepath.Join(dir, name)
			db, err := sql.Open("sqlite3", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec("PRAGMA journal_mode=WAL; " + script); err != nil {
				t.Fatal(err)
			}
			db.Close()
			if _, err := Open(ctx, path, false); !errors.Is(err, ErrNotJobFile) {
				t.Errorf("%s: %v", name, err)
			}
			s, err := Open(ctx, path, true)
			if script != "" {
				if !errors.Is(err, ErrNotJobFile) {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if !s.Created() {
				t.Error("it does not count as new")
			}
			s.Close()
		}
	})
	t.Run("missing", func(t *testing.T) {
		if _, err := Open(ctx, filepath.Join(dir, "none.db"), false); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	})
	t.Run("S12_not_a_job_file", func(t *testing.T) {
		for _, p := range []string{write("text.db", strings.Repeat("hello ", 1000)), write("empty.db", ""), dir} {
			if _, err := OpenRead(ctx, p); !errors.Is(err, ErrNotJobFile) {
				t.Errorf("%s: %v", p, err)
			}
		}
		if _, err := Open(ctx, write("text.db", strings.Repeat("hello ", 1000)), true); !errors.Is(err, ErrNotJobFile) {
			t.Error(err)
		}
	})
	t.Run("S23_memory", func(t *testing.T) {
		for _, p := range []string{"", ":memory:"} {
			if _, err := Open(ctx, p, true); !errors.Is(err, ErrNotJobFile) {
				t.Errorf("%q: %v", p, err)
			}
		}
	})
	t.Run("S14_newer", func(t *testing.T) {
		p := filepath.Join(dir, "newer.db")
		s, err := Open(ctx, p, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.conn.ExecContext(ctx, "PRAGMA user_version = 99"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		before, _ := os.ReadFile(p)
		var newer *VersionError
		if _, err := Open(ctx, p, true); !errors.As(err, &newer) {
			t.Error(err)
		}
		if after, _ := os.ReadFile(p); !slices.Equal(before, after) {
			t.Error("the file was touched")
		}
	})
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	l, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if _, err := Acquire(path); !errors.As(err, &locked) || !strings.Contains(locked.Holder, fmt.Sprint(os.Getpid())) {
		t.Errorf("second lock: %v", err)
	}
	l.Release()
	l, err = Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
}

// Who only looks whether a run is on holds the lock for a moment: a run that begins just then goes on.
func TestLockWhileSomebodyLooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	looker, err := os.Create(lockName(path))
	if err != nil {
		t.Fatal(err)
	}
	looker.WriteString(noteForm + "1 since long ago") // of a run that was killed
	if err := syscall.Flock(int(looker.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(patience/10, func() { looker.Close() })
	l, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
}

func TestImport(t *testing.T) {
	tests := []struct {
		name          string
		before, after []string
		changes       Changes
		rows          []string
	}{
		{"again", []string{"a", "b"}, []string{"a", "b"}, Changes{Kept: 2, Answered: 2}, []string{"1 a done", "2 b done"}},
		{"inserted", []string{"a", "b"}, []string{"a", "x", "b"}, Changes{New: 1, Kept: 2, Answered: 2},
			[]string{"1 a done", "2 x pending", "3 b done"}},
		{"shuffled", []string{"a", "b", "c"}, []string{"c", "a", "b"}, Changes{Kept: 3, Answered: 3},
			[]string{"1 c done", "2 a done", "3 b done"}},
		{"deleted", []string{"a", "b", "c"}, []string{"a", "c"}, Changes{Kept: 2, Gone: 1, AnsweredGone: 1, Answered: 3},
			[]string{"1 a done", "2 c done"}},
		{"changed in place", []string{"a", "b"}, []string{"a", "B"}, Changes{Changed: 1, Kept: 1, AnsweredGone: 1, Answered: 2},
			[]string{"1 a done", "2 B pending"}},
		{"changed under its id", []string{"r1=a", "r2=b"}, []string{"r2=B", "r1=a"}, Changes{Changed: 1, Kept: 1, AnsweredGone: 1, Answered: 2},
			[]string{"1 r2B pending", "2 r1a done"}},
		{"same line twice", []string{"a", "a"}, []string{"a", "a", "a"}, Changes{New: 1, Kept: 2, Answered: 2},
			[]string{"1 a done", "2 a done", "3 a pending"}},
		{"ids given", []string{"a", "b"}, []string{"r1=a", "r2=b"}, Changes{Kept: 2, Answered: 2},
			[]string{"1 r1a done", "2 r2b done"}},
		{"ids renamed", []string{"r1=a", "r2=b"}, []string{"s1=a", "r2=b"}, Changes{Kept: 2, Answered: 2},
			[]string{"1 s1a done", "2 r2b done"}},
		{"ids swapped", []string{"r1=a", "r2=b"}, []string{"r1=b", "r2=a"}, Changes{Changed: 2, AnsweredGone: 2, Answered: 2},
			[]string{"1 r1b pending", "2 r2a pending"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			mustImport(t, s, test.before...)
			mustBegin(t, s)
			drain(t, s)
			if diff := cmp.Diff(test.changes, mustImport(t, s, test.after...)); diff != "" {
				t.Error("changes:", diff)
			}
			if diff := cmp.Diff(test.rows, rows(t, s)); diff != "" {
				t.Error("rows:", diff)
			}
		})
	}
	t.Run("a line that comes back has its answer still", func(t *testing.T) {
		s := open(t)
		mustImport(t, s, "a", "b")
		mustBegin(t, s)
		drain(t, s)
		mustImport(t, s, "a")
		mustImport(t, s, "b", "a")
		if diff := cmp.Diff([]string{"1 b done", "2 a done"}, rows(t, s)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a failing load changes nothing", func(t *testing.T) {
		s := open(t)
		mustImport(t, s, "a", "b")
		stop := errors.New("bad input")
		_, err := s.Import(ctx, ImportOptions{}, func(imp *Importer) error {
			load("x")(imp)
			return stop
		})
		if !errors.Is(err, stop) {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"1 a pending", "2 b pending"}, rows(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBrake(t *testing.T) {
	many := func(n int, prefix string) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprint(prefix, i))
		}
		return all
	}
	for _, test := range []struct {
		name    string
		answers int
		changed int
		stopped bool
	}{
		{"20 of 100", 100, 20, false},
		{"21 of 100", 100, 21, true},
		{"21 of 210", 210, 21, false},
		{"22 of 210", 210, 22, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			lines := many(test.answers, "p")
			mustImport(t, s, lines...)
			mustBegin(t, s)
			drain(t, s)
			copy(lines, many(test.changed, "q"))
			_, err := s.Import(ctx, ImportOptions{}, load(lines...))
			var brake *BrakeError
			if errors.As(err, &brake) != test.stopped {
				t.Fatal(err)
			}
			if test.stopped {
				if brake.Changes.AnsweredGone != int64(test.changed) {
					t.Errorf("%+v", brake.Changes)
				}
				if all := rows(t, s); all[0] != "1 p0 done" {
					t.Error("the import was not undone:", all[0])
				}
				mustImport(t, s, lines...) // accepts changes
			}
			if all := rows(t, s); all[0] != "1 q0 pending" {
				t.Error(all[0])
			}
		})
	}
}

func TestDuplicates(t *testing.T) {
	s := open(t)
	for round := range 2 { // the first import and a later one take different ways
		_, err := s.Import(ctx, ImportOptions{}, func(imp *Importer) error {
			if err := load("r1=a", "r2=b", "r1=c", "r1=d")(imp); err != nil {
				return err
			}
			dups, n, err := imp.Duplicates(1)
			if err != nil {
				return err
			}
			want := []Duplicate{{"r1", "prompts.jsonl", "prompts.jsonl", 1, 3}}
			if diff := cmp.Diff(want, dups); diff != "" || n != 2 {
				t.Errorf("round %d: %d duplicates: %s", round, n, diff)
			}
			return imp.SkipDuplicates()
		})
		if err != nil {
			t.Fatal(err)
		}
		const skipped = "skipped custom_id: is already used at prompts.jsonl:1"
		if diff := cmp.Diff([]string{"1 r1a pending", "2 r2b pending", "3 " + skipped, "4 " + skipped}, rows(t, s)); diff != "" {
			t.Error(diff)
		}
	}
}
