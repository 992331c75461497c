package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/runner"
	"batch/runner/chat"
	"batch/runner/chat/sim"
	"batch/runner/tokens"
	"batch/store"
)

// runConfig is what the flags of `batch run` say.
type runConfig struct {
	inputs []string // prompt files; empty to go on with a job file alone
	db     string
	reuse  []string // job files whose answers are taken over
	fills  fillIns  // given on this command line

	simulate bool
	sim      sim.Options

	endpoint chat.EndpointOptions
	timeout  time.Duration
	maxBytes int64

	pool runner.Options

	prices priceConfig
	budget budgetConfig

	out      outputConfig
	dryRun   bool
	foretell bool // nothing is sent, so that no budget has to be kept
	exact    bool // count the tokens of every prompt, however many there are
	skipBad  bool
	accept   bool
}

func runCommand(c *command) *cli.Command {
	const (
		where = "Endpoint"
		pool  = "Pool"
		guard = "Safety"
		sims  = "Practice"
	)
	str := func(category, name, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Category: category}
	}
	yes := func(category, name, usage string) cli.Flag {
		return &cli.BoolFlag{Name: name, Usage: usage, Category: category}
	}
	flags := []cli.Flag{
		str(where, "base-url", "API root, as in `URL`/chat/completions (default: $ASSISTERS_BASE_URL, else "+chat.DefaultBaseURL+")"),
		str(where, "api-key-env", "environment variable that holds the key of this base URL, by `NAME` (default: ASSISTERS_API_KEY)"),
		&cli.StringSliceFlag{Name: "header", Usage: "further header, as `'Name: value'` or 'Name: env:VARIABLE'", Category: where},
		yes(where, "allow-http", "allow plain http to another machine"),
		&cli.DurationFlag{Name: "timeout", Usage: "longest wait for an answer to begin", Value: chat.DefaultTimeout, Category: where},
		&cli.Int64Flag{Name: "max-response", Usage: "largest answer in `BYTES`", Value: chat.DefaultMaxResponse, DefaultText: "64 MiB", Category: where},

		&cli.IntFlag{Name: "concurrency", Aliases: []string{"c"}, Usage: "calls at a time", Value: 16, Category: pool},
		&cli.Float64Flag{Name: "rpm", Usage: "at most `N` requests a minute, evenly spaced", DefaultText: "none", Category: pool},
		&cli.Float64Flag{Name: "tpm", Usage: "at most `N` tokens a minute", DefaultText: "none", Category: pool},
		&cli.IntFlag{Name: "max-attempts", Usage: "attempts of a job whose outcome stays unknown", Value: 8, Category: pool},
		&cli.DurationFlag{Name: "max-wait", Usage: "longest wait for a rate limit or a provider that is down", Value: 10 * time.Minute, Category: pool},
		&cli.DurationFlag{Name: "grace", Usage: "how long calls in flight are waited for after Ctrl-C", DefaultText: "--timeout", Category: pool},
		&cli.IntFlag{Name: "limit", Usage: "send at most `N` prompts, then stop (exit 4)", DefaultText: "none", Category: pool},
		&cli.IntFlag{Name: "max-invalid", Usage: "ask up to `N` times again for an answer that fits --json-schema; each try is paid", Value: 2, Category: pool},
		yes(pool, "keep-going", "do not stop after 20 equal failures in a row"),

		str("Files", "db", "job `FILE` (default: named after the input)"),
		reuseFlag(),
		yes(guard, "dry-run", "read and check everything, say what would be sent, send nothing"),
		yes(guard, "skip-invalid", "leave bad lines out instead of refusing the input"),
		yes(guard, "accept-changes", "go on although many answered prompts are no longer in the input"),

		yes(sims, "simulate", "answer with the practice server in this process: no key, nothing spent, made-up answers"),
		str(sims, "fault", "with --simulate: shares of calls that go wrong, as in `429=5%,cut=1%` (batch simulate --help lists them)"),
		&cli.Uint64Flag{Name: "sim-seed", Usage: "with --simulate: decides answers and faults", Category: sims},
		&cli.DurationFlag{Name: "latency", Usage: "with --simulate: how long an answer takes", Value: 50 * time.Millisecond, Category: sims},
	}
	return &cli.Command{
		Name:      "run",
		Usage:     "send every prompt of a file that has no answer yet; run again to resume",
		ArgsUsage: "prompts.jsonl [more.csv ...] | - | prompts.batch.db",
		Description: `Reads and checks the whole input first; with a bad line nothing is sent. Then says what it will send, sends it,
and writes the answers in input order. What has its answer is never sent again: a second run, also of an edited
file, sends only what is new, changed or unanswered. Ctrl-C stops gently, twice at once; the same command goes on.

Reads JSON lines, JSON arrays, CSV, text and Parquet, packed by gzip or zstd or not. Without a template a row is a request, as
{"prompt": ...}, {"messages": [...]} or a line of a batch API is. With --prompt or --template (Go's text/template) it is data:
{{.name}} is a field, {{index . "my name"}} one with a blank in its name; a row without the field is a bad row. Functions:

    default "x" .f     "x" where f is missing, null or empty    json .f            the value as JSON
    trim .f            without white space around               truncate 80 .f     its first 80 characters
    lower .f, upper .f in small letters, in capitals            join ", " .list    the elements with that between them
    replace "a" "b" .f every a made b                           number .f          to compare: {{if gt (number .f) 0.5}}
    contains "a" .f    for if: a is in it                       startsWith "a" .f  for if: it begins with a

Exit codes: 0 every prompt is answered, 2 wrong usage or bad input, 3 finished but some failed or were
skipped, 4 stopped early, 5 storage, 6 the job file is in use, 130/143 interrupted, 1 anything else.`,
		Flags:  slices.Concat(fillInFlags(), flags, priceFlags(), budgetFlags(), outputFlags(), speechFlags()),
		Action: func(ctx *cli.Context) error { return c.runVerb(ctx) },
	}
}

