package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/output/where"
	"batch/store"
)

// outputConfig is what the flags say of the files to be written.
type outputConfig struct {
	out     string
	format  output.Format
	shape   output.Shape
	extract []output.Extract
	fields  []output.Field
	split   []output.Part
	where   *where.Expr
	csvRaw  bool
	force   bool
}

func outputFlags() []cli.Flag {
	const files = "Files"
	return []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Category: files,
			Usage: "results `FILE`, - for standard output (default: named after the job file); errors and usage stand beside it"},
		&cli.StringFlag{Name: "format", Usage: "`jsonl`, csv or parquet (default: by the ending of -o; a last .gz or .zst compresses)", Category: files},
		&cli.StringFlag{Name: "shape", Usage: "`flat`, openai (Batch API lines), chat or pairs (fine-tuning); default: openai when every line is of that form, else flat", Category: files},
		&cli.StringFlag{Name: "extract", Usage: "take fields out of answers that are JSON into columns: `PATH,PATH=NEWNAME`, a path as in address.city or items.0 (flat shape)", Category: files},
		&cli.StringFlag{Name: "fields", Usage: "result columns to write, in this order: `A,B=NEWNAME` (flat shape)", Category: files},
		&cli.StringFlag{Name: "where", Usage: "write only the results for which `EXPR` holds, as in 'finish_reason = stop and total_tokens < 500'", Category: files},
		&cli.StringFlag{Name: "split", Usage: "write the results to a file for train and one for test, by `SHARES` such as 0.9,0.1 or a=0.8,b=0.1,c=0.1", Category: files},
		&cli.BoolFlag{Name: "csv-raw", Usage: "CSV without the guard against spreadsheet formulas", Category: files},
		&cli.BoolFlag{Name: "force", Usage: "replace files that this job file did not write", Category: files},
	}
}

func readOutputConfig(ctx *cli.Context) (outputConfig, error) {
	cfg := outputConfig{out: ctx.String("output"), csvRaw: ctx.Bool("csv-raw"), force: ctx.Bool("force")}
	if ctx.IsSet("output") && cfg.out == "" {
		return cfg, usage(errors.New("-o names no file"), "leave it off for the default names")
	}
	var err error
	if cfg.format, err = output.ParseFormat(ctx.String("format")); err != nil {
		return cfg, err
	}
	if cfg.shape, err = output.ParseShape(ctx.String("shape")); err != nil {
		return cfg, err
	}
	if cfg.extract, err = output.ParseExtract(ctx.String("extract")); err != nil {
		return cfg, err
	}
	if cfg.fields, err = output.ParseFields(ctx.String("fields")); err != nil {
		return cfg, err
	}
	if cfg.split, err = output.ParseSplit(ctx.String("split")); err != nil {
		return cfg, err
	}
	cfg.where, err = output.ParseWhere(ctx.String("where"))
	return cfg, err
}

// resolve names the files and says how they are written, for the input that the job file holds.
func (cfg outputConfig) resolve(ctx context.Context, st *store.Store, stdout io.Writer) (output.Files, output.Options, error) {
	files, format, err := output.Names(st.Path(), cfg.out, cfg.format)
	if err != nil {
		return files, output.Options{}, err
	}
	settings, err := st.Settings(ctx)
	if err != nil {
		return files, output.Options{}, err
	}
	inputs, err := st.Inputs(ctx)
	if err != nil {
		return files, output.Options{}, err
	}
	opt := output.Options{
		Format: format, Shape: cfg.shape, ShowFile: len(inputs) > 1, Simulated: settings[store.SettingSimulated] == "true",
		CSVRaw: cfg.csvRaw, Force: cfg.force, JobFile: st.Path(), Stdout: stdout,
		Compression: output.CompressionOf(files.Usage), Extract: cfg.extract, Fields: cfg.fields, Split: cfg.split, Where: cfg.where,
	}
	if opt.Shape == "" && format == output.JSONL && len(cfg.fields) == 0 && len(cfg.extract) == 0 {
		opt.Shape = output.Shape(settings[settingShape])
	}
	opt.Inputs = placesOf(inputs)
	return files, opt, nil
}

// settingFile begins the names under which the job file remembers how it stood when a file was written from it.
const settingFile = "file "

