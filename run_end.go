package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"batch/output"
	"batch/runner"
)

// finish writes the outputs, says what happened and gives the exit code.
func (d *drain) finish(sum runner.Summary) error {
	ctx := context.Background() // the answers are there; an interrupt must not keep them from their files
	if err := d.readCounts(ctx); err != nil {
		return err
	}
	var rep output.Report
	written := false
	if !d.interrupts.twice() {
		var err error
		if rep, written, err = d.writeOutputs(ctx, sum); err != nil {
			return err
		}
	}
	d.sayEnd(ctx, sum, rep, written)
	return exit(d.exitCode(sum, rep))
}

// writeOutputs writes the three files, unless they are up to date to the byte.
func (d *drain) writeOutputs(ctx context.Context, sum runner.Summary) (output.Report, bool, error) {
	if !d.imported && sum.Done+sum.Failed+sum.Retried == 0 && sum.Stop == nil {
		same, err := d.upToDate(ctx)
		if err != nil || same {
			return output.Report{}, false, err
		}
	}
	rep, err := writeOutputs(ctx, d.store, d.files, d.outOpt)
	return rep, err == nil, err
}

// upToDate says that the files stand as they were written, and that the job file does too.
func (d *drain) upToDate(ctx context.Context) (bool, error) {
	same, err := output.Current(ctx, d.store, d.files, d.outOpt)
	if err != nil || !same {
		return false, err
	}
	mark, err := rowsMark(ctx, d.store)
	if err != nil {
		return false, err
	}
	settings, err := d.store.Settings(ctx)
	if err != nil {
		return false, err
	}
	for _, path := range append(d.files.ResultPaths(d.outOpt.Split), d.files.Usage) { // an errors file may be missing
		if settings[settingFile+output.Recorded(path)] != mark {
			return false, nil
		}
	}
	return true, nil
}

func (d *drain) exitCode(sum runner.Summary, rep output.Report) int {
	switch {
	case d.interrupts.signal() == syscall.SIGTERM:
		return exitTerminated
	case d.interrupts.signal() != nil:
		return exitInterrupted
	case sum.Stop != nil && sum.Stop.Cause == runner.Simulated:
		return exitUsage
	case sum.Stop != nil && sum.Stop.Cause == runner.Storage:
		return exitStorage
	case sum.Stop != nil && sum.Stop.Cause == runner.Defect:
		return exitError
	case sum.Stop != nil || d.counts.Pending+d.counts.Running > 0:
		return exitStopped
	case d.counts.Failed+d.counts.Skipped+rep.Damaged > 0:
		return exitPartial
	}
	return exitOK
}

// sayEnd says in a few lines what happened, what it used, where the files are and what to do next.
func (d *drain) sayEnd(ctx context.Context, sum runner.Summary, rep output.Report, written bool) {
	c := d.counts
	if sum.Stop != nil && sum.Stop.Cause != runner.Interrupt {
		reason, hint := d.explainStop(sum.Stop)
		e := event{"cause": sum.Stop.Cause, "status": sum.Stop.Status, "type": printable(sum.Stop.Type),
			"code": printable(sum.Stop.Code), "message": printable(sum.Stop.Message)}
		if sum.Stop.Cause == runner.QuotaSpent {
			if left, err := d.left(ctx); err == nil {
				hint = "what is left needs " + d.needs(left) + ": " + hint
				e["prompt_tokens_left"], e["cost_left"] = promptTokens(left), left.Total.Cost
			}
		}
		if sum.Stop.Cause == runner.BudgetReached {
			var err error
			if d.raised, err = d.enough(ctx); err == nil {
				hint = fmt.Sprintf("--%s %s is enough for all that is left; nothing was marked failed", d.raised.flag, d.raised.value)
				e["enough"] = map[string]string{d.raised.flag: d.raised.value}
			}
		}
		e["hint"] = hint
		d.term.warn("stopped", e, "stopped: %s", reason)
		if hint != "" {
			d.term.hint(hint)
		}
	}
	left := c.Pending + c.Running
	text := fmt.Sprintf("%s of %s answered", count(c.Done), count(c.Jobs))
	if c.Failed > 0 {
		text += fmt.Sprintf(", %s failed", count(c.Failed))
	}
	if c.Skipped > 0 {
		text += fmt.Sprintf(", %s skipped", count(c.Skipped))
	}
	if c.Shared > 0 {
		text += fmt.Sprintf(", %s shared", count(c.Shared))
	}
	if left > 0 {
		text += fmt.Sprintf(", %s to go", count(left))
	}
	e := event{"jobs": c.Jobs, "done": c.Done, "failed": c.Failed, "skipped": c.Skipped, "pending": left, "exit": d.exitCode(sum, rep),
		"run": map[string]int64{"done": sum.Done, "failed": sum.Failed, "retried": sum.Retried}}
	if c.Shared > 0 {
		e["shared"] = c.Shared
	}
	if written {
		e["prompt_tokens"], e["completion_tokens"], e["total_tokens"] = rep.Prompt, rep.Completion, rep.Total
		e["estimated_tokens"], e["usage_unknown"] = rep.Estimated, rep.UsageUnknown
		e["files"] = writtenPaths(rep)
		e["finish_reasons"] = rep.Finish
		e["damaged"] = rep.Damaged
		e["cost"], e["estimated_cost"], e["possibly_spent"] = rep.Cost.Told().Exactly(), rep.Cost.Counted().Exactly(), rep.Cost.Lost.Exactly()
		e["left_out"], e["unfit"] = rep.LeftOut, rep.Unfit
	}
	if left > 0 {
		e["next"] = d.resumeCommand()
	}
	d.term.say("end", e, "%s", text)
	if d.term.json {
		return
	}
	if written {
		sayReport(d.term, rep, d.simulated)
	} else if !d.interrupts.twice() {
		d.term.say("", nil, "the files are up to date: %s", relative(d.files.ResultPaths(d.outOpt.Split)[0]))
	}
	switch {
	case left > 0: // with --quiet too: it is what to do about the exit code
		d.term.write("", nil, "batch: to go on: "+d.resumeCommand())
	case c.Failed > 0:
		d.term.say("", nil, "to try the failed again: batch retry %s, then the same command", shellQuote(d.cfg.db))
	}
}

