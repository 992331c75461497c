package output

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"batch/output/where"
	"batch/store"
)

// Source is a consistent look at a job file. Rows may be walked more than once; tables need a first pass for their columns.
type Source interface {
	// Rows yields every prompt of the input in its order; a row is valid until the next step.
	Rows(ctx context.Context) iter.Seq2[*store.Row, error]
	Totals(ctx context.Context) ([]store.UsageTotal, error)
	Bills(ctx context.Context) ([]store.Bill, error)
	Prices(ctx context.Context) ([]store.Price, error)
}

// Options say how to write, and what must not be written over. The zero value writes flat JSONL.
type Options struct {
	Format      Format      // "" is JSONL
	Shape       Shape       // "" is Flat
	Compression Compression // "" is none
	ShowFile    bool        // rows say which file they come from: set it with several inputs
	Simulated   bool        // the job file holds made-up answers, and every row says so
	CSVRaw      bool        // no guard against formulas and NUL

	Fields  []Field     // of the results, in this order; none is every column
	Extract []Extract   // fields of answers that are JSON, as columns of their own
	Where   *where.Expr // which answers are in the results; nil is every one
	Split   []Part      // of the results; none is one file

	JobFile string   // never written over
	Inputs  []string // nor these
	Force   bool     // replace files that this job file did not write

	Stdout io.Writer // where Files.Results goes when it is Stdout

	disk disk // nil is the real one
}

func (o *Options) on() disk {
	if o.disk == nil {
		return realDisk{}
	}
	return o.disk
}

func (o Options) validate(files Files) error {
	shape := cmp.Or(o.Shape, Flat)
	switch {
	case o.Format == CSV && shape != Flat && shape != Pairs:
		return &RefusedError{Problem: "CSV has the flat and the pairs shape only, not " + string(shape),
			Hint: "use --shape flat or pairs, or --format jsonl"}
	case o.Format == Parquet && shape == OpenAI:
		return &RefusedError{Problem: "Parquet has no openai shape", Hint: "use --shape flat, chat or pairs, or --format jsonl"}
	case o.Format == Parquet && o.Compression != "":
		return &RefusedError{Problem: "Parquet is compressed by itself, and not once more", Hint: "use a name that ends in .parquet"}
	case len(o.Fields) > 0 && shape != Flat:
		return &RefusedError{Problem: "the columns of the " + string(shape) + " shape are fixed", Hint: "use --fields with --shape flat"}
	case len(o.Extract) > 0 && shape != Flat && o.Where == nil: // which may ask for them
		return &RefusedError{Problem: "the columns of the " + string(shape) + " shape are fixed", Hint: "use --extract with --shape flat"}
	case files.Results == Stdout && o.Stdout == nil:
		return &RefusedError{Path: Stdout, Problem: "there is no standard output", Hint: "name a file with -o"}
	case files.Results == Stdout && len(o.Split) > 0:
		return &RefusedError{Path: Stdout, Problem: "standard output cannot be split", Hint: "name a file with -o"}
	}
	return nil
}

// Report is what Write saw and wrote.
type Report struct {
	Rows                           int64 // of the input: the sum of the next five
	Done, Failed, Skipped, Pending int64
	Damaged                        int64 // answered, but the stored answer cannot be read: rows of the errors file
	LeftOut                        int64 // of Done, those that Where leaves out of the results
	Unfit                          int64 // of Done, those that have nothing to learn from in this shape
	Reused                         int64 // of Done and Damaged, answers taken over from other job files, whose tokens are not counted here
	Shared                         int64 // of Done and Damaged, answers that stand in the row of an equal request, too
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
	Kind        string // results, results.<part>, errors or usage
	Path        string
	Rows, Bytes int64
}

