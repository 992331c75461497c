package main

import (
	"github.com/urfave/cli/v2"

	"batch/store"
)

func retryCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:      "retry",
		Usage:     "put failed jobs back to pending, with a new count of attempts",
		ArgsUsage: "prompts.batch.db",
		Description: `The next batch run sends them. A job that the API answered with a failure gets a new idempotency key, so that the
failure is not replayed; one whose outcome is unknown keeps its key, so that it is not paid for twice.`,
		Flags:  speechFlags(),
		Action: func(ctx *cli.Context) error { return c.retryVerb(ctx) },
	}
}

func (c *command) retryVerb(ctx *cli.Context) (err error) {
	c.term.json, c.term.quiet = ctx.Bool("json"), ctx.Bool("quiet")
	name, err := oneJobFile(ctx)
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
	if _, err := st.Recover(ctx.Context); err != nil {
		return err
	}
	n, err := st.RetryFailed(ctx.Context)
	if err != nil {
		return err
	}
	c.term.say("end", event{"put_back": n}, "%s put back to pending", plural(n, "failed job"))
	if n == 0 || c.term.json {
		return nil
	}
	run, err := st.LastRun(ctx.Context)
	if err != nil && !isNotFound(err) {
		return err
	}
	verb := "batch run"
	if run.Endpoint == simulatedEndpoint { // without the flag a key would be asked for
		verb += " --simulate"
	}
	c.term.say("", nil, "to send them: %s %s", verb, shellQuote(name))
	return nil
}
