package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"batch/store"
)

// Current says that files stand as the ledger last recorded them, written in the way that opt asks for: writing them again
// from an unchanged job file would change no byte. An errors file may be missing, as it is when nothing failed.
func Current(ctx context.Context, ledger Ledger, files Files, opt Options) (bool, error) {
	outs, err := known(ctx, ledger)
	if err != nil || files.Results == Stdout {
		return false, err
	}
	for _, path := range files.list() {
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
	made := map[string]Files{} // by recipe
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
		copied := map[string]string{"results": files.Results, "errors": files.Errors, "usage": files.Usage}[o.Kind]
		c := Checked{Path: o.Path}
		if info, err := os.Lstat(o.Path); err == nil {
			c.Untouched = owned([]store.Output{o}, info)
		}
		if c.Equal, err = sameBytes(o.Path, copied); errors.Is(err, fs.ErrNotExist) {
			c.Gone, err = true, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// DamagedAnswers looks at every answer of the source and names those that cannot be read: at most the first 50, then one
// line says how many more there are.
func DamagedAnswers(ctx context.Context, src Source) ([]string, error) {
	const most = 50
	p := newPicker()
	var named []string
	more := 0
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		if row.Skipped || row.State != store.Done {
			continue
		}
		switch _, err := p.answer(row.Response); {
		case err == nil:
		case len(named) < most:
			named = append(named, damaged(row, "answer", err).Error())
		default:
			more++
		}
	}
	if more > 0 {
		named = append(named, fmt.Sprintf("%d more stored answers are damaged", more))
	}
	return named, nil
}

// again writes the three files of a recipe into a folder of their own.
func again(ctx context.Context, src Source, recipe string, opt Options, dir string) (Files, error) {
	made, err := ParseRecipe(recipe)
	if err != nil {
		return Files{}, err
	}
	opt.Format, opt.Shape, opt.CSVRaw, opt.ShowFile, opt.Simulated = made.Format, made.Shape, made.CSVRaw, made.ShowFile, made.Simulated
	if err := os.Mkdir(dir, 0o700); err != nil {
		return Files{}, err
	}
	files := Files{filepath.Join(dir, "results"), filepath.Join(dir, "errors"), filepath.Join(dir, "usage")}
	_, err = Write(ctx, src, nil, files, opt)
	return files, err
}

// sameBytes compares two files. The error is fs.ErrNotExist when the first is missing; a missing second, which is how an empty errors
// file is written, equals nothing.
func sameBytes(path, other string) (bool, error) {
	a, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer a.Close()
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
		n, err1 := io.ReadFull(a, one)
		m, err2 := io.ReadFull(b, two)
		if !bytes.Equal(one[:n], two[:m]) {
			return false, nil
		}
		if err1 != nil || err2 != nil {
			return ended(err1) && ended(err2), unexpected(err1, err2)
		}
	}
}

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

func unexpected(errs ...error) error {
	for _, err := range errs {
		if err != nil && !ended(err) {
			return err
		}
	}
	return nil
}