// Write writes results, errors and usage totals in one pass over the source (two for tables), in memory that does not grow
// with the rows. It checks files as Check does. Nothing is replaced before all of it is on the disk and the ledger
// knows the new files; when anything fails until then, the old files stand as they were. Then one file after the other is
// put in place: an error among those names which are new and which as before, and writing again mends it. No temporary
// file is left in any case. A ledger that is nil or not writable records nothing, so the next Write will not know these files for its own.
//
// When the reader of standard output went away, the other files are written all the same, and the error (EPIPE) comes
// after, with the Report of what stands.
func Write(ctx context.Context, src Source, ledger Ledger, files Files, opt Options) (Report, error) {
	if err := Check(ctx, ledger, files, opt); err != nil {
		return Report{}, err
	}
	if err := CheckNames(ctx, src, opt); err != nil {
		return Report{}, err
	}
	return writeFiles(ctx, src, ledger, files, opt)
}

func writeFiles(ctx context.Context, src Source, ledger Ledger, files Files, opt Options) (Report, error) {
	rows, err := src.Prices(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("read prices: %w", err)
	}
	w := newWriter(files, opt, NewPrices(rows))
	defer w.discard()
	if opt.Format == CSV || opt.Format == Parquet {
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
	return w.report, w.results[0].gone
}

// writer is one Write at work.
type writer struct {
	opt    Options
	prices Prices
	shape  shaper
	rec    record

	ask    *flat // makes the columns that Where asks; nil without it
	asked  record
	name   []byte
	choose *chooser
	split  *splitter

	results       []*sink // one, or one a part
	errors, usage *sink
	sinks         []*sink // all of them
	report        Report
}

func newWriter(files Files, opt Options, prices Prices) *writer {
	w := &writer{opt: opt, prices: prices}
	w.report.Finish = map[string]int64{}
	p := newPicker()
	results := resultsColumns(opt.Extract)
	if opt.Where != nil {
		w.ask = &flat{picker: p, opt: opt, prices: prices, extract: newExtractor(opt.Extract), asked: true}
	}
	switch own := (flat{picker: p, opt: opt, prices: prices, extract: newExtractor(opt.Extract)}); opt.Shape {
	case OpenAI:
		w.shape = &openai{picker: p, opt: opt}
	case Chat:
		w.shape = &chat{flat: own}
		results = typedColumns(chatColumns, chatTypes)
	case Pairs:
		w.shape = &pairs{flat: own}
		results = typedColumns(pairColumns, pairTypes)
	default:
		w.shape = &own
	}
	if len(opt.Fields) > 0 {
		w.choose = newChooser(opt.Fields)
		results = w.choose.columns()
	}
	if len(opt.Split) > 0 {
		w.split = &splitter{picker: p, parts: opt.Split}
	}
	for _, t := range files.targets(opt.Split) {
		s := &sink{kind: t.kind, path: t.path, opt: &w.opt}
		switch t.kind {
		case kindErrors:
			s.cols, w.errors = typedColumns(errorColumns, errorTypes), s
		case KindUsage:
			s.cols, w.usage = typedColumns(usageColumns, usageTypes), s
		default:
			s.cols, w.results = results, append(w.results, s)
		}
		s.cols.typed = opt.Format == Parquet
		w.sinks = append(w.sinks, s)
	}
	return w
}

// survey walks the rows once to learn the columns.
func (w *writer) survey(ctx context.Context, src Source) error {
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		s, rec, _, err := w.fill(row)
		if err != nil {
			return err
		}
		for more := s != nil; more; more = w.more(s) {
			if err := s.cols.add(rec); err != nil {
				return s.failed(err)
			}
		}
	}
	return nil
}

// fate is what becomes of a row.
type fate int

const (
	stays   fate = iota // in the file of its state, or waits
	spoiled             // a damaged answer goes to the errors, so that it withholds no other row
	leftOut             // by Where
	unfit               // for the shape
)

// errUnfit says that an answer has nothing that its shape could hold.
var errUnfit = errors.New("nothing to learn from")

