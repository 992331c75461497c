package output

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"batch/store"
)

// event is an operation that a power cut may undo. The names of a folder change in memory first and last from its sync on; so does
// the text of a file from its own sync on.
type event struct {
	op       string // create, write, sync, rename, remove, sync folder, record
	name, to string
	file     int // the number of the file that was created or synced
	ledger   []store.Output
}

// recorder is a disk that keeps the order of what is done to it, and every file that it ever held.
type recorder struct {
	t      *testing.T
	kept   string // a folder with one more name of each file
	files  int
	events []event
}

func (d *recorder) note(e event) { d.events = append(d.events, e) }

// keep gives a file one more name, under which it survives with its inode and its time: what stands after a power cut is the same file.
func (d *recorder) keep(name string) int {
	d.files++
	if err := os.Link(name, d.keptName(d.files)); err != nil {
		d.t.Fatal(err)
	}
	return d.files
}

func (d *recorder) keptName(file int) string { return filepath.Join(d.kept, fmt.Sprint(file)) }

func (d *recorder) create(name string) (diskFile, error) {
	f, err := realDisk{}.create(name)
	if err != nil {
		return nil, err
	}
	file := d.keep(name)
	d.note(event{op: "create", name: name, file: file})
	return recordedFile{f, d, file}, nil
}

func (d *recorder) rename(from, to string) error {
	d.note(event{op: "rename", name: from, to: to})
	return os.Rename(from, to)
}

func (d *recorder) remove(name string) error {
	d.note(event{op: "remove", name: name})
	return os.Remove(name)
}

func (d *recorder) openFolder(name string) (syncer, error) { return recordedFolder{d}, nil }

type recordedFile struct {
	diskFile
	d    *recorder
	file int
}

func (f recordedFile) Write(p []byte) (int, error) {
	f.d.note(event{op: "write", file: f.file})
	return f.diskFile.Write(p)
}

func (f recordedFile) Sync() error {
	f.d.note(event{op: "sync", file: f.file})
	return nil
}

type recordedFolder struct{ d *recorder }

func (f recordedFolder) Sync() error {
	f.d.note(event{op: "sync folder"})
	return nil
}

func (recordedFolder) Close() error { return nil }

// recordedLedger is a ledger whose records last, as those of the job file do.
type recordedLedger struct {
	*ledger
	d *recorder
}

func (l recordedLedger) RecordOutputs(ctx context.Context, outs ...store.Output) error {
	err := l.ledger.RecordOutputs(ctx, outs...)
	l.d.note(event{op: "record", ledger: slices.Clone(l.outs)})
	return err
}

// image is what is left after a power cut.
type image struct {
	names  map[string]int // of files
	torn   map[int]bool   // files whose text was not synced
	ledger []store.Output
}

// cut gives what may be left when the power fails after n events: all that was synced, and of the rest the changes of names for which
// survives holds.
func (d *recorder) cut(before map[string]int, outs []store.Output, n int, survives func() bool) image {
	im := image{maps.Clone(before), map[int]bool{}, outs}
	var pending []event
	apply := func(e event) {
		switch e.op {
		case "create":
			im.names[e.name] = e.file
		case "rename":
			if file, there := im.names[e.name]; there {
				im.names[e.to] = file
				delete(im.names, e.name)
			}
		case "remove":
			delete(im.names, e.name)
		}
	}
	created := map[string]int{}
	for _, e := range d.events[:n] {
		switch e.op {
		case "create":
			created[e.name] = e.file
			pending = append(pending, e)
		case "rename", "remove":
			pending = append(pending, e)
		case "write":
			im.torn[e.file] = true
		case "sync":
			delete(im.torn, e.file)
		case "record":
			im.ledger = e.ledger
		case "sync folder":
			for _, p := range pending {
				apply(p)
			}
			pending = nil
		}
	}
	for _, e := range pending {
		if !survives() {
			continue
		}
		if file, was := created[e.name]; was && e.op == "rename" {
			im.names[e.name] = file // where the new name came to the disk, the file did, whatever became of its first name
		}
		apply(e)
	}
	return im
}

// lay puts an image into the folder in place of what is there.
func (d *recorder) lay(dir string, im image, r *rand.Rand) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		os.Remove(filepath.Join(dir, e.Name()))
	}
	for name, file := range im.names {
		kept := d.keptName(file)
		if !im.torn[file] {
			err = os.Link(kept, name)
		} else {
			var text []byte
			if text, err = os.ReadFile(kept); err == nil {
				text = [][]byte{nil, text[:len(text)/2], make([]byte, len(text))}[r.IntN(3)]
				err = os.WriteFile(name, text, 0o666)
			}
		}
		if err != nil {
			d.t.Fatal(err)
		}
	}
}

// A power cut at any moment leaves of each file the old one or the new one, whole, and ours; after the sync of their folder, all of
// them are new. What is written next is right to the byte.
func TestO3_PowerCut(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 1))
	cuts := 0
	for _, src := range []func() *source{story, blameless} {
		_, now := write(t, src(), Options{})
		dir, files, opt := setup(t)
		opt.JobFile, opt.Inputs, opt.disk = filepath.Join(t.TempDir(), "prompts.batch.db"), nil, hastyDisk{}
		led := &ledger{}
		if _, err := Write(t.Context(), earlier(), led, files, opt); err != nil {
			t.Fatal(err)
		}
		old, outs := texts(t, files), slices.Clone(led.outs)
		d := &recorder{t: t, kept: t.TempDir()}
		before := map[string]int{}
		for _, path := range files.list() {
			before[path] = d.keep(path)
		}
		recorded := opt
		recorded.disk = d
		if _, err := Write(t.Context(), src(), recordedLedger{led, d}, files, recorded); err != nil {
			t.Fatal(err)
		}
		for n := range len(d.events) + 1 {
			for variant := range 12 {
				survives := func() bool { return r.IntN(2) == 0 }
				switch variant {
				case 0:
					survives = func() bool { return false }
				case 1:
					survives = func() bool { return true }
				}
				im := d.cut(before, outs, n, survives)
				d.lay(dir, im, r)
				cuts++
				name := fmt.Sprintf("cut after %d of %d operations, variant %d", n, len(d.events), variant)
				got := texts(t, files)
				for i := range got {
					if got[i] != old[i] && got[i] != now[i] {
						t.Fatalf("%s: a file is neither old nor new:\n%q", name, got[i])
					}
				}
				if n == len(d.events) && got != now {
					t.Fatalf("%s: Write had returned, and yet not all is new", name)
				}
				if _, err := Write(t.Context(), src(), &ledger{outs: slices.Clone(im.ledger)}, files, opt); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if texts(t, files) != now || len(temporaries(dir)) > 0 {
					t.Fatalf("%s: written again, not all is as it should be", name)
				}
			}
		}
	}
	if cuts < 350 {
		t.Errorf("only %d power cuts", cuts)
	}
	t.Logf("%d power cuts", cuts)
}
