// Package store is the job file: a SQLite database that holds the jobs, the attempts and the runs. Every SQL statement
// and every change of a job's state is here, one method and one guarded UPDATE an arrow. It knows no HTTP and decides
// no policy: who may retry, and when, its callers say.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	applicationID = 0x62746368 // "btch": tells a job file from any other database
	schemaVersion = 3
	busyTimeout   = 10 * time.Second
	largestLog    = 64 << 20 // bytes that the write-ahead log keeps when it is begun anew, should a long reader have let it grow
)

//go:embed schema.sql
var schema string

//go:embed indexes.sql
var indexes string

// Store is an open job file. One goroutine at a time may write; Views read beside it.
type Store struct {
	path     string
	write    *sql.DB // nil when read-only
	conn     *sql.Conn
	read     *sql.DB
	mode     string // in which it can be read
	stmts    map[string]*sql.Stmt
	salt     []byte
	run      int64  // of this invocation, 0 before BeginRun
	attempt  int64  // the newest attempt's id
	chosen   string // restricts claims to the jobs of Choose
	lenders  []lender
	foreseen map[int64]State // of jobs that are counted in another state than theirs
	waits    map[int64]bool  // jobs whose outcome waits to be saved, and whether its call may be charged for
	created  bool
	spill    spill
	mu       sync.Mutex // one transaction at a time on conn
}

// Open opens the job file at path for writing, and creates it (mode 0600) when create is set and it is missing,
// or empty because the run that was making it died. Whoever will claim jobs holds its Lock.
func Open(ctx context.Context, path string, create bool) (*Store, error) {
	path, err := absolute(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, stmts: map[string]*sql.Stmt{}}
	if s.created, err = s.prepareFile(create); err != nil {
		return nil, err
	}
	if err := s.open(ctx, create); err != nil {
		s.Close()
		if s.created {
			s.removeFiles()
		}
		return nil, s.explain("open job file", err)
	}
	return s, nil
}

// OpenRead opens the job file at path for reading only; a run may be going on.
func OpenRead(ctx context.Context, path string) (*Store, error) {
	path, err := absolute(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path}
	if _, err := s.prepareFile(false); err != nil {
		return nil, err
	}
	if err := s.openRead(ctx); err != nil {
		s.Close()
		return nil, s.explain("open job file", err)
	}
	return s, nil
}

func absolute(path string) (string, error) {
	if path == "" || path == ":memory:" {
		return "", fmt.Errorf("%q: %w", path, ErrNotJobFile)
	}
	return filepath.Abs(path)
}

// prepareFile reports whether the file has to be filled with the schema. The mode is set here, since SQLite's
// companions (-wal, -shm) copy it from the file.
func (s *Store) prepareFile(create bool) (fresh bool, err error) {
	info, err := os.Lstat(s.path)
	linked := err == nil && info.Mode()&fs.ModeSymlink != 0
	if linked {
		if info, err = os.Stat(s.path); err != nil {
			return false, &Failure{"open job file", err}
		}
	}
	switch {
	case err == nil && !info.Mode().IsRegular():
		return false, fmt.Errorf("%s: %w: not a regular file", s.path, ErrNotJobFile)
	case err == nil && info.Size() > 0:
		return false, nil
	case err == nil && (!create || linked):
		return false, fmt.Errorf("%s: %w: it is empty", s.path, ErrNotJobFile)
	case err == nil:
		return true, s.adopt(info)
	case !errors.Is(err, fs.ErrNotExist):
		return false, &Failure{"open job file", err}
	case !create:
		return false, fmt.Errorf("%s: %w", s.path, ErrNotFound)
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return false, &Failure{"create job file", err}
	}
	return true, f.Close()
}

// adopt takes over an empty file, as a run that died early leaves it. One that somebody else put there, in a folder that many may
// write to, would be theirs to read.
func (s *Store) adopt(info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s: %w: it is empty, and another user's", s.path, ErrNotJobFile)
	}
	if err := os.Chmod(s.path, 0o600); err != nil {
		return &Failure{"create job file", err}
	}
	return nil
}

// dsn escapes the path: a "?" in it would else be taken as the start of settings. The driver's own default for WAL is
// synchronous=NORMAL, which loses acknowledged commits in a power cut.
func (s *Store) dsn(settings string) string {
	return "file:" + url.PathEscape(s.path) + "?_busy_timeout=" + strconv.Itoa(int(busyTimeout.Milliseconds())) +
		"&_sync=FULL&" + settings
}

func (s *Store) open(ctx context.Context, create bool) error {
	var err error
	if s.write, err = sql.Open(driver, s.dsn("mode=rw&_txlock=immediate&_cache_size=-8192&_mutex=no")); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.conn, err = s.write.Conn(ctx); err != nil {
		return err
	}
	if !s.created {
		var version int
		version, err = checkIdentity(ctx, s.conn)
		if create && errors.Is(err, ErrNotJobFile) {
			s.created, err = unborn(ctx, s.conn)
		}
		if err == nil && !s.created && version < schemaVersion {
			err = migrate(ctx, s.conn)
		}
		if err != nil {
			return err
		}
	}
	for _, pragma := range []string{"journal_mode=WAL", "wal_autocheckpoint=4000", "journal_size_limit=" + strconv.Itoa(largestLog)} {
		if err := set(ctx, s.conn, pragma); err != nil {
			return err
		}
	}
	if err := s.assertDurable(ctx); err != nil {
		return err
	}
	if s.created {
		if err := s.fill(ctx); err != nil {
			return err
		}
	}
	if s.salt, err = readSalt(ctx, s.conn); err != nil {
		return err
	}
	s.spill = newSpill(s.path, s.salt)
	if err := s.conn.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM attempts").Scan(&s.attempt); err != nil {
		return err
	}
	return s.openRead(ctx)
}

