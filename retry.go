package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/output/where"
	"batch/runner/tokens"
	"batch/store"
)

func retryCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:      "retry",
		Usage:     "send failed jobs again, or chosen ones, perhaps with other parameters",
		ArgsUsage: "prompts.batch.db",
		Description: `Puts all failed jobs back to pending, with a new count of attempts; the next batch run sends them. A job that the API answered
with a failure gets a new idempotency key, so that the failure is not replayed; one whose outcome is unknown keeps its key,
so that it is not paid for twice.

--where chooses jobs in any state, answered ones too, by the columns of results and errors, state, class and carried keys.
The old answers leave the results; they and what they cost stay in the job file. --set changes what is sent; the prompt
file stays as it is, and running it again keeps the changed requests. More than a tenth of the answers, and more than 20, are
asked again only with --accept-changes. Where the new request failed or was not sent, --restore puts the old answer back.

    batch retry prompts.batch.db --where 'finish_reason = length' --set max_tokens=2x
    batch retry prompts.batch.db --where 'class = unknown or code = content_filter' --set model=other
    batch retry prompts.batch.db --where 'custom_id = r-17' --set temperature=0.2 --set seed=none
    batch retry prompts.batch.db --restore`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "where", Usage: "only the jobs for which `QUESTION` is true, in any state (default: state = failed)"},
			&cli.StringSliceFlag{Name: "set", Usage: "change a request field, as `FIELD=VALUE`; FIELD=2x multiplies, FIELD=none takes out; several times"},
			&cli.BoolFlag{Name: "restore", Usage: "put the answers back in whose place a job failed or is pending; sends nothing"},
			&cli.BoolFlag{Name: "accept-changes", Usage: "go on although many answered prompts would be paid for again"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say how many it would be, change nothing"},
		}, speechFlags()...),
		Action: func(ctx *cli.Context) error { return c.retryVerb(ctx) },
	}
}

// retryConfig is what the flags of retry say.
type retryConfig struct {
	where   *where.Expr // nil is all failed ones
	set     fieldChanges
	restore bool
	accept  bool
	dryRun  bool
}

func readRetryConfig(ctx *cli.Context) (retryConfig, error) {
	cfg := retryConfig{dryRun: ctx.Bool("dry-run"), restore: ctx.Bool("restore"), accept: ctx.Bool("accept-changes")}
	var err error
	if ctx.IsSet("where") && strings.TrimSpace(ctx.String("where")) == "" {
		return cfg, usage(errors.New("--where asks nothing"), "leave it off for all failed jobs")
	}
	if cfg.where, err = output.ParseWhere(ctx.String("where")); err != nil {
		return cfg, err
	}
	if cfg.set, err = readFieldChanges(ctx.StringSlice("set")); err == nil && cfg.restore && cfg.set != nil {
		err = usage(errors.New("--restore and --set exclude each other: an old answer comes back with its own request"), "leave one of them off")
	}
	return cfg, err
}

func (c *command) retryVerb(ctx *cli.Context) (err error) {
	c.term.json, c.term.quiet = ctx.Bool("json"), ctx.Bool("quiet")
	name, err := oneJobFile(ctx)
	if err != nil {
		return err
	}
	cfg, err := readRetryConfig(ctx)
	if err != nil {
		return err
	}
	lock, err := store.AcquireExisting(name)
	if err != nil {
		return err
	}
	defer lock.Release()
	st, err := store.Open(ctx.Context, name, false)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := st.Close(); err == nil {
			err = cerr
		}
	}()
	if err := st.Purged(ctx.Context); err != nil {
		return err
	}
	if cfg.dryRun {
		err = c.leaveOut(ctx.Context, st)
	} else {
		err = c.putRight(ctx.Context, st, "; they go out again with the next run")
	}
	if err != nil {
		return err
	}
	if cfg.restore {
		return c.restoreAnswers(ctx.Context, st, cfg)
	}
	var n int64
	if cfg.where == nil && cfg.set == nil && !cfg.dryRun {
		if n, err = st.RetryFailed(ctx.Context); err != nil {
			return err
		}
		c.term.say("end", event{"put_back": n}, "%s put back to pending", plural(n, "failed job"))
	} else {
		done, err := cfg.retry(ctx.Context, st)
		if err != nil {
			return err
		}
		done.say(c.term, cfg)
		n = done.again
	}
	if n == 0 || cfg.dryRun || c.term.json {
		return nil
	}
	send, err := sendAgain(ctx.Context, st, name)
	if err != nil {
		return err
	}
	c.term.say("", nil, "to send them: %s", send)
	return nil
}

// retried counts the jobs that were chosen.
type retried struct {
	again    int64            // that go out again, or for the first time with another request
	answered int64            // of these
	tokens   int64            // that these answers used
	kinds    map[string]int64 // of these, as in: answered (length)
	left     int64            // pending ones that nothing changes
}

// errUndone takes a retry back in the end.
var errUndone = errors.New("dry run")

func (cfg retryConfig) retry(ctx context.Context, st *store.Store) (retried, error) {
	done := retried{kinds: map[string]int64{}}
	change := func() error { return cfg.change(ctx, st, &done) }
	if cfg.dryRun {
		err := change()
		return done, err
	}
	err := withoutMarks(ctx, st, change)
	return done, err
}

