package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Lock holds a job file for one run. The kernel drops it when the process dies, so nothing has to be cleaned up.
type Lock struct{ file *os.File }

// LockedError says who holds the job file.
type LockedError struct {
	Path   string
	Holder string // as in: process 4711 since 2026-11-20 10:00:00 UTC
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is in use by another run (%s)", e.Path, e.Holder)
}

// Acquire takes the lock of the job file at path, a file beside it named path.lock, or returns a *LockedError.
func Acquire(path string) (*Lock, error) {
	for {
		l, err := acquire(path)
		if l != nil || err != nil {
			return l, err
		}
	}
}

// AcquireExisting is Acquire for a job file that must be there already; it leaves nothing behind where it is not.
func AcquireExisting(path string) (*Lock, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNotFound)
	}
	return Acquire(path)
}

// acquire gives no lock and no error when the lock file was deleted by its last holder in between: a lock on a file that
// nobody else can find is none.
func acquire(path string) (*Lock, error) {
	name := lockName(path)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, &Failure{"lock job file", err}
	}
	if !isLock(f) {
		f.Close()
		return nil, &Failure{"lock job file", fmt.Errorf("%s stands in the way: it is no lock of batch", name)}
	}
	if err := lockSoon(f); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &Failure{"lock job file", err}
		}
		return nil, &LockedError{Path: path, Holder: holder(f)}
	}
	mine, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, &Failure{"lock job file", err}
	}
	if there, err := os.Lstat(name); err != nil || !os.SameFile(mine, there) {
		f.Close()
		return nil, nil
	}
	f.Truncate(0)
	fmt.Fprintf(f, noteForm+"%d since %s\n", os.Getpid(), time.Now().UTC().Format("2006-01-02 15:04:05 UTC"))
	return &Lock{file: f}, nil
}

// patience is how long a lock is asked for: Held has it for a moment, and is no run.
const patience = 50 * time.Millisecond

func lockSoon(f *os.File) error {
	again := time.NewTicker(patience / 10)
	defer again.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-again.C:
		case <-late.C:
			return err
		}
	}
}

// lockName is the same for all names of one job file: a symbolic link to it must not have a lock of its own.
func lockName(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path + ".lock"
}

// Held says that a run holds the job file at path now.
func Held(path string) bool {
	f, err := os.OpenFile(lockName(path), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0) // a pipe in its place would be waited for
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// noteForm is what the note in a lock file begins with.
const noteForm = "process "

// isLock tells a lock file from what somebody else has, or has put, in its place: a pipe, or a file with a content of its own.
func isLock(f *os.File) bool {
	info, err := f.Stat()
	text := note(f)
	return err == nil && info.Mode().IsRegular() && (text == "" || strings.HasPrefix(text, noteForm))
}

// note reads what a lock's owner wrote about itself, "" for nothing. After a power cut there may be zeros in its place.
func note(f *os.File) string {
	buf := make([]byte, 200)
	n, _ := f.ReadAt(buf, 0)
	return strings.ToValidUTF8(strings.Trim(string(buf[:n]), "\x00 \n"), "")
}

// holder names the lock's owner; only the message depends on it, never the lock.
func holder(f *os.File) string {
	if text := note(f); text != "" {
		return text
	}
	return "a process that just started"
}

// Release gives the job file free and takes the lock file away.
func (l *Lock) Release() error {
	err := os.Remove(l.file.Name()) // while it is held
	return errors.Join(err, l.file.Close())
}
