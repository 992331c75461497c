package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// spill is where outcomes go that the job file does not take, because its disk is full or fails: into a file beside it, which is given
// its room before anything is paid for, and where that fails too, into one in the folder for temporary files. What is written here lasts
// whatever ends the process; Recover takes it up again.
//
// The first line says whose it is. Each of the others is an outcome as JSON, after the checksum of that. Behind them are zeros.
type spill struct {
	disk   disk
	job    string // the job file, by its real name
	head   string
	places [2]place
	taken  int64 // answers, by Recover
}

type place struct {
	path string
	file diskFile // nil until it is needed
	end  int64    // of the lines
	room int64    // of the file, that was made for them
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
	own := sha256.Sum256(append([]byte("aside "), salt...))
	a := spill{disk: realDisk{}, job: path, head: headForm + hex.EncodeToString(own[:16]) + "\n"}
	for i, at := range spillPaths(path, os.TempDir()) {
		a.places[i].path = at
	}
	return a
}

// spillPaths are beside a job file, and in a folder for temporary files.
func spillPaths(job, temp string) [2]string {
	name := sha256.Sum256([]byte(job))
	return [2]string{job + spillSuffix, filepath.Join(temp, "batch-"+hex.EncodeToString(name[:16])+spillSuffix)}
}

// Reserve makes room beside the job file for outcomes that it may not take, until Close.
func (s *Store) Reserve(bytes int64) error {
	p := &s.spill.places[0]
	if p.file != nil {
		return nil
	}
	err := s.spill.create(p)
	if err == nil {
		err = p.fill(bytes)
	}
	if err != nil {
		s.spill.remove(p)
		return s.explain("make room beside", err)
	}
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
		if err := s.spill.append(p, lines.Bytes()); err != nil {
			errs = append(errs, err)
			continue
		}
		return p.path, nil
	}
	return "", errors.Join(errs...)
}

// TakenUp is how many answers Recover took up that had been set aside.
func (s *Store) TakenUp() int64 { return s.spill.taken }

var checksums = crc32.MakeTable(crc32.Castagnoli)

// create makes the file, so that a power cut takes neither its name nor its first line any more. It must not be there yet: Recover has taken
// away what a run before left.
func (a *spill) create(p *place) error {
	f, err := a.disk.create(p.path)
	if err != nil {
		return err
	}
	p.file, p.end, p.room = f, int64(len(a.head)), 0
	_, err = f.WriteAt([]byte(a.head), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = a.disk.syncFolder(filepath.Dir(p.path))
	}
	if err != nil {
		a.remove(p)
	}
	return err
}

// fill gives the file its room. What is written over zeros later needs no more of it.
func (p *place) fill(size int64) error {
	zeros := make([]byte, 64<<10)
	for p.room = p.end; p.room < size; p.room += int64(len(zeros)) {
		if _, err := p.file.WriteAt(zeros, p.room); err != nil {
			return err
		}
	}
	return nil
}

// append writes lines behind those that are there. After an error the next ones take their place.
func (a *spill) append(p *place, lines []byte) error {
	if p.file == nil {
		if err := a.create(p); err != nil {
			return err
		}
	}
	if _, err := p.file.WriteAt(append(lines[:len(lines):len(lines)], 0), p.end); err != nil {
		p.cut()
		return err
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	p.end += int64(len(lines))
	return nil
}

// cut takes away what a write that failed left behind the lines: others need that room, and nobody is to read it. Room that was made stays.
func (p *place) cut() {
	p.file.Truncate(max(p.end, p.room))
	if p.end < p.room {
		p.file.WriteAt([]byte{0}, p.end)
	}
}

func (a *spill) empty(p *place) bool { return p.end <= int64(len(a.head)) }

// clear forgets what was set aside, once it is saved. What cannot be forgotten is refused when it is taken up.
func (a *spill) clear() {
	for i := range a.places {
		p := &a.places[i]
		if p.file == nil || a.empty(p) {
			continue
		}
		p.end = int64(len(a.head))
		if _, err := p.file.WriteAt([]byte{0}, p.end); err == nil {
			p.file.Sync() // the id of an attempt that was handed back is given again, by a later run, and no old line may speak of that
		}
	}
}

// close takes the files away, but for those that hold something.
func (a *spill) close() {
	for i := range a.places {
		p := &a.places[i]
		switch {
		case p.file == nil:
		case a.empty(p):
			a.remove(p)
		default:
			p.file.Truncate(p.end)
			p.file.Close()
			p.file = nil
		}
	}
}

func (a *spill) remove(p *place) {
	if p.file != nil {
		a.disk.remove(p.path)
		p.file.Close()
		p.file = nil
	}
}
