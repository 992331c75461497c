// Command batch answers a file of prompts: it reads JSONL prompt files into a job file, drains that with a bounded pool of
// workers that calls a chat completions API, and writes the completions and what they used.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"batch/input"
	"batch/output"
	"batch/runner/chat"
	"batch/store"
)

// The exit codes are a contract; the README lists them.
const (
	exitOK          = 0
	exitError       = 1 // unexpected; of verify: a mismatch
	exitUsage       = 2 // wrong usage, bad or empty input: nothing was sent; or made-up answers where real ones were expected, or the other way round
	exitPartial     = 3 // finished, but some jobs failed or lines were skipped
	exitStopped     = 4 // stopped early, can go on
	exitStorage     = 5 // the job file or an output could not be read or written
	exitBusy        = 6 // another run, or another program, holds the job file
	exitInterrupted = 130
	exitTerminated  = 143
)

func main() {
	// A reader that goes away must not kill a run: its write fails instead, and the run ends in order.
	signal.Ignore(syscall.SIGPIPE)
	log.SetOutput(io.Discard) // net/http writes to it, bytes from the wire included, and with GODEBUG=http2debug=2 the key
	keepMemory()
	tuneMemory()
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// tuneMemory has the garbage collector run less often than its default: the live heap is a few megabytes, and at 10,000 answers a
// second collecting it took a tenth of the processor. With bodies of megabytes it runs as often as it must.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(384 << 20) // the runner holds 256 MiB of bodies and answers at the most
	}
}

// run is the whole command: what it says goes to stderr, results to stdout.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := command{args: args, stdin: stdin, stdout: stdout, term: newTerminal(stderr)}
	c.term.neverWait()
	defer c.term.finish()
	return c.run()
}

// command is what every verb works with.
type command struct {
	args    []string // as the user wrote them
	stdin   io.Reader
	stdout  io.Writer
	term    *terminal
	network dialer           // nil: TCP
	signals <-chan os.Signal // nil: those that the system sends
}

// dialer is a network.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func (c *command) run() int {
	app := newApp(c)
	args, err := flagsFirst(app, c.args)
	if err == nil {
		err = app.RunContext(context.Background(), args)
	}
	return c.term.report(err)
}

func newApp(c *command) *cli.App {
	app := &cli.App{
		Name:                      "batch",
		Usage:                     "answer a file of prompts with a chat completions API",
		Version:                   version(),
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true, // --stop ',' is a comma, not two empty strings
		Description: `batch run prompts.jsonl sends every prompt, retries what is worth retrying, and writes
prompts.results.jsonl, prompts.errors.jsonl and prompts.usage.jsonl. Interrupted, it goes on where it
was: run the same command again. Try it without a key, nothing is sent or spent:

    batch run --simulate examples/rivers.jsonl`,
		Commands: []*cli.Command{
			runCommand(c), estimateCommand(c), statusCommand(c), exportCommand(c), retryCommand(c), purgeCommand(c), validateCommand(c), verifyCommand(c),
			reportCommand(c), compareCommand(c),
			simulateCommand(c), completionCommand(c),
		},
		Action: func(ctx *cli.Context) error {
			if name := ctx.Args().First(); name != "" {
				return usage(fmt.Errorf("%q is no batch command", printable(name)), "batch --help lists them; to answer a file of prompts: batch run %s", shellQuote(name))
			}
			return cli.ShowAppHelp(ctx)
		},
		Writer:    c.stdout,
		ErrWriter: c.term.w,
		// Errors and exit codes are decided in one place, after every defer has run.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
	}
	for _, cmd := range app.Commands {
		cmd.OnUsageError = onUsageError
	}
	return app
}

func onUsageError(ctx *cli.Context, err error, _ bool) error {
	name := ctx.App.Name
	if ctx.Command != nil && ctx.Command.Name != "" && ctx.Command.Name != name {
		name += " " + ctx.Command.Name
	}
	return usage(err, "%s --help lists the flags", name)
}

// version comes from the build: a tag when installed, else the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v += "-" + s.Value[:12]
			}
		}
	}
	return v
}

// problem is an error for the user: its exit code and what to do about it.
type problem struct {
	code int
	err  error
	hint string
	said bool // it has been told already, only the code is left
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

// usage is a problem of what the user asked for: nothing was sent.
func usage(err error, hint string, args ...any) error {
	return &problem{code: exitUsage, err: err, hint: fmt.Sprintf(hint, args...)}
}

// exit is a result, not an error: all has been said.
func exit(code int) error {
	if code == exitOK {
		return nil
	}
	return &problem{code: code, err: fmt.Errorf("exit %d", code), said: true}
}

// isTemporary says that a path is the folder for temporary files, or one of ours in it.
func isTemporary(path string) bool {
	return path == os.TempDir() || strings.HasPrefix(path, filepath.Join(os.TempDir(), "batch-"))
}

// classify gives every error its exit code and its hint.
func classify(err error) *problem {
	var p *problem
	var line *input.LineError
	var endpoint *chat.EndpointError
	var refused *output.RefusedError
	var locked *store.LockedError
	var newer *store.VersionError
	var purged *store.PurgedError
	var spill *store.SpillError
	var failure *store.Failure
	var path *fs.PathError
	var library cli.ExitCoder
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &library): // of the help on a command that is none
		return &problem{code: exitUsage, err: err, hint: "batch --help lists the commands"}
	case errors.As(err, &line):
		return &problem{code: exitUsage, err: err, hint: line.Hint}
	case errors.As(err, &endpoint):
		return &problem{code: exitUsage, err: err, hint: endpoint.Hint}
	case errors.As(err, &refused):
		return &problem{code: exitUsage, err: err, hint: refused.Hint}
	case errors.As(err, &locked):
		return &problem{code: exitBusy, err: err, hint: "wait for it, or stop it with Ctrl-C there; batch status shows how far it is"}
	case errors.As(err, &purged):
		return &problem{code: exitUsage, err: purged, hint: purgedHint(purged)}
	case errors.As(err, &newer):
		return &problem{code: exitStorage, err: err, hint: "install a newer batch; the file was not touched"}
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrNotJobFile):
		return &problem{code: exitUsage, err: err, hint: "a job file is made by batch run prompts.jsonl and ends in .batch.db"}
	case errors.As(err, &spill):
		return &problem{code: exitStorage, err: spill, hint: "move it away, or delete it if that job file is gone"}
	case errors.Is(err, store.ErrDamaged):
		return &problem{code: exitStorage, err: err, hint: "keep a copy of it; was it renamed or copied without the -wal beside it, bring that along; else sqlite3 FILE .recover may save its rows"}
	case errors.Is(err, store.ErrInUse):
		return &problem{code: exitBusy, err: err, hint: "close the program that works on it, and run the same command again"}
	case errors.As(err, &path) && isTemporary(path.Path):
		return &problem{code: exitStorage, err: err, hint: "temporary files go to " + os.TempDir() + "; point TMPDIR to a folder that has room"}
	case errors.As(err, &failure):
		return &problem{code: exitStorage, err: err, hint: "what was saved before is safe; run the same command again once the cause is gone"}
	case errors.Is(err, context.Canceled):
		return &problem{code: exitInterrupted, err: errors.New("interrupted")}
	}
	return &problem{code: exitError, err: err}
}
