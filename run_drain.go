package main

import (
	"context"
	"fmt"
	"os"
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
	e := event{"send": send, "jobs": c.Jobs, "done": c.Done, "failed": c.Failed, "skipped": c.Skipped,
		"prompt_tokens_estimated": promptTokens(f), "endpoint": d.endpointName(), "dry_run": d.cfg.dryRun,
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
		text += ": " + d.needs(f)
	}
	d.term.say("plan", e, "%s", text)
	d.sayPrices()
}

// needs tells what a forecast comes to.
func (d *drain) needs(f output.Forecast) string {
	text := fmt.Sprintf("about %s prompt tokens", count(promptTokens(f)))
	switch cost := guessed(f.Total.Cost); {
	case cost != "":
		return text + ", " + cost
	case d.cfg.simulate:
		return text + ", nothing to pay: the answers are made up"
	case d.simulated:
		return text + ", for a practice server"
	}
	return text + ", price unknown (--price)"
}

func promptTokens(f output.Forecast) int64 {
	if likely := f.Total.Prompt.Likely; likely != nil {
		return *likely
	}
	return 0
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
	d.fitDescriptors()
	opt := d.endpoint.Options()
	if d.cfg.simulate {
		practice, err := startPractice("127.0.0.1:0", d.cfg.sim)
		if err != nil {
			return runner.Summary{}, err
		}
		defer practice.close()
		opt.BaseURL = practice.baseURL
	}
	opt.DialContext = d.network
	opt.Timeout, opt.MaxResponse, opt.MaxConns, opt.UserAgent = d.cfg.timeout, d.cfg.maxBytes, d.cfg.pool.Concurrency, "batch/"+version()
	client, err := chat.New(opt)
	if err != nil {
		return runner.Summary{}, err
	}
	defer client.Close()
	if proxy := client.Proxy(); proxy != "" {
		d.term.say("proxy", event{"proxy": proxy}, "calls go through the proxy %s", proxy)
	}
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
	if err := d.store.Reserve(runner.Reserve(opt.Concurrency)); err != nil {
		return runner.Summary{}, err
	}
	started := time.Now()
	if err := d.store.BeginRun(ctx, store.Run{Started: started, Endpoint: opt.Endpoint, Version: version(), RPM: opt.RPM, TPM: opt.TPM}); err != nil {
		return runner.Summary{}, err
	}
	if opt.NotBefore, err = d.store.NotBefore(ctx, opt.Endpoint); err != nil {
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
		newProgress(d.term, r, d.counts, &d.money, d.cfg.db, opt.Limit).show(ended)
		return nil
	})
	if err := g.Wait(); err != nil {
		return sum, err
	}
	reason := "finished"
	switch {
	case sum.Stop != nil:
		reason = string(sum.Stop.Cause)
	case opt.Limit > 0 && int64(opt.Limit) < d.counts.Pending:
		reason = string(runner.Limit)
	}
	err = d.store.EndRun(ctx, store.End{At: time.Now(), Reason: reason, Waited: sum.Waited, Limits: sum.Limits, Doubtful: sum.Doubtful})
	if sum.Stop != nil && sum.Stop.Cause == runner.Storage {
		return sum, nil // that the job file takes nothing is said; the next run ends this one
	}
	return sum, err
}

// termGrace is how long calls in flight are waited for after SIGTERM: containers are killed 10 s after it.
const termGrace = 8 * time.Second

func (d *drain) stopGently(r *runner.Runner, sig os.Signal) {
	grace := d.cfg.pool.Grace
	if sig == syscall.SIGTERM {
		grace = min(grace, termGrace)
	}
	r.Stop(grace)
	p := r.Progress() // another stop before may have left less of the grace time
	d.term.warn("stopping", event{"in_flight": p.InFlight, "grace_seconds": untilThen(p.GraceEnds).Seconds(), "unsaved": p.Unsaved, "unkept": p.Unkept},
		"%s", stopping(p))
}