// writeOutputs makes the files from a picture of the job file at this moment.
func writeOutputs(ctx context.Context, st *store.Store, files output.Files, opt output.Options) (output.Report, error) {
	// The mark comes before the picture: while a run is on, a file may then look older than it is, never newer.
	mark, err := rowsMark(ctx, st)
	if err != nil {
		return output.Report{}, err
	}
	v, err := st.View(ctx)
	if err != nil {
		return output.Report{}, err
	}
	defer v.Close()
	rep, err := output.Write(ctx, v, st, files, opt)
	if lost := rep.Cost.Lost; err == nil && (lost.Money > 0 || !lost.Known()) { // the files do not tell it: what they do not need, Write does not read
		rep.Cost, err = readCost(ctx, v)
	}
	var refused *output.RefusedError
	if err != nil && !errors.As(err, &refused) && !errors.Is(err, context.Canceled) {
		var failure *store.Failure
		if !errors.As(err, &failure) {
			err = &store.Failure{Op: "write results", Err: err}
		}
	}
	// With an error too: when standard output was closed, the other files stand.
	marks := map[string]string{}
	for _, w := range rep.Written {
		if w.Path != output.Stdout {
			marks[settingFile+output.Recorded(w.Path)] = mark
		}
	}
	if len(marks) > 0 && st.Writable() {
		if marked := st.SetSettings(context.WithoutCancel(ctx), marks); err == nil {
			err = marked
		}
	}
	return rep, err
}

// openNoting opens a job file that takes note of what is written from it; of one that may not be written, that is on no record.
func openNoting(ctx context.Context, name string) (*store.Store, error) {
	st, err := store.Open(ctx, name, false)
	if store.IsUnwritable(err) {
		return store.OpenRead(ctx, name)
	}
	return st, err
}

// rowsMark is another whenever the rows of the outputs are: after an import, a retry, a run.
func rowsMark(ctx context.Context, st *store.Store) (string, error) {
	inputs, err := st.Inputs(ctx)
	if err != nil {
		return "", err
	}
	settings, err := st.Settings(ctx)
	if err != nil {
		return "", err
	}
	run, err := st.LastRun(ctx)
	if err != nil && !isNotFound(err) {
		return "", err
	}
	v, err := st.View(ctx)
	if err != nil {
		return "", err
	}
	defer v.Close()
	counts, err := v.Counts(ctx)
	if err != nil {
		return "", err
	}
	prices, err := v.Prices(ctx)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "%#v %v %d %d %v\n", inputs, counts, run.Started.UnixMilli(), run.Ended.UnixMilli(), prices)
	for _, flag := range fillFlags {
		fmt.Fprintf(h, "%q\n", settings[settingFill+flag])
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

func exportCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write the results of a job file again, in any format",
		ArgsUsage: "prompts.batch.db",
		Description: `Writes results, errors and usage totals of a job file, in input order, also while a run is on. Nothing is sent. Prices that
are given here are kept in the job file, as those of a run are; a report can try others.

    batch export prompts.batch.db -o answers.csv
    batch export prompts.batch.db --shape chat --where 'finish_reason = stop' --split 0.9,0.1 -o set.jsonl.gz
    batch export prompts.batch.db --fields label,prompt,content=answer -o answers.parquet
    batch export prompts.batch.db -o - | jq -r .content`,
		Flags:  slices.Concat(outputFlags(), priceFlags(), speechFlags()),
		Action: func(ctx *cli.Context) error { return c.exportVerb(ctx) },
	}
}

func (c *command) exportVerb(ctx *cli.Context) error {
	c.term.json, c.term.quiet = ctx.Bool("json"), ctx.Bool("quiet")
	name, err := oneJobFile(ctx)
	if err != nil {
		return err
	}
	cfg, err := readOutputConfig(ctx)
	if err != nil {
		return err
	}
	prices, err := readPriceConfig(ctx)
	if err != nil {
		return err
	}
	open := openNoting
	if prices.given() { // which are kept in it
		open = func(ctx context.Context, name string) (*store.Store, error) { return store.Open(ctx, name, false) }
	}
	st, err := open(ctx.Context, name)
	if err != nil {
		return err
	}
	defer st.Close()
	if err := keepPrices(ctx.Context, st, prices); err != nil {
		return err
	}
	if prices.given() {
		c.term.say("kept", event{"flags": []string{"prices"}}, "these prices are kept in the job file")
	}
	interrupts := c.watchSignals(ctx.Context) // files in the making must not stay behind
	defer interrupts.stop()
	files, opt, err := cfg.resolve(interrupts.ctx, st, &interruptible{ctx: interrupts.ctx, w: c.stdout})
	if err != nil {
		return interrupts.explain(err)
	}
	waiting, err := waitingIn(interrupts.ctx, st, name)
	if err != nil {
		return interrupts.explain(err)
	}
	rep, err := writeOutputs(interrupts.ctx, st, files, opt)
	if err != nil {
		return interrupts.explain(err)
	}
	for _, waits := range waiting {
		if text := answersIn(waits); text != "" {
			c.term.warn("unsaved", event{"path": waits.Path, "answers": waits.Answers}, "not in these files: %s", text)
		}
	}
	if c.term.json {
		c.term.say("end", event{"files": writtenPaths(rep), "done": rep.Done, "failed": rep.Failed, "skipped": rep.Skipped, "pending": rep.Pending, "damaged": rep.Damaged,
			"left_out": rep.LeftOut, "unfit": rep.Unfit}, "")
		return nil
	}
	sayReport(c.term, rep, opt.Simulated)
	return nil
}