// speechFlags are the flags of every verb that talks while it works.
func speechFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "json", Usage: "events for programs on stderr, a JSON object a line, instead of text", Category: "Speech"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say only warnings and errors", Category: "Speech"},
	}
}

func (c *command) runVerb(ctx *cli.Context) error {
	c.term.json, c.term.quiet = ctx.Bool("json"), ctx.Bool("quiet")
	cfg, err := readRunConfig(ctx)
	if err != nil {
		return err
	}
	d := drain{command: c, cfg: cfg, interrupts: c.watchSignals(ctx.Context)}
	defer d.interrupts.stop()
	return d.interrupts.explainUnsent(d.do(d.interrupts.ctx))
}

func readRunConfig(ctx *cli.Context) (runConfig, error) {
	cfg := runConfig{
		db:       ctx.String("db"),
		simulate: ctx.Bool("simulate"),
		endpoint: chat.EndpointOptions{
			BaseURL: ctx.String("base-url"), Explicit: ctx.IsSet("base-url"), APIKeyEnv: ctx.String("api-key-env"),
			AllowHTTP: ctx.Bool("allow-http"), Headers: ctx.StringSlice("header"), Getenv: os.Getenv,
		},
		timeout: ctx.Duration("timeout"), maxBytes: ctx.Int64("max-response"),
		pool: runner.Options{
			Concurrency: ctx.Int("concurrency"), Limit: ctx.Int("limit"), RPM: ctx.Float64("rpm"), TPM: ctx.Float64("tpm"),
			MaxAttempts: ctx.Int("max-attempts"), MaxWait: ctx.Duration("max-wait"), Grace: ctx.Duration("grace"),
			KeepGoing: ctx.Bool("keep-going"), MaxInvalid: ctx.Int("max-invalid"),
		},
		dryRun: ctx.Bool("dry-run"), skipBad: ctx.Bool("skip-invalid"), accept: ctx.Bool("accept-changes"),
	}
	if cfg.pool.Grace == 0 {
		cfg.pool.Grace = cfg.timeout
	}
	if ctx.IsSet("db") && cfg.db == "" {
		return cfg, usage(errors.New("--db is empty"), "name a file: --db answers.batch.db")
	}
	var err error
	if cfg.out, err = readOutputConfig(ctx); err != nil {
		return cfg, err
	}
	if cfg.fills, err = readFillIns(ctx); err != nil {
		return cfg, err
	}
	if cfg.prices, err = readPriceConfig(ctx); err != nil {
		return cfg, err
	}
	if cfg.budget, err = readBudgetConfig(ctx); err != nil {
		return cfg, err
	}
	if err := cfg.readNames(ctx.Args().Slice()); err != nil {
		return cfg, err
	}
	if cfg.reuse, err = readReuse(ctx, cfg.db); err != nil {
		return cfg, err
	}
	if cfg.sim, err = readSimulation(ctx); err != nil {
		return cfg, err
	}
	return cfg, cfg.validate(ctx)
}

