package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// IsUnwritable says of an error that the job file, or its folder, may not be written to.
func IsUnwritable(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrReadonly || e.Code == sqlite3.ErrCantOpen || e.Code == sqlite3.ErrPerm)
}

// missingRight names the file that cannot be used, and for what. It opens none of them: to close one would drop SQLite's locks.
func (s *Store) missingRight() string {
	const read, write = 4, 2
	for _, suffix := range []string{"", "-wal", "-shm"} {
		path := s.path + suffix
		for _, right := range []struct {
			mode uint32
			what string
		}{{read, "read"}, {write, "write"}} {
			switch err := syscall.Access(path, right.mode); {
			case errors.Is(err, fs.ErrPermission):
				return "there is no right to " + right.what + " " + filepath.Base(path)
			case errors.Is(err, syscall.EROFS):
				return "its file system is read-only"
			}
		}
	}
	if err := syscall.Access(filepath.Dir(s.path), write); err != nil {
		return "its folder " + filepath.Dir(s.path) + " cannot be written to"
	}
	return "is its folder writable?"
}

// fullDisk tells the disk of the job file from that of SQLite's temporary files, which sorts of many rows go to.
func (s *Store) fullDisk() string {
	const some = 1 << 20
	var disk syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(s.path), &disk); err != nil || int64(disk.Bavail)*int64(disk.Bsize) < some {
		return "the disk"
	}
	if dir := os.TempDir(); syscall.Statfs(dir, &disk) == nil && int64(disk.Bavail)*int64(disk.Bsize) < some {
		return "the disk of temporary files, " + dir + " (TMPDIR),"
	}
	return "the disk"
}
