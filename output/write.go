package output

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"batch/store"
)

// Source is a consistent look at a job file. Rows may be walked more than once; CSV needs a first pass for its columns.
type Source interface {
	// Rows yields every prompt of the input in its order; a row is valid until the next step.
	Rows(ctx context.Context) iter.Seq2[*store.Row, error]
	Totals(ctx context.Context) ([]store.UsageTotal, error)
}

// Options say how to write, and what must not be written over. The zero value writes flat JSONL.
type Options struct {
	Format    Format // "" is JSONL
	Shape     Shape  // "" is Flat
	ShowFile  bool   // rows say which file they come from: set it with several inputs
	Simulated bool   // the job file holds made-up answers, and every row says so
	CSVRaw    bool   // no guard against formulas and NUL

	JobFile string   // never written over
	Inputs  []string // nor these
	Force   bool     // replace files that this job file did not write

	Stdout io.Writer // where Files.Results goes when it is Stdout

	fault func(op string) error // makes an operation on a file fail, in tests
}

func (o Options) validate(files Files) error {
	if o.Format == CSV && o.Shape != "" && o.Shape != Flat {
		return &RefusedError{Problem: "CSV has the flat shape only, not " + string(o.Shape),
			Hint: "use --shape flat, or --format jsonl"}
	}
	if files.Results == Stdout && o.Stdout == nil {
		return &RefusedError{Path: Stdout, Problem: "there is no standard output", Hint: "name a file with -o"}
	}
	return nil
}

// Report is what Write saw and wrote.
type Report struct {
	Rows                           int64 // of the input: the sum of the next four
	Done, Failed, Skipped, Pending int64
	Complete                       bool // nothing is pending

	Finish map[string]int64 // done rows by finish reason, "" without one; rare ones past 20 are under "other"

	Prompt, Completion, Total int64 // tokens that the API reported
	Estimated, UsageUnknown   int64 // tokens counted here, for that many rows without a report

	Written []Written // in the order results, errors, usage
	Removed string    // the errors file of an earlier run, taken away because nothing failed any more
}

// Written is a file that now stands, or standard output.
type Written struct {
	Kind        string // results, errors or usage
	Path        string
	Rows, Bytes int64
}

// Write writes results, errors and usage totals in one pass over the source (two for CSV), in memory that does not grow
// with the rows. It checks files as Check does. Nothing is replaced before all of it is on the disk and the ledger
// knows the new files; when anything fails, the old files stand as they were and no temporary one is left. A nil
// ledger records nothing, so the next Write will not know these files for its own.
func Write(ctx context.Context, src Source, ledger Ledger, files Files, opt Options) (Report, error) {
	if err := Check(ctx, ledger, files, opt); err != nil {
		return Report{}, err
	}
	if opt.fault == nil {
		opt.fault = func(string) error { return nil }
	}
	w := newWriter(files, opt)
	defer w.discard()
	if opt.Format == CSV {
		if err := w.survey(ctx, src); err != nil {
			return Report{}, err
		}
	}
	if err := w.rows(ctx, src); err != nil {
		return Report{}, err
	}
	if err := w.totals(ctx, src); err != nil {
		return Report{}, err
	}
	if err := w.commit(ctx, ledger); err != nil {
		return Report{}, err
	}
	return w.report, nil
}

// The kinds of files, as the ledger names them.
const (
	kindResults = "results"
	kindErrors  = "errors"
	kindUsage   = "usage"
)

// writer is one Write at work.
type writer struct {
	opt    Options
	shape  shaper
	rec    record
	sinks  [3]*sink
	report Report
}

// sink is one of the three files. It is opened with its first row, so that an errors file without rows never exists.
type sink struct {
	kind, path string
	cols       *columns
	opt        *Options

	file  *file
	buf   *bufio.Writer
	bytes counter
	enc   encoder
	rows  int64
	id    store.Identity
}

