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

// Acquire takes the lock of the job file at path, a file beside it named path.lock, or returns a *LockedError at once.
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
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, &Failure{"lock job file", err}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
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
	fmt.Fprintf(f, "process %d since %s\n", os.Getpid(), time.Now().UTC().Format("2006-01-02 15:04:05 UTC"))
	return &Lock{file: f}, nil
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
	f, err := os.Open(lockName(path))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// holder reads what the lock's owner wrote about itself; only the message depends on it, never the lock.
func holder(f *os.File) string {
	buf := make([]byte, 200)
	n, _ := f.ReadAt(buf, 0)
	text := strings.TrimSpace(string(buf[:n]))
	if text == "" {
		return "a process that just started"
	}
	return strings.ToValidUTF8(text, "")
}

// Release gives the job file free and takes the lock file away.
func (l *Lock) Release() error {
	err := os.Remove(l.file.Name()) // while it is held
	return errors.Join(err, l.file.Close())
}
