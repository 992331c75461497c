package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"batch/input"
	"batch/output"
	"batch/runner/tokens"
	"batch/store"
)

// settingShape is the shape of the outputs, decided when the first input is read.
const settingShape = "shape"

// badLinesNamed is how many bad lines are named before the rest are counted.
const badLinesNamed = 50

// importInputs reads the whole input into the job file, or finds that it stands there already.
func (d *drain) importInputs(ctx context.Context) error {
	if len(d.cfg.inputs) == 0 {
		return d.reuseStanding(ctx)
	}
	if err := output.CheckInputs(ctx, d.store, d.cfg.inputs); err != nil {
		return err
	}
	same, err := d.unchanged(ctx)
	if err != nil {
		return err
	}
	if same && !d.cfg.exact {
		return d.reuseStanding(ctx)
	}
	settings := d.fills.settings()
	settings[store.SettingSimulated] = fmt.Sprint(d.simulated)
	d.counter = tokens.NewCounter(d.cfg.exact)
	reading, err := d.fills.reading()
	if err != nil {
		return err
	}
	reading.Counter = d.counter
	imp := importer{reading: reading, skipBad: d.cfg.skipBad, stdin: d.stdin, settings: settings}
	if d.settings[settingShape] != "" {
		settings[settingShape] = d.settings[settingShape]
		imp.shaped = true
	}
	done, err := d.store.Import(ctx, store.ImportOptions{Settings: settings, AcceptChanges: d.cfg.accept, Share: d.fills["dedupe"] != "", DryRun: d.cfg.dryRun, Check: d.settle(ctx)},
		func(table *store.Importer) error { return imp.load(ctx, d.cfg.inputs, table) })
	var brake *store.BrakeError
	if errors.As(err, &brake) {
		return d.explainBrake(brake)
	}
	if err != nil {
		return err
	}
	d.imported = true
	d.settings = settings
	d.sayImport(done.Changes, &imp)
	d.sayReused(done.Reused)
	return nil
}

// settle decides prices and budget within the transaction that changes the jobs: what is refused must not have changed one.
func (d *drain) settle(ctx context.Context) func(store.Imported) error {
	return func(done store.Imported) error {
		d.counts, d.backlog = done.Counts, done.Backlog
		d.countDied()
		return d.settleMoney(ctx)
	}
}

// readStanding reads where the jobs stand and what is left to send.
func (d *drain) readStanding(ctx context.Context) error {
	v, err := d.store.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	if d.counts, err = v.Counts(ctx); err != nil {
		return err
	}
	if d.cfg.foretell {
		d.backlog, err = v.Unanswered(ctx)
		d.countDied()
	} else {
		d.backlog, err = v.Backlog(ctx)
	}
	return err
}

// countDied counts the jobs that were out when the last run died among those that are pending, where they are left as they are.
func (d *drain) countDied() {
	c := &d.counts
	if !d.cfg.foretell || c.Running == 0 {
		return
	}
	d.term.warn("died", event{"unknown": c.Running}, "the last run died: %s of it may have been sent and paid for", plural(c.Running, "call"))
	c.Pending, c.Running = c.Pending+c.Running, 0
}

func (d *drain) readCounts(ctx context.Context) error {
	v, err := d.store.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	d.counts, err = v.Counts(ctx)
	return err
}

// unchanged says that the input is byte for byte the one that was read last, with the same fill-ins.
func (d *drain) unchanged(ctx context.Context) (bool, error) {
	if d.fills["image-column"] != "" {
		return false, nil // the images may be others
	}
	before, err := d.store.Inputs(ctx)
	if err != nil || len(before) != len(d.cfg.inputs) || len(d.fills.differ(d.settings)) > 0 {
		return false, err
	}
	for i, name := range d.cfg.inputs {
		if name == "-" || name != before[i].Path {
			return false, nil
		}
		if info, err := os.Stat(name); err != nil || info.Size() != before[i].Size {
			return false, nil // reading it will say what is wrong
		}
	}
	for i, name := range d.cfg.inputs {
		sum, err := hashFile(ctx, name)
		if err != nil || sum != before[i].SHA256 {
			return false, err
		}
	}
	return true, nil
}

func hashFile(ctx context.Context, name string) (sum [32]byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, readError(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, cancellable{ctx, f}); err != nil {
		return sum, readError(err)
	}
	h.Sum(sum[:0])
	return sum, nil
}

// cancellable ends a long read when ctx does.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func readError(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var file *input.FileError
	if errors.As(err, &file) {
		return usage(err, "%s", file.Hint)
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", shellQuote(p.Path), p.Err)
	}
	return usage(err, "check the name of the prompt file")
}

// importer reads prompt files in one goroutine and puts them into the table in another.
type importer struct {
	reading  input.Options
	skipBad  bool
	stdin    io.Reader
	settings map[string]string // gets the shape, which the lines decide
	shaped   bool

	stats    []input.Stats
	bad      []badLine // the first of them
	badCount int
	twice    int // good lines but for a custom_id that is used before
}