func newWriter(files Files, opt Options) *writer {
	w := &writer{opt: opt}
	w.report.Finish = map[string]int64{}
	p := newPicker()
	switch opt.Shape {
	case OpenAI:
		w.shape = &openai{picker: p, opt: opt}
	case Chat:
		w.shape = &chat{flat{p, opt}}
	default:
		w.shape = &flat{p, opt}
	}
	for i, s := range []sink{
		{kind: kindResults, path: files.Results, cols: newColumns(resultColumns)},
		{kind: kindErrors, path: files.Errors, cols: newColumns(errorColumns)},
		{kind: kindUsage, path: files.Usage, cols: newColumns(usageColumns)},
	} {
		s.opt = &w.opt
		w.sinks[i] = &s
		if s.path != Stdout || i > 0 {
			sweep(s.path)
		}
	}
	return w
}

// survey walks the rows once to learn the columns.
func (w *writer) survey(ctx context.Context, src Source) error {
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		s, err := w.fill(row)
		if err != nil {
			return err
		}
		if s != nil {
			s.cols.add(&w.rec)
		}
	}
	return nil
}

// fill makes a row's record and says where it goes; nowhere while it waits.
func (w *writer) fill(row *store.Row) (*sink, error) {
	w.rec.reset()
	switch {
	case row.Skipped || row.State == store.Failed:
		return w.sinks[1], w.shape.failure(&w.rec, row)
	case row.State == store.Done:
		return w.sinks[0], w.shape.answer(&w.rec, row)
	}
	return nil, nil
}

func (w *writer) rows(ctx context.Context, src Source) error {
	if err := w.sinks[0].open(); err != nil {
		return err
	}
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		w.count(row)
		s, err := w.fill(row)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		if err := s.write(&w.rec); err != nil {
			return err
		}
	}
	w.report.Complete = w.report.Pending == 0
	return nil
}

func (w *writer) count(row *store.Row) {
	r := &w.report
	r.Rows++
	switch {
	case row.Skipped:
		r.Skipped++
	case row.State == store.Failed:
		r.Failed++
	case row.State == store.Done:
		r.Done++
		reason := row.FinishReason
		if _, known := r.Finish[reason]; !known && len(r.Finish) >= 20 {
			reason = "other"
		}
		r.Finish[reason]++
		if row.Usage.Known {
			r.Prompt = plus(r.Prompt, row.Usage.Prompt)
			r.Completion = plus(r.Completion, row.Usage.Completion)
			r.Total = plus(r.Total, row.Usage.Total)
		} else {
			r.UsageUnknown++
			r.Estimated = plus(r.Estimated, row.Estimated)
		}
	default:
		r.Pending++
	}
}

func (w *writer) totals(ctx context.Context, src Source) error {
	totals, err := src.Totals(ctx)
	if err != nil {
		return fmt.Errorf("read usage totals: %w", err)
	}
	s, all := w.sinks[2], sum(totals)
	all.Simulated = all.Simulated || w.opt.Simulated
	for i := range len(totals) + 1 {
		w.rec.reset()
		if i < len(totals) {
			t := totals[i]
			t.Simulated = t.Simulated || w.opt.Simulated
			usageRow(&w.rec, t, w.report.Complete, false)
		} else {
			usageRow(&w.rec, all, w.report.Complete, true)
		}
		if all.Simulated {
			s.cols.seen["simulated"] = true
		}
		if err := s.write(&w.rec); err != nil {
			return err
		}
	}
	return nil
}

func (s *sink) open() error {
	if s.kind == kindResults && s.path == Stdout {
		s.buf = bufio.NewWriterSize(s.opt.Stdout, bufferSize)
	} else {
		err := s.opt.fault("create")
		if err == nil {
			s.file, err = create(s.path)
		}
		if err != nil {
			return s.failed(err)
		}
		s.buf = s.file.w
	}
	s.bytes.w = s.buf
	if s.opt.Format != CSV {
		s.enc = &jsonl{w: &s.bytes}
		return nil
	}
	s.cols.settle()
	table := newCSV(&s.bytes, s.cols, s.opt.CSVRaw)
	s.enc = table
	return s.failed(table.header())
}

