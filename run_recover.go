package main

import (
	"context"

	"batch/store"
)

// putRight ends what a run that died left open, and says what it found: what can be saved yet, and what may have been paid for. Then is
// what becomes of that.
func (c *command) putRight(ctx context.Context, st *store.Store, then string) error {
	died, err := st.Recover(ctx)
	if err != nil {
		return err
	}
	if n := st.TakenUp(); n > 0 {
		c.term.say("taken_up", event{"answers": n}, "taken up: %s that the last run could not save", plural(n, "answer"))
	}
	if died > 0 {
		c.term.warn("recovered", event{"unknown": died}, "the last run died: %s of it may have been sent and paid for%s", plural(died, "call"), then)
	}
	return nil
}

// leaveOut says of a rehearsal what it does not count: what becomes of a job that was out when a run died is not known before that is put right.
func (c *command) leaveOut(ctx context.Context, st *store.Store) error {
	counts, err := countsOf(ctx, st)
	if err == nil && counts.Running > 0 {
		c.term.warn("not_counted", event{"jobs": counts.Running}, "not counted: %s out when the last run died; batch run, or this without --dry-run, puts that right first",
			plural(counts.Running, "prompt"))
	}
	return err
}