// prompts is the number of good lines.
func (imp *importer) prompts() int {
	n := -imp.twice
	for _, s := range imp.stats {
		n += s.Prompts
	}
	return n
}

// line is a good or a bad one.
type line struct {
	prompt input.Prompt
	bad    *input.LineError
}

// Lines cross from the reader to the table in groups: so many, or so many bytes.
const (
	lineGroup  = 256
	groupBytes = 1 << 20
)

func (imp *importer) load(ctx context.Context, names []string, table *store.Importer) error {
	for _, name := range names {
		if err := imp.loadFile(ctx, name, table); err != nil {
			return err
		}
	}
	if err := imp.checkDuplicates(table); err != nil {
		return err
	}
	if imp.badCount > 0 && !imp.skipBad {
		return imp.refuse()
	}
	batch := true
	for _, s := range imp.stats {
		batch = batch && (s.AllBatch || s.Prompts == 0)
	}
	if imp.prompts() == 0 {
		where := strings.Join(names, ", ")
		if where == "-" {
			where = "standard input"
		}
		return usage(fmt.Errorf("no prompts in %s", printable(where)), "%s", imp.stats[0].RowHint)
	}
	if !imp.shaped {
		imp.settings[settingShape] = string(output.Flat)
		if batch {
			imp.settings[settingShape] = string(output.OpenAI)
		}
	}
	return nil
}

