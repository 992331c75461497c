package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"
)

// driver is SQLite as every connection of a Store has it. A job file may come from anybody: what its schema calls is not trusted, and
// its pages are looked at before they are used. Extensions cannot be loaded, the library's default.
const driver = "sqlite3 of batch"

func init() {
	sql.Register(driver, &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		_, err := conn.Exec("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", nil)
		return err
	}})
}

// checkObjects refuses a file that holds what no batch has put there: a view in place of a table or a trigger can make any statement do
// another thing, or never end.
func checkObjects(ctx context.Context, conn *sql.Conn) error {
	var kind string
	err := conn.QueryRowContext(ctx, `
		SELECT iif(type = 'table', 'virtual table', type) FROM sqlite_schema
		WHERE NOT (type = 'table' AND rootpage > 0 OR type = 'index') LIMIT 1`).Scan(&kind)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: it holds a %s", ErrNotJobFile, kind)
}
