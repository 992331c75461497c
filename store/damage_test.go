package store

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var damages = flag.Int("damages", 1000, "how many damaged job files TestS11 makes")

// unclean is a job file as a run leaves it that died: answers, open attempts, and no write-ahead log, so that every page is in the
// file.
func unclean(t testing.TB) []byte {
	t.Helper()
	s := open(t)
	var specs []string
	for i := range 60 {
		specs = append(specs, fmt.Sprintf("id-%d=%d %s", i, i, strings.Repeat("and so on ", i%40)))
	}
	mustImport(t, s, specs...)
	mustBegin(t, s)
	var outs []Outcome
	for _, c := range mustTurn(t, s, 40).Claims {
		outs = append(outs, answer(c, "answer to "+string(c.Body)))
	}
	mustTurn(t, s, 5, outs...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// useAgain opens a file as the next run does, and closes it. It fails where the file cannot be trusted; then it must be as it was.
func useAgain(t *testing.T, path string) error {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, path, true)
	if err == nil {
		_, err = s.Recover(ctx)
		if cerr := s.Close(); cerr != nil && err == nil {
			t.Error(cerr)
		}
	}
	if err == nil {
		return nil
	}
	if after, rerr := os.ReadFile(path); rerr != nil || !bytes.Equal(before, after) {
		t.Errorf("%v, but the file was written to (%v)", err, rerr)
	}
	return err
}

// fastDir is a folder whose files need to outlive nothing, and are synced at no cost where that can be.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "batch-store-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// quickChecked asks SQLite itself about a copy.
func quickChecked(t *testing.T, dir string, file []byte) bool {
	t.Helper()
	path := filepath.Join(dir, "copy.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	defer db.Close()
	var said string
	err := db.QueryRow("PRAGMA quick_check(1)").Scan(&said)
	return err == nil && said == "ok"
}

// After a run that died, a file with damaged pages is not written to: SQLite by itself would, and spread the damage.
func TestS11_DamagedPages(t *testing.T) {
	t.Parallel()
	whole, dir := unclean(t), fastDir(t)
	if !quickChecked(t, dir, whole) {
		t.Fatal("the file is damaged before")
	}
	refused := 0
	for seed := range *damages {
		r := rand.New(rand.NewPCG(uint64(seed), 0))
		file := bytes.Clone(whole)
		for range 1 + r.IntN(3) {
			at := 100 + r.IntN(len(file)-100-64) // the header of the file tells what it is: that is another test
			for i := range 64 {
				file[at+i] = byte(r.Uint32())
			}
		}
		path := filepath.Join(dir, fmt.Sprint(seed, ".batch.db"))
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		err := useAgain(t, path)
		if err != nil {
			refused++
		}
		if !quickChecked(t, dir, file) && !errors.Is(err, ErrDamaged) {
			t.Errorf("seed %d: SQLite calls it damaged, we say %v", seed, err)
		}
		os.Remove(path)
	}
	t.Logf("%d of %d files were refused; in the others the damage met no structure", refused, *damages)
	if refused < *damages/5 {
		t.Error("too few files were really damaged")
	}
}

// A file that was cut is found at once, wherever it was cut and however the run before ended; one of no bytes is none.
func TestS13_Truncated(t *testing.T) {
	t.Parallel()
	whole, dir := unclean(t), fastDir(t)
	const page = 4096
	for size := 0; size < len(whole); size += page / 2 {
		path := filepath.Join(dir, fmt.Sprint("cut", size, ".batch.db"))
		if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if size == 0 {
			if _, err := Open(ctx, path, false); !errors.Is(err, ErrNotJobFile) {
				t.Errorf("no bytes: %v", err)
			}
			s, err := Open(ctx, path, true)
			if err != nil || !s.Created() {
				t.Fatalf("no bytes, to be created: %v", err)
			}
			s.Close()
			continue
		}
		if err := useAgain(t, path); !errors.Is(err, ErrDamaged) && !(size < page && errors.Is(err, ErrNotJobFile)) {
			t.Errorf("%d of %d bytes: %v", size, len(whole), err)
		}
	}
}

// Random bytes are no job file, and are not written to.
func TestS12_RandomBytes(t *testing.T) {
	t.Parallel()
	for seed := range 50 {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		file := make([]byte, 1+r.IntN(20000))
		for i := range file {
			file[i] = byte(r.Uint32())
		}
		path := filepath.Join(t.TempDir(), "random.batch.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := useAgain(t, path); !errors.Is(err, ErrNotJobFile) {
			t.Errorf("%d bytes: %v", len(file), err)
		}
	}
}

// The write-ahead log stays small by itself. A reader that is held open makes it grow, and once that is gone it is cut back.
func TestS18_LogSize(t *testing.T) {
	t.Parallel()
	s, err := Open(ctx, filepath.Join(fastDir(t), "prompts.batch.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	size := func() int64 {
		info, err := os.Stat(s.Path() + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	const jobs = 1500
	var specs []string
	for i := range jobs {
		specs = append(specs, fmt.Sprint(i))
	}
	mustImport(t, s, specs...)
	mustBegin(t, s)
	text := strings.Repeat("x", 100_000)
	largest := int64(0)
	work := func(turns int) {
		for range turns {
			var outs []Outcome
			for _, c := range mustTurn(t, s, 10).Claims {
				outs = append(outs, answer(c, text+string(c.Body)))
			}
			mustTurn(t, s, 0, outs...)
			largest = max(largest, size())
		}
	}
	work(40) // 40 MB
	if largest > 2*largestLog || largest < 1<<20 {
		t.Errorf("the log grew to %d bytes with no reader", largest)
	}
	v, err := s.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Counts(ctx); err != nil {
		t.Fatal(err)
	}
	work(80) // 80 MB
	if size() <= largestLog {
		t.Fatalf("the log has %d bytes: no reader held it", size())
	}
	v.Close()
	work(5)
	if size() > largestLog {
		t.Errorf("the log has %d bytes still after its reader went", size())
	}
	if err := s.EndRun(ctx, End{At: time.Now(), Reason: "finished"}); err != nil {
		t.Fatal(err)
	}
}
