package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/runner/chat"
	"batch/store"
)

func compareCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "tell how the answers, tokens, cost and latency of two job files differ",
		ArgsUsage: "a.batch.db b.batch.db",
		Description: `Finds for every prompt of a the one of b: by its request, and what is left by its custom_id, so that two models can be
compared on the same prompts. Answers are the same when their text and their calls of tools are. Nothing is sent, and runs may go on
in either. The exit code is 0 whatever differs.

    batch compare monday.batch.db tuesday.batch.db
    batch compare small.batch.db large.batch.db -o side-by-side.csv`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "`text` or csv, a row for every prompt (default: by the ending of -o)"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE` to write, - for standard output (default)"},
			&cli.BoolFlag{Name: "csv-raw", Usage: "CSV without the guard against spreadsheet formulas"},
			&cli.BoolFlag{Name: "force", Usage: "replace a file that the first job file did not write"},
			jsonFlag(),
		},
		Action: func(ctx *cli.Context) error { return c.compareVerb(ctx) },
	}
}

// compareConfig is what the flags of compare say.
type compareConfig struct {
	names       [2]string
	out         string // "" is standard output
	csv, raw    bool
	json, force bool
}

func readCompareConfig(ctx *cli.Context) (compareConfig, error) {
	cfg := compareConfig{out: ctx.String("output"), raw: ctx.Bool("csv-raw"), json: ctx.Bool("json"), force: ctx.Bool("force")}
	if ctx.NArg() != 2 {
		return cfg, usage(fmt.Errorf("compare takes two job files, got %d", ctx.NArg()), "batch compare a.batch.db b.batch.db")
	}
	cfg.names = [2]string{ctx.Args().Get(0), ctx.Args().Get(1)}
	if one, err := os.Stat(cfg.names[0]); err == nil {
		if two, err := os.Stat(cfg.names[1]); err == nil && os.SameFile(one, two) {
			return cfg, usage(fmt.Errorf("%s and %s are the same file", printable(cfg.names[0]), printable(cfg.names[1])), "name two job files")
		}
	}
	if ctx.IsSet("output") && cfg.out == "" {
		return cfg, usage(errors.New("-o names no file"), "leave it off for standard output")
	}
	if cfg.out == output.Stdout {
		cfg.out = ""
	}
	switch format := strings.ToLower(ctx.String("format")); {
	case format == "csv", format == "" && strings.EqualFold(filepath.Ext(cfg.out), ".csv"):
		cfg.csv = true
	case format != "" && format != "text":
		return cfg, usage(fmt.Errorf("format %s is not known", printable(format)), "use --format text or --format csv; --json prints a document")
	}
	if cfg.json && cfg.out == "" && cfg.csv {
		return cfg, usage(errors.New("--json and CSV cannot both go to standard output"), "name a file for the CSV with -o")
	}
	if cfg.json && cfg.out != "" && !cfg.csv {
		return cfg, usage(errors.New("-o and --json exclude each other, but for CSV"), "--json > FILE")
	}
	return cfg, nil
}

func (c *command) compareVerb(ctx *cli.Context) error {
	cfg, err := readCompareConfig(ctx)
	if err != nil {
		return err
	}
	var files [2]*store.Store
	for i, name := range cfg.names {
		if i == 0 && cfg.out != "" { // it takes note of the file that is written
			files[i], err = store.Open(ctx.Context, name, false)
		} else {
			files[i], err = store.OpenRead(ctx.Context, name)
		}
		if err != nil {
			return err
		}
		defer files[i].Close()
	}
	interrupts := watchSignals(ctx.Context) // a file in the making must not stay behind
	defer interrupts.stop()
	return interrupts.explain(c.compare(interrupts.ctx, cfg, files))
}

// compare writes the table or the text where it belongs. When that is a file, the summary is told too.
func (c *command) compare(ctx context.Context, cfg compareConfig, files [2]*store.Store) error {
	doc, err := newCompared(cfg.names, files)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error { return readCompared(ctx, files, doc, w, cfg) }
	stdout := bufio.NewWriter(c.stdout)
	if cfg.out == "" {
		if err := write(stdout); err != nil {
			return err
		}
		return stdout.Flush()
	}
	opt := output.Options{JobFile: files[0].Path(), Force: cfg.force}
	for i, st := range files {
		inputs, err := inputPlaces(ctx, st)
		if err != nil {
			return err
		}
		opt.Inputs = append(opt.Inputs, inputs...)
		if i == 1 {
			opt.Inputs = append(opt.Inputs, st.Path(), st.Path()+"-wal", st.Path()+"-shm")
		}
	}
	err = output.WriteFile(ctx, files[0], cfg.out, output.KindReport, opt, write)
	var refused *output.RefusedError
	var failure *store.Failure
	switch {
	case err == nil:
	case errors.As(err, &refused), errors.As(err, &failure), errors.Is(err, context.Canceled):
		return err
	default:
		return &store.Failure{Op: "write the comparison", Err: err}
	}
	if cfg.csv {
		if err := printCompared(stdout, doc, cfg.json); err != nil {
			return err
		}
		if err := stdout.Flush(); err != nil {
			return err
		}
	}
	c.term.say("", nil, "wrote %s", printable(relative(cfg.out)))
	return nil
}

func newCompared(names [2]string, files [2]*store.Store) (*output.Compared, error) {
	doc := &output.Compared{}
	for i, f := range []*output.ComparedFile{&doc.A, &doc.B} {
		settings, err := files[i].Settings(context.Background())
		if err != nil {
			return nil, err
		}
		f.JobFile, f.RunOn, f.Simulated = names[i], store.Held(names[i]), settings[store.SettingSimulated] == "true"
	}
	return doc, nil
}

// readCompared fills in doc and writes it to w: the table row by row, the text or the document when all is counted.
func readCompared(ctx context.Context, files [2]*store.Store, doc *output.Compared, w io.Writer, cfg compareConfig) error {
	src, err := store.Compare(ctx, files[0], files[1], chat.ConversationKey)
	if err != nil {
		return err
	}
	defer src.Close()
	var prices [2]output.Prices
	for i, st := range files {
		if prices[i], err = pricesOf(ctx, st); err != nil {
			return err
		}
	}
	if cfg.csv {
		table, err := output.NewComparedTable(w, cfg.raw)
		if err != nil {
			return err
		}
		return output.CompareFiles(ctx, src, doc, prices, table)
	}
	if err := output.CompareFiles(ctx, src, doc, prices, nil); err != nil {
		return err
	}
	return printCompared(w, doc, cfg.json)
}

// pricesOf reads the prices that a job file knows.
func pricesOf(ctx context.Context, st *store.Store) (output.Prices, error) {
	v, err := st.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	rows, err := v.Prices(ctx)
	if err != nil {
		return nil, err
	}
	return output.NewPrices(rows), nil
}

func printCompared(w io.Writer, doc *output.Compared, json bool) error {
	if json {
		return printJSON(w, doc)
	}
	for i, f := range []output.ComparedFile{doc.A, doc.B} {
		text := printable(f.JobFile)
		if f.RunOn {
			text += "; a run is on"
		}
		if f.Simulated {
			text += "; the answers are made up"
		}
		fmt.Fprintf(w, "%c: %s\n", 'a'+i, text)
	}
	fmt.Fprintln(w)
	printSides(w, doc.A, doc.B)
	fmt.Fprintf(w, "\nprompts: %s in both by their request, %s by custom_id, %s only in a, %s only in b\n",
		count(doc.MatchedByKey), count(doc.MatchedByCustomID), count(doc.JobsOnlyA), count(doc.JobsOnlyB))
	fmt.Fprintf(w, "answers: %s the same, %s changed, %s only in a, %s only in b\n",
		count(doc.Same), count(doc.Changed), count(doc.OnlyA), count(doc.OnlyB))
	if n := int64(len(doc.Changes)); n > 0 {
		first := "changed answers"
		if n < doc.Changed {
			first = fmt.Sprintf("the first %d changed answers", n)
		}
		fmt.Fprintf(w, "\n%s, from where they part:\n", first)
	}
	for _, change := range doc.Changes {
		fmt.Fprintf(w, "%s:%d", printable(change.File), change.Line)
		if change.CustomID != nil {
			fmt.Fprintf(w, " %s", printable(*change.CustomID))
		}
		fmt.Fprintf(w, "\n  a: %s\n  b: %s\n", printable(change.A), printable(change.B))
	}
	return nil
}

// printSides is the table of the two files side by side.
func printSides(w io.Writer, a, b output.ComparedFile) {
	var rows [][3]string
	row := func(name, left, right string) { rows = append(rows, [3]string{name, left, right}) }
	number := func(name string, left, right int64, always bool) {
		if always || left > 0 || right > 0 {
			row(name, count(left), count(right))
		}
	}
	row("", "a", "b")
	number("prompts", a.Jobs, b.Jobs, true)
	number("  answered", a.Done, b.Done, true)
	number("  failed", a.Failed, b.Failed, true)
	number("  pending", a.Pending, b.Pending, false)
	number("  answers damaged", a.Damaged, b.Damaged, false)
	number("prompt tokens", a.Prompt, b.Prompt, true)
	number("completion tokens", a.Completion, b.Completion, true)
	number("estimated tokens", a.Estimated, b.Estimated, false)
	number("usage not reported", a.UsageUnknown, b.UsageUnknown, false)
	row("cost", amount(a.Spent), amount(b.Spent))
	if a.Estimated > 0 || b.Estimated > 0 {
		row("  estimated", amount(a.SpentGuess), amount(b.SpentGuess))
	}
	for _, l := range []struct {
		name        string
		left, right *int64
	}{{"latency p50", a.Latency.P50, b.Latency.P50}, {"latency p90", a.Latency.P90, b.Latency.P90}, {"latency p99", a.Latency.P99, b.Latency.P99}} {
		row(l.name, milliseconds(l.left), milliseconds(l.right))
	}
	reasons := maps.Clone(a.FinishReasons)
	maps.Copy(reasons, b.FinishReasons)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		shown := strings.TrimSpace(printable(reason))
		if shown == "" {
			shown = "none"
		}
		number("finish "+shown, a.FinishReasons[reason], b.FinishReasons[reason], true)
	}
	var widths [3]int
	for _, r := range rows {
		for i, text := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	for _, r := range rows {
		fmt.Fprintf(w, "%-*s  %*s  %*s\n", widths[0], r[0], widths[1], r[1], widths[2], r[2])
	}
}

func milliseconds(ms *int64) string {
	if ms == nil {
		return "-"
	}
	return count(*ms) + " ms"
}
