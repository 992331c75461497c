package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"batch/runner/chat"
)

// How a kill may leave a job file that a command was rewriting.
const (
	asBefore = "as before"
	cutShort = "cut short"
	complete = "complete"
)

// What the commands of TestP7 are seen to do, one after the other; some time after it they are killed.
var rewriting = []moment{{first: started, then: 60 * time.Millisecond}, {first: logged, then: 30 * time.Millisecond}, {first: moved, then: 30 * time.Millisecond}}

// rewrite is a command that rewrites a whole job file, and what must hold whenever it was killed.
type rewrite struct {
	t       *testing.T
	binary  string
	command []string // the job file's name follows
	whole   []byte   // the job file before
	met     map[string]int
	logs    int // that a kill left with something in them: it met the rewriting itself
}

// killEach kills the command at so many moments, and up to three times as many more until each kind of moment was met: on a busy machine the
// few of the short form may all fall into one. Each time it does so over a fresh copy, and hands it to check, which says how it was left.
func (w *rewrite) killEach(n int, check func(v *victim) string) {
	w.t.Helper()
	w.met = map[string]int{}
	if *killSeed != 0 {
		w.kill(*killSeed, check)
		return
	}
	for seed := 1; seed <= n || seed <= 4*n && !w.t.Failed() && !w.ofEveryKind(); seed++ {
		w.kill(uint64(seed), check)
	}
	for _, left := range slices.Sorted(maps.Keys(w.met)) {
		w.t.Logf("%5d times left %s", w.met[left], left)
	}
	w.t.Logf("%5d times left a log", w.logs)
	if !w.t.Failed() && !w.ofEveryKind() {
		w.t.Errorf("the moments of death are not of every kind: %v, and %d left a log", w.met, w.logs)
	}
}

// ofEveryKind says that some kills came before the file was rewritten, some after that had begun, and some into the midst of it.
func (w *rewrite) ofEveryKind() bool {
	return w.met[asBefore] > 0 && w.met[cutShort]+w.met[complete] > 0 && w.logs > 0
}

func (w *rewrite) kill(seed uint64, check func(v *victim) string) {
	w.t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
		v := w.victim(t, seed)
		m := rewriting[seed%uint64(len(rewriting))]
		happened, stop := v.watch(m)
		defer stop()
		c := v.batch(append(w.command, filepath.Base(v.jobFile()))...)
		if !c.await(happened) {
			t.Fatalf("neither %s nor its end for %s\n%s", m.first, killPatience, &c.said)
		}
		killed := c.killAfter(time.Duration(v.random().Int64N(int64(m.then))))
		if code := c.cmd.ProcessState.ExitCode(); !killed && code != exitOK {
			t.Fatalf("exit %d\n%s", code, &c.said)
		}
		if killed && v.logSize() != "" {
			w.logs++
		}
		v.sound()
		left := check(v)
		if !killed && left != complete {
			t.Errorf("it ended, and left the file %s", left)
		}
		w.met[left]++
	})
}

// victim has a copy of the job file.
func (w *rewrite) victim(t *testing.T, seed uint64) *victim {
	v := &victim{t: t, seed: seed, binary: w.binary, dir: t.TempDir()}
	if err := os.WriteFile(v.jobFile(), w.whole, 0o600); err != nil {
		t.Fatal(err)
	}
	return v
}

// sound looks at the pages of a copy: SQLite repairs what it opens, and that is the next command's to do.
func (v *victim) sound() {
	v.t.Helper()
	var said string
	db := v.openCopy()
	defer db.Close()
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		v.t.Errorf("%s, %v", said, err)
	}
}

func (v *victim) openCopy() *sql.DB {
	v.t.Helper()
	db, err := sql.Open("sqlite3", v.copyJobFile())
	if err != nil {
		v.t.Fatal(err)
	}
	return db
}

