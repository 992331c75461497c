package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"batch/store"
)

// TestS15_P7_PowerCutInMigration cuts the power while a job file of the first release is brought up to date: it is left as it was, or is
// as it is to be, and holds the same rows.
func TestS15_P7_PowerCutInMigration(t *testing.T) {
	t.Parallel()
	dir, s := t.TempDir(), buildShim(t)
	jobFile := filepath.Join(dir, "old"+jobSuffix)
	makeVersion1(t, jobFile)
	before := dumpVersion1(t, jobFile)
	if len(before) < 10 {
		t.Fatalf("the old file has only %d rows", len(before))
	}
	old, err := os.ReadFile(jobFile)
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	status := exec.Command(buildBatch(t), "status", jobFile)
	status.Env = append(os.Environ(), s.env(jobFile, "SHIM_LOG="+log)...)
	if out, err := status.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	edits, err := readEdits(log)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[int]int{}
	for seed := range 300 {
		r := rand.New(rand.NewPCG(uint64(seed), 0))
		file := &inode{durable: slices.Clone(old)}
		d := newDisk()
		d.names["db"], d.durable["db"] = file, file
		at := r.IntN(len(edits) + 1)
		for _, e := range edits[:at] {
			d.do(e)
		}
		versions[lookAtMigrated(t, seed, d.cut(r), before)]++
	}
	t.Logf("%d edits, images by version: %v", len(edits), versions)
	if len(versions) != 2 || versions[1] == 0 {
		t.Errorf("images by version: %v", versions)
	}
}

// lookAtMigrated returns the version in which the image was found.
func lookAtMigrated(t *testing.T, seed int, image map[string][]byte, before []string) (version int) {
	t.Helper()
	dir, err := os.MkdirTemp(fastFolder(), "batch-image-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "job.db")
	if err := writeImage(image, path); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	var said string
	if err := db.QueryRow("SELECT user_version, quick_check FROM pragma_user_version, pragma_quick_check").Scan(&version, &said); err != nil || said != "ok" {
		t.Errorf("seed %d: %s, %v", seed, said, err)
	}
	db.Close()
	st, err := store.Open(context.Background(), path, false)
	if err != nil {
		t.Errorf("seed %d: version %d: %v", seed, version, err)
		return version
	}
	st.Close()
	if after := dumpVersion1(t, path); !slices.Equal(before, after) {
		t.Errorf("seed %d: version %d: %d rows became %d, or others", seed, version, len(before), len(after))
	}
	return version
}

func makeVersion1(t *testing.T, path string) {
	t.Helper()
	script := "PRAGMA journal_mode=WAL; PRAGMA application_id=0x62746368; PRAGMA user_version=1;"
	for _, name := range []string{"version1.sql", "version1_rows.sql"} {
		text, err := os.ReadFile(filepath.Join("store", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		script += string(text)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(script); err != nil {
		t.Fatal(err)
	}
}

// dumpVersion1 tells all rows, as far as version 1 had their columns; but for the sums of the inputs, which are forgotten so that
// those are read anew.
func dumpVersion1(t *testing.T, path string) (all []string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for table, columns := range map[string]string{
		"settings": "name, value", "inputs": "number, path, size, rows", "skipped": "position, message", "runs": "id, started_at, ended_at, endpoint, reason",
		"limits": "endpoint, not_before", "jobs": "id, state, position, run_after, attempt, attempts, used, custom_id, carried, body",
		"attempts": "id, job, class, status, code, message, total_tokens, body", "answers": "job, finish_reason, estimated, response", "outputs": "path, kind, inode",
	} {
		parts := "quote(" + strings.ReplaceAll(columns, ", ", ") || ' ' || quote(") + ")"
		err := query(db, "SELECT '"+table+"', "+parts+" FROM "+table, func(table, row string) { all = append(all, fmt.Sprint(table, " ", row)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}
