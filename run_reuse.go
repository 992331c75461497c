package main

import (
	"context"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"batch/store"
)

// mostReused is how many files --reuse may name: SQLite attaches ten.
const mostReused = 8

func reuseFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "reuse", Usage: "take over the answers of identical requests from another job `FILE`, before anything is sent; several times for several files",
		Category: "Files"}
}

// readReuse checks the names that --reuse gives.
func readReuse(ctx *cli.Context, db string) ([]string, error) {
	names := ctx.StringSlice("reuse")
	if len(names) > mostReused {
		return nil, usage(fmt.Errorf("--reuse names %d files, at most %d are read at once", len(names), mostReused), "reuse the others in a second run")
	}
	var infos []os.FileInfo
	own, _ := os.Stat(db) // it may be still to be made
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, usage(fmt.Errorf("--reuse %w", readCause(name, err)), "name a job file of an earlier run, as in --reuse old.batch.db")
		}
		if own != nil && os.SameFile(own, info) {
			return nil, usage(fmt.Errorf("--reuse %s is the job file of this run", printable(name)), "its answers are kept anyway: leave --reuse off")
		}
		for j, other := range infos {
			if os.SameFile(info, other) {
				return nil, usage(fmt.Errorf("--reuse names %s twice, as %s too", printable(names[j]), printable(name)), "name it once")
			}
		}
		infos = append(infos, info)
	}
	return names, nil
}

// openReuse makes the files of --reuse ready; close lets go of them.
func (d *drain) openReuse(ctx context.Context) (close func() error, err error) {
	var open []*store.Store
	close = func() error {
		err := d.store.StopReuse(ctx)
		for _, old := range open {
			if cerr := old.Close(); err == nil {
				err = cerr
			}
		}
		open = nil
		return err
	}
	for _, name := range d.cfg.reuse {
		old, err := store.OpenRead(ctx, name)
		if err == nil {
			open = append(open, old)
			err = d.lend(ctx, name, old)
		}
		if err != nil {
			close()
			return nil, err
		}
	}
	return close, nil
}

func (d *drain) lend(ctx context.Context, name string, old *store.Store) error {
	settings, err := old.Settings(ctx)
	if err != nil {
		return err
	}
	if simulated := settings[store.SettingSimulated] == "true"; simulated != d.simulated {
		return d.wrongLender(name, simulated)
	}
	return d.store.ReuseFrom(ctx, name, old)
}

func (d *drain) wrongLender(name string, simulated bool) error {
	if simulated {
		return usage(fmt.Errorf("--reuse %s holds made-up answers of the practice server: they must not get among real ones", printable(name)), "leave it off, or practise with --simulate")
	}
	return usage(fmt.Errorf("--reuse %s holds real answers: they must not get among made-up ones", printable(name)), "leave it off, or leave --simulate off")
}

// reuseStanding makes ready an input that stands in the job file already, and takes answers over for it.
func (d *drain) reuseStanding(ctx context.Context) error {
	if len(d.cfg.reuse) == 0 {
		if err := d.readStanding(ctx); err != nil {
			return err
		}
		return d.settleMoney(ctx)
	}
	done, err := d.store.Reuse(ctx, store.ReuseOptions{DryRun: d.cfg.dryRun, Check: d.settle(ctx)})
	if err != nil {
		return err
	}
	d.sayReused(done.Reused)
	return nil
}

// sayReused tells how many prompts need not be sent.
func (d *drain) sayReused(from []store.Tally) {
	for _, t := range from {
		d.imported = d.imported || t.N > 0
		d.term.say("reused", event{"jobs": d.counts.Jobs, "answers": t.N, "from": t.Kind}, "%s: %s reused from %s",
			plural(d.counts.Jobs, "prompt"), count(t.N), printable(t.Kind))
	}
}
