package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"batch/output"
	"batch/runner"
	"batch/runner/chat"
	"batch/store"
)

// simulatedEndpoint stands for the practice server where an endpoint is named.
const simulatedEndpoint = "simulated"

// checkOutputs finds out where the answers will go, and that they can, before any of them is paid for.
func (d *drain) checkOutputs(ctx context.Context) error {
	var err error
	if d.files, d.outOpt, err = d.cfg.out.resolve(ctx, d.store, d.stdout); err != nil {
		return err
	}
	if err := output.Check(ctx, d.store, d.files, d.outOpt); err != nil {
		return err
	}
	v, err := d.store.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	return output.CheckNames(ctx, v, d.outOpt)
}

// sayPlan says what is about to happen, before it does.
func (d *drain) sayPlan() {
	c := d.counts
	send := c.Pending
	if limit := int64(d.cfg.pool.Limit); limit > 0 {
		send = min(send, limit)
	}
	f := d.forecast(send)
	tokens := int64(0)
	if likely := f.Total.Prompt.Likely; likely != nil {
		tokens = *likely
	}
	e := event{"send": send, "jobs": c.Jobs, "done": c.Done, "failed": c.Failed, "skipped": c.Skipped,
		"prompt_tokens_estimated": tokens, "endpoint": d.endpointName(), "dry_run": d.cfg.dryRun,
		"cost_estimated": f.Total.Cost}
	verb := "will send"
	if d.cfg.dryRun {
		verb = "would send"
	}
	text := fmt.Sprintf("%s %s of %s", verb, count(send), count(c.Jobs))
	var rest []string
	if c.Done > 0 {
		rest = append(rest, count(c.Done)+" answered")
	}
	if c.Failed > 0 {
		rest = append(rest, count(c.Failed)+" failed")
	}
	if c.Skipped > 0 {
		rest = append(rest, count(c.Skipped)+" skipped")
	}
	if c.Shared > 0 {
		rest = append(rest, count(c.Shared)+" shared")
		e["shared"] = c.Shared
	}
	if len(rest) > 0 {
		text += " (" + strings.Join(rest, ", ") + ")"
	}
	if send > 0 {
		text += fmt.Sprintf(": about %s prompt tokens", count(tokens))
		cost := guessed(f.Total.Cost)
		switch {
		case cost != "":
			text += ", " + cost
		case d.cfg.simulate:
			text += ", nothing to pay: the answers are made up"
		case d.simulated:
			text += ", for a practice server"
		default:
			text += ", price unknown (--price)"
		}
	}
	d.term.say("plan", e, "%s", text)
	d.sayPrices()
}

// pricesNamed is how many prices are told before the rest are counted.
const pricesNamed = 5

// sayPrices tells what the models that are about to be called cost, and how we know.
func (d *drain) sayPrices() {
	if p := d.money.prices.Of(d.endpointName(), ""); p != nil && len(d.backlog) > 0 {
		d.term.say("price", priceEvent("", p), "price: %s", describePrice(p))
		return
	}
	for i, b := range d.backlog {
		if i == pricesNamed {
			d.term.say("", nil, "and prices of %s", plural(int64(len(d.backlog)-i), "more model"))
			break
		}
		text := "unknown (--price)"
		p := d.money.prices.Of(d.endpointName(), b.Model)
		switch {
		case p != nil:
			text = describePrice(p)
		case len(d.money.prices) == 0:
			return // the plan says so
		}
		d.term.say("price", priceEvent(b.Model, p), "price of %s: %s", printable(b.Model), text)
	}
}

func (d *drain) endpointName() string {
	if d.cfg.simulate {
		return simulatedEndpoint
	}
	return d.endpoint.BaseURL
}

// drain sends what is pending.
func (d *drain) drain(ctx context.Context) (runner.Summary, error) {
	if d.counts.Pending == 0 {
		return runner.Summary{}, nil
	}
	if err := d.sayOtherEndpoints(ctx); err != nil {
		return runner.Summary{}, err
	}
	opt := d.endpoint.Options()
	if d.cfg.simulate {
		practice, err := startPractice("127.0.0.1:0", d.cfg.sim)
		if err != nil {
			return runner.Summary{}, err
		}
		defer practice.close()
		opt.BaseURL = practice.baseURL
	}
	opt.Timeout, opt.MaxResponse, opt.MaxConns, opt.UserAgent = d.cfg.timeout, d.cfg.maxBytes, d.cfg.pool.Concurrency, "batch/"+version()
	client, err := chat.New(opt)
	if err != nil {
		return runner.Summary{}, err
	}
	defer client.Close()
	return d.pool(ctx, client)
}

// sayOtherEndpoints: answers of two models in one file may be meant, but should not go unnoticed.
func (d *drain) sayOtherEndpoints(ctx context.Context) error {
	v, err := d.store.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	all, err := v.Endpoints(ctx)
	if err != nil {
		return err
	}
	for _, from := range all {
		if from.Kind != d.endpointName() {
			d.term.warn("endpoint", event{"endpoint": from.Kind, "answers": from.N}, "%s kept from %s", plural(from.N, "answer"), printable(from.Kind))
		}
	}
	return nil
}

