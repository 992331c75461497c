package main

import (
	"context"
	"errors"

	"batch/store"
)

// restoreAnswers puts back the answers that an earlier retry put aside, where nothing better came of it.
func (c *command) restoreAnswers(ctx context.Context, st *store.Store, cfg retryConfig) error {
	var n int64
	restore := func() error {
		err := st.Restore(ctx, func(v *store.View, back func(*store.Row) (bool, error)) error {
			for row, err := range cfg.chosen(ctx, v, store.Failed, store.Pending) {
				if err != nil {
					return err
				}
				was, err := back(row)
				if err != nil {
					return err
				}
				if was {
					n++
				}
			}
			if cfg.dryRun {
				return errUndone
			}
			return nil
		})
		if errors.Is(err, errUndone) {
			return nil
		}
		return err
	}
	if cfg.dryRun {
		if err := restore(); err != nil {
			return err
		}
		c.term.say("end", event{"restored": n, "dry_run": true}, "%s would be put back", plural(n, "old answer"))
		return nil
	}
	if err := withoutMarks(ctx, st, restore); err != nil {
		return err
	}
	c.term.say("end", event{"restored": n, "dry_run": false}, "%s put back", plural(n, "old answer"))
	if n == 0 || c.term.json {
		return nil
	}
	words, err := resultFlags(ctx, st)
	if err != nil {
		return err
	}
	c.term.say("", nil, "to have them in the results: batch export %s", shellLine(append(words, relative(st.Path()))...))
	return nil
}
