package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// spill is where outcomes go that the job file does not take, because its disk is full or fails: into a file beside it, which is given
// its room before anything is paid for, and where that fails too, into one in the folder for temporary files. What is written here lasts
// whatever ends the process; Recover takes it up again.
//
// The first line says whose it is. Each of the others is an outcome as JSON, after the checksum of that. Behind them are zeros.
type spill struct {
	head   string
	places [2]place
	taken  int64 // answers, by Recover
}

type place struct {
	path string
	file *os.File // nil until it is needed
	end  int64    // of the lines
	room bool     // is kept for more
}

// headForm is what the first line begins with.
const headForm = "batch outcomes 1 "

// spillSuffix makes the name of the file beside the job file.
const spillSuffix = ".unsaved"

// SpillError says that there are outcomes set aside that cannot be taken up.
type SpillError struct {
	Path    string
	Problem string
}

func (e *SpillError) Error() string { return e.Path + " " + e.Problem }

// newSpill is that of the job file at path. Its salt tells it from one that was made anew under the same name.
func newSpill(path string, salt []byte) spill {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	own, name := sha256.Sum256(append([]byte("aside "), salt...)), sha256.Sum256([]byte(path))
	return spill{
		head: headForm + hex.EncodeToString(own[:16]) + "\n",
		places: [2]place{
			{path: path + spillSuffix},
			{path: filepath.Join(os.TempDir(), "batch-"+hex.EncodeToString(name[:16])+spillSuffix)},
		},
	}
}

// Reserve makes room beside the job file for outcomes that it may not take, until Close.
func (s *Store) Reserve(bytes int64) error {
	p := &s.spill.places[0]
	if p.file != nil {
		return nil
	}
	err := p.open(s.spill.head)
	if err == nil {
		err = p.fill(bytes)
	}
	if err != nil {
		p.remove()
		return s.explain("make room beside", err)
	}
	p.room = true
	return nil
}

// SetAside keeps outcomes until a Turn or Recover saves them, and says where. What it returns without an error is on disk.
func (s *Store) SetAside(outcomes []Outcome) (path string, err error) {
	var lines bytes.Buffer
	for i := range outcomes {
		text, err := json.Marshal(&outcomes[i])
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&lines, "%08x %s\n", crc32.Checksum(text, checksums), text)
	}
	var errs []error
	for i := range s.spill.places {
		p := &s.spill.places[i]
		if err := p.append(s.spill.head, lines.Bytes()); err != nil {
			errs = append(errs, err)
			continue
		}
		return p.path, nil
	}
	return "", errors.Join(errs...)
}

// TakenUp is how many answers Recover took up that had been set aside.
func (s *Store) TakenUp() int64 { return s.spill.taken }

