package output

import (
	"io"
	"os"
)

// disk is what a file in the making needs of the file system. Tests put one in its place that fails, or forgets.
type disk interface {
	create(name string) (diskFile, error) // that must not exist yet
	rename(from, to string) error
	remove(name string) error
	openFolder(name string) (syncer, error)
}

type diskFile interface {
	io.Writer
	syncer
	Stat() (os.FileInfo, error)
	Fd() uintptr
}

type syncer interface {
	Sync() error
	Close() error
}

// realDisk is the operating system's. What it creates has a mode that follows the umask.
type realDisk struct{}

func (realDisk) create(name string) (diskFile, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (realDisk) rename(from, to string) error { return os.Rename(from, to) }
func (realDisk) remove(name string) error     { return os.Remove(name) }

func (realDisk) openFolder(name string) (syncer, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}