func (imp *importer) loadFile(ctx context.Context, name string, table *store.Importer) error {
	src, err := imp.open(ctx, name)
	if err != nil {
		return err
	}
	defer src.Close()
	sum := &summing{r: cancellable{ctx, src}, h: sha256.New()}
	reader := input.NewReader(name, sum.placed(ctx, src), imp.reading)
	defer reader.Close()
	groups := make(chan []line, 1)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(groups)
		return readLines(gctx, reader, groups)
	})
	rows := 0
	g.Go(func() error {
		table.File(name)
		for group := range groups {
			rows += len(group)
			for i := range group {
				if err := imp.add(&group[i], name, table); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, sum); err != nil { // what was read in place was not summed
		return readError(err)
	}
	imp.stats = append(imp.stats, reader.Stats())
	place, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	in := store.Input{Path: name, Place: place, Size: sum.n, Rows: rows}
	sum.h.Sum(in.SHA256[:0])
	return table.EndFile(in)
}

func (imp *importer) open(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == "-" {
		return lettingGo(ctx, imp.stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, readError(err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", name)
	}
	if err != nil {
		f.Close()
		return nil, readError(err)
	}
	return f, nil
}

// lettingGo reads r until ctx ends, also while a read waits for somebody to type. Nothing ends such a read but the process, so the
// goroutine that is in it is left to that.
func lettingGo(ctx context.Context, r io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	go func() {
		defer stop()
		_, err := io.CopyBuffer(in, r, make([]byte, 256<<10))
		in.CloseWithError(err)
	}()
	return out
}

// summing hashes and counts what is read through it.
type summing struct {
	r io.Reader
	h hash.Hash
	n int64
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	s.n += int64(n)
	return n, err
}

// placed is the reader with the file's places, where src is a file.
func (s *summing) placed(ctx context.Context, src io.Reader) io.Reader {
	f, ok := src.(*os.File)
	if !ok {
		return s
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return s
	}
	return &placedFile{s, ctx, f, info.Size()}
}

// placedFile is a file that can be read at any place, too.
type placedFile struct {
	*summing
	ctx  context.Context
	f    *os.File
	size int64
}

func (p *placedFile) Size() int64 { return p.size }

func (p *placedFile) ReadAt(b []byte, off int64) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.f.ReadAt(b, off)
}

func readLines(ctx context.Context, r *input.Reader, groups chan<- []line) error {
	for {
		group := make([]line, 0, lineGroup)
		var err error
		for bytes := 0; len(group) < lineGroup && bytes < groupBytes && err == nil; {
			var l line
			if l.prompt, err = r.Next(); errors.As(err, &l.bad) {
				err = nil
			}
			if err == nil {
				group = append(group, l)
				bytes += len(l.prompt.Body) + len(l.prompt.Carried)
			}
		}
		select {
		case groups <- group:
		case <-ctx.Done():
			return ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return readError(err)
		}
	}
}

// add turns a prompt into a job.
func (imp *importer) add(l *line, name string, table *store.Importer) error {
	if l.bad == nil {
		p := &l.prompt
		return table.Add(store.Job{Line: p.Line, CustomID: p.CustomID, HasCustomID: p.HasCustomID, Sample: p.Sample, Model: p.Model,
			Key: p.Key, Body: p.Body, Carried: p.Carried, Tokens: p.Tokens, MaxTokens: p.MaxTokens, Boundless: p.Boundless, Trimmed: p.Trimmed})
	}
	imp.note(badLine{File: name, Line: l.bad.Line, Field: l.bad.Field, Problem: l.bad.Problem, Hint: l.bad.Hint})
	if !imp.skipBad {
		return nil
	}
	message := l.bad.Problem
	if l.bad.Field != "" {
		message = l.bad.Field + ": " + message
	}
	return table.Skip(store.Skipped{Line: l.bad.Line, CustomID: l.bad.CustomID, Message: message})
}

// badLine is a bad line as it is told.
type badLine struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Field   string `json:"field,omitempty"`
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"`
}

func (b badLine) String() string {
	text := (&input.LineError{File: b.File, Line: b.Line, Field: b.Field, Problem: b.Problem}).Error()
	if b.Hint != "" {
		text += " (" + b.Hint + ")"
	}
	return text
}

func (imp *importer) note(b badLine) {
	if imp.badCount++; len(imp.bad) < badLinesNamed {
		imp.bad = append(imp.bad, b)
	}
}

func (imp *importer) checkDuplicates(table *store.Importer) error {
	dups, n, err := table.Duplicates(badLinesNamed)
	if err != nil || n == 0 {
		return err
	}
	for _, dup := range dups {
		imp.note(badLine{File: dup.ThisFile, Line: dup.ThisLine, Field: "custom_id",
			Problem: fmt.Sprintf("%q is already used at %s:%d", dup.CustomID, dup.FirstFile, dup.FirstLine)})
	}
	imp.badCount += n - len(dups)
	imp.twice = n
	if !imp.skipBad {
		return nil
	}
	return table.SkipDuplicates()
}

// refuse names the bad lines.
func (imp *importer) refuse() error {
	var lines []string
	for _, b := range imp.bad {
		lines = append(lines, b.String())
	}
	if more := imp.badCount - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %s", plural(int64(more), "more bad line")))
	}
	return usage(errors.New(strings.Join(lines, "\n")), "nothing was sent; mend the lines, or leave them out with --skip-invalid")
}

func (d *drain) explainBrake(brake *store.BrakeError) error {
	hint := "nothing was sent; if that is meant, add --accept-changes"
	if flags := d.fills.differ(d.settings); len(flags) > 0 {
		hint = fmt.Sprintf("nothing was sent; %s differs from the earlier run and makes other requests of the same lines: leave it as it was, or, if the change is meant, add --accept-changes", strings.Join(flags, ", "))
	}
	return usage(fmt.Errorf("%w: their answers would leave the results", brake), "%s", hint)
}

// sayImport tells what the input changed, and what of it is used otherwise than its author may think.
func (d *drain) sayImport(c store.Changes, imp *importer) {
	prompts := imp.prompts()
	what := plural(int64(prompts), "prompt")
	used := map[string]int{}
	var carried []string
	for _, s := range imp.stats {
		for _, f := range s.FillIns {
			used[f.Name] += f.Prompts
		}
		for _, name := range s.Carried {
			if name = printable(name); !slices.Contains(carried, name) {
				carried = append(carried, name)
			}
		}
	}
	e := event{"prompts": prompts, "new": c.New, "changed": c.Changed, "kept": c.Kept, "gone": c.Gone, "bad": imp.badCount}
	if n := imp.reading.Samples; n > 1 {
		what += fmt.Sprintf(" x %s samples", count(int64(n)))
		e["samples"] = n
	}
	shared := ""
	if n := d.counts.Shared; n > 0 {
		shared = fmt.Sprintf(", %s shared", count(n))
		e["shared"] = n
	}
	if c.Kept+c.Changed+c.Gone > 0 {
		d.term.say("import", e, "%s: %s new, %s changed, %s kept, %s gone%s", what, count(c.New), count(c.Changed), count(c.Kept), count(c.Gone), shared)
	} else {
		d.term.say("import", e, "%s read%s", what, shared)
	}
	if n, turns := imp.trimmed(); n > 0 {
		d.term.say("trimmed", event{"conversations": n, "turns": turns, "prompts": prompts}, "%s", imp.trimmedWords())
	}
	for _, flag := range append(slices.Clone(fieldFlags), "json-schema") {
		name := strings.ReplaceAll(flag, "-", "_")
		if flag == "json-schema" {
			name = "response_format"
		}
		if n, set := used[name]; set && n == 0 {
			d.term.warn("fill", event{"flag": "--" + flag, "used": n, "prompts": prompts}, "--%s is used for 0 of %s", flag, plural(int64(prompts), "line"))
		}
	}
	if len(carried) > 0 {
		d.term.say("carried", event{"keys": carried}, "carried, not sent: %s", strings.Join(carried, ", "))
	}
	for _, b := range imp.bad {
		d.term.warn("skipped", event{"line": b}, "skipped: %s", printable(b.String()))
	}
	if more := imp.badCount - len(imp.bad); more > 0 {
		d.term.warn("skipped", event{"more": more}, "skipped: %s", plural(int64(more), "more bad line"))
	}
}
