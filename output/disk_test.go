package output

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"batch/store"
)

// hooked asks before every operation on a disk whether it may go on.
type hooked struct {
	disk
	before func(op string) error
}

func (d hooked) create(name string) (diskFile, error) {
	if err := d.before("create"); err != nil {
		return nil, err
	}
	f, err := d.disk.create(name)
	return hookedFile{f, d.before}, err
}

func (d hooked) rename(from, to string) error {
	if err := d.before("rename"); err != nil {
		return err
	}
	return d.disk.rename(from, to)
}

func (d hooked) openFolder(name string) (syncer, error) {
	if err := d.before("sync folder"); err != nil {
		return nil, err
	}
	return d.disk.openFolder(name)
}

type hookedFile struct {
	diskFile
	before func(op string) error
}

func (f hookedFile) Write(p []byte) (int, error) {
	if err := f.before("write"); err != nil {
		return 0, err
	}
	return f.diskFile.Write(p)
}

func (f hookedFile) Sync() error {
	if err := f.before("sync"); err != nil {
		return err
	}
	return f.diskFile.Sync()
}

// hastyDisk does not wait for the disk: what it is used for outlives no power cut.
type hastyDisk struct{ realDisk }

func (d hastyDisk) create(name string) (diskFile, error) {
	f, err := d.realDisk.create(name)
	return hastyFile{f}, err
}

func (d hastyDisk) openFolder(name string) (syncer, error) {
	f, err := d.realDisk.openFolder(name)
	return hastyFolder{f}, err
}

type hastyFile struct{ diskFile }

func (hastyFile) Sync() error { return nil }

type hastyFolder struct{ syncer }

func (hastyFolder) Sync() error { return nil }

// extent is how much of an operation is done before it is reported as failed.
type extent string

const (
	nothing    extent = "nothing"
	half       extent = "half" // of a write; of others nothing
	everything extent = "all"
)

// faultyDisk fails at its n-th operation, and with ever at all that follow. It counts those of its files and of its ledger, too.
type faultyDisk struct {
	n      int
	ever   bool
	extent extent
	err    error

	calls   int
	op      string // that failed first
	renamed bool   // one was let through, in part or whole
}

func (d *faultyDisk) fails(op string) bool {
	d.calls++
	if d.calls == d.n {
		d.op = op
	}
	return d.calls == d.n || d.ever && d.calls > d.n
}

// step does an operation that has no half.
func (d *faultyDisk) step(op, path string, do func() error) error {
	fails := d.fails(op)
	if fails && d.extent != everything {
		return &fs.PathError{Op: op, Path: path, Err: d.err}
	}
	if err := do(); err != nil {
		return err
	}
	if fails {
		return &fs.PathError{Op: op, Path: path, Err: d.err}
	}
	return nil
}

func (d *faultyDisk) create(name string) (f diskFile, err error) {
	err = d.step("create", name, func() (err error) {
		f, err = hastyDisk{}.create(name)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return &faultyFile{f, name, d}, nil
}

func (d *faultyDisk) rename(from, to string) error {
	return d.step("rename", from, func() error {
		d.renamed = true
		return os.Rename(from, to)
	})
}

func (d *faultyDisk) remove(name string) error {
	return d.step("remove", name, func() error { return os.Remove(name) })
}

func (d *faultyDisk) openFolder(name string) (f syncer, err error) {
	err = d.step("open folder", name, func() (err error) {
		f, err = hastyDisk{}.openFolder(name)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return &faultyFolder{f, name, d}, nil
}

type faultyFolder struct {
	syncer
	name string
	d    *faultyDisk
}

func (f *faultyFolder) Sync() error  { return f.d.step("sync folder", f.name, f.syncer.Sync) }
func (f *faultyFolder) Close() error { return f.d.step("close folder", f.name, f.syncer.Close) }

type faultyFile struct {
	diskFile
	name string
	d    *faultyDisk
}

func (f *faultyFile) Sync() error { return f.d.step("sync", f.name, f.diskFile.Sync) }

// Close lets go of the file in any case: that is what the kernel does, and its lock must not outlive it here.
func (f *faultyFile) Close() error {
	err := f.diskFile.Close()
	return f.d.step("close", f.name, func() error { return err })
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if !f.d.fails("write") {
		return f.diskFile.Write(p)
	}
	switch f.d.extent {
	case nothing:
		p = nil
	case half:
		p = p[:len(p)/2]
	}
	n, err := f.diskFile.Write(p)
	if err == nil {
		err = &fs.PathError{Op: "write", Path: f.name, Err: f.d.err}
	}
	return n, err
}

// faultyLedger is a ledger on a faulty disk.
type faultyLedger struct {
	*ledger
	d *faultyDisk
}

func (l faultyLedger) RecordOutputs(ctx context.Context, outs ...store.Output) error {
	return l.d.step("record", "", func() error { return l.ledger.RecordOutputs(ctx, outs...) })
}

// temporaries lists the files in the making that lie in a folder.
func temporaries(dir string) []string {
	all, _ := filepath.Glob(filepath.Join(dir, ".*"+tempSuffix))
	return all
}
