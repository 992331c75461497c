package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// disk is what the files of outcomes that are set aside need of the file system; SQLite sees to the job file itself. Tests put one in its
// place that fails, or forgets.
type disk interface {
	create(name string) (diskFile, error) // that must not exist yet, nor be a link
	open(name string) (diskFile, error)   // for reading, and not through a link
	remove(name string) error
	syncFolder(name string) error
}

type diskFile interface {
	io.Reader
	io.WriterAt
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

// realDisk is the operating system's. What it creates is for the user alone.
type realDisk struct{}

func (realDisk) create(name string) (diskFile, error) {
	return opened(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600))
}

// open does not wait for the other end of a pipe that was put in the file's place.
func (realDisk) open(name string) (diskFile, error) {
	return opened(os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0))
}

// opened keeps a nil file from becoming a diskFile that is not nil.
func opened(f *os.File, err error) (diskFile, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (realDisk) remove(name string) error { return os.Remove(name) }

// syncFolder makes the names of a folder last through a power cut. Some network file systems cannot sync a folder; they say EINVAL.
func (realDisk) syncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
