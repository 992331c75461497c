package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"batch/runner/chat/sim"
	"batch/store"
)

func simulateCommand(c *command) *cli.Command {
	var faults strings.Builder
	for _, kind := range sim.FaultKinds() {
		fmt.Fprintf(&faults, "\n    %-10s %s", kind.Name, kind.Meaning)
	}
	return &cli.Command{
		Name:  "simulate",
		Usage: "start the practice server on a local port",
		Description: `The chat completions API with no model behind it: it checks requests, keeps limits and makes answers up. Only this
machine can reach it. In another terminal:

    batch run prompts.jsonl --model practice --base-url http://127.0.0.1:8080/v1 --db try.simulated.batch.db

Faults, as in --fault 429=5%,500=1%,cut=1%:
` + faults.String(),
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "port", Usage: "local port, 0 for any", Value: 8080},
			&cli.IntFlag{Name: "rpm", Usage: "requests a minute, as the API limits them"},
			&cli.IntFlag{Name: "tpm", Usage: "tokens a minute"},
			&cli.DurationFlag{Name: "latency", Usage: "how long an answer takes", Value: 50 * time.Millisecond},
			&cli.Float64Flag{Name: "jitter", Usage: "share by which the latency varies, `0..1`"},
			&cli.StringFlag{Name: "fault", Usage: "shares of calls that go wrong, as in `429=5%,cut=1%`"},
			&cli.Uint64Flag{Name: "seed", Usage: "decides answers and faults"},
			&cli.StringFlag{Name: "api-key-env", Usage: "take only the key in the environment variable `NAME`"},
			speechFlags()[0],
		},
		Action: func(ctx *cli.Context) error { return c.simulateVerb(ctx) },
	}
}

// readSimulation reads the flags that run and simulate share; run has not all of them, and its --seed goes to whoever answers.
func readSimulation(ctx *cli.Context) (sim.Options, error) {
	opt := sim.Options{Seed: ctx.Uint64("seed"), Latency: ctx.Duration("latency"), Jitter: ctx.Float64("jitter")}
	if ctx.Command.Name != "simulate" {
		opt.Seed = ctx.Uint64("sim-seed")
	}
	if ctx.String("fault") == "" {
		return opt, nil
	}
	var err error
	if opt.Faults, err = sim.ParseFaults(ctx.String("fault")); err != nil {
		return opt, usage(fmt.Errorf("--fault: %w", err), "batch simulate --help lists the faults")
	}
	return opt, nil
}

func (c *command) simulateVerb(ctx *cli.Context) error {
	c.term.json = ctx.Bool("json")
	if ctx.NArg() > 0 {
		return usage(fmt.Errorf("simulate takes no file, got %s", printable(ctx.Args().First())), "to drain a file without a port: batch run --simulate prompts.jsonl")
	}
	if port := ctx.Int("port"); port < 0 || port > 65535 {
		return usage(fmt.Errorf("--port %d: it must be between 0 and 65535", port), "with 0, any port that is free")
	}
	opt, err := readSimulation(ctx)
	if err != nil {
		return err
	}
	opt.RPM, opt.TPM = ctx.Int("rpm"), ctx.Int("tpm")
	if name := ctx.String("api-key-env"); name != "" {
		if opt.APIKey = strings.TrimSpace(os.Getenv(name)); opt.APIKey == "" {
			return usage(fmt.Errorf("%s is not set", name), "set it to the key that callers shall bear")
		}
	}
	practice, err := startPractice(fmt.Sprintf("127.0.0.1:%d", ctx.Int("port")), opt)
	if err != nil {
		return err
	}
	interrupts := c.watchSignals(ctx.Context)
	defer interrupts.stop()
	c.term.say("listening", event{"base_url": practice.baseURL}, "the practice server listens at %s; Ctrl-C ends it", practice.baseURL)
	select {
	case <-interrupts.ctx.Done():
	case err = <-practice.failed:
	}
	practice.close()
	s := practice.server.Stats()
	c.term.say("end", event{"calls": s.Calls, "answered": s.Answered, "replays": s.Replays, "refused": s.Refused,
		"prompt_tokens": s.PromptTokens, "completion_tokens": s.CompletionTokens},
		"%s: %s answered, %s replayed, %s refused for a limit; %s tokens", plural(s.Calls, "call"), count(s.Answered), count(s.Replays), count(s.Refused), count(s.PromptTokens+s.CompletionTokens))
	return err
}

// practice is a practice server that listens.
type practice struct {
	baseURL string
	server  *sim.Server
	http    *http.Server
	failed  chan error // at most one
	ended   chan struct{}
}

func startPractice(addr string, opt sim.Options) (*practice, error) {
	server, err := sim.New(opt)
	if err != nil {
		return nil, usage(err, "batch simulate --help shows the ranges")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &problem{code: exitError, err: fmt.Errorf("listen on %s: %w", addr, err), hint: "another program may use the port: try --port 0"}
	}
	p := &practice{baseURL: "http://" + l.Addr().String() + "/v1", server: server, failed: make(chan error, 1), ended: make(chan struct{}),
		http: &http.Server{Handler: server, ReadHeaderTimeout: time.Minute}}
	go func() {
		defer close(p.ended)
		if err := p.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- &store.Failure{Op: "serve", Err: err}
		}
	}()
	return p, nil
}

func (p *practice) close() {
	p.server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if p.http.Shutdown(ctx) != nil {
		p.http.Close()
	}
	<-p.ended
}