func (s *sink) write(rec *record) error {
	if s.enc == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	s.rows++
	return s.failed(s.enc.encode(rec))
}

// failed names the file in an error of writing to it.
func (s *sink) failed(err error) error {
	if err == nil {
		return nil
	}
	name := printable(s.path)
	if s.kind == kindResults && s.path == Stdout {
		name = "standard output"
	}
	return fmt.Errorf("write %s: %w", name, cause(err))
}

// commit makes the files last and puts them in their places.
func (w *writer) commit(ctx context.Context, ledger Ledger) error {
	for _, s := range w.sinks {
		if s.enc != nil {
			if err := s.finish(); err != nil {
				return err
			}
		}
	}
	outs, records, err := w.claim(ctx, ledger)
	if err != nil {
		return err
	}
	for _, s := range w.sinks {
		if s.file != nil {
			if err := s.file.rename(w.opt.fault); err != nil {
				return err
			}
		}
		if s.enc != nil {
			w.report.Written = append(w.report.Written, Written{s.kind, s.path, s.rows, s.bytes.n})
		}
	}
	if err := w.removeErrors(outs); err != nil {
		return err
	}
	if err := w.opt.fault("sync folder"); err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(w.sinks[2].path)); err != nil {
		return err
	}
	return w.settle(ctx, ledger, records)
}

// claim looks once more whether the places are ours, since the run that Check let begin may have taken hours, and
// writes into the ledger who is about to stand there and who stands there now. The places come first and the ledger
// second: whatever another export of this job file put there is in the ledger by then.
func (w *writer) claim(ctx context.Context, ledger Ledger) (outs, records []store.Output, err error) {
	for _, s := range w.sinks {
		if s.file != nil {
			records = append(records, store.Output{
				Path: resolve(s.path), Kind: s.kind, Options: w.opt.Recipe(), Now: s.id, Prev: standing(s.path),
			})
		}
	}
	if outs, err = known(ctx, ledger); err != nil {
		return nil, nil, err
	}
	for _, s := range w.sinks {
		if s.file != nil {
			if err := checkOwner(s.path, outs, w.opt.Force); err != nil {
				return nil, nil, err
			}
		}
	}
	return outs, records, w.record(ctx, ledger, records)
}

func (s *sink) finish() (err error) {
	if err := s.failed(s.enc.Close()); err != nil {
		return err
	}
	if s.file == nil {
		return s.failed(s.buf.Flush())
	}
	s.id, err = s.file.finish(s.opt.fault)
	return err
}

func (w *writer) record(ctx context.Context, ledger Ledger, records []store.Output) error {
	if ledger == nil || len(records) == 0 {
		return nil
	}
	err := w.opt.fault("record")
	if err == nil {
		err = ledger.RecordOutputs(ctx, records...)
	}
	if err != nil {
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
	return w.record(ctx, ledger, again)
}

// removeErrors takes the errors file of an earlier run away when nothing failed any more, if it is ours.
func (w *writer) removeErrors(outs []store.Output) error {
	s := w.sinks[1]
	if s.enc != nil {
		return nil
	}
	info, err := os.Lstat(s.path)
	if err != nil || !owned(outs, info) {
		return nil
	}
	if err := os.Remove(s.path); err != nil {
		return fmt.Errorf("remove %s: %w", printable(s.path), cause(err))
	}
	w.report.Removed = s.path
	return nil
}

// standing is the identity of the file at path now, zero without one.
func standing(path string) store.Identity {
	if info, err := os.Lstat(path); err == nil {
		return identity(info)
	}
	return store.Identity{}
}

func (w *writer) discard() {
	for _, s := range w.sinks {
		if s.file != nil {
			s.file.discard()
		}
	}
}