// openRead opens for reading. Where nothing can be written, not even the companions that a reader needs, the file alone is read, when it is all
// there is.
func (s *Store) openRead(ctx context.Context) error {
	err := s.openReadAs(ctx, "mode=rw")
	if s.conn != nil || !IsUnwritable(err) {
		return err
	}
	if log, statErr := os.Stat(s.path + "-wal"); statErr == nil && log.Size() > 0 {
		return fmt.Errorf("it was not closed in order, and here it cannot be: copy it with its -wal to a folder that can be written to: %w", err)
	}
	s.read.Close()
	return s.openReadAs(ctx, "mode=ro&immutable=1")
}

func (s *Store) openReadAs(ctx context.Context, mode string) error {
	s.mode = mode
	var err error
	if s.read, err = sql.Open(driver, s.dsn(mode+"&_query_only=1&_txlock=deferred&_cache_size=-4096")); err != nil {
		return err
	}
	if s.conn != nil {
		return nil
	}
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	version, err := checkIdentity(ctx, conn)
	if err != nil || version == schemaVersion {
		return err
	}
	return s.migrateFirst(ctx)
}

// migrateFirst brings an older file up to date for a reader.
func (s *Store) migrateFirst(ctx context.Context) error {
	db, err := sql.Open(driver, s.dsn("mode=rw"))
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return migrate(ctx, conn)
}

// set runs a PRAGMA to its end. That of the journal mode gives its row first and commits afterwards: the driver's Exec would take the row for
// success, and SQLite would call the mode "wal" in a file that is not.
func set(ctx context.Context, conn *sql.Conn, pragma string) error {
	rows, err := conn.QueryContext(ctx, "PRAGMA "+pragma)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// assertDurable refuses to go on when the settings of the DSN did not take: durability must not be a matter of luck.
func (s *Store) assertDurable(ctx context.Context) error {
	var mode string
	var sync int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if err := s.conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&sync); err != nil {
		return err
	}
	if mode != "wal" || sync != 2 {
		return fmt.Errorf("SQLite gave journal_mode=%s, synchronous=%d instead of wal, 2 (FULL)", mode, sync)
	}
	return nil
}

func (s *Store) fill(ctx context.Context) error {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	return s.transact(ctx, func() error {
		script := schema + fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, schemaVersion)
		if _, err := s.conn.ExecContext(ctx, script); err != nil {
			return err
		}
		_, err := s.conn.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES ('salt', ?)", hex.EncodeToString(salt))
		return err
	})
}

// readSalt reads what tells this job file from any other.
func readSalt(ctx context.Context, q querier) ([]byte, error) {
	var salt string
	if err := q.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = 'salt'").Scan(&salt); err != nil {
		return nil, err
	}
	return hex.DecodeString(salt)
}

func checkIdentity(ctx context.Context, conn *sql.Conn) (version int, err error) {
	var id int
	if err := conn.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, err
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	switch {
	case id != applicationID || version < 1:
		return 0, ErrNotJobFile
	case version > schemaVersion:
		return 0, &VersionError{Have: version, Want: schemaVersion}
	}
	return version, checkObjects(ctx, conn)
}

// unborn says that a run died while it made this file: it is a database already, and there is nothing in it.
func unborn(ctx context.Context, conn *sql.Conn) (bool, error) {
	var empty bool
	err := conn.QueryRowContext(ctx, `
		SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema) AND application_id = 0 FROM pragma_application_id`).Scan(&empty)
	if err == nil && !empty {
		err = ErrNotJobFile
	}
	return empty, err
}

func quickCheck(ctx context.Context, conn *sql.Conn) error {
	var said string
	if err := conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); err != nil {
		return err
	}
	if said != "ok" {
		return fmt.Errorf("%w: %s", ErrDamaged, said)
	}
	return nil
}

// Writable says that the job file was opened for writing.
func (s *Store) Writable() bool { return s.conn != nil }

// Path is the job file's absolute path.
func (s *Store) Path() string { return s.path }

// Created says that this Open made the file.
func (s *Store) Created() bool { return s.created }

// Close ends all use of the job file. SQLite folds the write-ahead log into it when no reader is left.
func (s *Store) Close() error {
	s.spill.close()
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	for _, stmt := range s.stmts {
		stmt.Close()
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return s.explain("close job file", err)
	}
	return nil
}

// Remove closes a job file that this Store created and deletes it: bad input leaves no new job file behind.
func (s *Store) Remove() error {
	err := s.Close()
	if s.created {
		s.removeFiles()
	}
	return err
}

func (s *Store) removeFiles() {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		os.Remove(s.path + suffix)
	}
}

// transact runs fn in one write transaction. It ignores a cancelled ctx: what was paid for must still be saved, and the
// driver would refuse. A failed COMMIT may have committed all the same; the caller must stop and read again.
func (s *Store) transact(ctx context.Context, fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	if err := s.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := fn(); err != nil {
		s.conn.ExecContext(ctx, "ROLLBACK")
		return err
	}
	if err := s.exec(ctx, "COMMIT"); err != nil {
		s.conn.ExecContext(ctx, "ROLLBACK")
		return err
	}
	return nil
}

// stmt prepares a statement once for the writing connection.
func (s *Store) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if st := s.stmts[query]; st != nil {
		return st, nil
	}
	st, err := s.conn.PrepareContext(ctx, query)
	if err == nil {
		s.stmts[query] = st
	}
	return st, err
}

func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.execN(ctx, query, args...)
	return err
}

// execN runs a prepared statement and returns how many rows it changed.
func (s *Store) execN(ctx context.Context, query string, args ...any) (int64, error) {
	st, err := s.stmt(ctx, query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(within(ms, maxTime))
}
