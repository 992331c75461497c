package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/store"
)

func estimateCommand(c *command) *cli.Command {
	const guess = "Estimate"
	return &cli.Command{
		Name:      "estimate",
		Usage:     "say what a prompt file will use, cost and take before anything is spent",
		ArgsUsage: "prompts.jsonl [more.csv ...] | - | prompts.batch.db",
		Description: `Reads and checks the input as batch run would, counts the tokens of its prompts and says, at least, likely and at most, what is
left to send will use, cost and take. Nothing is sent and no file is changed. How long the answers will be, earlier answers of
the job file tell, or a sample: --sample 20 really sends 20 prompts, spread over their lengths. Their answers are kept in the
job file, so batch run does not send them again, and nor does the same command.

    batch estimate prompts.jsonl --price 0.15,0.60 --rpm 500
    batch estimate prompts.jsonl --sample 20 --max-cost 0.50

Exit codes: 0 said, 2 wrong usage or bad input, 5 storage, 6 the job file is in use, 130/143 interrupted; with --sample also 4
stopped early.`,
		Flags: append([]cli.Flag{
			&cli.IntFlag{Name: "sample", Usage: "send `K` prompts and learn from their answers", DefaultText: "none", Category: guess},
			&cli.BoolFlag{Name: "exact", Usage: "count the tokens of every prompt of a large file, not of a sample of them", Category: guess},
			jsonFlag(),
			speechFlags()[1],
		}, flagsOfRun(c)...),
		Action: func(ctx *cli.Context) error { return c.estimateVerb(ctx) },
	}
}

// flagsOfRun are those that say what is read, where it goes, how fast and at what price: pasted from a run, they mean the same.
func flagsOfRun(c *command) []cli.Flag {
	not := []string{"limit", "dry-run"}
	for _, f := range slices.Concat(outputFlags(), speechFlags()) {
		not = append(not, f.Names()[0])
	}
	return slices.DeleteFunc(runCommand(c).Flags, func(f cli.Flag) bool { return slices.Contains(not, f.Names()[0]) })
}

// verb is the command that is being run: run, or estimate with a sample.
func (c *command) verb() *cli.Command {
	if c.args[1] == "estimate" {
		return estimateCommand(c)
	}
	return runCommand(c)
}

// estimate is one `batch estimate`: a rehearsal of a run, or with a sample the beginning of one.
type estimate struct {
	drain
	kept   bool // there is a job file, or one was made
	apart  bool // no job file belongs to the inputs
	sample int  // prompts to send, 0 for none
	asJSON bool // a document instead of a table

	pace                 output.Pace
	statedRPM, statedTPM bool // what of the pace the API stated
	foreseen             output.Forecast
	spent                output.Amount // of all runs, the sample among them
	possibly             output.Amount // beside it, at most, for calls with an unknown outcome
	calls                int64         // of all runs
	lost                 int64         // of them, those without an answer that may have been charged for
	sampled              *sampled      // nil without --sample
	surer                surer
}

func (c *command) estimateVerb(ctx *cli.Context) error {
	c.term.quiet = ctx.Bool("quiet") || ctx.Bool("json")
	e := estimate{sample: ctx.Int("sample"), asJSON: ctx.Bool("json")}
	if ctx.NArg() == 0 {
		return usage(errors.New("no prompt file is named"), "batch estimate prompts.jsonl; try it with batch estimate examples/rivers.jsonl --model gpt-4o-mini --price-provider openai")
	}
	if ctx.IsSet("sample") && e.sample < 1 {
		return usage(fmt.Errorf("--sample %d: it must be at least 1", e.sample), "leave it off to send nothing")
	}
	inputs, err := expand(ctx.Args().Slice())
	if err != nil {
		return err
	}
	if e.sample == 0 && !ctx.IsSet("db") && (len(inputs) > 1 || inputs[0] == "-") { // no answers are to be kept
		ctx.Set("db", "estimate"+jobSuffix)
		e.apart = true
	}
	cfg, err := readRunConfig(ctx)
	if err != nil {
		return err
	}
	cfg.exact, cfg.dryRun = ctx.Bool("exact"), e.sample == 0
	if cfg.exact && len(cfg.inputs) == 0 {
		return usage(errors.New("--exact needs the input to count"), "name the prompt file too, with --db %s", shellQuote(cfg.db))
	}
	e.drain = drain{command: c, cfg: cfg, interrupts: c.watchSignals(ctx.Context)}
	defer e.interrupts.stop()
	return e.interrupts.explainUnsent(e.do(e.interrupts.ctx))
}

