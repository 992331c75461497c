package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"batch/runner/chat"
	"batch/store"
)

// honestFile is a job file, byte for byte the same whenever it is made: of an answer, one whose usage is not known, a failure, a
// prompt that waits, one that is in flight, a skipped line, and outputs.
func honestFile(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "honest"+jobSuffix)
	st, err := store.Open(context.Background(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	var jobs []string
	for id, rest := range []string{"'done', 1, 1, 1, 0, 'one'", "'done', 2, 3, 2, 1, NULL", "'failed', 3, 4, 1, 0, 'three'", "'pending', 4, NULL, 1, 0, NULL", "'running', 5, 6, 1, 0, NULL"} {
		body := fmt.Appendf(nil, `{"model":"m","messages":[{"role":"user","content":"Name river %d."}]}`, id)
		key, err := chat.Key(body)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, fmt.Sprintf("(%s, 1, %d, 1, 10, 'm', x'%x', CAST('{\"label\":%d}' AS BLOB), x'%x')", rest, id+1, key, id, body))
	}
	db := plainly(t, path)
	defer db.Close()
	if _, err := db.Exec(`PRAGMA journal_mode = DELETE;
		UPDATE settings SET value = '00112233445566778899aabbccddeeff' WHERE name = 'salt';
		INSERT INTO settings VALUES ('fill model', 'm'), ('simulated', 'false'), ('shape', 'flat');
		INSERT INTO inputs VALUES (1, 'p.jsonl', '/nowhere/p.jsonl', zeroblob(32), 600, 6);
		INSERT INTO skipped VALUES (6, 1, 6, 'bad', 'messages: is missing');
		INSERT INTO runs VALUES (1, 1000, 2000, 'http://127.0.0.1:9/v1', 'v1', 'interrupted', NULL, NULL), (2, 3000, NULL, 'http://127.0.0.1:9/v1', 'v1', NULL, NULL, NULL);
		INSERT INTO prices VALUES ('http://127.0.0.1:9/v1', 'm', 0, 1000000, 2000000, 500000, 1000000, 2000000, NULL, '--price', 1);
		INSERT INTO jobs (state, position, attempt, attempts, unknown, custom_id, input, line, run, tokens, model, key, carried, body) VALUES ` + strings.Join(jobs, ", ") + `;
		INSERT INTO attempts (id, job, run, generation, started_at, duration_ms, class, reason, sent, status, type, code, message, request_id, prompt_tokens, completion_tokens, total_tokens, body) VALUES
		  (1, 1, 1, 0, 1001, 50, 'done', NULL, 1, 200, NULL, NULL, NULL, 'req-1', 11, 5, 16, NULL),
		  (2, 2, 1, 0, 1002, 51, 'unknown', 'timeout', 1, NULL, NULL, NULL, 'no answer', NULL, NULL, NULL, NULL, NULL),
		  (3, 2, 1, 0, 1003, 52, 'done', NULL, 1, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
		  (4, 3, 1, 0, 1004, 53, 'job_failed', NULL, 1, 400, 'invalid_request_error', 'too_long', 'too long', 'req-4', 7, 0, 7, CAST('{"error":{}}' AS BLOB)),
		  (5, 4, 1, 0, 1005, 54, 'not_processed', 'rate_limit', 1, 429, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
		  (6, 5, 2, 0, 3001, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
		INSERT INTO answers VALUES
		  (1, 0, 'stop', NULL, NULL, CAST('{"id":"x","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Rhine"}}],"usage":{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16}}' AS BLOB)),
		  (2, 1, NULL, 19, 25, CAST('{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Elbe"}}]}' AS BLOB));
		INSERT INTO outputs VALUES ('/nowhere/p.results.jsonl', 'results', 'flat', 1, 2, 3, 4, 5, 6, 7, 8);`); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// plainly opens a database as any other program may.
func plainly(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", path+"?_sync=OFF&_writable_schema=ON")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// columnsOf counts the columns of all tables.
func columnsOf(t testing.TB, file []byte) (n uint8) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db := plainly(t, path)
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema s, pragma_table_info(s.name) c WHERE s.type = 'table'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// hostile is what somebody has done to a job file.
type hostile struct {
	honest []byte
	// An object in its schema, none without a kind.
	kind, name, definition string
	// A value in place of the n-th column of all tables, none when empty.
	column uint8
	value  string
	// Bytes from a place on, around the end of the file; from 0 on they are all of the file.
	at    uint32
	bytes []byte
}

func (h hostile) write(t *testing.T, path string) {
	t.Helper()
	text := slices.Clone(h.honest)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if h.kind != "" || h.value != "" {
		db := plainly(t, path)
		h.plant(db)
		db.Close()
		var err error
		if text, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if h.at == 0 && len(h.bytes) > 0 {
		text = h.bytes
	}
	for i, c := range h.bytes {
		text[(int(h.at)+i)%len(text)] = c
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// plant does what SQLite lets it: much is refused, and then stays as it was.
func (h hostile) plant(db *sql.DB) {
	if h.value != "" {
		db.Exec("PRAGMA ignore_check_constraints = ON")
		var table, column string
		if db.QueryRow(`SELECT s.name, c.name FROM sqlite_schema s, pragma_table_info(s.name) c WHERE s.type = 'table'
			ORDER BY s.name, c.cid LIMIT 1 OFFSET ? % (SELECT count(*) FROM sqlite_schema s, pragma_table_info(s.name) c WHERE s.type = 'table')`, h.column).Scan(&table, &column) == nil {
			number, _ := strconv.ParseInt(h.value[:strings.IndexFunc(h.value+"!", func(r rune) bool { return r != '-' && (r < '0' || r > '9') })], 10, 64)
			for _, value := range []any{h.value, []byte(h.value), number} { // the first that its type takes
				if _, err := db.Exec(fmt.Sprintf("UPDATE %q SET %q = ?", table, column), value); err == nil {
					break
				}
			}
		}
	}
	if h.kind != "" {
		db.Exec("PRAGMA writable_schema = ON")
		if h.kind == "view" { // in place of what is read
			db.Exec("DELETE FROM sqlite_schema WHERE name = ?", h.name)
		}
		db.Exec("INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?, ?, 'jobs', 0, ?)", h.kind, h.name, h.definition)
	}
}

// reading are the verbs that only read a job file, and may refuse it.
var reading = [][]string{
	{"status", ""}, {"status", "--json", ""}, {"report", ""}, {"report", "--json", ""}, {"estimate", ""}, {"export", "", "-o", "o.csv"},
	{"compare", "", ""}, {"run", "--dry-run", "--base-url", "http://127.0.0.1:9/v1", ""}, {"retry", ""}, {"purge", "--yes", ""},
}

const allVerbs = 255

// Whatever a job file is or has in it: each verb ends, with an exit code that is documented and words that are fit for a screen, and
// writes nothing but what it was asked for. A file that is called proven has all its answers.
func FuzzJobFile(f *testing.F) {
	f.Setenv("ASSISTERS_API_KEY", canary)
	honest := honestFile(f)
	const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
	const screen = "\x1b]0;x\x07\u009b31m\u202e"
	over := func(at uint32, text string) { f.Add(uint8(allVerbs), "", "", "", uint8(0), "", at, []byte(text)) }
	over(1, "")
	over(0, "SQLite format 3\x00")
	over(0, string(honest[:5000]))
	over(60, "\x00\x00\x00\x63") // a newer version
	over(18, "\x02\x02")         // a write-ahead log
	over(100, "\x02")            // the schema is no leaf
	over(28, "\x00\x00\x00\x01")
	for at := uint32(4096); at < uint32(len(honest)); at += 4096 {
		over(at, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	}
	for i := range columnsOf(f, honest) {
		f.Add(uint8(allVerbs), "", "", "", i, "9223372036854775807"+screen, uint32(1), []byte(nil))
	}
	for _, object := range [][3]string{
		{"trigger", screen, "CREATE TRIGGER t AFTER UPDATE ON jobs BEGIN DELETE FROM answers; END"},
		{"trigger", "t", "CREATE TRIGGER t AFTER INSERT ON settings BEGIN INSERT INTO settings " + endless + "SELECT i, i FROM n; END"},
		{"view", "jobs", "CREATE VIEW jobs AS " + endless + "SELECT * FROM n"},
		{"view", "settings", "CREATE VIEW settings AS SELECT 'salt' AS name, load_extension('/tmp/x') AS value"},
		{"view", "inputs", "CREATE VIEW inputs AS SELECT 1 AS number, writefile('x', 'x') AS path"},
		{"table", "v", "CREATE VIRTUAL TABLE v USING fts3(x)"},
		{"table", "jobs2", "CREATE TABLE jobs2 (a, b AS (hex(zeroblob(1000000000))))"},
		{"index", "i", "CREATE INDEX i ON jobs (load_extension(body))"},
		{"index", "i", "CREATE TABLE jobs (id)"},
		{screen, screen, screen},
	} {
		f.Add(uint8(allVerbs), object[0], object[1], object[2], uint8(0), "", uint32(1), []byte(nil))
	}
	f.Fuzz(func(t *testing.T, verb uint8, kind, name, definition string, column uint8, value string, at uint32, text []byte) {
		h := hostile{honest, kind, name, definition, column, value, at, text}
		around := t.TempDir()
		t.Chdir(around)
		if err := os.Mkdir("x", 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("x", "p"+jobSuffix)
		h.write(t, path)
		if verb%2 == 1 {
			results := filepath.Join("x", "o.jsonl")
			proven := looks(t, []string{"verify", path}, exitOK, exitError, exitPartial, exitUsage, exitStorage) == exitOK
			if looks(t, []string{"export", path, "-o", results}, exitOK, exitUsage, exitStorage) == exitOK && proven {
				all, err := os.ReadFile(results)
				if err != nil || bytes.Count(all, []byte("\n")) == 0 {
					t.Fatalf("proven, and the answers are %q (%v)", all, err)
				}
			}
		}
		for i, args := range reading {
			if verb != allVerbs && int(verb)%len(reading) != i {
				continue
			}
			args = slices.Clone(args)
			for i, arg := range args {
				switch arg {
				case "":
					args[i] = path
				case "o.csv":
					args[i] = filepath.Join("x", arg)
				}
			}
			looks(t, args, exitOK, exitUsage, exitStorage)
		}
		onlyHere(t, path)
		if verb == allVerbs || int(verb)%len(reading) == 0 {
			answersHostile(t, h)
		}
	})
}

// looks gives batch a command in this process, which has to end with one of the codes.
func looks(t *testing.T, args []string, codes ...int) int {
	t.Helper()
	code, _ := told(t, args, codes...)
	return code
}

// told is looks, with what was said.
func told(t *testing.T, args []string, codes ...int) (code int, text []byte) {
	t.Helper()
	verifying.Lock()
	defer verifying.Unlock()
	late := time.AfterFunc(patience, func() { panic(fmt.Sprintf("batch %q does not end", args)) })
	defer late.Stop()
	var out, said bytes.Buffer
	code = run(append([]string{"batch"}, args...), strings.NewReader(""), &out, &said)
	if !slices.Contains(codes, code) {
		t.Fatalf("batch %q: exit code %d\n%s", args, code, &said)
	}
	for line := range strings.Lines(out.String() + said.String()) {
		onScreen(t, strings.TrimSuffix(line, "\n"))
	}
	return code, append(out.Bytes(), said.Bytes()...)
}

// onlyHere fails when the folder holds anything but the job file with its companions, and the outputs that were asked for.
func onlyHere(t *testing.T, path string) {
	t.Helper()
	filepath.WalkDir(".", func(found string, d fs.DirEntry, err error) error {
		companion, ours := strings.CutPrefix(found, path)
		asked := strings.HasPrefix(found, filepath.Join("x", "o.")) && !strings.Contains(found, ".tmp")
		if err != nil || !d.IsDir() && !asked && !(ours && slices.Contains([]string{"", "-wal", "-shm", "-journal"}, companion)) {
			t.Errorf("%s was written (%v)", found, err)
		}
		return nil
	})
}
