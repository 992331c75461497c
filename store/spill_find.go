package store

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// source is a file in which a run before may have set outcomes aside.
type source struct {
	path   string
	shared bool // in a folder into which others may put files
	former bool // where it was for the last run
}

func (s source) beside() bool { return !s.shared && !s.former }

// The settings that say where the last run would have set outcomes aside.
const (
	settingPlace = "place"
	settingTemp  = "temporary folder"
)

func (a *spill) settings() map[string]string {
	return map[string]string{settingPlace: a.job, settingTemp: os.TempDir()}
}

// sources are the places that are not in use, and those of the last run, should the job file have been renamed since, or the folder for
// temporary files be another. While anything stands under its old name, this is a copy, and what is there is not its own; nor is it while a
// run goes on under that name.
func (a *spill) sources(ctx context.Context, q querier) ([]source, error) {
	var all []source
	known := map[string]bool{}
	for i, p := range a.places {
		known[p.path] = true
		if p.file == nil { // else it is this run's own
			all = append(all, source{path: p.path, shared: i > 0})
		}
	}
	var job, temp string
	err := q.QueryRowContext(ctx, "SELECT p.value, t.value FROM settings p, settings t WHERE p.name = ? AND t.name = ?", settingPlace, settingTemp).Scan(&job, &temp)
	if errors.Is(err, sql.ErrNoRows) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(job); job != a.job && (!errors.Is(err, fs.ErrNotExist) || Held(job)) {
		return all, nil
	}
	for i, path := range spillPaths(job, temp) {
		if !known[path] {
			all = append(all, source{path, i > 0, true})
		}
	}
	return all, nil
}

// waiting is a file of outcomes that were set aside for this job file.
type waiting struct {
	path string
	file diskFile
	r    *bufio.Reader
}

func (w *waiting) close() { w.file.Close() }

// find opens a file, nil when there is none of this job file. Others may put files into the shared folder: there, only what is our own
// counts. Beside the job file, what is none of ours is a SpillError. Beside its old name the first line tells alone: some disks give every
// file the same owner and mode.
func (a *spill) find(src source) (*waiting, error) {
	path := src.path
	f, err := a.disk.open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), src.shared && errors.Is(err, fs.ErrPermission), !src.beside() && isForeign(err):
		return nil, nil
	case err != nil:
		return nil, &Failure{"take up", err}
	}
	w := &waiting{path, f, bufio.NewReader(f)}
	ours, err := a.isOurs(w, src)
	if !ours || err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// isForeign says of an error that it is no file of ours that cannot be opened. Any other may pass, and what was not taken up by then would
// be asked for again.
func isForeign(err error) bool {
	return errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ENOTDIR)
}

// isOurs reads the first line, and no more of it than ours is long.
func (a *spill) isOurs(w *waiting, src source) (bool, error) {
	info, err := w.file.Stat()
	if err != nil {
		return false, &Failure{"take up " + w.path, err}
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if src.shared && (!known || int(owner.Uid) != os.Geteuid()) || !src.beside() && !info.Mode().IsRegular() {
		return false, nil
	}
	if !info.Mode().IsRegular() {
		return false, &SpillError{w.path, "is not a regular file"}
	}
	head, err := w.r.Peek(len(a.head))
	if err != nil && err != io.EOF {
		return false, &Failure{"take up " + w.path, err}
	}
	open := src.shared && info.Mode().Perm()&0o077 != 0
	switch {
	case open && string(head) == a.head:
		return false, &SpillError{w.path, "holds answers, and others may have changed it: its mode is not 0600"}
	case open:
		return false, nil
	case string(head) == a.head:
		w.r.Discard(len(head))
		return true, nil
	case strings.HasPrefix(string(head), headForm):
		w.r.Discard(len(head))
		none, err := w.atEnd()
		if !none && err == nil && !src.former {
			err = &SpillError{w.path, "holds answers of another job file"}
		}
		return none && src.beside(), err // room that was kept, and never used
	}
	cutOff, err := a.isCutOff(w, head)
	if !cutOff && err == nil && src.beside() {
		err = &SpillError{w.path, "stands in the way: it is none of batch"}
	}
	return cutOff, err
}

// isCutOff says that a death or a power cut came while the file was made: it holds the beginning of our first line, at most, and zeros.
func (a *spill) isCutOff(w *waiting, head []byte) (bool, error) {
	if !strings.HasPrefix(a.head, string(bytes.TrimRight(head, "\x00"))) {
		return false, nil
	}
	w.r.Discard(len(head))
	for {
		b, err := w.r.ReadByte()
		switch {
		case err == io.EOF:
			return true, nil
		case err != nil:
			return false, &Failure{"take up " + w.path, err}
		case b != 0:
			return false, nil
		}
	}
}

// atEnd says that no line follows: what is behind a zero was saved before, or is room.
func (w *waiting) atEnd() (bool, error) {
	next, err := w.r.Peek(1)
	if err != nil && err != io.EOF {
		return false, &Failure{"take up " + w.path, err}
	}
	return len(next) == 0 || next[0] == 0, nil
}

// next gives the next outcome, nil after the last. Lines that are not whole are passed over: they were cut off while they were written.
func (w *waiting) next() (*Outcome, error) {
	for {
		if none, err := w.atEnd(); none || err != nil {
			return nil, err
		}
		line, err := w.r.ReadBytes('\n')
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, &Failure{"take up " + w.path, err}
		}
		sum, text, found := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		want, err := strconv.ParseUint(string(sum), 16, 32)
		if !found || err != nil || crc32.Checksum(text, checksums) != uint32(want) {
			continue
		}
		o := new(Outcome)
		if err := json.Unmarshal(text, o); err != nil {
			return nil, &SpillError{w.path, "holds answers that this batch cannot read: " + err.Error()}
		}
		return o, nil
	}
}
