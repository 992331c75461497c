package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/store"
)

func validateCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:      "validate",
		Usage:     "name every bad line of a prompt file; nothing is sent",
		ArgsUsage: "prompts.jsonl [more.jsonl ...] | -",
		Description: `Reads the input as batch run would, with the same flags for what the lines do not say, and names every bad line
as file:line: field: problem (the first 50, then their number). Exit 0 when all are good, 2 when some are not.`,
		Flags:  append(fillInFlags(), jsonFlag()),
		Action: func(ctx *cli.Context) error { return c.validateVerb(ctx) },
	}
}

// validation is what was found, as a document.
type validation struct {
	Prompts int       `json:"prompts"`
	Bad     int       `json:"bad"`
	Lines   []badLine `json:"bad_lines"` // the first 50
	Carried []string  `json:"carried"`
	Trimmed int       `json:"trimmed,omitempty"`       // conversations that would lose turns
	Turns   int       `json:"trimmed_turns,omitempty"` // how many
}

// validateVerb imports the input into a job file that is thrown away: what it says is what a run would say.
func (c *command) validateVerb(ctx *cli.Context) error {
	if ctx.NArg() == 0 {
		return usage(errors.New("no prompt file is named"), "batch validate prompts.jsonl")
	}
	inputs, err := expand(ctx.Args().Slice())
	if err != nil {
		return err
	}
	fills, err := readFillIns(ctx)
	if err != nil {
		return err
	}
	if err := fills.checkContext(); err != nil {
		return err
	}
	reading, err := fills.reading()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "batch-validate-")
	if err != nil {
		return &store.Failure{Op: "make a temporary folder", Err: err}
	}
	defer os.RemoveAll(dir)
	interrupts := c.watchSignals(ctx.Context) // the folder holds a copy of the prompts: it must not stay behind
	defer interrupts.stop()
	st, err := store.Open(interrupts.ctx, filepath.Join(dir, "validate"+jobSuffix), true)
	if err != nil {
		return err
	}
	defer st.Close()
	imp := importer{reading: reading, stdin: c.stdin, settings: map[string]string{}}
	_, err = st.Import(interrupts.ctx, store.ImportOptions{DryRun: true}, func(table *store.Importer) error {
		return imp.load(interrupts.ctx, inputs, table)
	})
	if err != nil && (imp.badCount == 0 || !ctx.Bool("json")) {
		return c.blameInput(interrupts.explain(err))
	}
	doc := validation{Prompts: imp.prompts(), Bad: imp.badCount, Lines: imp.bad, Carried: []string{}}
	if doc.Lines == nil {
		doc.Lines = []badLine{}
	}
	doc.Trimmed, doc.Turns = imp.trimmed()
	for _, s := range imp.stats {
		for _, name := range s.Carried {
			if !slices.Contains(doc.Carried, name) {
				doc.Carried = append(doc.Carried, name)
			}
		}
	}
	if ctx.Bool("json") {
		if err := output.WriteJSON(c.stdout, doc); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.stdout, "%s, all good\n", plural(int64(doc.Prompts), "prompt"))
		if words := imp.trimmedWords(); words != "" {
			fmt.Fprintln(c.stdout, words)
		}
		if len(doc.Carried) > 0 {
			fmt.Fprintf(c.stdout, "carried, not sent: %s\n", printable(strings.Join(doc.Carried, ", ")))
		}
	}
	if doc.Bad > 0 {
		return exit(exitUsage)
	}
	return nil
}

// blameInput leaves the hint that is about sending out.
func (c *command) blameInput(err error) error {
	var p *problem
	if errors.As(err, &p) && strings.HasPrefix(p.hint, "nothing was sent") {
		p.hint = ""
	}
	return err
}
