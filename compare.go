package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

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
		Description: `Finds for every prompt of a the one of b: by its request, what is left by its custom_id, and what is left then by its
messages, so that two models can be compared on the same prompts. Answers are the same when their text and their calls of tools are.
Nothing is sent, and runs may go on in either. The exit code is 0 whatever differs.

    batch compare monday.batch.db tuesday.batch.db
    batch compare small.batch.db large.batch.db -o side-by-side.csv`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "`text`, json, or csv, a row for every prompt (default: by the ending of -o)"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE` to write, - for standard output (default)"},
			&cli.BoolFlag{Name: "csv-raw", Usage: "CSV without the guard against spreadsheet formulas"},
			&cli.BoolFlag{Name: "force", Usage: "replace a file that the first job file did not write"},
			jsonFlag(),
		},
		Action: func(ctx *cli.Context) error { return c.compareVerb(ctx) },
	}
}

// The formats of a comparison.
const (
	compareText = "text"
	compareCSV  = "csv"
	compareJSON = "json"
)

// compareConfig is what the flags of compare say.
type compareConfig struct {
	names      [2]string
	out        string // "" is standard output
	format     string
	raw, force bool
}

func readCompareConfig(ctx *cli.Context) (compareConfig, error) {
	cfg := compareConfig{raw: ctx.Bool("csv-raw"), force: ctx.Bool("force")}
	if ctx.NArg() != 2 {
		return cfg, usage(fmt.Errorf("compare takes two job files, got %d", ctx.NArg()), "batch compare a.batch.db b.batch.db")
	}
	cfg.names = [2]string{ctx.Args().Get(0), ctx.Args().Get(1)}
	if one, err := os.Stat(cfg.names[0]); err == nil {
		if two, err := os.Stat(cfg.names[1]); err == nil && os.SameFile(one, two) {
			return cfg, usage(fmt.Errorf("%s and %s are the same file", printable(cfg.names[0]), printable(cfg.names[1])), "name two job files")
		}
	}
	var err error
	if cfg.out, err = reportOut(ctx); err != nil {
		return cfg, err
	}
	if cfg.format, err = compareFormat(ctx.String("format"), cfg.out); err != nil {
		return cfg, err
	}
	if ctx.Bool("json") {
		if err := onlyJSON(ctx, cfg.out, cfg.format == compareJSON); err != nil {
			return cfg, err
		}
		cfg.format = compareJSON
	}
	return cfg, nil
}

// compareFormat reads the value of --format; "" goes by the ending of the file, and is text without one.
func compareFormat(name, file string) (string, error) {
	ending := strings.ToLower(filepath.Ext(file))
	format := strings.ToLower(name)
	if name == "" {
		switch ending {
		case "", ".txt":
			return compareText, nil
		case ".csv", ".json":
			return ending[1:], nil
		}
		return "", usage(fmt.Errorf("%s: a comparison is not written as %s", printable(file), printable(ending)),
			"name a .txt, .csv or .json file, or choose with --format text, csv or json")
	}
	switch format {
	case compareText, compareCSV, compareJSON:
		return format, nil
	}
	return "", usage(fmt.Errorf("format %s is not known", printable(name)), "use --format text, csv or json")
}

func (c *command) compareVerb(ctx *cli.Context) error {
	cfg, err := readCompareConfig(ctx)
	if err != nil {
		return err
	}
	var files [2]*store.Store
	for i, name := range cfg.names {
		open := store.OpenRead
		if i == 0 && cfg.out != "" {
			open = openNoting
		}
		files[i], err = open(ctx.Context, name)
		if err != nil {
			return err
		}
		defer files[i].Close()
	}
	interrupts := c.watchSignals(ctx.Context) // a file in the making must not stay behind
	defer interrupts.stop()
	return interrupts.explain(c.compare(interrupts.ctx, cfg, files))
}

// compare writes the comparison where it belongs. When that is a table in a file, the summary is told too.
func (c *command) compare(ctx context.Context, cfg compareConfig, files [2]*store.Store) error {
	doc, err := newCompared(ctx, cfg.names, files)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error { return readCompared(ctx, files, doc, w, cfg) }
	if cfg.out == "" {
		if err := c.toStdout(ctx, write); err != nil {
			return err
		}
		c.hintPairs(doc)
		return nil
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
	if err := writeReport(ctx, files[0], cfg.out, opt, write); err != nil {
		return err
	}
	if cfg.format == compareCSV {
		if err := c.toStdout(ctx, doc.WriteText); err != nil {
			return err
		}
	}
	c.term.say("", nil, "wrote %s", printable(relative(cfg.out)))
	c.hintPairs(doc)
	return nil
}

// hintPairs says why little was compared, and what helps.
func (c *command) hintPairs(doc *output.Compared) {
	if n := min(doc.A.Jobs, doc.B.Jobs); doc.Paired()*2 < n {
		c.term.say("", nil, "hint: only %s of %s were found in both files, since neither request, custom_id nor messages are the same; give each line a custom_id",
			count(doc.Paired()), plural(n, "prompt"))
	}
}

func newCompared(ctx context.Context, names [2]string, files [2]*store.Store) (*output.Compared, error) {
	doc := &output.Compared{}
	for i, f := range []*output.ComparedFile{&doc.A, &doc.B} {
		settings, err := files[i].Settings(ctx)
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
	if cfg.format == compareCSV {
		table, err := output.NewComparedTable(w, cfg.raw)
		if err != nil {
			return err
		}
		return output.CompareFiles(ctx, src, doc, prices, table)
	}
	if err := output.CompareFiles(ctx, src, doc, prices, nil); err != nil {
		return err
	}
	if cfg.format == compareJSON {
		return output.WriteJSON(w, doc)
	}
	return doc.WriteText(w)
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
