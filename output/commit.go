package output

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"batch/store"
)

// commit makes the files last and puts them in their places.
func (w *writer) commit(ctx context.Context, ledger Ledger) error {
	for _, s := range w.sinks {
		if s.enc != nil {
			if err := s.finish(); err != nil {
				return err
			}
		}
	}
	ctx = context.WithoutCancel(ctx) // from here on it is sooner done than half done
	outs, records, err := w.claim(ctx, ledger)
	if err != nil {
		return err
	}
	for _, s := range w.sinks {
		if s.file != nil {
			if err := s.file.rename(); err != nil {
				return w.half(err)
			}
		}
		if s.enc != nil && s.gone == nil {
			w.report.Written = append(w.report.Written, Written{s.kind, s.path, s.rows, s.bytes.n})
		}
	}
	if err := w.removeErrors(outs); err != nil {
		return err
	}
	synced := map[string]bool{}
	for _, s := range w.sinks {
		if dir := filepath.Dir(s.path); !synced[dir] && s.path != Stdout {
			synced[dir] = true
			if err := syncFolder(w.opt.on(), dir); err != nil {
				return err
			}
		}
	}
	return w.settle(ctx, ledger, records)
}

// half says which files are new and which are not after an error that came between the renames.
func (w *writer) half(err error) error {
	var now, old []string
	for _, s := range w.sinks {
		switch {
		case s.file == nil:
		case s.file.temp == "":
			now = append(now, Printable(s.path))
		default:
			old = append(old, Printable(s.path))
		}
	}
	if len(now) == 0 {
		return err
	}
	be := func(names []string) string {
		if len(names) == 1 {
			return names[0] + " is "
		}
		last := len(names) - 1
		return strings.Join(names[:last], ", ") + " and " + names[last] + " are "
	}
	return fmt.Errorf("%w (%snew, %sas before)", err, be(now), be(old))
}

// claim looks once more whether the places are ours, since the run that Check let begin may have taken hours, and
// writes into the ledger who is about to stand there and who stands there now. The places come first and the ledger
// second: whatever another export of this job file put there is in the ledger by then.
func (w *writer) claim(ctx context.Context, ledger Ledger) (outs, records []store.Output, err error) {
	there := make([]os.FileInfo, len(w.sinks))
	for i, s := range w.sinks {
		if s.file == nil {
			continue
		}
		if there[i], err = standing(s.path); err != nil {
			return nil, nil, err
		}
	}
	if outs, err = known(ctx, ledger); err != nil {
		return nil, nil, err
	}
	for i, s := range w.sinks {
		if err := checkOwner(s.path, there[i], ledger, outs, w.opt.Force); err != nil {
			return nil, nil, err
		}
		if s.file != nil {
			records = append(records, store.Output{Path: resolve(s.path), Kind: s.kind, Options: w.opt.Recipe(), Now: s.id, Prev: before(there[i], outs)})
		}
	}
	return outs, records, note(ctx, ledger, records...)
}

func note(ctx context.Context, ledger Ledger, records ...store.Output) error {
	if ledger == nil || !ledger.Writable() || len(records) == 0 {
		return nil
	}
	if err := ledger.RecordOutputs(ctx, records...); err != nil {
		return fmt.Errorf("record outputs: %w", err)
	}
	return nil
}

// settle makes sure that the ledger names the files that stand. Two exports to one file record and rename in any
// order, and the last to rename is not always the last to record; without this the file could become nobody's.
func (w *writer) settle(ctx context.Context, ledger Ledger, records []store.Output) error {
	outs, err := known(ctx, ledger)
	if err != nil {
		return err
	}
	var again []store.Output
	for _, r := range records {
		for _, o := range outs {
			if o.Path == r.Path && o.Now != r.Now {
				r.Prev = o.Now
				again = append(again, r)
			}
		}
	}
	return note(ctx, ledger, again...)
}

// removeErrors takes the errors file of an earlier run away when nothing failed any more, if it is ours.
func (w *writer) removeErrors(outs []store.Output) error {
	s := w.errors
	if s.enc != nil {
		return nil
	}
	info, err := os.Lstat(s.path)
	if err != nil || !owned(outs, info) {
		return nil
	}
	if err := w.opt.on().remove(s.path); err != nil {
		return fmt.Errorf("remove %s: %w", Printable(s.path), cause(err))
	}
	w.report.Removed = s.path
	return nil
}
