package main

import (
	"context"
	"fmt"

	"batch/store"
)

// waitingIn finds what was set aside for the next run; while a run is on, there is nothing that waits.
func waitingIn(ctx context.Context, st *store.Store, name string) ([]store.Waiting, error) {
	if store.Held(name) {
		return nil, nil
	}
	return st.Waiting(ctx)
}

// foresee says of a job file that is to stay as it is what the next run would take up, and lets it be counted as if it had.
func (c *command) foresee(ctx context.Context, st *store.Store) (answers int64, err error) {
	waiting, err := st.Foresee(ctx)
	for _, waits := range waiting {
		answers += waits.Answers
	}
	c.warnUnsaved(waiting)
	return answers, err
}

func (c *command) warnUnsaved(waiting []store.Waiting) {
	for _, waits := range waiting {
		if text := answersIn(waits); text != "" {
			c.term.warn("unsaved", event{"path": waits.Path, "answers": waits.Answers}, "%s", text)
		}
	}
}

// answersIn says where answers wait that are not in the job file, "" of a file that holds none.
func answersIn(w store.Waiting) string {
	wait := "wait"
	switch w.Answers {
	case 0:
		return ""
	case 1:
		wait = "waits"
	}
	return fmt.Sprintf("%s %s in %s for the next run", plural(w.Answers, "answer"), wait, underHere(w.Path))
}
