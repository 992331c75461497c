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