// TestP7_KillInMigration kills status while it brings a job file of the first release up to date: it is left as it was or as it is to
// be, with all its rows, and the next command goes on from there. -kills counts those of TestKill, and these are a twentieth.
func TestP7_KillInMigration(t *testing.T) {
	t.Parallel()
	const answered, pending = 4000, 12
	w := rewrite{t: t, binary: buildBatch(t), command: []string{"status"}}
	old := filepath.Join(t.TempDir(), "old"+jobSuffix)
	makeVersion1(t, old)
	fillVersion1(t, old, answered, pending)
	before := dumpVersion1(t, old)
	var err error
	if w.whole, err = os.ReadFile(old); err != nil {
		t.Fatal(err)
	}
	w.killEach(max(*kills/20, 4), func(v *victim) string {
		var version int
		db := v.openCopy()
		err := db.QueryRow("PRAGMA user_version").Scan(&version)
		db.Close()
		if err != nil {
			v.t.Fatal(err)
		}
		left, known := map[int]string{1: asBefore, currentVersion(v.t, w.binary): complete}[version]
		if !known {
			v.t.Errorf("left at version %d", version)
		}
		v.exits(exitOK, "status", filepath.Base(v.jobFile()))
		if after := dumpVersion1(v.t, v.jobFile()); !slices.Equal(before, after) {
			v.t.Errorf("version %d: %d rows became %d, or others", version, len(before), len(after))
		}
		v.wire = newFaultyWire(v.t, 1, "", false)
		v.exits(exitOK, "run", filepath.Base(v.jobFile()), "--base-url", v.wire.http.URL+"/v1", "--quiet")
		v.exits(exitOK, "verify", filepath.Base(v.jobFile()))
		if calls := v.wire.count(); calls != pending {
			v.t.Errorf("%d calls for %d pending jobs", calls, pending)
		}
		v.checkAll(false, true)
		return left
	})
}

