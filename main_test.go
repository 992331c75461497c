package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
)

var update = flag.Bool("update", false, "write what the commands say into the goldens of the scripts")

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, programs)
}

// programs are what this test's own binary is under other names.
var programs = map[string]func(){"batch": main}

// suite is all tests of the package, and the program that some of them start.
type suite struct{ *testing.M }

var programDir string

func (s suite) Run() int {
	var err error
	if programDir, err = os.MkdirTemp("", "batch-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programDir)
	// Under nohup, or in the background of a shell, they are ignored; by catching them here they are not for the processes that the tests start.
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
	return s.M.Run()
}

// buildBatch returns the program, a file of its own that may be killed and preloaded; it is built once, and without the race detector, under
// which such tests only take longer: -short, which goes with it, leaves them out.
func buildBatch(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the program that was built without the race detector")
	}
	binary, err := builtOnce()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

var builtOnce = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(programDir, "batch")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build batch: %w\n%s", err, out)
	}
	return binary, nil
})

// TestScripts runs the stories of testdata/script. A story calls batch by "exits CODE batch ...", which knows the code and keeps
// what was said; when it ends, what must hold after every story is checked.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), Setup: setup, UpdateScripts: *update,
		RequireExplicitExec: true, RequireUniqueNames: true,
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "resume": resume, "start": start, "finish": finish, "signal": signalProcess, "await": await, "await-file": awaitFile, "listening": listening,
			"practice": startServer, "release": release, "ledger": ledger, "sent": sent,
			"pick": pick, "lines": writeLines, "damage": damage, "set-aside": setAside, "mode": mode, "except": except,
		},
	})
}

// condition says whether a script has what it asks for: [netns] is a right to a network of its own, and the tool for it.
func condition(name string) (bool, error) {
	if name != "netns" {
		return false, fmt.Errorf("no such condition: %s", name)
	}
	return exec.Command("unshare", "-rn", "ip", "link").Run() == nil, nil
}

// canary is the API key of every story. Some of its characters look otherwise in a URL or in base64.
const canary = "ask_canary_Q7~x+9/Zw3=="

// story is what one script has going.
type story struct {
	t         testing.TB
	dir       string
	servers   map[string]*server
	processes map[string]*process
	said      bytes.Buffer // by batch, to either stream
	excepted  []string
	died      bool // some process was killed, or left at once
}

// In a script's Values.
type storyKey struct{}

func of(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

func setup(env *testscript.Env) error {
	s := &story{t: env.T().(testing.TB), dir: env.WorkDir, servers: map[string]*server{}, processes: map[string]*process{}}
	env.Values[storyKey{}] = s
	env.Vars = slices.DeleteFunc(env.Vars, func(v string) bool { return strings.HasPrefix(v, "HOME=") })
	env.Setenv("ASSISTERS_API_KEY", canary)
	env.Setenv("VERSION", version())
	env.Setenv("GORACE", "atexit_sleep_ms=0") // under -race every command would linger for a second
	env.Defer(s.end)
	return nil
}

// end is the moral of every story.
func (s *story) end() {
	for id, p := range s.processes {
		p.cmd.Process.Kill()
		<-p.ended
		s.t.Errorf("%s was never finished", id)
	}
	for _, srv := range s.servers {
		srv.Close()
	}
	if s.t.Failed() {
		return
	}
	s.check()
}

// check holds all that the commands left behind against all that the servers saw.
func (s *story) check() {
	c := oracle.Case{Folder: s.dir, Ledgers: map[string][]sim.Call{}, Key: canary, Said: s.said.Bytes(), Ask: ask, Died: s.died, Except: s.excepted, Current: true,
		Missing: slices.Contains(s.excepted, "attempts")}
	for _, srv := range s.servers {
		c.Ledgers[srv.baseURL()] = srv.seen()
	}
	for _, wrong := range oracle.Check(c) {
		s.t.Error(wrong)
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "*"+jobSuffix))
	if err != nil {
		s.t.Error(err)
	}
	for _, path := range files {
		if !slices.Contains(s.excepted, filepath.Base(path)) {
			s.verify(path)
		}
	}
}

// verifying: the library keeps the flags of its own in variables of the package.
var verifying sync.Mutex

// verify runs batch verify in this process.
func (s *story) verify(path string) {
	if code, out, said := inside("verify", path); code != exitOK && code != exitPartial {
		s.t.Errorf("batch verify %s: exit %d\n%s%s", filepath.Base(path), code, out, said)
	}
}

// ask is that of the oracle.
func ask(args ...string) ([]byte, error) {
	code, out, said := inside(args...)
	if code != exitOK {
		return nil, fmt.Errorf("exit %d: %s", code, said)
	}
	return out, nil
}

// inside runs batch in this process.
func inside(args ...string) (code int, out, said []byte) {
	verifying.Lock()
	defer verifying.Unlock()
	var stdout, stderr bytes.Buffer
	code = run(append([]string{"batch"}, args...), strings.NewReader(""), &stdout, &stderr)
	return code, stdout.Bytes(), stderr.Bytes()
}

// exits runs a command that must end with this exit code: exits CODE COMMAND...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	of(ts).ended(ts, args[0], err)
	of(ts).hear(ts)
}

func (s *story) ended(ts *testscript.TestScript, want string, err error) {
	code := 0
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		code = failed.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// hear keeps what the last command said.
func (s *story) hear(ts *testscript.TestScript) {
	s.said.WriteString(ts.ReadFile("stdout"))
	s.said.WriteString(ts.ReadFile("stderr"))
	s.said.WriteString(ts.ReadFile("ttyout"))
}

// resume gives the command "to go on" or "to send them" that was printed to a shell, word for word: resume CODE SPEECH
func resume(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: resume CODE SPEECH")
	}
	said := ts.ReadFile(args[1])
	_, rest, found := strings.Cut(said, "batch: to go on: ")
	if !found {
		_, rest, found = strings.Cut(said, "batch: to send them: ")
	}
	if !found {
		ts.Fatalf("no command to go on was printed")
	}
	command, _, _ := strings.Cut(rest, "\n")
	ts.Logf("$ %s", command)
	err := ts.Exec("sh", "-c", command)
	of(ts).ended(ts, args[0], err)
	of(ts).hear(ts)
}

// mode checks the permissions of a file: mode 600 FILE
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// except names files that are not to be sound when the story ends, outputs that are older than their job file then, or "attempts" where some
// are known to be missing.
func except(ts *testscript.TestScript, neg bool, args []string) {
	of(ts).excepted = append(of(ts).excepted, args...)
}

// damage writes over the pages of a database, but for the first: damage FILE
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage FILE")
	}
	name := ts.MkAbs(args[0])
	text, err := os.ReadFile(name)
	ts.Check(err)
	const page = 4096
	for i := page; i < len(text); i++ {
		text[i] = 0xff
	}
	ts.Check(os.WriteFile(name, text, 0o600))
}

// lines writes a file of many lines, each with its number in place of #: lines FILE FIRST LAST TEMPLATE
func writeLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: lines FILE FIRST LAST TEMPLATE")
	}
	first, err := strconv.Atoi(args[1])
	ts.Check(err)
	last, err := strconv.Atoi(args[2])
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	ts.Check(err)
	for i := first; i <= last; i++ {
		_, err := f.WriteString(strings.ReplaceAll(args[3], "#", strconv.Itoa(i)) + "\n")
		ts.Check(err)
	}
	ts.Check(f.Close())
}

// patience is how long a story waits for what must come.
const patience = 30 * time.Second
