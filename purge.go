package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/store"
)

func purgeCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:      "purge",
		Usage:     "forget the prompts and answers of a job file for good, keep the sums",
		ArgsUsage: "prompts.batch.db",
		Description: `Takes all text out of the job file: requests, answers, error messages, custom_ids, carried keys, the text of flags and
templates. The freed bytes are overwritten and the file is rebuilt. States, tokens, costs, times and error codes stay:
status and report give the same numbers. The rest is over: such a file cannot be exported, verified, compared, retried or
run any more. Answers that are still pending will never come.

Only the job file is touched. The results, the prompt file, backups, and what a file system keeps of deleted bytes are
yours to delete; the files that are known are named. Asks for --yes, and cannot be undone.`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "yes", Usage: "do it"},
		}, speechFlags()...),
		Action: func(ctx *cli.Context) error { return c.purgeVerb(ctx) },
	}
}

func purgedHint(e *store.PurgedError) string {
	if e.Cut {
		return "run batch purge --yes on it again"
	}
	return "batch status and batch report still tell the sums; to answer the prompts anew, name another job file with --db"
}

func (c *command) purgeVerb(ctx *cli.Context) (err error) {
	c.term.json, c.term.quiet = ctx.Bool("json"), ctx.Bool("quiet")
	name, err := oneJobFile(ctx)
	if err != nil {
		return err
	}
	lock, err := store.AcquireExisting(name)
	if err != nil {
		return err
	}
	defer lock.Release()
	st, err := store.Open(ctx.Context, name, false)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := st.Close(); err == nil {
			err = cerr
		}
	}()
	var purged *store.PurgedError
	if err := st.Purged(ctx.Context); err != nil && !errors.As(err, &purged) {
		return err
	}
	if purged != nil && !purged.Cut {
		c.term.say("end", event{"purged": purged.At}, "%s: nothing is left to forget", purged)
		return nil
	}
	if !ctx.Bool("yes") {
		return c.warnOfPurge(ctx.Context, st, name)
	}
	if err := c.putRight(ctx.Context, st, ""); err != nil {
		return err
	}
	counts, err := countsOf(ctx.Context, st)
	if err != nil {
		return err
	}
	left, err := filesWithText(ctx.Context, st)
	if err != nil {
		return err
	}
	if err := st.Purge(ctx.Context, time.Now()); err != nil {
		return err
	}
	c.term.say("end", event{"prompts": counts.Jobs, "answers": counts.Done, "left": left}, "%s and %s are forgotten; the sums are kept",
		plural(counts.Jobs, "prompt"), plural(counts.Done, "answer"))
	if len(left) > 0 && !c.term.json {
		for i, path := range left {
			left[i] = printable(relative(path))
		}
		c.term.warn("left", nil, "not touched, and with text in them: %s", strings.Join(left, ", "))
	}
	return nil
}

// warnOfPurge says what would be forgotten. Answers that wait to be taken up would be among them.
func (c *command) warnOfPurge(ctx context.Context, st *store.Store, name string) error {
	if _, err := c.foresee(ctx, st); err != nil {
		return err
	}
	counts, err := countsOf(ctx, st)
	if err != nil {
		return err
	}
	return usage(fmt.Errorf("this would forget %s and %s of %s for good, %s still to send; nothing was changed",
		plural(counts.Jobs, "prompt"), plural(counts.Done, "answer"), printable(name), count(counts.Pending+counts.Running)),
		"if that is meant: batch purge --yes %s", shellQuote(name))
}

func countsOf(ctx context.Context, st *store.Store) (store.Counts, error) {
	v, err := st.View(ctx)
	if err != nil {
		return store.Counts{}, err
	}
	defer v.Close()
	return v.Counts(ctx)
}

// filesWithText are the files that were read into this one and written from it, as far as they are still there, and the job files that
// lent it answers, as far as these have them still.
func filesWithText(ctx context.Context, st *store.Store) ([]string, error) {
	paths, err := inputPlaces(ctx, st)
	if err != nil {
		return nil, err
	}
	outs, err := st.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range outs {
		if o.Kind != output.KindUsage {
			paths = append(paths, o.Path)
		}
	}
	left := []string{}
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			left = append(left, path)
		}
	}
	lenders, err := st.Lenders(ctx)
	if err != nil {
		return nil, err
	}
	for _, path := range lenders {
		if _, err := os.Lstat(path); err == nil && !isPurged(ctx, path) {
			left = append(left, path)
		}
	}
	return left, nil
}

// isPurged says that a job file has no text any more; of one that cannot be read it does not.
func isPurged(ctx context.Context, path string) bool {
	st, err := store.OpenRead(ctx, path)
	if err != nil {
		return false
	}
	defer st.Close()
	var purged *store.PurgedError
	return errors.As(st.Purged(ctx), &purged) && !purged.Cut
}
