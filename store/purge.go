package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// The settings that say how far a purge came: the text is gone from every row, and then from every page of the file.
const (
	settingPurging = "purging"
	settingPurged  = "purged"
)

// PurgedError says that a job file has no text any more.
type PurgedError struct {
	Path string
	At   string // when, in words
	Cut  bool   // the purge was cut short: pages of the file may still hold text
}

func (e *PurgedError) Error() string {
	if e.Cut {
		return fmt.Sprintf("a purge of %s was cut short on %s: its prompts and answers cannot be read any more, but may still stand in the file", e.Path, e.At)
	}
	return fmt.Sprintf("%s was purged on %s: its prompts and answers are gone, only the sums are left", e.Path, e.At)
}

// Purged returns a *PurgedError when the file has no text any more, else nil.
func (s *Store) Purged(ctx context.Context) error { return s.assertText(ctx) }

func (s *Store) assertText(ctx context.Context) error {
	e := PurgedError{Path: filepath.Base(s.path)}
	err := s.read.QueryRowContext(ctx, "SELECT value, name = ? FROM settings WHERE name IN (?, ?) ORDER BY 2 DESC",
		settingPurging, settingPurging, settingPurged).Scan(&e.At, &e.Cut)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return s.explain("read", err)
	}
	return &e
}

// forget takes out of every row what was written by the author of the prompts or by a model: requests and what would confirm a guess of
// one, answers, messages, own keys and names, fill-ins. States, tokens, times, classes, codes, prices and budgets stay.
//
// The pages that are freed and the bytes that are cut off are overwritten (secure_delete). The bytes that stand in the write-ahead log,
// and in pages that earlier versions of the file freed, are what Purge's later steps are for.
const forget = `
	UPDATE jobs SET custom_id = NULL, key = zeroblob(32), origin = NULL, carried = NULL, body = x'';
	UPDATE answers SET response = x'';
	UPDATE attempts SET message = NULL, body = NULL WHERE message IS NOT NULL OR body IS NOT NULL;
	UPDATE skipped SET custom_id = NULL, message = '';
	UPDATE shared SET custom_id = NULL, carried = NULL;
	UPDATE inputs SET sha256 = zeroblob(32);
	UPDATE outputs SET options = '';
	DELETE FROM settings WHERE name NOT GLOB '` + SettingBudget + `*' AND name NOT IN ('salt', '` + SettingSimulated + `', '` + settingPurging + `', '` + settingPurged + `')`

// Purge forgets the text of all prompts and answers for good and keeps the sums. A Purge that dies has changed nothing, or leaves a file
// that says that it was cut short (PurgedError.Cut), and the next Purge ends it.
//
// The old text may have copies that are not in reach: of the file system, of the disk itself, of backups.
func (s *Store) Purge(ctx context.Context, now time.Time) error {
	if _, err := s.conn.ExecContext(ctx, "PRAGMA secure_delete = ON"); err != nil {
		return s.explain("purge", err)
	}
	at := now.UTC().Format("2006-01-02 15:04:05 UTC")
	err := s.transact(ctx, func() error {
		ctx := context.WithoutCancel(ctx)
		if _, err := s.conn.ExecContext(ctx, forget); err != nil {
			return err
		}
		return s.writeSettings(ctx, map[string]string{settingPurging: at})
	})
	if err != nil {
		return s.explain("purge", err)
	}
	// The log goes first: rebuilding the file writes one of its own.
	for _, step := range []func(context.Context) error{s.emptyLog, s.rebuild, s.emptyLog} {
		if err := step(ctx); err != nil {
			return s.explain("purge", err)
		}
	}
	if err := s.SetSettings(ctx, map[string]string{settingPurging: "", settingPurged: at}); err != nil {
		return err
	}
	if err := s.emptyLog(ctx); err != nil {
		return s.explain("purge", err)
	}
	return nil
}

func (s *Store) rebuild(ctx context.Context) error {
	_, err := s.conn.ExecContext(context.WithoutCancel(ctx), "VACUUM")
	return err
}

var errRead = errors.New("another program is reading it; close that and run the same command again")

// emptyLog moves what is in the write-ahead log into the file and cuts the log to nothing.
func (s *Store) emptyLog(ctx context.Context) error {
	var busy, frames, moved int
	if err := s.conn.QueryRowContext(context.WithoutCancel(ctx), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved); err != nil {
		return err
	}
	if busy != 0 {
		return errRead
	}
	return nil
}
