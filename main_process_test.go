package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// process is a command that runs beside its story.
type process struct {
	cmd   *exec.Cmd
	out   heard
	err   heard
	ended chan struct{}
	code  error
	stdin io.Closer

	signalled, gone time.Time // last, and when it ended
}

// heard is what a process said so far.
type heard struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and made anew with every word
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.changed)
	h.changed = make(chan struct{})
	return h.text.Write(p)
}

func (h *heard) has(pattern *regexp.Regexp) (bool, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return pattern.Match(h.text.Bytes()), h.changed
}

// start runs a command beside the story, with a standard input that stays open and empty: start PROCESS COMMAND...
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start PROCESS COMMAND...")
	}
	ts.Check(ts.Exec("env")) // the only way to all of a script's variables
	env := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\n"), "\n")
	path := args[1]
	for dir := range strings.SplitSeq(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		if info, err := os.Stat(dir + "/" + path); err == nil && !info.IsDir() {
			path = dir + "/" + path
			break
		}
	}
	p := &process{cmd: exec.Command(path, args[2:]...), ended: make(chan struct{})}
	p.out.changed, p.err.changed = make(chan struct{}), make(chan struct{})
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = ts.MkAbs("."), env, &p.out, &p.err
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	go func() {
		p.code = p.cmd.Wait()
		p.gone = time.Now()
		close(p.ended)
	}()
	of(ts).processes[args[0]] = p
}

var listens = regexp.MustCompile(`http://127\.0\.0\.1:\d+/v1`)

// listening puts where a server listens into the variables SERVER and PORT, once it has said so: listening PROCESS
func listening(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listening PROCESS")
	}
	p := processNamed(ts, args[0])
	waitFor(ts, "an address", func() (bool, <-chan struct{}) { return p.err.has(listens) })
	p.err.mu.Lock()
	defer p.err.mu.Unlock()
	url := listens.FindString(p.err.text.String())
	ts.Setenv("SERVER", url)
	ts.Setenv("PORT", portOf(url))
}

func processNamed(ts *testscript.TestScript, id string) *process {
	p := of(ts).processes[id]
	if p == nil {
		ts.Fatalf("no server and no process %s", id)
	}
	return p
}

// awaitFile waits until a file is there: await-file PATTERN
func awaitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await-file PATTERN")
	}
	tick := time.NewTicker(time.Millisecond) // nobody tells when a file appears
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for range tick.C {
		if found, err := filepath.Glob(ts.MkAbs(args[0])); len(found) > 0 || err != nil {
			ts.Check(err)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("waited %s for %s", patience, args[0])
		}
	}
}

// signalProcess sends INT, TERM, HUP, KILL, STOP or CONT: signal NAME PROCESS
func signalProcess(ts *testscript.TestScript, neg bool, args []string) {
	sigs := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": os.Kill, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT}
	if neg || len(args) != 2 || sigs[args[0]] == nil {
		ts.Fatalf("usage: signal INT|TERM|HUP|KILL|STOP|CONT PROCESS")
	}
	s := of(ts)
	s.died = s.died || args[0] == "KILL"
	p := processNamed(ts, args[1])
	p.signalled = time.Now()
	ts.Check(p.cmd.Process.Signal(sigs[args[0]]))
}

// finish waits for a process, which must end with this exit code, and so soon after it was signalled; what it said becomes stdout
// and stderr: finish CODE PROCESS [WITHIN]
func finish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: finish CODE PROCESS [WITHIN]")
	}
	s, p := of(ts), processNamed(ts, args[1])
	waitFor(ts, args[1]+" to end", func() (bool, <-chan struct{}) {
		select {
		case <-p.ended:
			return true, nil
		default:
			return false, p.ended
		}
	})
	delete(s.processes, args[1])
	if len(args) == 3 {
		most, err := time.ParseDuration(args[2])
		ts.Check(err)
		if took := p.gone.Sub(p.signalled); took > most {
			ts.Fatalf("%s ended %s after its signal", args[1], took)
		}
	}
	ts.Stdout().Write(p.out.text.Bytes())
	ts.Stderr().Write(p.err.text.Bytes())
	s.said.Write(p.out.text.Bytes())
	s.said.Write(p.err.text.Bytes())
	s.ended(ts, args[0], p.code)
}
