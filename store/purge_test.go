package store

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// secret stands in every text that a purge has to forget.
const secret = "canary-of-the-mine"

// secretFile makes a job file with secrets in every place, some of them in pages that were freed long ago.
func secretFile(t testing.TB, jobs int) string {
	t.Helper()
	s := open(t)
	mustBegin(t, s)
	fill := strings.Repeat(secret+" ", 100)
	for round := range 2 {
		_, err := s.Import(ctx, ImportOptions{AcceptChanges: true, Settings: map[string]string{"fill.system": secret, "shape": "flat"}}, func(imp *Importer) error {
			imp.File("prompts.jsonl")
			for i := range jobs {
				j := job(i+1, strings.Repeat("x", i%5)+fill+string(rune('a'+round)))
				j.CustomID, j.HasCustomID, j.Carried = secret+strings.Repeat("i", i), true, []byte(`{"k":"`+secret+`"}`)
				if err := imp.Add(j); err != nil {
					return err
				}
			}
			if err := imp.Skip(Skipped{Line: jobs + 1, CustomID: secret, Message: secret}); err != nil {
				return err
			}
			return imp.EndFile(Input{Path: "prompts.jsonl", Rows: jobs + 1})
		})
		if err != nil {
			t.Fatal(err)
		}
		turned := mustTurn(t, s, jobs)
		var outs []Outcome
		for i, c := range turned.Claims {
			o := answer(c, fill)
			if i%7 == 0 {
				o = Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: Fail, Started: time.Now(), Class: "job_failed", Status: 400, Code: "bad",
					Message: "not " + secret, ErrorBody: []byte(fill)}
			}
			outs = append(outs, o)
		}
		mustTurn(t, s, 0, outs...)
	}
	if err := s.RecordOutputs(ctx, Output{Path: "/nowhere/results", Kind: "results", Options: "where " + secret}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.path
}

// holdsSecret tells which files of the folder have the text in them.
func holdsSecret(t testing.TB, path string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(secret)) || bytes.Contains(text, []byte(secret[3:])) {
			names = append(names, filepath.Base(name))
		}
	}
	return names
}

func totalsOf(t testing.TB, s *Store) ([]UsageTotal, Counts) {
	t.Helper()
	v := viewOf(t, s)
	defer v.Close()
	totals, err := v.Totals(ctx)
	if err != nil {
		t.Fatal(err)
	}
	counts, err := v.Counts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return totals, counts
}

func TestPurge(t *testing.T) {
	path := secretFile(t, 50)
	if len(holdsSecret(t, path)) == 0 {
		t.Fatal("there is nothing to forget")
	}
	s, err := Open(ctx, path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, counted := totalsOf(t, s)
	reader, err := OpenRead(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	v := viewOf(t, reader)
	if _, err := v.Counts(ctx); err != nil { // the picture is taken with the first look
		t.Fatal(err)
	}
	if _, err := s.conn.ExecContext(ctx, "PRAGMA busy_timeout = 10"); err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(ctx, time.Now()); !errors.Is(err, errRead) {
		t.Errorf("a purge beside a reader: %v", err)
	}
	var purged *PurgedError
	if err := s.Purged(ctx); !errors.As(err, &purged) || !purged.Cut {
		t.Errorf("a purge that was cut short: %v", err)
	}
	v.Close()
	if err := s.Purge(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	if names := holdsSecret(t, path); names != nil { // the log is there still, the file is open
		t.Errorf("%v hold the text", names)
	}
	if err := s.Purged(ctx); !errors.As(err, &purged) || purged.Cut {
		t.Errorf("a purged file: %v", err)
	}
	after, counts := totalsOf(t, s)
	if diff := cmp.Diff(before, after); diff != "" || counts != counted {
		t.Errorf("the sums changed: %s %+v %+v", diff, counted, counts)
	}
}

// purgeMe names the file that a process of TestPurgeKilled purges.
const purgeMe = "STORE_TEST_PURGE"

func TestPurgeKilled(t *testing.T) {
	if path := os.Getenv(purgeMe); path != "" {
		s, err := Open(ctx, path, false)
		if err == nil {
			err = s.Purge(ctx, time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	whole, err := os.ReadFile(secretFile(t, 1500))
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]int{}
	ofEveryKind := func() bool { return met["as before"] > 0 && met["cut short"]+met["purged"] > 0 }
	for i := 0; i < 24 || i < 240 && !ofEveryKind(); i++ { // a slow disk takes longer than the first kills wait
		path := filepath.Join(t.TempDir(), "p.batch.db")
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run", "^TestPurgeKilled$")
		cmd.Env = append(os.Environ(), purgeMe+"="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(time.Millisecond) // nobody tells when a log begins
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
			if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
				break
			}
		}
		for range 2 * i { // each dies somewhat later than the one before
			<-tick.C
		}
		tick.Stop()
		cmd.Process.Kill()
		cmd.Wait()
		met[afterKill(t, path)]++
	}
	t.Log(met)
	if !ofEveryKind() {
		t.Errorf("the moments of death are not of every kind: %v", met)
	}
}

// afterKill tells how a file was left, which must be one of three ways.
func afterKill(t *testing.T, path string) string {
	s, err := Open(ctx, path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var purged *PurgedError
	err = s.Purged(ctx)
	switch {
	case err == nil:
		v := viewOf(t, s)
		defer v.Close()
		for row, err := range v.Rows(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if !row.Skipped && (!bytes.Contains(row.Body, []byte(secret)) || row.State == Done && !bytes.Contains(row.Response, []byte(secret))) {
				t.Fatalf("job %d lost its text in a file that is not purged", row.ID)
			}
		}
		return "as before"
	case !errors.As(err, &purged):
		t.Fatal(err)
	case !purged.Cut:
		if names := holdsSecret(t, path); names != nil {
			t.Errorf("purged, and %v hold the text", names)
		}
		return "purged"
	}
	if err := s.Purge(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	if names := holdsSecret(t, path); names != nil {
		t.Errorf("purged again, and %v hold the text", names)
	}
	return "cut short"
}
