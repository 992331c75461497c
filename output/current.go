package output

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"batch/store"
)

// Current says that files stand as the ledger last recorded them, written in the way that opt asks for: writing them again
// from an unchanged job file would change no byte. An errors file may be missing, as it is when nothing failed.
func Current(ctx context.Context, ledger Ledger, files Files, opt Options) (bool, error) {
	outs, err := known(ctx, ledger)
	if err != nil || files.Results == Stdout {
		return false, err
	}
	for _, path := range files.paths(opt.Split) {
		info, err := os.Lstat(path)
		if path == files.Errors && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || recordOf(outs, info).Options != opt.Recipe() {
			return false, nil
		}
	}
	return true, nil
}

// Recorded is the path under which the ledger knows a file.
func Recorded(path string) string { return resolve(path) }

// recordOf is the ledger's row of a file as it is now; the zero value when it has none.
func recordOf(outs []store.Output, info os.FileInfo) store.Output {
	id := identity(info)
	for _, o := range outs {
		if o.Now == id {
			return o
		}
	}
	return store.Output{}
}

// Checked is a file that Compare held against the job file.
type Checked struct {
	Path      string // as the ledger has it
	Equal     bool
	Untouched bool // it stands as it was written, by its identity
	Gone      bool // it is not there any more: moved or deleted
}

// Compare makes every file that the ledger knows again, but for reports, as it was made, and compares it byte for byte with the one that
// stands there. The copies go to a temporary folder.
func Compare(ctx context.Context, src Source, ledger Ledger, opt Options) ([]Checked, error) {
	outs, err := known(ctx, ledger)
	if err != nil {
		return nil, err
	}
	made := map[string]map[string]string{} // by recipe and kind
	dir, err := os.MkdirTemp("", "batch-verify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var all []Checked
	for _, o := range outs {
		if o.Kind == KindReport {
			continue
		}
		files, ok := made[o.Options]
		if !ok {
			if files, err = again(ctx, src, o.Options, opt, filepath.Join(dir, fmt.Sprint(len(made)))); err != nil {
				return nil, err
			}
			made[o.Options] = files
		}
		c := Checked{Path: o.Path}
		if info, err := os.Lstat(o.Path); err == nil {
			c.Untouched = owned([]store.Output{o}, info)
		}
		if c.Equal, err = sameText(o.Path, files[o.Kind]); errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Lstat(files[o.Kind]); errors.Is(err, fs.ErrNotExist) {
				continue // the errors file of an earlier run, when nothing failed any more
			}
			c.Gone, err = true, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// DamagedAnswers looks at every answer of the source and names those that cannot be read.
func DamagedAnswers(ctx context.Context, src Source) (wrong store.Wrong, err error) {
	p := newPicker()
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return wrong, fmt.Errorf("read rows: %w", err)
		}
		if row.Skipped || row.State != store.Done {
			continue
		}
		if _, err := p.answer(row.Response); err != nil {
			wrong.Add(damaged(row, "answer", err).Error())
		}
	}
	return wrong, nil
}

// again writes the files of a recipe into a folder of their own, without the compression, and names them by their kinds.
func again(ctx context.Context, src Source, recipe string, opt Options, dir string) (map[string]string, error) {
	made, err := ParseRecipe(recipe)
	if err != nil {
		return nil, err
	}
	made.Compression = ""
	made.JobFile, made.Inputs = opt.JobFile, opt.Inputs
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	files := Files{filepath.Join(dir, "results"), filepath.Join(dir, "errors"), filepath.Join(dir, "usage")}
	// Names are not checked: a column that went from the input since makes the file older than the job file, not wrong.
	if _, err = writeFiles(ctx, src, nil, files, made); err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, t := range files.targets(made.Split) {
		paths[t.kind] = t.path
	}
	return paths, nil
}

// sameText compares two files by what they say, the first of which may be compressed. The error is fs.ErrNotExist when the first is
// missing; a missing second, which is how an empty errors file is written, equals nothing. What cannot be unpacked equals nothing either.
func sameText(path, other string) (bool, error) {
	packed, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer packed.Close()
	a, err := unpacked(packed)
	if err != nil {
		return false, systemError(err)
	}
	if c, ok := a.(io.Closer); ok {
		defer c.Close()
	}
	b, err := os.Open(other)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer b.Close()
	one, two := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err1 := readFull(a, one)
		m, err2 := readFull(b, two)
		if !bytes.Equal(one[:n], two[:m]) {
			return false, systemError(err1)
		}
		if err1 != nil || err2 != nil {
			return err1 == io.EOF && err2 == io.EOF, cmp.Or(systemError(err1), systemError(err2))
		}
	}
}

// systemError passes on the errors of the disk, and none of a file that is not what it should be.
func systemError(err error) error {
	if errors.As(err, new(syscall.Errno)) {
		return err
	}
	return nil
}

// readFull fills a buffer as far as it goes. Its error is the reader's own: io.ErrUnexpectedEOF is a compressed file that was cut.
func readFull(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = r.Read(buf[n:])
		n += more
	}
	return n, err
}