// currentVersion is that of a job file as it is made now.
func currentVersion(t *testing.T, binary string) (version int) {
	t.Helper()
	v := &victim{t: t, binary: binary, dir: t.TempDir()}
	if err := os.WriteFile(v.path("in.jsonl"), []byte(`{"prompt": "Name a river.", "model": "m"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	v.exits(exitOK, "run", "in.jsonl", "--simulate", "--latency", "0s", "--quiet")
	db := v.openCopy()
	defer db.Close()
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

// fillVersion1 puts jobs in the place of those that are there, and many limits, which a migration copies.
func fillVersion1(t *testing.T, path string, answered, pending int) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	exec := func(text string, args ...any) {
		t.Helper()
		if _, err := db.Exec(text, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("BEGIN")
	for _, table := range []string{"jobs", "attempts", "answers", "skipped", "outputs"} {
		exec("DELETE FROM " + table)
	}
	exec("UPDATE settings SET value = 'true' WHERE name = 'simulated'") // it is the practice server that goes on with it
	exec("UPDATE inputs SET rows = ?", answered+pending)
	exec("UPDATE runs SET ended_at = 4000, reason = 'interrupted'")
	for i := 1; i <= answered+pending; i++ {
		body := fmt.Appendf(nil, `{"model":"practice","messages":[{"role":"user","content":"Name river %d.%s"}]}`, i, strings.Repeat(" And so on.", i%40))
		key, err := chat.Key(body)
		if err != nil {
			t.Fatal(err)
		}
		exec("INSERT INTO limits VALUES (?, 0)", fmt.Sprintf("https://%d.example/%s/v1", i, strings.Repeat("long/", 100)))
		if i > answered {
			exec("INSERT INTO jobs (id, position, input, line, tokens, model, key, body) VALUES (?1, ?1, 1, ?1, 9, 'practice', ?2, ?3)", i, key[:], body)
			continue
		}
		exec(`INSERT INTO jobs (id, state, position, input, line, run, attempt, attempts, tokens, model, key, body)
			VALUES (?1, 'done', ?1, 1, ?1, 1, ?1, 1, 9, 'practice', ?2, ?3)`, i, key[:], body)
		exec(`INSERT INTO attempts (id, job, run, generation, started_at, duration_ms, class, sent, status, prompt_tokens, completion_tokens, total_tokens)
			VALUES (?1, ?1, 1, 0, 1000, 10, 'done', 1, 200, 9, 2, 11)`, i)
		exec("INSERT INTO answers VALUES (?, 0, 'stop', NULL, NULL, ?)", i, fmt.Appendf(nil, `{"id":"a-%d","object":"chat.completion","created":1,"model":"practice",`+
			`"choices":[{"index":0,"message":{"role":"assistant","content":"River %d."},"finish_reason":"stop"}],`+
			`"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}`, i, i))
	}
	exec("COMMIT")
	exec("PRAGMA wal_checkpoint(TRUNCATE)")
}

// TestP7_KillInPurge kills a purge: nothing is forgotten, or the text of every row and the file says so. The next purge ends like one
// that nobody disturbed, and then no byte of the text is left. -kills counts those of TestKill, and these are a twentieth.
func TestP7_KillInPurge(t *testing.T) {
	t.Parallel()
	w := rewrite{t: t, binary: buildBatch(t), command: []string{"purge", "--yes"}}
	source := newVictimOf(t, w.binary, 1, newFaultyWire(t, 1, "", false))
	source.weight = 300
	source.grow(100, source.random())
	source.exits(exitOK, source.runArgs(0)...)
	answer, err := source.answer(7)
	if err != nil {
		t.Fatal(err)
	}
	marks := []string{"and so on and so on", answer.content}
	if w.whole, err = os.ReadFile(source.jobFile()); err != nil {
		t.Fatal(err)
	}
	holding := func(text []byte) bool {
		return slices.ContainsFunc(marks, func(mark string) bool { return bytes.Contains(text, []byte(mark)) })
	}
	if !holding(w.whole) || len(answer.content) < 12 {
		t.Fatalf("the job file has nothing to forget: %q", marks)
	}
	before := dumpVersion1(t, source.jobFile())
	undisturbed := w.victim(t, 0)
	undisturbed.exits(exitOK, "purge", "--yes", filepath.Base(undisturbed.jobFile()))
	want, status := purgedRows(undisturbed), undisturbed.jsonStatus()
	w.killEach(max(*kills/20, 4), func(v *victim) string {
		v.wire = source.wire
		v.checkAll(true, false)
		left := v.leftByPurge(before)
		v.exits(exitOK, "purge", "--yes", filepath.Base(v.jobFile()))
		files, err := os.ReadDir(v.dir)
		if err != nil || len(files) != 1 {
			v.t.Errorf("left in the folder: %v, %v", files, err)
		}
		if text, err := os.ReadFile(v.jobFile()); err != nil || holding(text) {
			v.t.Errorf("left %s and purged again, it holds the text (%v)", left, err)
		}
		v.sound()
		if !slices.Equal(purgedRows(v), want) || v.jsonStatus() != status {
			v.t.Errorf("left %s and purged again, it is another than one that was purged in peace", left)
		}
		v.checkAll(false, false)
		return left
	})
}

// leftByPurge says how far a purge came, and that it took all or nothing.
func (v *victim) leftByPurge(before []string) (left string) {
	v.t.Helper()
	path := v.copyJobFile()
	now := dumpVersion1(v.t, path)
	for _, row := range now {
		switch {
		case strings.HasPrefix(row, "settings 'purging'"):
			left = cutShort
		case strings.HasPrefix(row, "settings 'purged'"):
			left = complete
		}
	}
	if left == "" {
		if !slices.Equal(now, before) {
			v.t.Error("a file that does not say that it was purged has lost something")
		}
		return asBefore
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer db.Close()
	var kept int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM jobs WHERE length(body) > 0) + (SELECT count(*) FROM answers WHERE length(response) > 0)").Scan(&kept); err != nil || kept > 0 {
		v.t.Errorf("a file that says that it was purged has %d texts, %v", kept, err)
	}
	return left
}

// purgedRows are the rows of a job file, but for the time of its purge.
func purgedRows(v *victim) []string {
	return slices.DeleteFunc(dumpVersion1(v.t, v.jobFile()), func(row string) bool { return strings.HasPrefix(row, "settings 'purged'") })
}

func (v *victim) jsonStatus() string {
	v.t.Helper()
	c := v.batch("status", "--json", filepath.Base(v.jobFile()))
	if !c.await(nil) || c.cmd.ProcessState.ExitCode() != exitOK {
		v.t.Fatalf("status: %s", &c.said)
	}
	return c.said.String()
}
