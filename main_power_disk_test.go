package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
)

// edit is one call of the log that the shim keeps.
type edit struct {
	kind, file string
	offset     int64 // of a truncation the new size
	data       []byte
	end        int64 // of its line and data in the log
}

// readEdits reads the log of one run. A kill may have cut off its end.
func readEdits(name string) (all []*edit, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	in := bytes.NewReader(text)
	lines := bufio.NewReaderSize(in, 128)
	at := func() int64 { return int64(len(text) - in.Len() - lines.Buffered()) }
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return all, nil
		}
		var e edit
		var length int64
		if n, err := fmt.Sscanf(line, "%s %s %d %d\n", &e.kind, &e.file, &e.offset, &length); n != 4 || err != nil {
			return nil, fmt.Errorf("%s: %q: %v", name, line, err)
		}
		if e.kind == "write" {
			start := at()
			if start+length+1 > int64(len(text)) {
				return all, nil
			}
			e.data = text[start : start+length]
			if _, err := io.CopyN(io.Discard, lines, length+1); err != nil {
				return nil, err
			}
		}
		e.end = at()
		all = append(all, &e)
	}
}

// inode is the content of a file, whatever name it has or had.
type inode struct {
	durable []byte  // what a power cut leaves for sure
	pending []*edit // writes and truncations since the last sync of the file
}

// disk is a folder with the job file and its companions, as far as a power cut is concerned. What is assumed of it is little: a sync
// of a file makes its content and its size durable, one of the folder makes names durable, neither does the other's; a sector of 512
// bytes is written wholly or not at all. All else survives at random: each sector of each write, each truncation, and of each name the
// first so many of its changes. Real file systems keep more.
type disk struct {
	names   map[string]*inode   // as a process sees them
	durable map[string]*inode   // as they are after a power cut for sure; nil where there is none
	changes map[string][]*inode // to names since the last sync of the folder
}

const sector = 512

func newDisk() *disk {
	return &disk{map[string]*inode{}, map[string]*inode{}, map[string][]*inode{}}
}

func (d *disk) do(e *edit) {
	switch {
	case e.kind == "create", e.kind == "found" && d.names[e.file] == nil:
		d.name(e.file, &inode{})
	case e.kind == "unlink":
		d.name(e.file, nil)
	case e.kind == "sync" && e.file == "dir":
		for name, to := range d.changes {
			d.durable[name] = to[len(to)-1]
		}
		clear(d.changes)
	case e.kind == "sync":
		f := d.names[e.file]
		f.durable, f.pending = f.now(), nil
	case e.kind == "write", e.kind == "truncate":
		f := d.names[e.file]
		f.pending = append(f.pending, e)
	}
}

func (d *disk) name(name string, f *inode) {
	d.names[name] = f
	d.changes[name] = append(d.changes[name], f)
}

// now is the content as a process sees it. It takes what was durable for its own.
func (f *inode) now() []byte {
	b := f.durable
	for _, e := range f.pending {
		if e.kind == "truncate" {
			b = resize(b, int(e.offset))
			continue
		}
		b = resize(b, max(len(b), int(e.offset)+len(e.data)))
		copy(b[e.offset:], e.data)
	}
	return b
}

func resize(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size]
	}
	old := len(b)
	b = slices.Grow(b, size-old)[:size]
	clear(b[old:])
	return b
}

// cut is what is in the folder after a power cut at this moment, by name.
func (d *disk) cut(r *rand.Rand) map[string][]byte {
	names := maps.Clone(d.durable)
	for _, name := range slices.Sorted(maps.Keys(d.changes)) { // in order: a seed is to give the same image again
		to := d.changes[name]
		if n := r.IntN(len(to) + 1); n > 0 {
			names[name] = to[n-1]
		}
	}
	luck := []float64{0, 0.1, 0.5, 0.9, 1}[r.IntN(5)]
	rubbish := r.IntN(2) == 0
	left := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if f := names[name]; f != nil {
			left[name] = f.cut(r, luck, rubbish)
		}
	}
	return left
}

// cut is what is left of the content. Where a file grew and the sectors that it grew by were not written, there are zeros or rubbish.
func (f *inode) cut(r *rand.Rand, luck float64, rubbish bool) []byte {
	b := bytes.Clone(f.durable)
	for _, e := range f.pending {
		if e.kind == "truncate" {
			if r.Float64() < luck {
				b = resize(b, int(e.offset))
			}
			continue
		}
		for from := 0; from < len(e.data); {
			at := int(e.offset) + from
			n := min(sector-at%sector, len(e.data)-from)
			if r.Float64() < luck {
				old := len(b)
				b = resize(b, max(old, at+n))
				if rubbish && at > old {
					for i := range b[old:at] {
						b[old+i] = byte(r.Uint32())
					}
				}
				copy(b[at:], e.data[from:from+n])
			}
			from += n
		}
	}
	return b
}

var suffixes = map[string]string{"db": "", "wal": "-wal", "journal": "-journal"}

// writeImage puts an image into place.
func writeImage(image map[string][]byte, jobFile string) error {
	for name, content := range image {
		if err := os.WriteFile(jobFile+suffixes[name], content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