// keepPrices puts the prices that the flags name in the place of those that the job file knows.
func keepPrices(ctx context.Context, st *store.Store, cfg priceConfig) error {
	if !cfg.given() {
		return nil
	}
	v, err := st.View(ctx)
	if err != nil {
		return err
	}
	rows, err := cfg.inForceEverywhere(ctx, v)
	v.Close()
	if err != nil {
		return err
	}
	return st.SetPrices(ctx, rows)
}

// oneJobFile is the argument of the verbs that look at a job file.
func oneJobFile(ctx *cli.Context) (string, error) {
	if ctx.NArg() != 1 {
		return "", usage(fmt.Errorf("%s takes one job file, got %d", ctx.Command.Name, ctx.NArg()), "batch %s prompts.batch.db", ctx.Command.Name)
	}
	return ctx.Args().First(), nil
}

func writtenPaths(rep output.Report) map[string]string {
	all := map[string]string{}
	for _, w := range rep.Written {
		all[w.Kind] = w.Path
	}
	return all
}

// costText tells what all runs of the job file together were charged, as far as a price is known, and that it is more where one is not.
func costText(c output.Cost) string {
	billed, counted, spent := c.Billed(), c.Counted(), c.Spent()
	least := "cost "
	if !spent.Known() {
		least += "at least "
	}
	var text string
	switch {
	case spent.Money == 0:
		text = "cost " + spent.Dollars()
	case billed.Money == 0:
		text = least + "about " + counted.Money.Dollars() + ", which was not reported"
	default:
		text = least + billed.Money.Dollars()
		if beside := c.Wasted.Plus(c.Gone); beside.Money > 0 {
			text += fmt.Sprintf(", %s of it for attempts and answers that are not in the results", beside.Money.Dollars())
		}
		if counted.Money > 0 {
			text += fmt.Sprintf(", and about %s that was not reported", counted.Money.Dollars())
		}
	}
	switch lost := c.Lost; {
	case lost.Money > 0 && lost.Known():
		text += fmt.Sprintf(", and up to %s for calls with an unknown outcome", lost.Money.Dollars())
	case !lost.Known():
		text += ", and possibly more for calls with an unknown outcome"
	}
	return text
}

// sayReport tells what was written and what it used and cost. Nobody charges for answers that are made up, unless they were given a price.
func sayReport(t *terminal, rep output.Report, simulated bool) {
	used := rep.Total > 0 || rep.UsageUnknown > 0
	if used {
		text := fmt.Sprintf("used %s prompt + %s completion = %s tokens", count(rep.Prompt), count(rep.Completion), count(rep.Total))
		if rep.UsageUnknown > 0 {
			text += fmt.Sprintf(", and about %s that %s did not report", count(rep.Estimated), plural(rep.UsageUnknown, "answer"))
		}
		t.say("", nil, "%s", text)
	}
	priced := rep.Cost.Spent().Money > 0 // calls without an answer can have been charged for
	if priced || used && !simulated {
		t.say("", nil, "%s", costText(rep.Cost))
	}
	for _, reason := range []string{"length", "content_filter"} {
		if n := rep.Finish[reason]; n > 0 {
			t.say("", nil, "%s ended by %s", plural(n, "answer"), reason)
		}
	}
	if rep.Damaged > 0 {
		t.warn("damaged", event{"answers": rep.Damaged}, "%s cannot be read any more; the errors file names them", plural(rep.Damaged, "stored answer"))
	}
	if rep.LeftOut > 0 {
		t.say("", nil, "left out of the results by --where: %s of %s", count(rep.LeftOut), plural(rep.Done, "answer"))
	}
	if rep.Unfit > 0 {
		t.say("", nil, "left out of the results, as there is no text for this shape: %s", plural(rep.Unfit, "answer"))
	}
	if !rep.Complete {
		t.say("", nil, "partial: %s of %s", count(rep.Done), count(rep.Rows))
	}
	var files []string
	for _, w := range rep.Written {
		if w.Path == output.Stdout {
			files = append(files, plural(w.Rows, "row")+" to standard output")
			continue
		}
		files = append(files, fmt.Sprintf("%s (%s)", printable(relative(w.Path)), plural(w.Rows, "row")))
	}
	t.say("", nil, "wrote %s", strings.Join(files, ", "))
}