func (cfg *runConfig) validate(ctx *cli.Context) error {
	for _, flag := range []string{"concurrency", "max-attempts"} {
		if ctx.Int(flag) < 1 {
			return usage(fmt.Errorf("--%s %d: it must be at least 1", flag, ctx.Int(flag)), "leave it off for the default")
		}
	}
	if cfg.pool.MaxInvalid < 0 {
		return usage(fmt.Errorf("--max-invalid %d: it must be at least 0", cfg.pool.MaxInvalid), "0 asks each prompt once")
	}
	for _, flag := range []string{"rpm", "tpm"} {
		if v := ctx.Float64(flag); ctx.IsSet(flag) && !(v > 0 && v < 1e12) {
			return usage(fmt.Errorf("--%s %v: it must be more than 0", flag, v), "leave it off for no limit of your own")
		}
	}
	for _, flag := range []string{"timeout", "max-wait", "grace", "latency"} {
		if ctx.Duration(flag) < 0 || ctx.IsSet(flag) && ctx.Duration(flag) == 0 && flag != "latency" {
			return usage(fmt.Errorf("--%s %s: it must be more than 0", flag, ctx.Duration(flag)), "write it as 90s or 5m")
		}
	}
	if ctx.IsSet("limit") && cfg.pool.Limit < 1 {
		return usage(fmt.Errorf("--limit %d: it must be at least 1", cfg.pool.Limit), "to send nothing: --dry-run")
	}
	if cfg.maxBytes < 1 {
		return usage(fmt.Errorf("--max-response %d: it must be at least 1", cfg.maxBytes), "leave it off for 64 MiB")
	}
	for _, flag := range []string{"fault", "sim-seed", "latency"} {
		if ctx.IsSet(flag) && !cfg.simulate {
			return usage(fmt.Errorf("--%s goes with --simulate", flag), "a practice server of its own port is started by batch simulate")
		}
	}
	for _, flag := range []string{"base-url", "api-key-env", "header", "allow-http"} {
		if ctx.IsSet(flag) && cfg.simulate {
			return usage(fmt.Errorf("--%s and --simulate exclude each other: a simulated run calls nobody", flag), "leave one of them off")
		}
	}
	return nil
}

// simulatedSuffix marks a job file of made-up answers, so that nobody takes them for real ones.
const (
	jobSuffix       = ".batch.db"
	simulatedSuffix = ".simulated.batch.db"
)

// readNames tells prompt files from a job file and names the job file after the one input.
func (cfg *runConfig) readNames(args []string) error {
	if cfg.db == ":memory:" {
		return usage(errors.New("--db :memory: is no file, and the answers would be lost with the run"), "name a file: --db answers.batch.db")
	}
	args, err := expand(args)
	switch {
	case err != nil:
		return err
	case len(args) == 0 && cfg.db != "":
		return usage(errors.New("no prompt file is named"), "to go on with the job file alone: batch run %s", shellQuote(cfg.db))
	case len(args) == 0:
		return usage(errors.New("no prompt file is named"), "batch run prompts.jsonl; try it with batch run --simulate examples/rivers.jsonl")
	case len(args) == 1 && isJobFile(args[0]):
		if cfg.db != "" && cfg.db != args[0] {
			return usage(fmt.Errorf("%s and --db %s are two job files", args[0], cfg.db), "name one")
		}
		cfg.db = args[0]
		return nil
	}
	cfg.inputs = args
	for i, name := range args {
		if name == "-" && slices.Contains(args[:i], "-") {
			return usage(errors.New("standard input is named twice"), "it can be read once")
		}
		if isJobFile(name) {
			return usage(fmt.Errorf("%s is a job file, not a prompt file", printable(name)), "go on with it alone: batch run %s", shellQuote(name))
		}
	}
	if cfg.db != "" {
		return nil
	}
	if len(args) > 1 || args[0] == "-" {
		return usage(errors.New("several inputs, or standard input, do not name a job file"), "name it: --db answers.batch.db")
	}
	if info, err := os.Stat(args[0]); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return usage(fmt.Errorf("%s is a pipe or a device, which does not name a job file", printable(args[0])), "name it: --db answers.batch.db")
	}
	cfg.db = jobFileOf(args[0], cfg.simulate)
	return nil
}

