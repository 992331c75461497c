package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"batch/store"
)

// Source is a consistent look at a job file. Rows may be walked more than once; CSV needs a first pass for its columns.
type Source interface {
	// Rows yields every prompt of the input in its order; a row is valid until the next step.
	Rows(ctx context.Context) iter.Seq2[*store.Row, error]
	Totals(ctx context.Context) ([]store.UsageTotal, error)
	Bills(ctx context.Context) ([]store.Bill, error)
	Prices(ctx context.Context) ([]store.Price, error)
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
	Rows                           int64 // of the input: the sum of the next five
	Done, Failed, Skipped, Pending int64
	Damaged                        int64 // answered, but the stored answer cannot be read: rows of the errors file
	Complete                       bool  // nothing is pending

	Finish map[string]int64 // done rows by finish reason, "" without one; rare ones past 20 are under "other"

	Prompt, Completion, Total int64 // tokens that the API reported, for damaged answers too
	Estimated, UsageUnknown   int64 // tokens counted here, for that many rows without a report
	Cost                      Cost  // of all that the job file was charged for

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
// knows the new files; when anything fails until then, the old files stand as they were. Then one file after the other is
// put in place: an error among those names which are new and which as before, and writing again mends it. No temporary
// file is left in any case. A nil ledger records nothing, so the next Write will not know these files for its own.
//
// When the reader of standard output went away, the other files are written all the same, and the error (EPIPE) comes
// after, with the Report of what stands.
func Write(ctx context.Context, src Source, ledger Ledger, files Files, opt Options) (Report, error) {
	if err := Check(ctx, ledger, files, opt); err != nil {
		return Report{}, err
	}
	if opt.fault == nil {
		opt.fault = func(string) error { return nil }
	}
	rows, err := src.Prices(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("read prices: %w", err)
	}
	w := newWriter(files, opt, NewPrices(rows))
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
	return w.report, w.sinks[0].gone
}

// writer is one Write at work.
type writer struct {
	opt    Options
	prices Prices
	shape  shaper
	rec    record
	sinks  [3]*sink
	report Report
}

func newWriter(files Files, opt Options, prices Prices) *writer {
	w := &writer{opt: opt, prices: prices}
	w.report.Finish = map[string]int64{}
	p := newPicker()
	switch opt.Shape {
	case OpenAI:
		w.shape = &openai{picker: p, opt: opt}
	case Chat:
		w.shape = &chat{flat{p, opt, prices}}
	default:
		w.shape = &flat{p, opt, prices}
	}
	for i, s := range []sink{
		{kind: kindResults, path: files.Results, cols: newColumns(resultColumns)},
		{kind: kindErrors, path: files.Errors, cols: newColumns(errorColumns)},
		{kind: kindUsage, path: files.Usage, cols: newColumns(usageColumns)},
	} {
		s.opt = &w.opt
		w.sinks[i] = &s
	}
	return w
}

// survey walks the rows once to learn the columns.
func (w *writer) survey(ctx context.Context, src Source) error {
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		s, _, err := w.fill(row)
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
// A damaged answer goes to the errors, so that it withholds no other row.
func (w *writer) fill(row *store.Row) (s *sink, spoiled bool, err error) {
	w.rec.reset()
	switch {
	case row.Skipped || row.State == store.Failed:
		return w.sinks[1], false, w.shape.failure(&w.rec, row)
	case row.State == store.Done:
		err := w.shape.answer(&w.rec, row)
		if !errors.As(err, new(damagedAnswerError)) {
			return w.sinks[0], false, err
		}
		w.rec.reset()
		failed := *row
		failed.Type, failed.Code, failed.Message = ownError, damagedCode, damagedMessage
		return w.sinks[1], true, w.shape.failure(&w.rec, &failed)
	}
	return nil, false, nil
}

func (w *writer) rows(ctx context.Context, src Source) error {
	if err := w.sinks[0].open(); err != nil {
		return err
	}
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		s, spoiled, err := w.fill(row)
		if err != nil {
			return err
		}
		w.count(row, spoiled)
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

func (w *writer) count(row *store.Row, spoiled bool) {
	r := &w.report
	r.Rows++
	switch {
	case row.Skipped:
		r.Skipped++
	case row.State == store.Failed:
		r.Failed++
	case row.State == store.Done:
		if spoiled {
			r.Damaged++
		} else {
			r.Done++
			reason := row.FinishReason
			if _, known := r.Finish[reason]; !known && len(r.Finish) >= 20 {
				reason = "other"
			}
			r.Finish[reason]++
		}
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
	bills, err := src.Bills(ctx)
	if err != nil {
		return fmt.Errorf("read what was charged for: %w", err)
	}
	s, all := w.sinks[2], sum(totals)
	all.Simulated = all.Simulated || w.opt.Simulated
	w.report.Cost = w.prices.Cost(bills, nil)
	for i := range len(totals) + 1 {
		t, cost := all, w.report.Cost
		if i < len(totals) {
			t = totals[i]
			t.Simulated = t.Simulated || w.opt.Simulated
			cost = w.prices.Cost(billsOf(bills, t.Endpoint, t.Model), nil)
		}
		w.rec.reset()
		usageRow(&w.rec, t, cost, w.report.Complete, i == len(totals))
		if all.Simulated {
			s.cols.seen["simulated"] = true
		}
		if err := s.write(&w.rec); err != nil {
			return err
		}
	}
	return nil
}

func billsOf(bills []store.Bill, endpoint, model string) []store.Bill {
	var own []store.Bill
	for _, b := range bills {
		if b.Endpoint == endpoint && b.Model == model {
			own = append(own, b)
		}
	}
	return own
}

func (w *writer) discard() {
	for _, s := range w.sinks {
		if s.file != nil {
			s.file.discard()
		}
	}
}
