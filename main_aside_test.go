package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"batch/store"
)

// setAside does what a run does that has answers and a job file that takes none, before it dies: set-aside FILE JOB...
// Each job is one that is out at its first attempt.
func setAside(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: set-aside FILE JOB...")
	}
	st, err := store.Open(context.Background(), ts.MkAbs(args[0]), false)
	ts.Check(err)
	var outs []store.Outcome
	for _, arg := range args[1:] {
		job, err := strconv.ParseInt(arg, 10, 64)
		ts.Check(err)
		outs = append(outs, store.Outcome{Job: job, Attempt: job, Arrow: store.Complete, Class: "done", Sent: true, Status: 200, FinishReason: "stop",
			Response: fmt.Appendf(nil, `{"choices":[{"index":0,"message":{"role":"assistant","content":"kept %d"},"finish_reason":"stop"}]}`, job)})
	}
	path, err := st.SetAside(outs)
	ts.Check(err)
	if path != st.Path()+".unsaved" {
		ts.Fatalf("they are in %s, as something stands beside the job file", path)
	}
	ts.Check(st.Close())
}