func (d *drain) pool(ctx context.Context, client runner.Caller) (runner.Summary, error) {
	opt := d.cfg.pool
	opt.Endpoint, opt.AllowSimulated, opt.Budget = d.endpointName(), d.simulated, d.budget()
	var err error
	if schema := d.fills["json-schema"]; schema != "" {
		form, err := compileSchema(schema)
		if err != nil {
			return runner.Summary{}, fmt.Errorf("--json-schema, as the job file keeps it: %w", err)
		}
		opt.Check = form.check
	}
	if opt.NotBefore, err = d.store.NotBefore(ctx, opt.Endpoint); err != nil {
		return runner.Summary{}, err
	}
	started := time.Now()
	if err := d.store.BeginRun(ctx, store.Run{Started: started, Endpoint: opt.Endpoint, Version: version(), RPM: opt.RPM, TPM: opt.TPM}); err != nil {
		return runner.Summary{}, err
	}
	r := runner.New(d.store, client, opt)
	d.interrupts.gently(func(sig os.Signal) { d.stopGently(r, sig) })
	defer d.interrupts.gently(nil)

	var sum runner.Summary
	var g errgroup.Group
	ended := make(chan struct{})
	g.Go(func() error {
		defer close(ended)
		var err error
		sum, err = r.Run(ctx)
		return err
	})
	g.Go(func() error {
		newProgress(d.term, r, d.counts, &d.money, opt.Limit).show(ended)
		return nil
	})
	if err := g.Wait(); err != nil {
		return sum, err
	}
	if sum.Stop != nil && sum.Stop.Cause == runner.Storage {
		return sum, nil // left open: a failed commit may have claimed jobs that we never heard of, which the next run puts right
	}
	reason := "finished"
	switch {
	case sum.Stop != nil:
		reason = string(sum.Stop.Cause)
	case opt.Limit > 0 && int64(opt.Limit) < d.counts.Pending:
		reason = string(runner.Limit)
	}
	return sum, d.store.EndRun(ctx, store.End{At: time.Now(), Reason: reason, Waited: sum.Waited, Limits: sum.Limits})
}

// termGrace is how long calls in flight are waited for after SIGTERM: containers are killed 10 s after it.
const termGrace = 8 * time.Second

func (d *drain) stopGently(r *runner.Runner, sig os.Signal) {
	grace := d.cfg.pool.Grace
	if sig == syscall.SIGTERM {
		grace = min(grace, termGrace)
	}
	inFlight := int64(r.Progress().InFlight)
	r.Stop(grace)
	text := "stopping: no call is in flight"
	if inFlight > 0 {
		text = fmt.Sprintf("stopping: %s in flight, already being paid for; waiting up to %s; Ctrl-C again gives up",
			plural(inFlight, "call"), grace.Round(time.Second))
	}
	d.term.warn("stopping", event{"in_flight": inFlight, "grace_seconds": grace.Seconds()}, "%s", text)
}

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
		if sum.Stop.Cause == runner.BudgetReached {
			var err error
			if d.raised, err = d.enough(ctx); err == nil {
				hint = fmt.Sprintf("--%s %s is enough for all that is left; nothing was marked failed", d.raised.flag, d.raised.value)
				e["enough"] = map[string]string{d.raised.flag: d.raised.value}
			}
		}
		e["hint"] = hint
		d.term.warn("stopped", e, "stopped: %s", reason)
		if hint != "" && !d.term.json {
			d.term.write("", nil, "batch: hint: "+hint)
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
		e["cost"], e["estimated_cost"], e["possibly_spent"] = exactly(rep.Cost.Billed()), exactly(rep.Cost.Estimated.Plus(rep.Cost.GoneEstimated)), exactly(rep.Cost.Lost)
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
		sayReport(d.term, rep)
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

// resumeCommand is this command with every flag. Standard input cannot be read twice: there the job file stands for the input, and
// knows what filled its lines in.
func (d *drain) resumeCommand() string {
	words := []string{"batch", d.args[1]}
	args := d.args[2:]
	if slices.Contains(d.cfg.inputs, "-") {
		flags, _ := splitArgs(d.verb(), args)
		args = []string{d.cfg.db}
		for _, flag := range flags {
			if name := flagName(flag[0]); name != "db" && !slices.Contains(fillFlags, name) {
				args = append(args, flag...)
			}
		}
	}
	if d.raised.flag != "" {
		args = append(d.withoutRaised(args), "--"+d.raised.flag, d.raised.value)
	}
	for i, word := range args {
		switch name := flagName(word); {
		case name == "accept-changes" && strings.HasPrefix(word, "-"):
		case i > 0 && flagName(args[i-1]) == "header" && args[i-1] == "--header":
			words = append(words, shellQuote(hideSecret(word)))
		case name == "header" && strings.HasPrefix(word, "-") && strings.Contains(word, "="):
			flag, value, _ := strings.Cut(word, "=")
			words = append(words, shellQuote(flag+"="+hideSecret(value)))
		default:
			words = append(words, shellQuote(word))
		}
	}
	return strings.Join(words, " ")
}

// withoutRaised is args without the flag that is raised.
func (d *drain) withoutRaised(args []string) []string {
	var kept []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--"+d.raised.flag || args[i] == "-"+d.raised.flag:
			i++ // its value
		case strings.HasPrefix(args[i], "-") && flagName(args[i]) == d.raised.flag:
		default:
			kept = append(kept, args[i])
		}
	}
	return kept
}

// hideSecret takes the value out of a header that bears a key: what is printed ends up in logs.
func hideSecret(header string) string {
	name, value, _ := strings.Cut(header, ":")
	if !chat.SecretHeader(strings.TrimSpace(name)) || strings.HasPrefix(strings.TrimSpace(value), "env:") {
		return header
	}
	return name + ": ..."
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
		return "the server's certificate is not trusted, the key was not sent: " + said, "check --base-url and the clock of this machine"
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
	}
	return said, ""
}