// jobFileOf names the job file of a prompt file: prompts.jsonl and prompts.jsonl.gz have prompts.batch.db.
func jobFileOf(input string, simulated bool) string {
	stem := strings.TrimSuffix(input, filepath.Ext(input))
	for _, ext := range []string{".gz", ".zst"} {
		if inner, found := strings.CutSuffix(input, ext); found {
			stem = strings.TrimSuffix(inner, filepath.Ext(inner))
		}
	}
	if stem == "" || strings.HasSuffix(stem, "/") { // a dotfile is all extension
		stem = input
	}
	if simulated {
		return stem + simulatedSuffix
	}
	return stem + jobSuffix
}

// isJobFile goes by the content, and by the name where there is none yet.
func isJobFile(name string) bool {
	if name == "-" {
		return false
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return false // what is read of a pipe is gone
	}
	f, err := os.Open(name)
	if err != nil {
		return strings.HasSuffix(name, jobSuffix)
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	n, _ := f.Read(head)
	return string(head[:n]) == magic || n == 0 && strings.HasSuffix(name, jobSuffix)
}

// drain is one `batch run`: what it has decided and opened so far.
type drain struct {
	*command
	cfg        runConfig
	interrupts *interrupts

	endpoint   chat.Endpoint
	simulated  bool // the job file holds made-up answers
	store      *store.Store
	settings   map[string]string
	fills      fillIns // in force: given, or kept from an earlier run
	unsaved    int64   // answers that a dry run left to the next run to take up
	imported   bool    // the input was read, and may have changed jobs
	counts     store.Counts
	backlog    []store.Backlog
	counter    *tokens.Counter // counted the prompts; nil when they were not read anew
	money      money
	limits     limits    // the budget in force
	raised     flagValue // the limit that would be enough for the rest, once the budget is reached
	budgetText budgetConfig
	files      output.Files
	outOpt     output.Options
}

// do is the run from reading to reporting.
func (d *drain) do(ctx context.Context) (err error) {
	if err := lookAtInputs(d.cfg.inputs); err != nil {
		return err
	}
	if err := d.resolveEndpoint(); err != nil {
		return err
	}
	lock, err := store.Acquire(d.cfg.db)
	if err != nil {
		return err
	}
	defer lock.Release()
	if d.store, err = store.Open(ctx, d.cfg.db, len(d.cfg.inputs) > 0); err != nil {
		return err
	}
	keep := false
	defer func() {
		closing := d.store.Close
		if !keep { // bad input, a refused output and a dry run leave no new job file
			closing = d.store.Remove
		}
		if cerr := closing(); err == nil {
			err = cerr
		}
	}()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	if d.cfg.dryRun {
		d.sayPlan()
		return nil
	}
	if err := d.checkOutputs(ctx); err != nil {
		return err
	}
	if err := d.checkRoom(); err != nil {
		return err
	}
	keep = true
	if err := d.keepMoney(ctx); err != nil {
		return err
	}
	d.sayPlan()
	sum, err := d.drain(ctx)
	if err != nil {
		return err
	}
	return d.finish(sum)
}

// lookAtInputs finds a wrong name before anything else is asked for.
func lookAtInputs(names []string) error {
	for _, name := range names {
		if name == "-" {
			continue
		}
		info, err := os.Stat(name)
		if err := noFolder(name, info, err); err != nil {
			return readError(err)
		}
	}
	return nil
}

// resolveEndpoint decides where the calls go before anything is opened: a wrong pairing of host and key must not get far.
func (d *drain) resolveEndpoint() error {
	if d.cfg.simulate {
		d.simulated = true
		return nil
	}
	// With a job file named as one of made-up answers, a practice server on a port may be called.
	d.simulated = strings.HasSuffix(d.cfg.db, simulatedSuffix)
	d.cfg.endpoint.NoKey = d.cfg.dryRun
	var err error
	if d.endpoint, err = chat.ResolveEndpoint(d.cfg.endpoint); err != nil || d.cfg.dryRun {
		return err
	}
	for _, name := range d.endpoint.Exposed {
		d.term.warn("exposed", event{"header": name}, "every user of this machine can read the value of %s in its list of processes; --header '%s: env:VARIABLE' keeps it out", name, name)
	}
	if u, err := url.Parse(d.endpoint.BaseURL); d.simulated && (err != nil || !chat.IsLoopback(u.Hostname())) {
		return usage(fmt.Errorf("%s is for made-up answers, and %s is no practice server", d.cfg.db, d.endpoint.Host),
			"go on with --simulate; for real answers name another job file with --db")
	}
	return nil
}

// assertEndpoint: a job file that is named alone says nothing of where its prompts may go. Without a word of the user they do not go to
// another endpoint than those before.
func (d *drain) assertEndpoint(ctx context.Context) error {
	where := d.cfg.endpoint
	if len(d.cfg.inputs) > 0 || d.cfg.simulate || where.Explicit || strings.TrimSpace(where.Getenv("ASSISTERS_BASE_URL")) != "" {
		return nil
	}
	last, err := d.store.LastRun(ctx)
	if isNotFound(err) || err == nil && last.Endpoint == d.endpointName() {
		return nil
	}
	if err != nil {
		return err
	}
	err = d.readCounts(ctx)
	left := d.counts.Pending + d.counts.Running // of a dry run
	if err != nil || left == 0 {
		return err
	}
	return usage(fmt.Errorf("the last run of %s called %s, and %s would now go to %s; nothing was sent", printable(d.cfg.db), printable(last.Endpoint),
		plural(left, "prompt"), d.endpointName()), "say where they go: --base-url %s, or --base-url %s", shellQuote(last.Endpoint), d.endpointName())
}

// prepare brings the job file up to the input.
func (d *drain) prepare(ctx context.Context) error {
	var err error
	if d.settings, err = d.store.Settings(ctx); err != nil {
		return err
	}
	if err := d.store.Purged(ctx); err != nil {
		return err
	}
	if kept, known := d.settings[store.SettingSimulated]; known && (kept == "true") != d.simulated {
		return d.wrongKind(kept == "true")
	}
	if d.cfg.dryRun { // which changes nothing, and takes what is out for unanswered
		d.unsaved, err = d.foresee(ctx, d.store)
	} else {
		err = d.putRight(ctx, d.store, "; they go out again with the same idempotency key")
	}
	if err != nil {
		return err
	}
	if err := d.assertEndpoint(ctx); err != nil {
		return err
	}
	d.fills = inForce(d.settings, d.cfg.fills)
	if err := d.fills.checkContext(); err != nil {
		return err
	}
	if kept := d.fills.keptBut(d.cfg.fills); len(kept) > 0 && len(d.cfg.inputs) > 0 {
		d.term.say("kept", event{"flags": kept}, "using %s of the earlier run", strings.Join(kept, ", "))
	}
	if len(d.cfg.inputs) == 0 && len(d.cfg.fills) > 0 {
		return usage(errors.New("flags that fill in request fields need the input that they fill"), "name the prompt file too, with --db %s", shellQuote(d.cfg.db))
	}
	letGo, err := d.openReuse(ctx)
	if err != nil {
		return err
	}
	err = d.importInputs(ctx)
	if cerr := letGo(); err == nil {
		err = cerr
	}
	return err
}

func (d *drain) wrongKind(simulated bool) error {
	if simulated {
		return usage(fmt.Errorf("%s holds made-up answers of the practice server", d.cfg.db), "go on with --simulate, or name another job file with --db")
	}
	return usage(fmt.Errorf("%s holds real answers: made-up ones must not get among them", d.cfg.db), "leave --simulate off, or name another job file with --db")
}