// fill makes a row's record and says where it goes; nowhere while it waits.
func (w *writer) fill(row *store.Row) (*sink, *record, fate, error) {
	w.rec.reset()
	switch {
	case row.Skipped || row.State == store.Failed:
		return w.errors, &w.rec, stays, w.shape.failure(&w.rec, row)
	case row.State != store.Done:
		return nil, nil, stays, nil
	}
	s, rec, f, err := w.answered(row)
	if err == nil || !errors.As(err, new(damagedAnswerError)) {
		return s, rec, f, err
	}
	w.rec.reset()
	failed := *row
	failed.Type, failed.Code, failed.Message = ownError, damagedCode, damagedMessage
	return w.errors, &w.rec, spoiled, w.shape.failure(&w.rec, &failed)
}

func (w *writer) answered(row *store.Row) (*sink, *record, fate, error) {
	if err := w.shape.answer(&w.rec, row); err == errUnfit {
		return nil, nil, unfit, nil
	} else if err != nil {
		return nil, nil, stays, err
	}
	if holds, err := w.holds(row); err != nil || !holds {
		return nil, nil, leftOut, err
	}
	rec, to := &w.rec, 0
	if w.choose != nil {
		rec = w.choose.choose(rec)
	}
	if w.split != nil {
		var err error
		if to, err = w.split.part(row); err != nil {
			return nil, nil, stays, err
		}
	}
	return w.results[to], rec, stays, nil
}

// holds asks Where about a row whose record is made.
func (w *writer) holds(row *store.Row) (bool, error) {
	if w.opt.Where == nil {
		return true, nil
	}
	rec := &w.asked
	rec.reset()
	if err := w.ask.answer(rec, row); err != nil {
		return false, err
	}
	return w.opt.Where.Holds(func(name string) []byte {
		switch value := rec.lookup(name, &w.name); {
		case value != nil:
			return value
		case name == "state":
			return []byte(`"done"`)
		case name == "file": // also when a single one goes without saying in the rows
			return appendString(nil, row.File)
		}
		return nil
	}), nil
}

func (w *writer) rows(ctx context.Context, src Source) error {
	for _, s := range w.results {
		if err := s.open(); err != nil {
			return err
		}
	}
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		s, rec, f, err := w.fill(row)
		if err != nil {
			return err
		}
		w.count(row, f)
		for more := s != nil; more; more = w.more(s) {
			if err := s.write(rec); err != nil {
				return err
			}
		}
	}
	w.report.Complete = w.report.Pending == 0
	return nil
}

// more makes the next record of a row that was written to s, if it has one.
func (w *writer) more(s *sink) bool {
	shape, ok := w.shape.(several)
	if !ok || s == w.errors {
		return false
	}
	w.rec.reset()
	return shape.next(&w.rec)
}

func (w *writer) count(row *store.Row, f fate) {
	r := &w.report
	r.Rows++
	switch f {
	case leftOut:
		r.LeftOut++
	case unfit:
		r.Unfit++
	}
	switch {
	case row.Skipped:
		r.Skipped++
	case row.State == store.Failed:
		r.Failed++
	case row.State == store.Done:
		if f == spoiled {
			r.Damaged++
		} else {
			r.Done++
			reason := row.FinishReason
			if _, known := r.Finish[reason]; !known && len(r.Finish) >= 20 {
				reason = "other"
			}
			r.Finish[reason]++
		}
		switch {
		case row.Shared: // charged to the line that was sent
			r.Shared++
		case row.Reused: // charged to the file that it comes from
			r.Reused++
		case row.Usage.Known:
			r.Prompt = Plus(r.Prompt, row.Usage.Prompt)
			r.Completion = Plus(r.Completion, row.Usage.Completion)
			r.Total = Plus(r.Total, row.Usage.Total)
		default:
			r.UsageUnknown++
			r.Estimated = Plus(r.Estimated, row.Estimated)
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
	s, all := w.usage, sum(totals)
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
		usageRow(&w.rec, t, cost, w.report.Complete, i == len(totals), all.Reused > 0)
		if all.Simulated {
			s.cols.seen["simulated"] = true
		}
		if all.Reused > 0 {
			s.cols.seen["reused"], s.cols.seen["reused_tokens"] = true, true
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
