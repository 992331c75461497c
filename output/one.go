package output

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"batch/store"
)

// KindReport is the kind of a report in the ledger: a file for people, which is not made again to be compared.
const KindReport = "report"

// WriteFile writes one file under the rules of all outputs: it comes into its place whole or not at all, and replaces only what was
// written from this job file, unless opt.Force is set. Results, errors and usage totals it never replaces. Of opt it reads JobFile, Inputs and Force.
func WriteFile(ctx context.Context, ledger Ledger, path, kind string, opt Options, write func(io.Writer) error) error {
	if err := checkPath(path, opt); err != nil {
		return err
	}
	sweep(path)
	if err := probe(opt.on(), path); err != nil {
		return err
	}
	there, err := standing(path)
	if err != nil {
		return err
	}
	outs, err := known(ctx, ledger) // after the place: whatever another put there is on record by then
	if err != nil {
		return err
	}
	if err := checkKind(path, kind, there, outs, false); err != nil {
		return err
	}
	if err := checkOwner(path, there, ledger, outs, opt.Force); err != nil {
		return err
	}
	f, err := create(opt.on(), path)
	if err != nil {
		return fmt.Errorf("write %s: %w", Printable(path), cause(err))
	}
	defer f.discard()
	if err := write(f.w); err != nil {
		return fmt.Errorf("write %s: %w", Printable(path), cause(err))
	}
	id, err := f.finish()
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // what is on record is about to be put in its place
	if err := note(ctx, ledger, store.Output{Path: resolve(path), Kind: kind, Now: id, Prev: before(there, outs)}); err != nil {
		return err
	}
	if err := f.rename(); err != nil {
		return err
	}
	return syncFolder(opt.on(), filepath.Dir(path))
}

// checkKind refuses to put a report in the place of results, or results in the place of a report: both are ours, and yet nobody
// means that.
func checkKind(path, kind string, there os.FileInfo, outs []store.Output, force bool) error {
	if there == nil || force {
		return nil
	}
	for _, o := range outs {
		mine := o.Path == resolve(path) || owned([]store.Output{o}, there)
		if !mine || (o.Kind == KindReport) == (kind == KindReport) {
			continue
		}
		what := map[string]string{KindReport: "is a report", kindResults: "holds the results", kindErrors: "holds the errors", KindUsage: "holds the usage totals"}
		kind, _, _ := strings.Cut(o.Kind, ".") // a part of the results holds results
		return &RefusedError{path, what[kind] + " of this job file", "choose another name with -o"}
	}
	return nil
}
