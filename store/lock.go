package store

import (
	"errors"
	"fmt"
	"os"
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
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
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
	f.Truncate(0)
	fmt.Fprintf(f, "process %d since %s\n", os.Getpid(), time.Now().UTC().Format("2006-01-02 15:04:05 UTC"))
	return &Lock{file: f}, nil
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

// Release gives the job file free. The lock file stays: deleting it would let two runs hold two different files.
func (l *Lock) Release() error { return l.file.Close() }
