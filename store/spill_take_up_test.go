package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// leftBehind is what a run leaves that died: the job file, and the disk on which it set outcomes aside.
type leftBehind struct {
	how  string
	job  map[string][]byte // by suffix
	disk *memDisk
}

// setAsideOnly sets the outcomes of four calls aside, two answers, a call that was given up and one that was not sent, and dies.
func setAsideOnly(t *testing.T, path string) leftBehind {
	s, err := Open(ctx, path, true)
	if err != nil {
		t.Fatal(err)
	}
	d := newMemDisk()
	s.spill.disk = d
	setFourAside(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return leftBehind{"at the start", jobFiles(t, path), d}
}

func setFourAside(t *testing.T, s *Store) {
	mustImport(t, s, "a", "b", "c", "d", "e")
	mustBegin(t, s)
	claims := mustTurn(t, s, 4).Claims
	a, b := answer(claims[0], string(claims[0].Body)), answer(claims[1], string(claims[1].Body))
	given := Outcome{Job: claims[2].Job, Attempt: claims[2].Attempt, Arrow: Fail, Class: "unknown", Sent: true}
	for _, outs := range [][]Outcome{{a}, {b, given}, {{Job: claims[3].Job, Attempt: claims[3].Attempt, Arrow: HandBack}}} {
		if _, err := s.SetAside(outs); err != nil {
			t.Fatal(err)
		}
	}
}

func jobFiles(t *testing.T, path string) map[string][]byte {
	files := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		if err == nil {
			files[suffix] = text
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return files
}

// use opens what was left behind as the next run does.
func (l leftBehind) use(t *testing.T, path string) *Store {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(path + suffix)
	}
	for suffix, text := range l.job {
		if err := os.WriteFile(path+suffix, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(ctx, path, false)
	if err != nil {
		t.Fatalf("%s: %v", l.how, err)
	}
	s.spill.disk = l.disk
	return s
}

// account is all that is known of every job and call.
func account(t *testing.T, s *Store) string {
	var all strings.Builder
	fmt.Fprintln(&all, strings.Join(rows(t, s), "\n"))
	found, err := s.read.Query(`
		SELECT j.id, j.attempts, j.unknown, a.id, a.class, a.sent FROM jobs j LEFT JOIN attempts a ON a.job = j.id ORDER BY j.id, a.id`)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var job, attempts, unknown int64
		var id, class, sent any
		if err := found.Scan(&job, &attempts, &unknown, &id, &class, &sent); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&all, job, attempts, unknown, id, class, sent)
	}
	fmt.Fprintln(&all, totals(t, s))
	return all.String()
}

const allTakenUp = "1 a done\n2 b done\n3 c failed\n4 d pending\n5 e pending\n"

// A process that dies while it takes up what was set aside, or the power that fails then, loses none of it, and nothing is counted twice.
func TestS2_TakeUpDies(t *testing.T) {
	t.Parallel()
	path := filepath.Join(fastDir(t), "prompts.batch.db")
	r := rand.New(rand.NewPCG(4, 1))
	begin := setAsideOnly(t, path)
	var deaths []leftBehind
	look := func(s *Store, op string) {
		job := jobFiles(t, path)
		deaths = append(deaths, leftBehind{"killed before: " + op, job, s.spill.disk.(*memDisk).killed()})
		for range 3 {
			deaths = append(deaths, leftBehind{"power cut before: " + op, job, s.spill.disk.(*memDisk).cut(r)})
		}
	}
	s := begin.use(t, path)
	begin.disk.step = func(op string) { look(s, op) }
	if n, err := s.Recover(ctx); err != nil || n != 0 || s.TakenUp() != 2 {
		t.Fatal(n, s.TakenUp(), err)
	}
	want := account(t, s)
	if !strings.HasPrefix(want, allTakenUp) {
		t.Error(want)
	}
	look(s, "the next")
	s.Close()
	if len(deaths) < 40 {
		t.Errorf("only %d deaths", len(deaths))
	}
	for _, l := range deaths {
		s := l.use(t, path)
		if n, err := s.Recover(ctx); err != nil || n != 0 || len(l.disk.names) != 0 {
			t.Errorf("%s: %d calls are unknown, %d files are left: %v", l.how, n, len(l.disk.names), err)
		}
		if diff := cmp.Diff(want, account(t, s)); diff != "" {
			t.Errorf("%s:\n%s", l.how, diff)
		}
		s.Close()
	}
	t.Logf("%d deaths", len(deaths))
}

// What was taken up says nothing of the calls that are made afterwards, though one of these has the id of a call that was handed back.
func TestS2_TakenUpForGood(t *testing.T) {
	t.Parallel()
	path := filepath.Join(fastDir(t), "prompts.batch.db")
	l := setAsideOnly(t, path)
	s := l.use(t, path)
	if _, err := s.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s, err := Open(ctx, path, false)
	if err != nil {
		t.Fatal(err)
	}
	mustBegin(t, s)
	claims := mustTurn(t, s, 3).Claims
	s.Close()
	if claims[0].Attempt != 4 {
		t.Errorf("the first call has the id %d", claims[0].Attempt)
	}
	job := jobFiles(t, path)
	for seed := range uint64(8) {
		l := leftBehind{fmt.Sprintf("power cut %d", seed), job, l.disk.cut(rand.New(rand.NewPCG(seed, 2)))}
		s := l.use(t, path)
		if n, err := s.Recover(ctx); err != nil || n != int64(len(claims)) {
			t.Errorf("%s: of %d calls that may have been paid for, %d are counted: %v", l.how, len(claims), n, err)
		}
		s.Close()
	}
}

// A failure that was set aside is taken back, though the outcome that does so found room in the place that is read first.
func TestS2_TakeUpTakesBack(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := open(t)
	mustImport(t, s, "a")
	mustBegin(t, s)
	c := mustTurn(t, s, 1).Claims[0]
	beside := s.Path() + spillSuffix
	os.Mkdir(beside, 0o700) // no file can be made there until it is gone
	_, err1 := s.SetAside([]Outcome{{Job: c.Job, Attempt: c.Attempt, Arrow: Fail, Class: "job_failed", Sent: true, Used: 1}})
	os.Remove(beside)
	path, err2 := s.SetAside([]Outcome{{Job: c.Job, Attempt: c.Attempt, Arrow: TakeBack}})
	if err := errors.Join(err1, err2, s.Close()); err != nil || path != beside {
		t.Fatal(path, err)
	}
	s, err := Open(ctx, s.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Recover(ctx); err != nil || n != 0 {
		t.Error(n, err)
	}
	if diff := cmp.Diff([]string{"1 a pending"}, rows(t, s)); diff != "" {
		t.Error(diff)
	}
}

// Whichever operation fails while outcomes are taken up, the next try gets all of them.
func TestS2_TakeUpEveryFault(t *testing.T) {
	t.Parallel()
	path := filepath.Join(fastDir(t), "prompts.batch.db")
	begin := setAsideOnly(t, path)
	failed := map[string]bool{}
	for n := 1; ; n++ {
		l := begin
		l.disk = begin.disk.killed()
		l.disk.n = n
		s := l.use(t, path)
		_, err := s.Recover(ctx)
		if l.disk.failed == "" {
			s.Close()
			break
		}
		failed[l.disk.failed] = true
		if err == nil {
			t.Errorf("%s failed, and nobody was told", l.disk.failed)
		}
		if unknown, err := s.Recover(ctx); err != nil || unknown != 0 || s.TakenUp() != 2 || len(l.disk.names) != 0 {
			t.Errorf("after a failing %s: %d taken up, %d unknown, %v", l.disk.failed, s.TakenUp(), unknown, err)
		}
		if got := account(t, s); !strings.HasPrefix(got, allTakenUp) {
			t.Errorf("after a failing %s:\n%s", l.disk.failed, got)
		}
		s.Close()
	}
	for _, op := range []string{"open", "stat", "read", "remove", "sync folder"} {
		if !failed[op] {
			t.Errorf("%s never failed", op)
		}
	}
}

// A whole line that cannot be read is no torn one: its file is kept and named, whoever can read it.
func TestS2_TakeUpUnreadable(t *testing.T) {
	s := open(t)
	path := s.Path() + spillSuffix
	for _, text := range []string{`{"Job": "one"}`, `[1]`, `{`} {
		line := fmt.Sprintf("%s%08x %s\n", s.spill.head, crc32.Checksum([]byte(text), checksums), text)
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		var unreadable *SpillError
		if _, err := s.Recover(ctx); !errors.As(err, &unreadable) || unreadable.Path != path || json.Valid([]byte(unreadable.Problem)) {
			t.Errorf("%s: %v", text, err)
		}
		if got, err := os.ReadFile(path); string(got) != line {
			t.Errorf("%s: the file became %q: %v", text, got, err)
		}
	}
}

// Of a file without a line no more is held than a first line is long.
func TestS2_TakeUpWithoutLines(t *testing.T) {
	s := open(t)
	path := s.Path() + spillSuffix
	for name, begin := range map[string]string{"foreign": "x", "zeros": "", "cut off": s.spill.head[:20]} {
		if err := os.WriteFile(path, []byte(begin), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 32<<20); err != nil {
			t.Fatal(err)
		}
		before := allocated()
		_, err := s.Recover(ctx)
		after := allocated()
		var foreign *SpillError
		if errors.As(err, &foreign) != (name == "foreign") || err != nil && foreign == nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(path); (err == nil) != (name == "foreign") {
			t.Errorf("%s: %v", name, err)
		}
		if grown := after - before; grown > 4<<20 {
			t.Errorf("%s: %d bytes were taken to read it", name, grown)
		}
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// Waiting tells of this job file's outcomes alone, by whatever name it is called, and of those only that are not saved.
func TestS2_Waiting(t *testing.T) {
	for _, where := range []string{"beside", "elsewhere"} {
		t.Run(where, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			t.Chdir(t.TempDir())
			s, err := Open(ctx, "prompts.batch.db", true)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { s.Close() }()
			mustImport(t, s, "a", "b", "c")
			mustBegin(t, s)
			claims := mustTurn(t, s, 3).Claims
			if where == "elsewhere" {
				os.Mkdir("prompts.batch.db"+spillSuffix, 0o700)
			}
			answered := answer(claims[0], "x")
			path, err := s.SetAside([]Outcome{answered, {Job: claims[1].Job, Attempt: claims[1].Attempt, Arrow: HandBack}})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if diff := cmp.Diff([]Waiting{{path, 2, 1}}, mustWait(t, "prompts.batch.db")); diff != "" {
				t.Error(diff)
			}
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// Of another job file, or of nobody.
			for _, text := range [][]byte{bytes.Replace(whole, []byte(s.spill.head), []byte(headForm+strings.Repeat("0", 32)+"\n"), 1), []byte("a note\nof two lines\n")} {
				os.WriteFile(path, text, 0o600)
				if got := mustWait(t, "prompts.batch.db"); got != nil {
					t.Errorf("of %q: %v", text[:20], got)
				}
			}
			os.WriteFile(path, whole, 0o600)
			if where == "elsewhere" { // somebody else could have written it
				os.Chmod(path, 0o644)
				if got := mustWait(t, "prompts.batch.db"); got != nil {
					t.Error(got)
				}
				os.Chmod(path, 0o600)
			}
			if s, err = Open(ctx, "prompts.batch.db", false); err != nil {
				t.Fatal(err)
			}
			mustApply(t, s, answered)
			if diff := cmp.Diff([]Waiting{{path, 1, 0}}, mustWait(t, "prompts.batch.db")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A failure that a stop takes back is none, whether it waits too or was saved.
func TestS2_ForeseeTakesBack(t *testing.T) {
	fail := func(c Claim) Outcome {
		return Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: Fail, Class: "job_failed", Sent: true, Used: 1}
	}
	back := func(c Claim) Outcome { return Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: TakeBack} }
	s := open(t)
	mustImport(t, s, "a", "b", "c")
	mustBegin(t, s)
	claims := mustTurn(t, s, 3).Claims
	mustApply(t, s, fail(claims[0]))
	if _, err := s.SetAside([]Outcome{back(claims[0]), back(claims[1]), fail(claims[1]), fail(claims[2])}); err != nil {
		t.Fatal(err)
	}
	counts := func(s *Store) Counts {
		t.Helper()
		v, err := s.View(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		c, err := v.Counts(ctx)
		if err != nil {
			t.Fatal(err)
		}
		c.PendingTokens = 0
		return c
	}
	s.Close()
	s, err := Open(ctx, s.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	waits, err := s.Foresee(ctx)
	if err != nil || len(waits) != 1 || waits[0].Jobs != 2 {
		t.Errorf("%+v, %v", waits, err)
	}
	foreseen := counts(s)
	if want := (Counts{Jobs: 3, Failed: 1, Pending: 2}); foreseen != want {
		t.Errorf("foreseen: %+v", foreseen)
	}
	if _, err := s.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	s.foreseen = nil
	if came := counts(s); came != foreseen {
		t.Errorf("foreseen: %+v, came: %+v", foreseen, came)
	}
}

// What is foreseen is what comes: jobs count as they will when the outcomes that wait are saved, and the file stays as it is.
func TestS2_Foresee(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prompts.batch.db")
	s, err := Open(ctx, path, true)
	if err != nil {
		t.Fatal(err)
	}
	setFourAside(t, s)
	s.Close()
	if s, err = Open(ctx, path, false); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := account(t, s)
	waits, err := s.Foresee(ctx)
	if diff := cmp.Diff([]Waiting{{path + spillSuffix, 4, 2}}, waits); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	foreseen := Counts{Jobs: 5, Done: 2, Failed: 1, Running: 1, Pending: 1}
	look := func(how string, got Counts, left []Backlog) {
		t.Helper()
		got.PendingTokens = 0
		if diff := cmp.Diff(foreseen, got); diff != "" || len(left) != 1 || left[0].Jobs != 2 {
			t.Errorf("%s: %s, %+v left", how, diff, left)
		}
	}
	v, err := s.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	counts, err1 := v.Counts(ctx)
	left, err2 := v.Unanswered(ctx)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	look("seen", counts, left)
	unsaved := 0
	for c, err := range v.Calls(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Unsaved {
			unsaved++
		}
	}
	if unsaved != 4 {
		t.Errorf("of 4 outcomes that wait, the calls of %d are told", unsaved)
	}
	done, err := s.Reuse(ctx, ReuseOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	look("in a rehearsal", done.Counts, done.Backlog)
	if after := account(t, s); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
	if _, err := s.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows(t, s), "\n") + "\n"; got != allTakenUp {
		t.Error(got)
	}
}

func mustWait(t *testing.T, name string) []Waiting {
	t.Helper()
	s, err := OpenRead(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.Waiting(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
