package output

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"batch/store"
)

// file is a file in the making: it stands under a temporary name in the folder of its target until rename.
type file struct {
	path, temp string
	disk       disk
	f          diskFile
	w          *bufio.Writer
}

const bufferSize = 256 << 10

// create opens a temporary file for path. Its name cannot be foretold and an existing one is never opened, so a link
// planted in a shared folder leads nowhere; its mode follows the umask, as that of any output does. The lock on it tells
// sweep that somebody is at work.
func create(d disk, path string) (*file, error) {
	for range 10 {
		temp := tempPrefix(path) + rand.Text() + tempSuffix
		f, err := d.create(temp)
		if err != nil {
			return nil, err
		}
		// Where locks are not to be had, sweep gets none either and leaves the file alone.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		ours, err := f.Stat()
		there, errThere := os.Lstat(temp)
		if err == nil && errThere == nil && os.SameFile(ours, there) {
			return &file{path: path, temp: temp, disk: d, f: f, w: bufio.NewWriterSize(f, bufferSize)}, nil
		}
		f.Close() // swept away in the moment before the lock
	}
	return nil, errors.New("temporary files vanish")
}

const (
	tempMark   = ".batch-"
	tempSuffix = ".tmp"
)

// tempPrefix is what the temporary files of path begin with. A long name is cut: the whole must fit into 255 bytes.
func tempPrefix(path string) string {
	dir, base := filepath.Split(path)
	return dir + "." + base[:min(len(base), 200)] + tempMark
}

// sweep removes the temporary files that dead processes left for path: those that nobody holds locked.
func sweep(path string) {
	dir, prefix := filepath.Split(tempPrefix(path))
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), prefix) || !strings.HasSuffix(e.Name(), tempSuffix) {
			continue
		}
		name := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			os.Remove(name)
		}
		f.Close()
	}
}

// finish brings the content to the disk and says who the file is. The lock stays until rename or discard.
func (f *file) finish() (store.Identity, error) {
	err := f.w.Flush()
	if err == nil {
		err = f.f.Sync()
	}
	var info os.FileInfo
	if err == nil {
		info, err = os.Lstat(f.temp)
	}
	if err != nil {
		return store.Identity{}, fmt.Errorf("write %s: %w", Printable(f.path), cause(err))
	}
	return identity(info), nil
}

// rename puts the finished file in the place of its target.
func (f *file) rename() error {
	if err := f.disk.rename(f.temp, f.path); err != nil {
		return fmt.Errorf("put %s in place: %w", Printable(f.path), cause(err))
	}
	f.temp = ""
	f.f.Close() // what it holds is on the disk already
	return nil
}

// discard takes the temporary file away again. After rename there is none, and it does nothing.
func (f *file) discard() {
	if f.temp == "" {
		return
	}
	f.disk.remove(f.temp)
	f.f.Close()
	f.temp = ""
}

// syncFolder makes renames last through a power cut. Some network file systems cannot sync a folder; they say EINVAL.
func syncFolder(on disk, dir string) error {
	d, err := on.openFolder(dir)
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", Printable(dir), cause(err))
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return fmt.Errorf("sync folder %s: %w", Printable(dir), cause(err))
	}
	return nil
}

// identity is what tells this file from another that may take its name later.
func identity(info os.FileInfo) store.Identity {
	id := store.Identity{Size: info.Size(), MtimeNs: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		id.Dev, id.Inode = uint64(st.Dev), st.Ino
	}
	return id
}

// owned says whether the file was written from the job file with these outputs. It goes by the file, not by its path,
// so that a folder may be moved.
func owned(outs []store.Output, info os.FileInfo) bool {
	id := identity(info)
	for _, o := range outs {
		if o.Now == id || o.Prev == id {
			return true
		}
	}
	return false
}

// before is who stands in a place until the rename. A file that is replaced by force stays nobody's: it may have another name, a hard link,
// under which it would not be ours to replace.
func before(there os.FileInfo, outs []store.Output) store.Identity {
	if there == nil || !owned(outs, there) {
		return store.Identity{}
	}
	return identity(there)
}

// counter counts the bytes that pass.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