// Unsaved names the file in which outcomes wait for the next run of the job file at path to take them up, "" when there is none. While a
// run is on, they may be its own.
func Unsaved(path string) string {
	for _, p := range newSpill(path, nil).places {
		f, err := os.OpenFile(p.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		r := bufio.NewReader(io.LimitReader(f, 1<<10))
		head, _ := r.ReadString('\n')
		next, _ := r.Peek(1)
		f.Close()
		if strings.HasPrefix(head, headForm) && len(next) > 0 && next[0] != 0 { // else it is room that was kept
			return p.path
		}
	}
	return ""
}

var checksums = crc32.MakeTable(crc32.Castagnoli)

// open makes the file. It must not be there yet: Recover has taken away what a run before left, and nobody's link is followed.
func (p *place) open(head string) error {
	if p.file != nil {
		return nil
	}
	f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	p.file = f
	if _, err := f.WriteAt([]byte(head), 0); err != nil {
		p.remove()
		return err
	}
	p.end = int64(len(head))
	return nil
}

// fill gives the file its room. What is written over zeros later needs no more of it.
func (p *place) fill(size int64) error {
	zeros := make([]byte, 64<<10)
	for at := p.end; at < size; at += int64(len(zeros)) {
		if _, err := p.file.WriteAt(zeros, at); err != nil {
			return err
		}
	}
	return nil
}

// append writes lines behind those that are there. After an error the next ones take their place.
func (p *place) append(head string, lines []byte) error {
	if err := p.open(head); err != nil {
		return err
	}
	if _, err := p.file.WriteAt(append(lines[:len(lines):len(lines)], 0), p.end); err != nil {
		return err
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	p.end += int64(len(lines))
	return nil
}

func (p *place) empty(head string) bool { return p.end <= int64(len(head)) }

// clear forgets what was set aside, once it is saved. What cannot be forgotten is refused when it is taken up.
func (a *spill) clear() {
	for i := range a.places {
		switch p := &a.places[i]; {
		case p.file == nil || p.empty(a.head):
		case p.room:
			p.file.WriteAt([]byte{0}, int64(len(a.head)))
			p.end = int64(len(a.head))
		default:
			p.remove()
		}
	}
}

// close takes the files away, but for those that hold something.
func (a *spill) close() {
	for i := range a.places {
		p := &a.places[i]
		switch {
		case p.file == nil:
		case p.empty(a.head):
			p.remove()
		default:
			p.file.Truncate(p.end)
			p.file.Close()
			p.file = nil
		}
	}
}

func (p *place) remove() {
	if p.file != nil {
		os.Remove(p.path)
		p.file.Close()
		p.file, p.room = nil, false
	}
}

// takeUp saves what a run before set aside. What had been saved all the same, or is known otherwise by now, is told by the guards of each
// arrow: nothing is saved twice.
func (s *Store) takeUp(ctx context.Context) error {
	for i := range s.spill.places {
		p := &s.spill.places[i]
		if p.file != nil {
			continue // it is this run's own
		}
		if err := s.takeUpFrom(ctx, p.path, i > 0); err != nil {
			return err
		}
	}
	return nil
}

// takeUpFrom reads one file. Others may put files into a shared folder: there, only what is our own counts.
func (s *Store) takeUpFrom(ctx context.Context, path string, shared bool) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist), shared && err != nil:
		return nil
	case err != nil:
		return &Failure{"take up", err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return &Failure{"take up " + path, err}
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if shared && (!known || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o077 != 0) {
		return nil
	}
	if !info.Mode().IsRegular() {
		return &SpillError{path, "is not a regular file"}
	}
	r := bufio.NewReader(f)
	head, err := r.ReadString('\n')
	if err != nil && err != io.EOF {
		return &Failure{"take up " + path, err}
	}
	next, _ := r.Peek(1)
	none := len(next) == 0 || next[0] == 0
	switch {
	case !shared && !strings.HasPrefix(head, headForm) && strings.Trim(head, "\x00") != "": // zeros are of a power cut
		return &SpillError{path, "stands in the way: it is none of batch"}
	case none && shared && head != s.spill.head:
		return nil
	case none: // its room was kept, and never used
		os.Remove(path)
		return nil
	case head != s.spill.head:
		return &SpillError{path, "holds answers of another job file"}
	}
	for {
		o, err := readOutcome(r)
		if err != nil {
			return &Failure{"take up " + path, err}
		}
		if o == nil {
			break
		}
		if err := s.applyOneByOne(ctx, []Outcome{*o}); AlreadySaved(err) {
			continue
		} else if err != nil {
			return fmt.Errorf("take up %s: %w", path, err)
		}
		if o.Arrow == Complete {
			s.spill.taken++
		}
	}
	if err := os.Remove(path); err != nil {
		return &Failure{"take up", err}
	}
	return nil
}

// readOutcome gives the next one, nil after the last. Lines that are not whole are passed over: they were cut off while they were written.
func readOutcome(r *bufio.Reader) (*Outcome, error) {
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		sum, text, found := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		want, err := strconv.ParseUint(string(sum), 16, 32)
		o := new(Outcome)
		if found && err == nil && crc32.Checksum(text, checksums) == uint32(want) && json.Unmarshal(text, o) == nil {
			return o, nil
		}
	}
}
