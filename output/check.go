package output

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"batch/store"
)

// RefusedError says that a path, or a choice of options, cannot be written to, and what to do about it.
type RefusedError struct {
	Path    string // "" when no path is meant
	Problem string // as in: already exists and was not written from this job file
	Hint    string
}

func (e *RefusedError) Error() string {
	if e.Path == "" {
		return e.Problem
	}
	return Printable(e.Path) + ": " + e.Problem
}

// Ledger is the job file's record of the files that were written from it.
type Ledger interface {
	Outputs(ctx context.Context) ([]store.Output, error)
	RecordOutputs(ctx context.Context, outs ...store.Output) error
	Writable() bool // false: the record can be read, and nothing is added
}

// Check tells whether files could be written now, so that nobody pays for answers that then have no place to go. The
// first obstacle comes back as a *RefusedError. A nil ledger knows no files of its own. Nothing is changed, apart from a
// probe file in each folder that is removed again. Temporary files of dead processes are cleared away here, since a run
// that finds its files up to date writes none.
func Check(ctx context.Context, ledger Ledger, files Files, opt Options) error {
	if err := opt.validate(files); err != nil {
		return err
	}
	outs, err := known(ctx, ledger)
	if err != nil {
		return err
	}
	if err := checkInputs(outs, opt.Inputs); err != nil {
		return err
	}
	probed := map[string]bool{}
	targets := files.targets(opt.Split)
	there := make([]os.FileInfo, len(targets))
	for i, t := range targets {
		path := t.path
		if path == Stdout && i == 0 {
			continue
		}
		for _, other := range targets[:i] {
			if other.path != Stdout && samePath(path, other.path) {
				return &RefusedError{path, "would be written twice", "choose another name with -o"}
			}
		}
		if err := checkPath(path, opt); err != nil {
			return err
		}
		sweep(path)
		if dir := filepath.Dir(path); !probed[dir] {
			probed[dir] = true
			if err := probe(opt.on(), path); err != nil {
				return err
			}
		}
		if there[i], err = standing(path); err != nil {
			return err
		}
	}
	// Once more, after the places: whatever another export of this job file has put there is on record by then.
	if outs, err = known(ctx, ledger); err != nil {
		return err
	}
	for i, t := range targets {
		if err := checkKind(t.path, t.kind, there[i], outs, opt.Force); err != nil {
			return err
		}
		if err := checkOwner(t.path, there[i], ledger, outs, opt.Force); err != nil {
			return err
		}
	}
	return nil
}

// known is what the ledger has on record.
func known(ctx context.Context, ledger Ledger) ([]store.Output, error) {
	if ledger == nil {
		return nil, nil
	}
	outs, err := ledger.Outputs(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the record of outputs: %w", err)
	}
	return outs, nil
}

// CheckInputs tells whether the input may be read: a *RefusedError names a file that was written from this very job file.
func CheckInputs(ctx context.Context, ledger Ledger, inputs []string) error {
	outs, err := known(ctx, ledger)
	if err != nil {
		return err
	}
	return checkInputs(outs, inputs)
}

// checkInputs refuses to read what an earlier run of the same job file wrote: its rows would become prompts.
func checkInputs(outs []store.Output, inputs []string) error {
	for _, in := range inputs {
		info, err := os.Stat(in)
		if in == "-" || err != nil {
			continue
		}
		if owned(outs, info) {
			return &RefusedError{in, "is an output of this job file", "give the file that holds the prompts"}
		}
	}
	return nil
}

// checkPath refuses places that must never be written to, with or without force.
func checkPath(path string, opt Options) error {
	if opt.JobFile != "" {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal", ".lock", ".unsaved"} {
			if samePath(path, opt.JobFile+suffix) {
				return &RefusedError{path, "belongs to the job file", "choose another name with -o"}
			}
		}
	}
	for _, in := range opt.Inputs {
		if in != "-" && samePath(path, in) {
			return &RefusedError{path, "is an input", "choose another name with -o"}
		}
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil: // the folder is missing, or no folder: probe says so in full
		return nil
	case info.IsDir():
		return &RefusedError{path, "is a folder", "name a file in it with -o"}
	case info.Mode()&fs.ModeSymlink != 0:
		return &RefusedError{path, "is a symbolic link", "name the file that it points to, or remove it"}
	case !info.Mode().IsRegular():
		return &RefusedError{path, "is not a regular file", "use -o - to write the results to standard output"}
	}
	return nil
}

// standing looks at what is at path now; nil is nothing.
func standing(path string) (os.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case err == nil:
		return info, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, syscall.ENAMETOOLONG):
		return nil, &RefusedError{path, "its name is too long", "choose another name with -o"}
	}
	return nil, &RefusedError{path, "cannot be looked at: " + cause(err).Error(), "choose another name with -o"}
}

// checkOwner refuses to replace what stands at path when this job file did not write it, or could not tell its replacement from the file
// of another.
func checkOwner(path string, there os.FileInfo, ledger Ledger, outs []store.Output, force bool) error {
	noted := ledger == nil || ledger.Writable()
	if there == nil || force || noted && owned(outs, there) {
		return nil
	}
	problem := "already exists and was not written from this job file"
	for _, o := range outs {
		if o.Path == resolve(path) {
			problem = "was changed or replaced after it was written"
		}
	}
	if !noted { // what was written from it since is not among outs
		problem = "already exists, and what replaces it cannot be noted in this job file, which may not be written to"
	}
	return &RefusedError{path, problem, "move it away, choose another name with -o, or replace it with --force"}
}

// probe makes sure that a file can be made beside path, by making one: permission bits do not know of read-only mounts,
// quotas or lists of rights.
func probe(d disk, path string) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &RefusedError{path, "its folder does not exist", "create the folder first, or choose another name with -o"}
	case err == nil && !info.IsDir():
		return &RefusedError{path, "its folder is a file", "choose another name with -o"}
	}
	f, err := create(d, path)
	if err != nil {
		return &RefusedError{path, "its folder cannot be written to: " + cause(err).Error(), "choose another name with -o"}
	}
	f.discard()
	return nil
}

// samePath says whether two paths mean one file, also through links and for files that do not exist yet.
func samePath(a, b string) bool {
	ia, errA := os.Stat(a)
	ib, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(ia, ib)
	}
	return resolve(a) == resolve(b)
}

// resolve makes a path absolute, with the links of its folder followed; the file itself need not exist.
func resolve(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	dir, base := filepath.Split(abs)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return filepath.Join(dir, base)
}

// cause strips the operation and the path, which the caller names better than os does.
func cause(err error) error {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		return pathErr.Err
	case errors.As(err, &linkErr):
		return linkErr.Err
	}
	return err
}
