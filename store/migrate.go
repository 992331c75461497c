package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// migrations bring a job file of an older version up to date, one version a step: the first one is from 1 to 2. What a column
// meant in an older version it means still; what an older version did not keep is NULL, unknown.
var migrations = []string{
	`ALTER TABLE runs ADD COLUMN rpm REAL;
	ALTER TABLE runs ADD COLUMN tpm REAL;
	ALTER TABLE jobs ADD COLUMN max_tokens INTEGER;
	ALTER TABLE attempts ADD COLUMN cached_tokens INTEGER;
	ALTER TABLE attempts ADD COLUMN cache_write_tokens INTEGER;
	ALTER TABLE attempts ADD COLUMN reasoning_tokens INTEGER;
	ALTER TABLE attempts ADD COLUMN audio_tokens INTEGER;
	ALTER TABLE limits RENAME TO limits_1;` + tables("waits", "prices", "limits") + `
	INSERT INTO limits (endpoint, not_before) SELECT endpoint, not_before FROM limits_1;
	DROP TABLE limits_1;
	UPDATE inputs SET sha256 = zeroblob(32);`, // the next run reads them anew, and finds max_tokens
	`ALTER TABLE jobs ADD COLUMN invalid INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE jobs ADD COLUMN origin BLOB CHECK (length(origin) = 32);
	ALTER TABLE jobs ADD COLUMN replaced INTEGER CHECK (replaced IS NULL OR position IS NULL);
	ALTER TABLE jobs ADD COLUMN sample INTEGER;
	ALTER TABLE jobs ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0;` + tables("shared", "sources", "reused"),
}

// tables are the statements of the schema that make these tables. A step may use it until the schema of one of them changes.
func tables(names ...string) string {
	var all strings.Builder
	for _, name := range names {
		_, rest, _ := strings.Cut(schema, "CREATE TABLE "+name+" (")
		body, _, _ := strings.Cut(rest, "\n)")
		_, rest, _ = strings.Cut(rest, "\n)")
		options, _, _ := strings.Cut(rest, ";")
		all.WriteString("CREATE TABLE " + name + " (" + body + "\n)" + options + ";\n")
	}
	return all.String()
}

// migrate brings the file up to schemaVersion in one transaction. Another process may be doing the same.
func migrate(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := migrateSteps(ctx, conn)
	if err == nil {
		_, err = conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		conn.ExecContext(ctx, "ROLLBACK")
	}
	return err
}

func migrateSteps(ctx context.Context, conn *sql.Conn) error {
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for ; version < schemaVersion; version++ {
		script := migrations[version-1] + fmt.Sprintf("PRAGMA user_version = %d", version+1)
		if _, err := conn.ExecContext(ctx, script); err != nil {
			return fmt.Errorf("bring the job file from version %d to %d: %w", version, version+1, err)
		}
	}
	return nil
}