func relative(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
			return rel
		}
	}
	return path
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + printable(s) + ")"
}

// explainStop says why a run ended early and what to do.
func (d *drain) explainStop(s *runner.Stop) (reason, hint string) {
	said := printable(s.Message)
	switch {
	case s.Type == "" || s.Type == s.Code:
		said += inBrackets(s.Code)
	case s.Code == "":
		said += inBrackets(s.Type)
	default:
		said += inBrackets(s.Type + ", " + s.Code)
	}
	switch s.Cause {
	case runner.KeyRefused:
		return "the API refuses the key: " + said, "check the key's environment variable; nothing was marked failed"
	case runner.QuotaSpent:
		return "quota or funds are used up: " + said, "top up or wait for the quota to renew, then go on; nothing was marked failed"
	case runner.Refused:
		return "the API forbids these calls: " + said, "check what the key may do, and where it may be used from; nothing was marked failed"
	case runner.Endpoint:
		return "no chat completions API answers there: " + said, "check --base-url; it is the part before /chat/completions"
	case runner.Certificate:
		return "the server's certificate is not trusted, the key was not sent: " + said, "check --base-url and the clock of this machine; the certificate of an authority of your own is named by SSL_CERT_FILE"
	case runner.ProviderDown:
		return said, "go on when it is back; nothing was marked failed"
	case runner.RateLimit:
		hint = "lower --concurrency or set --rpm; nothing was marked failed"
		if !s.Until.IsZero() {
			hint = fmt.Sprintf("go on after %s; nothing was marked failed", s.Until.Format("2006-01-02 15:04:05 MST"))
		}
		return said, hint
	case runner.BudgetReached:
		return "the budget is reached: " + said, ""
	case runner.KeyReused:
		return "the API holds another request under one of our idempotency keys: " + said, "this should not happen; please report it, with the version of batch; nothing was marked failed"
	case runner.InvalidAnswers:
		return "20 answers in a row were no good: " + said,
			"each of them is paid: look at --json-schema and the prompt, then go on; the failed ones: batch retry " + shellQuote(d.cfg.db) + "; --keep-going does not stop"
	case runner.SameFailure:
		return fmt.Sprintf("20 answers in a row were the same failure, status %d: %s", s.Status, said),
			"mend what the prompts share (--model, a parameter) and go on; those prompts are pending again; --keep-going fails them instead"
	case runner.Simulated:
		if d.simulated {
			return "a real API answered: its answers must not get among made-up ones", "for real answers name another job file, one that does not end in " + simulatedSuffix
		}
		return "a practice server answered: made-up answers must not get among real ones", "to practise, name the job file as such: --db try.simulated.batch.db"
	case runner.Storage:
		return "the job file could not be written: " + said, "make room or mend the disk, then go on"
	case runner.Defect:
		return said, "please report it with the version of batch and the lines below, which hold neither key nor prompt; nothing was marked failed\n" + s.Stack
	}
	return said, ""
}
