package oracle

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"batch/runner/chat/sim"
)

// Case is what there is to be held against each other.
type Case struct {
	Folder  string                // all files in it are looked at, and all job files read; also below it
	Ledgers map[string][]sim.Call // what came to each server, by its base URL; of one Idempotency-Key in the order in which it was sent
	Key     string                // the API key, which must stand nowhere; "" for none
	Said    []byte                // what the commands said, and whatever else may be read
	Ask     Ask                   // nil: batch is not asked

	Died    bool     // a process was killed or a commit failed: attempts may never have been sent, and answers be paid for twice
	Open    bool     // a process may still be at work, or was killed: companions of job files, temporary files and jobs in flight may be there
	Current bool     // the last command wrote the files: they must say what the job files say
	Virtual bool     // the clock is that of a synctest bubble: what does not wait takes no time
	Lossy   bool     // the network loses requests: one that was sent may never have come
	Missing bool     // of the job files that made the calls, some are gone or cannot be matched with the ledgers
	Except  []string // files, as named from the folder, that need not be sound, or outputs that may be older than their job file; the key must not be in them all the same
}

// Ask runs batch with these arguments and returns what it prints.
type Ask func(args ...string) ([]byte, error)

// Check returns what does not hold, nothing when all is well. It changes nothing in the folder.
func Check(c Case) []string {
	f := &findings{}
	var files []*jobFile
	for _, name := range f.walk(c) {
		if j := f.open(c.Folder, name); j != nil {
			f.states(j, c)
			f.inputs(j)
			f.records(j, c)
			f.outputs(j, c)
			f.told(j, c)
			files = append(files, j)
		} else if len(f.all) > 0 {
			c.Missing = true // a damaged one is one finding, and not one for each of its calls
		}
	}
	f.wire(files, c)
	f.secret(c.Key, "what was said", c.Said)
	return f.all
}

// findings gathers what does not hold. Of each kind, told by its format, it keeps the first few.
type findings struct {
	all   []string
	kinds map[string]int
}

const enough = 20

func (f *findings) add(format string, args ...any) {
	if f.kinds == nil {
		f.kinds = map[string]int{}
	}
	if f.kinds[format]++; f.kinds[format] <= enough {
		f.all = append(f.all, fmt.Sprintf(format, args...))
	}
}

// walk looks at every file and returns the job files.
func (f *findings) walk(c Case) (jobFiles []string) {
	err := filepath.WalkDir(c.Folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(c.Folder, path)
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			f.secretIn(c.Key, name, path)
		}
		switch {
		case slices.Contains(c.Except, name):
		case strings.HasSuffix(name, ".batch.db"):
			jobFiles = append(jobFiles, name)
		case !c.Open && leftover(name):
			f.add("%s was left behind", name)
		}
		return nil
	})
	if err != nil {
		f.add("%v", err)
	}
	return jobFiles
}

// leftover tells what only a process at work, or a dead one, has beside its files.
func leftover(name string) bool {
	base := filepath.Base(name)
	return strings.HasSuffix(base, ".lock") || strings.HasSuffix(base, "-wal") || strings.HasSuffix(base, "-shm") ||
		strings.HasSuffix(base, "-journal") || strings.HasSuffix(base, ".unsaved") || strings.Contains(base, ".tmp")
}
