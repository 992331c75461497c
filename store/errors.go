package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// Errors that a caller tells apart.
var (
	ErrNotFound   = errors.New("no such job file")
	ErrNotJobFile = errors.New("not a batch job file")
	ErrDamaged    = errors.New("the job file is damaged")
	ErrInUse      = errors.New("another program has locked it")
)

// VersionError says that a job file was written by a newer batch; it is left untouched.
type VersionError struct{ Have, Want int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the job file has schema version %d, this batch knows up to %d", e.Have, e.Want)
}

// Failure is an operation on the job file that failed: of the disk, of SQLite, of another program's lock.
type Failure struct {
	Op  string
	Err error
}

func (e *Failure) Error() string { return e.Op + ": " + e.Err.Error() }
func (e *Failure) Unwrap() error { return e.Err }

// explain adds the operation and, for the failures that users meet, words that say what happened: SQLite's own for a
// read-only folder are "unable to open database file: no such file or directory".
func (s *Store) explain(op string, err error) error {
	name := filepath.Base(s.path)
	var newer *VersionError
	var said *fileError
	var purged *PurgedError
	var e sqlite3.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said): // by a step within this one
		return err
	case errors.Is(err, ErrNotJobFile), errors.Is(err, ErrDamaged), errors.As(err, &newer):
		return &fileError{s.path, err}
	case errors.Is(err, context.Canceled), errors.As(err, &purged):
		return err
	case !errors.As(err, &e):
		return &Failure{op + " " + name, err}
	}
	switch e.Code {
	case sqlite3.ErrNotADB:
		return &fileError{s.path, ErrNotJobFile}
	case sqlite3.ErrCorrupt:
		return &fileError{s.path, fmt.Errorf("%w: %w", ErrDamaged, err)}
	case sqlite3.ErrFull:
		err = fmt.Errorf("%s is full: %w", s.fullDisk(), err)
	case sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm:
		err = fmt.Errorf("%s: %w", s.missingRight(), err)
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		err = fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return &Failure{op + " " + name, err}
}

// fileError says what is wrong with a job file as a whole. It names the file, so nobody needs to name it again.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string { return e.path + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }
