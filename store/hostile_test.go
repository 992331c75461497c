package store

import (
	"errors"
	"strings"
	"testing"
)

// A job file that holds a view, a trigger or a virtual table is none of ours: any of them can make a statement another one. The object is
// planted where it does harm, so that a file which is taken would show it.
func TestX8_ForeignObjects(t *testing.T) {
	for kind, plant := range map[string]string{
		"view":          `ALTER TABLE skipped RENAME TO skipped_1; CREATE VIEW skipped AS SELECT * FROM skipped_1`,
		"trigger":       `CREATE TRIGGER gone AFTER UPDATE ON jobs BEGIN DELETE FROM answers; END`,
		"virtual table": `CREATE VIRTUAL TABLE words USING fts3(x)`,
	} {
		t.Run(kind, func(t *testing.T) {
			path := oldFile(t)
			st, err := Open(t.Context(), path, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			db := raw(t, path)
			if _, err := db.Exec(plant); err != nil {
				t.Fatal(err)
			}
			db.Close()
			for name, open := range map[string]func() (*Store, error){
				"Open":     func() (*Store, error) { return Open(t.Context(), path, false) },
				"OpenRead": func() (*Store, error) { return OpenRead(t.Context(), path) },
			} {
				st, err := open()
				if err == nil {
					st.Close()
				}
				if !errors.Is(err, ErrNotJobFile) || !strings.Contains(err.Error(), "it holds a "+kind) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// No connection trusts what a schema calls, nor loads a library.
func TestX8_Connections(t *testing.T) {
	st, err := Open(t.Context(), oldFile(t), false)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for name, q := range map[string]querier{"write": st.conn, "read": st.read} {
		var trusted, checked int
		if err := q.QueryRowContext(t.Context(), "SELECT trusted_schema, cell_size_check FROM pragma_trusted_schema, pragma_cell_size_check").Scan(&trusted, &checked); err != nil || trusted != 0 || checked != 1 {
			t.Errorf("%s: trusted_schema %d, cell_size_check %d (%v)", name, trusted, checked, err)
		}
		var nothing any
		if err := q.QueryRowContext(t.Context(), "SELECT load_extension('/nowhere/x')").Scan(&nothing); err == nil || !strings.Contains(err.Error(), "not authorized") {
			t.Errorf("%s: a library is loaded: %v", name, err)
		}
	}
}
