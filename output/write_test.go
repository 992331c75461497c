package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"batch/store"
)

var errFault = errors.New("the disk is gone")

func noTemporary(t *testing.T, files Files) {
	t.Helper()
	for _, name := range strings.Split(names(t, filepath.Dir(files.Usage)), "\n") {
		if strings.HasSuffix(name, tempSuffix) {
			t.Errorf("%s was left behind", name)
		}
	}
}

// A disk that is full in the middle of a large file, played by a limit on the size of files. The limit holds for all of
// a process, so it is a child that runs into it.
func TestO3_DiskFull(t *testing.T) {
	if os.Getenv("OUTPUT_TEST_DISK_FULL") == "" {
		child := exec.Command(os.Args[0], "-test.run=^TestO3_DiskFull$")
		child.Env = append(os.Environ(), "OUTPUT_TEST_DISK_FULL=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	_, files, opt := setup(t)
	led := &ledger{}
	if _, err := Write(t.Context(), story(), led, files, opt); err != nil {
		t.Fatal(err)
	}
	old := texts(t, files)
	big := &source{}
	for i := range 2000 {
		big.rows = append(big.rows, done(i+1, `"q"`, `{"role":"assistant","content":"`+strings.Repeat("x", 500)+`"}`))
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	small := syscall.Rlimit{Cur: 512 << 10, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	_, err := Write(t.Context(), big, led, files, opt)
	if back := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); back != nil {
		t.Fatal(back)
	}
	if !errors.Is(err, syscall.EFBIG) || !strings.HasPrefix(err.Error(), "write "+files.Results+": ") || strings.Contains(err.Error(), tempSuffix) {
		t.Errorf("error: %v", err)
	}
	if diff := cmp.Diff(old, texts(t, files)); diff != "" {
		t.Errorf("a failed write changed the files:\n%s", diff)
	}
	noTemporary(t, files)
}

// Reading fails in the middle: the same.
func TestO3_SourceFails(t *testing.T) {
	for _, format := range []Format{JSONL, CSV, Parquet} {
		_, files, opt := setup(t)
		opt.Format = format
		src := story()
		src.err = errFault
		if _, err := Write(t.Context(), src, &ledger{}, files, opt); !errors.Is(err, errFault) {
			t.Errorf("%s: %v", format, err)
		}
		if got := texts(t, files); got != [3]string{} {
			t.Errorf("%s: files were written: %q", format, got)
		}
		noTemporary(t, files)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// P13: a reader that went away is told apart; errors and usage stand all the same and are ours, also when it went in the
// middle of the rows.
func TestStdoutClosed(t *testing.T) {
	_, want := write(t, story(), Options{})
	for _, format := range []Format{JSONL, CSV, Parquet} {
		for _, size := range []int{1, bufferSize} {
			_, files, opt := setup(t)
			files.Results, opt.Stdout, opt.Format = Stdout, brokenPipe{}, format
			led := &ledger{}
			src := story()
			src.rows[0].Response = bytes.ReplaceAll(src.rows[0].Response, []byte("Danube"), bytes.Repeat([]byte("D"), size))
			rep, err := Write(t.Context(), src, led, files, opt)
			if !errors.Is(err, syscall.EPIPE) || err.Error() != "write standard output: broken pipe" {
				t.Error(err)
			}
			if len(rep.Written) != 2 || rep.Written[0].Path != files.Errors || rep.Written[1].Path != files.Usage || rep.Rows != 9 {
				t.Errorf("%+v", rep)
			}
			if got := texts(t, files); format == JSONL && (got[1] != want[1] || got[2] != want[2]) || got[1] == "" {
				t.Errorf("%q", got)
			}
			if err := Check(t.Context(), led, files, opt); err != nil {
				t.Error(err)
			}
			noTemporary(t, files)
		}
	}
}

// An error between two renames says which file is which.
func TestO3_HalfInPlace(t *testing.T) {
	for nth, want := range []string{"", "R is new, E and U are as before", "R and E are new, U is as before"} {
		_, files, opt := setup(t)
		seen := 0
		opt.disk = hooked{realDisk{}, func(op string) error {
			if op == "rename" {
				if seen++; seen == nth+1 {
					return errFault
				}
			}
			return nil
		}}
		_, err := Write(t.Context(), story(), &ledger{}, files, opt)
		want = strings.NewReplacer("R", files.Results, "E", files.Errors, "U", files.Usage).Replace(want)
		full := "put " + files.list()[nth] + " in place: the disk is gone"
		if want != "" {
			full += " (" + want + ")"
		}
		if !errors.Is(err, errFault) || err.Error() != full {
			t.Errorf("%v, want %s", err, full)
		}
	}
}

// An output is a function of the job file.
func TestO11_WriteTwice(t *testing.T) {
	for _, opt := range []Options{{}, {Shape: OpenAI}, {Shape: Chat}, {Format: CSV}, {Format: Parquet}, {Format: Parquet, Shape: Chat}} {
		_, one := write(t, story(), opt)
		_, two := write(t, story(), opt)
		if diff := cmp.Diff(one, two); diff != "" {
			t.Errorf("%v: written twice:\n%s", opt, diff)
		}
	}
}

// The rows of the two files are the rows of the input, once each and in order. What is written to learn from has a row for each
// choice: the story has an answer with two.
func TestO5_O6_RowsInRowsOut(t *testing.T) {
	for _, opt := range []Options{{}, {Shape: OpenAI}, {Shape: Chat}, {Format: CSV}, {Format: Parquet}, {Shape: Pairs}} {
		rep, _ := write(t, story(), opt)
		want := rep.Rows
		if opt.Shape == Chat || opt.Shape == Pairs {
			want++
		}
		if got := rep.Written[0].Rows + rep.Written[1].Rows + rep.Pending + rep.Unfit; got != want {
			t.Errorf("%v: %d rows out, %d in", opt, got, rep.Rows)
		}
	}
}

// The errors file of the run before goes when nothing failed any more; somebody else's stays.
func TestErrorsFileGoes(t *testing.T) {
	good := &source{rows: story().rows[:1]}
	t.Run("ours", func(t *testing.T) {
		_, files, opt := setup(t)
		led := &ledger{}
		if _, err := Write(t.Context(), story(), led, files, opt); err != nil {
			t.Fatal(err)
		}
		rep, err := Write(t.Context(), good, led, files, opt)
		if err != nil || rep.Removed != files.Errors || len(rep.Written) != 2 || !rep.Complete {
			t.Errorf("%+v, %v", rep, err)
		}
		if texts(t, files)[1] != "" {
			t.Error("the errors file still stands")
		}
		if rep, err := Write(t.Context(), good, led, files, opt); err != nil || rep.Removed != "" {
			t.Errorf("once more: %+v, %v", rep, err)
		}
	})
	t.Run("somebody else's", func(t *testing.T) {
		_, files, opt := setup(t)
		put(t, files.Errors, "mine")
		opt.Force = true
		rep, err := Write(t.Context(), good, &ledger{}, files, opt)
		if err != nil || rep.Removed != "" || texts(t, files)[1] != "mine" {
			t.Errorf("%+v, %v", rep, err)
		}
	})
}

// Nothing answered yet: an empty results file, or one with a header, and totals that say so.
func TestNothingYet(t *testing.T) {
	src := &source{rows: story().rows[2:3]}
	rep, got := write(t, src, Options{})
	if got[0] != "" || got[1] != "" || !strings.Contains(got[2], `"complete":false,"total":true`) || rep.Complete {
		t.Errorf("%q %+v", got, rep)
	}
	_, got = write(t, src, Options{Format: CSV})
	if got[0] != strings.Join(resultColumns, ",")+"\r\n" || got[1] != "" {
		t.Errorf("%q", got)
	}
	for shape, columns := range map[Shape]int{Flat: len(resultColumns), Chat: 1, Pairs: 2} {
		_, got = write(t, src, Options{Format: Parquet, Shape: shape})
		if schema, rows := table(t, got[0]); len(schema) != columns || len(rows) != 0 || got[1] != "" {
			t.Errorf("%s: %v %v", shape, schema, rows)
		}
	}
}

// Outputs follow the umask, as any file that a shell writes; the job file does not.
func TestMode(t *testing.T) {
	for _, mask := range []int{0o022, 0o077} {
		old := syscall.Umask(mask)
		_, files, opt := setup(t)
		_, err := Write(t.Context(), story(), &ledger{}, files, opt)
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files.list() {
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != os.FileMode(0o666&^mask) {
				t.Errorf("umask %o: %v %v", mask, info.Mode(), err)
			}
		}
	}
}

// P6: what a killed export left behind is cleared away, even when nothing needs to be written; what a living one is writing is not,
// nor is anything else.
func TestLeftovers(t *testing.T) {
	dir, files, opt := setup(t)
	dead := tempPrefix(files.Results) + "DEAD" + tempSuffix
	put(t, dead, "half a row")
	kept := []string{
		filepath.Join(dir, ".prompts.results.jsonl"+tempMark+"note.txt"),
		filepath.Join(dir, ".other.jsonl"+tempMark+"X"+tempSuffix),
	}
	for _, path := range kept {
		put(t, path, "mine")
	}
	living, err := create(realDisk{}, files.Results)
	if err != nil {
		t.Fatal(err)
	}
	defer living.discard()
	if err := Check(t.Context(), &ledger{}, files, opt); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Error("the dead export's file still lies there")
	}
	for _, path := range append(kept, living.temp) {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// lockedLedger lets several exports use one ledger, and may do something before it takes a record.
type lockedLedger struct {
	mu sync.Mutex
	ledger
	before func()
}

func (l *lockedLedger) Outputs(ctx context.Context) ([]store.Output, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ledger.Outputs(ctx)
}

func (l *lockedLedger) RecordOutputs(ctx context.Context, outs ...store.Output) error {
	if before := l.before; before != nil {
		before()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ledger.RecordOutputs(ctx, outs...)
}

// Two exports to one file in every order of record and rename: whole files, and ours ever after.
func TestO10_TwoExports(t *testing.T) {
	_, now := write(t, story(), Options{})
	for _, at := range []string{"create", "write", "sync", "record", "rename", "sync folder"} {
		for nth := range 3 {
			t.Run(fmt.Sprint(at, nth), func(t *testing.T) {
				_, files, opt := setup(t)
				led := &lockedLedger{}
				if _, err := Write(t.Context(), &source{}, led, files, opt); err != nil {
					t.Fatal(err)
				}
				outer := opt
				seen := 0
				step := func(op string) error {
					if op != at {
						return nil
					}
					if seen++; seen != nth+1 {
						return nil
					}
					_, err := Write(t.Context(), story(), led, files, opt) // the other export, all at once
					return err
				}
				outer.disk = hooked{realDisk{}, step}
				led.before = func() {
					if err := step("record"); err != nil {
						t.Error(err)
					}
				}
				if _, err := Write(t.Context(), story(), led, files, outer); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(now, texts(t, files)); diff != "" {
					t.Error(diff)
				}
				if err := Check(t.Context(), led, files, opt); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		}
	}
}

// A file that somebody put there while the run was on is not written over, and does not become ours.
func TestO1_FileAppears(t *testing.T) {
	_, files, opt := setup(t)
	led := &ledger{}
	appear := opt
	appear.disk = hooked{realDisk{}, func(op string) error {
		if op == "sync" {
			put(t, files.Usage, "mine")
		}
		return nil
	}}
	var refused *RefusedError
	if _, err := Write(t.Context(), story(), led, files, appear); !errors.As(err, &refused) || refused.Path != files.Usage {
		t.Error(err)
	}
	if got := texts(t, files); got != [3]string{"", "", "mine"} {
		t.Errorf("%q", got)
	}
	if err := Check(t.Context(), led, files, opt); !errors.As(err, &refused) {
		t.Errorf("it became ours: %v", err)
	}
}

// Without a ledger, or with one that takes no notes, there are results all the same; they are nobody's then.
func TestNoLedger(t *testing.T) {
	for _, led := range []Ledger{nil, &ledger{readOnly: true}} {
		_, files, opt := setup(t)
		if _, err := Write(t.Context(), story(), led, files, opt); err != nil {
			t.Fatal(err)
		}
		var refused *RefusedError
		if _, err := Write(t.Context(), story(), led, files, opt); !errors.As(err, &refused) {
			t.Error(err)
		}
	}
}

// Twenty times the rows take the same memory.
func TestR1_FlatMemory(t *testing.T) {
	row := done(1, `"q"`, `{"role":"assistant","content":"`+strings.Repeat(`a\n`, 100)+`"}`)
	row.Carried = []byte(`{"label":"x"}`)
	for _, shape := range []Shape{Flat, OpenAI, Chat} {
		allocated := func(rows int) uint64 {
			_, files, opt := setup(t)
			opt.Shape = shape
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := Write(t.Context(), &repeated{row: row, n: rows}, nil, files, opt); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		few, many := allocated(500), allocated(10_000)
		if many > few+(256<<10) {
			t.Errorf("%s: 500 rows allocate %d bytes, 10,000 rows %d", shape, few, many)
		}
	}
}
