package store

import (
	"bytes"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// version1 is the schema as the first release made it.
//
//go:embed testdata/version1.sql
var version1 string

// version1Rows are what a run leaves that was interrupted: an answer with usage, one without, a failure, a waiting retry, an attempt
// that has no outcome, a skipped line, a prompt that is gone.
//
//go:embed testdata/version1_rows.sql
var version1Rows string

// oldFile makes a job file as the first release left it.
func oldFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.batch.db")
	db := raw(t, path)
	defer db.Close()
	script := "PRAGMA journal_mode=WAL;" + version1 + version1Rows + fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=1;", applicationID)
	if _, err := db.Exec(script); err != nil {
		t.Fatal(err)
	}
	return path
}

// raw opens a file behind the back of Store.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// column reads a query of one column of text.
func column(t testing.TB, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(query, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// dump tells all rows of these columns, by table.
func dump(t testing.TB, path string, columns map[string][]string) map[string][]string {
	t.Helper()
	db := raw(t, path)
	defer db.Close()
	all := map[string][]string{}
	for table, names := range columns {
		all[table] = column(t, db, "SELECT quote("+strings.Join(names, ") || ' ' || quote(")+") FROM "+table+" ORDER BY 1")
	}
	return all
}

func columnsOf(t testing.TB, path string) map[string][]string {
	t.Helper()
	db := raw(t, path)
	defer db.Close()
	all := map[string][]string{}
	for _, table := range column(t, db, "SELECT name FROM sqlite_schema WHERE type = 'table'") {
		all[table] = column(t, db, "SELECT name FROM pragma_table_info('"+table+"')")
	}
	return all
}

// shape tells the schema of a file; the order of the columns, which nothing goes by, is left out.
func shape(t testing.TB, path string) []string {
	t.Helper()
	db := raw(t, path)
	defer db.Close()
	return slices.Concat(
		column(t, db, `
			SELECT 'table ' || t.name || ' strict=' || t.strict || ' without rowid=' || t.wr || ': ' ||
			  c.name || ' ' || c.type || ' not null=' || c."notnull" || ' default=' || coalesce(c.dflt_value, '-') || ' key=' || c.pk
			FROM pragma_table_list t, pragma_table_info(t.name) c WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1`),
		column(t, db, `SELECT 'index ' || sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1`),
		column(t, db, `SELECT 'version ' || user_version FROM pragma_user_version`))
}

func TestS15_Migrate(t *testing.T) {
	openers := map[string]func(string) (*Store, error){
		"writer":  func(path string) (*Store, error) { return Open(ctx, path, false) },
		"reader":  func(path string) (*Store, error) { return OpenRead(ctx, path) },
		"creator": func(path string) (*Store, error) { return Open(ctx, path, true) },
	}
	for name, opener := range openers {
		t.Run("nothing is lost by a "+name, func(t *testing.T) {
			path := oldFile(t)
			columns := columnsOf(t, path)
			for table, names := range columns {
				if len(names) == 0 || len(dump(t, path, map[string][]string{table: names})[table]) == 0 {
					t.Fatalf("the old file has no row in %s", table)
				}
			}
			before := dump(t, path, columns)
			s, err := opener(path)
			if err != nil {
				t.Fatal(err)
			}
			if s.Created() {
				t.Error("an old file counts as new")
			}
			s.Close()
			if diff := cmp.Diff(before, dump(t, path, columns)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("the schema is that of a new file", func(t *testing.T) {
		fresh := open(t)
		mustImport(t, fresh, "a") // with its indexes
		path := oldFile(t)
		s, err := Open(ctx, path, false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if diff := cmp.Diff(shape(t, fresh.Path()), shape(t, path)); diff != "" {
			t.Error(diff)
		}
		for _, bad := range []string{
			"INSERT INTO runs (started_at, ended_at, endpoint, version) VALUES (1, 2, 'e', 'v')",
			"INSERT INTO jobs (state, input, line, tokens, model, key, body) VALUES ('lost', 1, 1, 1, 'm', zeroblob(32), '')",
			"INSERT INTO jobs (state, input, line, tokens, model, key, body) VALUES ('done', 1, 1, 1, 'm', zeroblob(32), '')",
			"INSERT INTO jobs (last, input, line, tokens, model, key, body) VALUES (2, 1, 1, 1, 'm', zeroblob(32), x'00')",
			"INSERT INTO jobs (input, line, tokens, model, key, body) VALUES (1, 1, 1, 'm', zeroblob(31), x'00')",
			"INSERT INTO jobs (input, line, tokens, max_tokens, model, key, body) VALUES (1, 1, 1, 'many', 'm', zeroblob(32), x'00')",
			"INSERT INTO attempts (job, run, generation, started_at, class, duration_ms) VALUES (1, 1, 0, 0, 'strange', 1)",
			"INSERT INTO attempts (job, run, generation, started_at, class) VALUES (1, 1, 0, 0, 'done')",
			"INSERT INTO attempts (job, run, generation, started_at, sent) VALUES (1, 1, 0, 0, 2)",
			"INSERT INTO attempts (job, run, generation, started_at, cached_tokens) VALUES (1, 1, 0, 0, 'many')",
			"INSERT INTO answers (job, assembled, response) VALUES (99, 2, x'00')",
			"INSERT INTO limits (endpoint, requests) VALUES ('e', 'many')",
			"INSERT INTO prices VALUES ('e', 'm', 0, 1, 1, 1, 1, 1, NULL, 's', 2)",
			"INSERT INTO waits VALUES (1, 'w', NULL)",
		} {
			for name, conn := range map[string]*sql.Conn{"fresh": fresh.conn, "old": s.conn} {
				if _, err := conn.ExecContext(ctx, bad); err == nil {
					t.Errorf("the %s file takes %s", name, bad)
				}
			}
		}
	})
	t.Run("what it did not keep is unknown", func(t *testing.T) {
		s, err := Open(ctx, oldFile(t), false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		v := viewOf(t, s)
		defer v.Close()
		bills, err := v.Bills(ctx)
		if err != nil {
			t.Fatal(err)
		}
		known := func(prompt, completion, total int64) Usage {
			return Usage{Known: true, Prompt: prompt, Completion: completion, Total: total}
		}
		const a = "https://a.example/v1"
		want := []Bill{
			{Endpoint: a, Model: "m", Kind: BillDone, Attempts: 1, Usage: known(11, 5, 16)},
			{Endpoint: a, Model: "m", Kind: BillDone, Estimated: true, Attempts: 1, Usage: known(19, 6, 25)},
			{Endpoint: a, Model: "m", Kind: BillLost, Estimated: true, Attempts: 1, Usage: known(20, 0, 20), Unbounded: 1},
			{Endpoint: a, Model: "m", Kind: BillWasted, Attempts: 1, Usage: known(7, 0, 7)},
			{Endpoint: a, Model: "n", Kind: BillGone, Attempts: 1, Usage: known(61, 6, 67)},
			{Endpoint: "https://b.example/v1", Model: "n", Kind: BillOpen, Estimated: true, Attempts: 1, Usage: known(50, 0, 50), Unbounded: 1},
		}
		if diff := cmp.Diff(want, bills); diff != "" {
			t.Error(diff)
		}
		backlog, err := v.Backlog(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Backlog{{Model: "n", Jobs: 1, Tokens: 40, Longest: 40}}, backlog); diff != "" {
			t.Error(diff)
		}
		if at, err := s.NotBefore(ctx, a); err != nil || at.UnixMilli() != 5000 {
			t.Error(at, err)
		}
	})
	t.Run("a run goes on with it", func(t *testing.T) {
		s, err := Open(ctx, oldFile(t), false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if n, err := s.Recover(ctx); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if err := s.BeginRun(ctx, Run{Started: time.Now(), Endpoint: "https://b.example/v1", Version: "v", RPM: 60}); err != nil {
			t.Fatal(err)
		}
		drain(t, s)
		end := End{At: time.Now(), Reason: "finished", Waited: map[string]time.Duration{"rpm": time.Second}, Limits: Limits{Requests: 500}}
		if err := s.EndRun(ctx, end); err != nil {
			t.Fatal(err)
		}
		mustImport(t, s, "one", "x")
		if c := counts(t, s); c.Jobs != 2 || c.Pending != 2 { // their keys are zero in the old file
			t.Errorf("%+v", c)
		}
	})
}

// Some files must not be touched: those of a newer batch, and those that only say that they are job files.
func TestS14_S12_MigrateRefuses(t *testing.T) {
	for version, want := range map[int]string{schemaVersion + 1: "has schema version", 0: "not a batch job file", -1: "not a batch job file"} {
		path := oldFile(t)
		db := raw(t, path)
		if _, err := db.Exec(fmt.Sprintf("PRAGMA user_version=%d", version)); err != nil {
			t.Fatal(err)
		}
		db.Close()
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, create := range []bool{false, true} {
			if _, err := Open(ctx, path, create); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("version %d: %v", version, err)
			}
		}
		if _, err := OpenRead(ctx, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("version %d: %v", version, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("version %d: the file was touched (%v)", version, err)
		}
	}
}

const openVariable = "STORE_TEST_OPEN"

// TestMigrateInProcess is one of the processes of TestS15_MigrateAtOnce.
func TestMigrateInProcess(t *testing.T) {
	path := fileInProcess(t, openVariable)
	s, err := OpenRead(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := rows(t, s); len(got) != 6 {
		t.Error(got)
	}
}

func TestS15_MigrateAtOnce(t *testing.T) {
	atOnce(t, 4, "TestMigrateInProcess", openVariable+"="+oldFile(t))
}

// A failed step leaves the file as it was.
func TestS15_MigrateUndone(t *testing.T) {
	path := oldFile(t)
	db := raw(t, path)
	if _, err := db.Exec("CREATE TABLE waits (in_the_way TEXT)"); err != nil {
		t.Fatal(err)
	}
	before := shape(t, path)
	db.Close()
	if _, err := Open(ctx, path, false); err == nil || !strings.Contains(err.Error(), "from version 1 to 2") {
		t.Error(err)
	}
	if diff := cmp.Diff(before, shape(t, path)); diff != "" {
		t.Error(diff)
	}
}

func TestMigrateReadOnlyFolder(t *testing.T) {
	path := oldFile(t)
	folder := filepath.Dir(path)
	if err := os.Chmod(folder, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(folder, 0o755)
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	asNobody(t, folder)
	_, err := OpenRead(ctx, path)
	var failure *Failure
	if !errors.As(err, &failure) || !strings.Contains(err.Error(), "is its folder writable?") {
		t.Error(err)
	}
}

// asNobody takes from root, for the rest of a test, the right to write where its mode forbids it: from this thread alone.
func asNobody(t testing.TB, folder string) {
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil { // the test's folder is root's alone
		t.Fatal(err)
	}
	const nobody = 65534
	runtime.LockOSThread() // never undone: the thread ends with the test
	syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
	t.Cleanup(func() { syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0) })
}