func (cfg retryConfig) change(ctx context.Context, st *store.Store, done *retried) error {
	counter := tokens.NewCounter(false)
	settings, err := st.Settings(ctx)
	if err != nil {
		return err
	}
	bound := inForce(settings, nil).context()
	err = st.Retry(ctx, func(v *store.View, again func(*store.Row, *store.Changed) error) error {
		for row, err := range cfg.chosen(ctx, v, store.Failed) {
			if err != nil {
				return err
			}
			changed, err := cfg.set.apply(row, counter)
			if err != nil {
				return err
			}
			if changed != nil {
				if problem := bound.TooLong(changed.Model, changed.Body, sentIn(changed.Body)); problem != "" {
					return usage(fmt.Errorf("%s:%d: %s; nothing was changed", printable(row.File), row.Line, problem),
						"--max-context is of the earlier run; raise less, or leave such prompts out with --where")
				}
			}
			done.count(row, changed)
			if err := again(row, changed); err != nil {
				return err
			}
		}
		if cfg.dryRun {
			return errUndone
		}
		if cfg.accept {
			return nil
		}
		return done.brake(ctx, v)
	})
	if errors.Is(err, errUndone) {
		err = nil
	}
	return err
}

// chosen yields the rows for which --where is true, or those of the states. A shared line is none of them: its answer is another line's. Nor
// is one that was out when a run died and that a dry run left as it was.
func (cfg retryConfig) chosen(ctx context.Context, v *store.View, states ...store.State) iter.Seq2[*store.Row, error] {
	return func(yield func(*store.Row, error) bool) {
		holds := func(row *store.Row) (bool, error) { return slices.Contains(states, row.State), nil }
		if cfg.where != nil {
			asker, err := output.NewAsker(ctx, v, cfg.where)
			if err != nil {
				yield(nil, err)
				return
			}
			holds = asker.Holds
		}
		for row, err := range v.Rows(ctx) {
			is := false
			if err == nil && !row.Skipped && !row.Shared && row.State != store.Running {
				is, err = holds(row)
			}
			if (is || err != nil) && !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// brake stops a retry that asks for more answers again than a correction usually does.
func (d *retried) brake(ctx context.Context, v *store.View) error {
	counts, err := v.Counts(ctx)
	if err != nil || !store.Brakes(d.answered, counts.Done) {
		return err
	}
	return usage(fmt.Errorf("%s of %s answered prompts would be sent and paid for again: their answers used %s; nothing was changed",
		count(d.answered), count(counts.Done), plural(d.tokens, "token")), "ask for fewer with --where; if that is meant, add --accept-changes")
}

func (d *retried) count(row *store.Row, changed *store.Changed) {
	kind := string(row.State)
	switch row.State {
	case store.Pending:
		if changed == nil {
			d.left++
			return
		}
	case store.Done:
		d.answered++
		if d.tokens += row.Usage.Total; !row.Usage.Known {
			d.tokens += row.Estimated
		}
		kind = "answered"
		if row.FinishReason != "" {
			kind += " (" + row.FinishReason + ")"
		}
	case store.Failed:
		for _, why := range []string{row.Code, row.Type, row.Class} {
			if why != "" {
				kind += " (" + why + ")"
				break
			}
		}
	}
	d.again++
	if _, known := d.kinds[kind]; !known && len(d.kinds) >= 20 {
		kind = "others"
	}
	d.kinds[kind]++
}

func (d *retried) say(t *terminal, cfg retryConfig) {
	words := "go out again"
	if cfg.dryRun {
		words = "would go out again"
	} else if d.again == 1 {
		words = "goes out again"
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(d.kinds)) {
		kinds = append(kinds, count(d.kinds[kind])+" "+kind)
	}
	text := fmt.Sprintf("%s %s%s", plural(d.again, "prompt"), words, cfg.set)
	if len(kinds) > 0 {
		text += ": " + printable(strings.Join(kinds, ", "))
	}
	t.say("end", event{"put_back": d.again, "kinds": d.kinds, "already_pending": d.left, "answered": d.answered, "answered_tokens": d.tokens, "dry_run": cfg.dryRun}, "%s", text)
	if t.json {
		return
	}
	if d.left > 0 {
		t.say("", nil, "%s pending already", plural(d.left, "prompt"))
	}
	if d.answered > 0 && cfg.dryRun {
		t.say("", nil, "their old answers used %s", plural(d.tokens, "token"))
	}
	if d.answered > 0 && !cfg.dryRun {
		t.say("", nil, "%s put aside: in the job file, and no longer in the results", plural(d.answered, "old answer"))
	}
}

// withoutMarks lets the files that were written count as older than the job file, unless change fails: then nothing has changed.
func withoutMarks(ctx context.Context, st *store.Store, change func() error) error {
	settings, err := st.Settings(ctx)
	if err != nil {
		return err
	}
	forget, marks := map[string]string{}, map[string]string{}
	for name, mark := range settings {
		if strings.HasPrefix(name, settingFile) {
			forget[name], marks[name] = "", mark
		}
	}
	if err := st.SetSettings(ctx, forget); err != nil {
		return err
	}
	if err := change(); err != nil {
		return errors.Join(err, st.SetSettings(context.WithoutCancel(ctx), marks))
	}
	return nil
}