func (e *estimate) do(ctx context.Context) (err error) {
	if err := lookAtInputs(e.cfg.inputs); err != nil {
		return err
	}
	if e.sample > 0 { // a wrong pairing of host and key must not get far
		if err := e.resolveEndpoint(); err != nil {
			return err
		}
	}
	done, err := e.open(ctx)
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if cerr := done(keep); err == nil {
			err = cerr
		}
	}()
	if e.sample > 0 {
		err = e.sameEndpoint(ctx)
	} else if err = e.endpointOfBefore(ctx); err == nil {
		err = e.resolveEndpoint()
	}
	if err != nil {
		return err
	}
	e.cfg.foretell = e.sample == 0
	if err := e.prepare(ctx); err != nil {
		return err
	}
	code := exitOK
	if e.sample > 0 {
		keep = true
		if code, err = e.send(ctx); err != nil || e.interrupts.twice() {
			return cmp.Or(err, exit(code))
		}
	}
	if err := e.foretell(ctx); err != nil {
		return err
	}
	if e.asJSON {
		err = output.WriteJSON(e.stdout, e.document())
	} else {
		err = e.print(e.stdout)
	}
	return cmp.Or(err, exit(code))
}

// open opens the job file, or where there is none a temporary one in its place. The function closes it, and removes it if it is new and
// not to be kept.
func (e *estimate) open(ctx context.Context) (done func(keep bool) error, err error) {
	name, dir := e.cfg.db, ""
	_, err = os.Stat(name)
	e.kept = !e.apart && (err == nil || e.sample > 0)
	if !e.kept && len(e.cfg.inputs) > 0 {
		if dir, err = os.MkdirTemp("", "batch-estimate-"); err != nil {
			return nil, &store.Failure{Op: "make a temporary folder", Err: err}
		}
		name = filepath.Join(dir, filepath.Base(name))
	}
	cleanUp := func() {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
	lock, err := store.Acquire(name)
	if err != nil {
		cleanUp()
		return nil, err
	}
	if e.store, err = store.Open(ctx, name, len(e.cfg.inputs) > 0); err != nil {
		lock.Release()
		cleanUp()
		return nil, err
	}
	return func(keep bool) error {
		defer cleanUp()
		defer lock.Release()
		if keep {
			return e.store.Close()
		}
		return e.store.Remove()
	}, nil
}

// sameEndpoint refuses a sample at another endpoint than the last run's, where none is named: its answers would tell nothing of that, and
// a job file does not decide what host gets the key.
func (e *estimate) sameEndpoint(ctx context.Context) error {
	if where := e.cfg.endpoint; e.cfg.simulate || where.Explicit || where.Getenv("ASSISTERS_BASE_URL") != "" {
		return nil
	}
	last, err := e.store.LastRun(ctx)
	switch {
	case isNotFound(err):
		return nil
	case err != nil:
		return err
	case last.Endpoint == e.endpointName() || last.Endpoint == simulatedEndpoint:
		return nil
	}
	return usage(fmt.Errorf("the last run called %s, and this sample would call %s", printable(last.Endpoint), e.endpointName()),
		"name the one to learn of with --base-url %s", shellQuote(last.Endpoint))
}

// endpointOfBefore: a job file is estimated for the endpoint that its last run called, unless another is named.
func (e *estimate) endpointOfBefore(ctx context.Context) error {
	where := &e.cfg.endpoint
	if e.cfg.simulate || where.Explicit || where.Getenv("ASSISTERS_BASE_URL") != "" {
		return nil
	}
	last, err := e.store.LastRun(ctx)
	switch {
	case isNotFound(err):
		return nil
	case err != nil:
		return err
	case last.Endpoint == simulatedEndpoint:
		e.cfg.simulate = true
	default:
		where.BaseURL, where.Explicit, where.AllowHTTP = last.Endpoint, true, true
	}
	return nil
}

// foretell reads what there is to know and makes the forecast of it.
func (e *estimate) foretell(ctx context.Context) error {
	v, err := e.store.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	m := &e.money
	if m.seen, err = v.Seen(ctx); err != nil {
		return err
	}
	if m.margins, err = output.ReadMargins(ctx, v); err != nil {
		return err
	}
	limits, err := v.Limits(ctx)
	if err != nil {
		return err
	}
	if e.sampled != nil { // some of what was pending is answered
		if e.counts, err = v.Counts(ctx); err != nil {
			return err
		}
		if e.backlog, err = v.Backlog(ctx); err != nil {
			return err
		}
	}
	if m.prices == nil { // nothing is left to send; what was sent has its prices
		if m.rows, err = v.Prices(ctx); err != nil {
			return err
		}
		m.prices = output.NewPrices(m.rows)
	}
	if m.bills, err = v.BillsAt(ctx, output.Tiers(m.rows, m.margins)); err != nil {
		return err
	}
	m.cost = m.prices.Cost(m.bills, m.margins)
	e.spent, e.possibly = m.cost.Spent(), m.cost.Possibly()
	if err := e.countCalls(ctx, v); err != nil {
		return err
	}
	e.evenOut()
	e.paceUnder(limits[e.endpointName()])
	known := output.Known{Endpoint: e.endpointName(), Prices: m.prices, Seen: m.seen, Bills: m.bills, Counted: e.countedMargin(), Pace: e.pace}
	if known.Sampled, err = answeredEvenly(ctx, v); err != nil {
		return err
	}
	e.foreseen = output.NewForecast(e.backlog, known)
	return e.findSurer(ctx, v, known)
}

// countCalls counts what was called, and what of it no answer is known of.
func (e *estimate) countCalls(ctx context.Context, v *store.View) error {
	totals, err := v.Totals(ctx)
	if err != nil {
		return err
	}
	e.calls, e.lost = 0, 0
	for _, t := range totals {
		e.calls += t.Attempts
	}
	for _, b := range e.money.bills {
		if b.Kind == store.BillLost || b.Kind == store.BillOpen {
			e.lost += b.Attempts
		}
	}
	e.lost -= e.unsaved
	return nil
}

// answeredEvenly says that the answers are those of a sample: of one of two thirds as many prompts, all would be answered. Answers in the
// order of the file leave some lengths out.
func answeredEvenly(ctx context.Context, v *store.View) (bool, error) {
	c, err := v.Counts(ctx)
	if err != nil || c.Done == 0 {
		return false, err
	}
	missing, err := v.Choice(ctx, c.Done-c.Done/3)
	return err == nil && len(missing) == 0, err
}

// paceUnder takes over what the API stated where it is stricter than the user. What window it means is not known; a minute is what its
// guide says.
func (e *estimate) paceUnder(stated store.Limits) {
	opt := e.cfg.pool
	e.pace = output.Pace{Concurrency: opt.Concurrency, RPM: opt.RPM, TPM: opt.TPM}
	for _, l := range []struct {
		own    *float64
		theirs *bool
		stated int64
	}{{&e.pace.RPM, &e.statedRPM, stated.Requests}, {&e.pace.TPM, &e.statedTPM, stated.Tokens}} {
		if l.stated > 0 && (*l.own == 0 || float64(l.stated) < *l.own) {
			*l.own, *l.theirs = float64(l.stated), true
		}
	}
}

// evenOut: of a large file every prompt was counted by what the sample had told until then, and the sum is better known at its end.
// Answers that were counted in the same way make up for it by themselves.
func (e *estimate) evenOut() {
	if e.counter == nil || e.counts.Pending < e.counts.Jobs || e.counts.PendingTokens == 0 {
		return
	}
	_, likely, _ := e.counter.Interval()
	for i := range e.backlog {
		b := &e.backlog[i]
		b.Tokens = int64(math.Round(float64(b.Tokens) * float64(likely) / float64(e.counts.PendingTokens)))
	}
}

// countedMargin is how far off the counts may be since not every prompt was counted, as a share.
func (e *estimate) countedMargin() float64 {
	if e.counter == nil {
		return 0
	}
	least, likely, most := e.counter.Interval()
	if likely == 0 {
		return 0
	}
	return float64(max(likely-least, most-likely)) / float64(likely)
}
