package store

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// memDisk is a disk that remembers what a power cut would leave of it. It can fail at its n-th operation, and with ever at all that
// follow; a sync that fails has lost what it was to write, and the next one does not know of it, as on Linux.
type memDisk struct {
	names, lasting map[string]*memFile
	step           func(op string) // is told of every operation before it is done

	n      int // 0 is never
	ever   bool
	half   bool // of a failing write is done
	room   int  // for all files together, 0 for no end of it; a write that finds less does what it can
	calls  int
	failed string // the first operation that did
}

func newMemDisk() *memDisk {
	return &memDisk{names: map[string]*memFile{}, lasting: map[string]*memFile{}, step: func(string) {}}
}

const sector = 512

// memFile is a file as it is, and its sectors as they last.
type memFile struct {
	text, lasting []byte
	dirty         map[int]bool // sectors that the next sync writes
}

// fails says that an operation does not work.
func (d *memDisk) fails(op string) error {
	d.step(op)
	d.calls++
	if d.n == 0 || d.calls != d.n && !(d.ever && d.calls > d.n) {
		return nil
	}
	if d.failed == "" {
		d.failed = op
	}
	return &fs.PathError{Op: op, Path: "disk", Err: syscall.EIO}
}

func (d *memDisk) create(name string) (diskFile, error) {
	if err := d.fails("create"); err != nil {
		return nil, err
	}
	if d.names[name] != nil {
		return nil, fs.ErrExist
	}
	d.names[name] = &memFile{dirty: map[int]bool{}}
	return &memHandle{memFile: d.names[name], d: d}, nil
}

func (d *memDisk) open(name string) (diskFile, error) {
	if err := d.fails("open"); err != nil {
		return nil, err
	}
	if d.names[name] == nil {
		return nil, fs.ErrNotExist
	}
	return &memHandle{memFile: d.names[name], d: d}, nil
}

func (d *memDisk) remove(name string) error {
	if err := d.fails("remove"); err != nil {
		return err
	}
	delete(d.names, name)
	return nil
}

func (d *memDisk) syncFolder(dir string) error {
	if err := d.fails("sync folder"); err != nil {
		return err
	}
	maps.DeleteFunc(d.lasting, func(name string, _ *memFile) bool { return filepath.Dir(name) == dir })
	for name, f := range d.names {
		if filepath.Dir(name) == dir {
			d.lasting[name] = f
		}
	}
	return nil
}

// memHandle reads a line at a time, so that there is a step between any two.
type memHandle struct {
	*memFile
	d  *memDisk
	at int
}

func (h *memHandle) Read(p []byte) (int, error) {
	if err := h.d.fails("read"); err != nil {
		return 0, err
	}
	rest := h.text[h.at:]
	if len(rest) == 0 {
		return 0, io.EOF
	}
	n := len(rest)
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		n = end + 1
	}
	n = copy(p, rest[:n])
	h.at += n
	return n, nil
}

func (h *memHandle) WriteAt(p []byte, at int64) (int, error) {
	err := h.d.fails("write")
	if err != nil && !h.d.half {
		return 0, err
	}
	if err != nil {
		p = p[:len(p)/2]
	}
	if left := h.d.left() + max(len(h.text)-int(at), 0); h.d.room > 0 && err == nil && len(p) > left {
		p, err = p[:left], &fs.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}
	}
	if grow := int(at) + len(p) - len(h.text); grow > 0 {
		h.text = append(h.text, make([]byte, grow)...)
	}
	n := copy(h.text[at:], p)
	for i := int(at) / sector; i <= (int(at)+n)/sector; i++ {
		h.dirty[i] = true
	}
	return n, err
}

// left is how much room there is.
func (d *memDisk) left() int {
	left := d.room
	for _, f := range d.names {
		left -= len(f.text)
	}
	return left
}

func (h *memHandle) Sync() error {
	err := h.d.fails("sync")
	if err == nil {
		h.lasting = h.after(func() bool { return true })
	}
	clear(h.dirty)
	return err
}

func (h *memHandle) Truncate(size int64) error {
	if err := h.d.fails("truncate"); err != nil {
		return err
	}
	h.text = h.text[:size]
	return nil
}

func (h *memHandle) Close() error { return nil }

func (h *memHandle) Stat() (fs.FileInfo, error) {
	if err := h.d.fails("stat"); err != nil {
		return nil, err
	}
	return memInfo{}, nil
}

// memInfo is what is known of every file: it is this user's, and private.
type memInfo struct{}

func (memInfo) Name() string       { return "" }
func (memInfo) Size() int64        { return 0 }
func (memInfo) Mode() fs.FileMode  { return 0o600 }
func (memInfo) ModTime() time.Time { return time.Time{} }
func (memInfo) IsDir() bool        { return false }
func (memInfo) Sys() any           { return &syscall.Stat_t{Uid: uint32(os.Geteuid())} }

// after is what stands of a file when its dirty sectors survive as survives says: the others are as they last, or zeros.
func (f *memFile) after(survives func() bool) []byte {
	text := slices.Clone(f.lasting)
	if len(text) < len(f.text) && survives() {
		text = append(text, make([]byte, len(f.text)-len(text))...)
	}
	for i := range (len(text) + sector - 1) / sector {
		if from := i * sector; f.dirty[i] && from < len(f.text) && survives() {
			copy(text[from:min(from+sector, len(text))], f.text[from:])
		}
	}
	return text
}

// killed is the disk as the next process finds it.
func (d *memDisk) killed() *memDisk {
	next := newMemDisk()
	for name, f := range d.names {
		next.names[name] = &memFile{text: slices.Clone(f.text), dirty: map[int]bool{}}
		next.lasting[name] = next.names[name]
	}
	return next
}

// cut is the disk after a power cut: what was synced is there, and of the rest what chance says.
func (d *memDisk) cut(r *rand.Rand) *memDisk {
	odds := r.IntN(3) // never, at times, always
	survives := func() bool { return r.IntN(2) < odds }
	names := maps.Clone(d.lasting)
	for name := range d.names {
		if survives() {
			names[name] = d.names[name]
		}
	}
	for name := range d.lasting {
		if d.names[name] == nil && survives() {
			delete(names, name)
		}
	}
	next := newMemDisk()
	for name, f := range names {
		next.names[name] = &memFile{text: f.after(survives), dirty: map[int]bool{}}
		next.lasting[name] = next.names[name]
	}
	return next
}
