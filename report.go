package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/output/report"
	"batch/store"
)

func reportCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "tell what a job file used, cost and took, and what failed",
		ArgsUsage: "prompts.batch.db",
		Description: `Jobs, tokens, cost and waste, latency, rate over time, waits, errors with an example each, the slowest and the dearest
answers and a few samples, by model and in all. Nothing is sent. Works while a run is on. Prices given here are used for this
report only.

    batch report prompts.batch.db
    batch report prompts.batch.db -o report.html
    batch report prompts.batch.db --format json | jq .total.spend`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "format", Usage: "`text`, json, csv, md or html (default: by the ending of -o)"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE` to write, - for standard output (default)"},
			&cli.BoolFlag{Name: "force", Usage: "replace a file that this job file did not write"},
			jsonFlag(),
		}, priceFlags()...),
		Action: func(ctx *cli.Context) error { return c.reportVerb(ctx) },
	}
}

// reportConfig is what the flags of report say.
type reportConfig struct {
	out    string // "" is standard output
	format report.Format
	force  bool
	prices priceConfig
}

func readReportConfig(ctx *cli.Context) (reportConfig, error) {
	cfg := reportConfig{force: ctx.Bool("force")}
	var err error
	if cfg.out, err = reportOut(ctx); err != nil {
		return cfg, err
	}
	if cfg.format, err = report.ParseFormat(ctx.String("format"), cfg.out); err != nil {
		return cfg, err
	}
	if ctx.Bool("json") {
		if err := onlyJSON(ctx, cfg.out, cfg.format == report.JSON); err != nil {
			return cfg, err
		}
		cfg.format = report.JSON
	}
	cfg.prices, err = readPriceConfig(ctx)
	return cfg, err
}

func (c *command) reportVerb(ctx *cli.Context) error {
	name, err := oneJobFile(ctx)
	if err != nil {
		return err
	}
	cfg, err := readReportConfig(ctx)
	if err != nil {
		return err
	}
	open := store.OpenRead
	if cfg.out != "" {
		open = openNoting
	}
	st, err := open(ctx.Context, name)
	if err != nil {
		return err
	}
	defer st.Close()
	interrupts := c.watchSignals(ctx.Context) // a file in the making must not stay behind
	defer interrupts.stop()
	doc, err := readReport(interrupts.ctx, st, name, cfg.prices)
	if err != nil {
		return interrupts.explain(err)
	}
	c.warnUnsaved(doc.Unsaved)
	write := func(w io.Writer) error { return doc.Write(w, cfg.format) }
	if cfg.out == "" {
		return interrupts.explain(c.toStdout(interrupts.ctx, write))
	}
	opt := output.Options{JobFile: st.Path(), Force: cfg.force}
	if opt.Inputs, err = inputPlaces(interrupts.ctx, st); err != nil {
		return interrupts.explain(err)
	}
	if err := writeReport(interrupts.ctx, st, cfg.out, opt, write); err != nil {
		return interrupts.explain(err)
	}
	c.term.say("", nil, "wrote %s", printable(relative(cfg.out)))
	return nil
}

// reportOut is the file that -o names; "" is standard output.
func reportOut(ctx *cli.Context) (string, error) {
	out := ctx.String("output")
	if ctx.IsSet("output") && out == "" {
		return "", usage(errors.New("-o names no file"), "leave it off for standard output")
	}
	if out == output.Stdout {
		out = ""
	}
	return out, nil
}

// onlyJSON refuses what contradicts --json; same says that the format is JSON without it.
func onlyJSON(ctx *cli.Context, out string, same bool) error {
	switch {
	case same:
		return nil
	case ctx.String("format") != "":
		return usage(errors.New("--json and --format exclude each other"), "leave one of them off")
	case out != "":
		return usage(fmt.Errorf("--json and -o %s exclude each other", printable(out)), "name a file that ends in .json, or leave --json off")
	}
	return nil
}

// toStdout writes to standard output, for as long as ctx lets it wait. A reader who has seen enough, as head has, is no error: nothing is lost.
func (c *command) toStdout(ctx context.Context, write func(io.Writer) error) error {
	w := bufio.NewWriter(&interruptible{ctx: ctx, w: c.stdout})
	err := write(w)
	if err == nil {
		err = w.Flush()
	}
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// writeReport writes a file for people, which the job file takes note of.
func writeReport(ctx context.Context, st *store.Store, path string, opt output.Options, write func(io.Writer) error) error {
	err := output.WriteFile(ctx, st, path, output.KindReport, opt, write)
	var refused *output.RefusedError
	var failure *store.Failure
	switch {
	case err == nil, errors.As(err, &refused), errors.As(err, &failure), errors.Is(err, context.Canceled),
		errors.Is(err, store.ErrDamaged):
		return err
	}
	return &store.Failure{Op: "write report", Err: err}
}

// readReport gathers the report from one picture of the job file.
func readReport(ctx context.Context, st *store.Store, name string, prices priceConfig) (*report.Document, error) {
	settings, err := st.Settings(ctx)
	if err != nil {
		return nil, err
	}
	opt := report.Options{JobFile: name, Version: version(), Now: time.Now(), RunOn: store.Held(name),
		Simulated: settings[store.SettingSimulated] == "true"}
	if !opt.RunOn { // else they are its own
		if opt.Unsaved, err = st.Foresee(ctx); err != nil {
			return nil, err
		}
	}
	v, err := st.View(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	if opt.Prices, err = prices.inForceEverywhere(ctx, v); err != nil {
		return nil, err
	}
	return report.Gather(ctx, v, opt)
}

// inputPlaces are the files that the prompts came from.
func inputPlaces(ctx context.Context, st *store.Store) ([]string, error) {
	inputs, err := st.Inputs(ctx)
	return placesOf(inputs), err
}

// placesOf leaves out standard input, which has no place.
func placesOf(inputs []store.Input) (places []string) {
	for _, in := range inputs {
		if in.Path != "-" {
			places = append(places, in.Place)
		}
	}
	return places
}
