package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// moment says when to kill: something has to happen first, then a time passes.
type moment struct {
	first string
	call  int // for asked and answered: which of this child
	then  time.Duration
	limit int // --limit of that run: it writes its files early
}

const (
	started  = "started"  // the process, nothing more
	created  = "created"  // the job file is there, empty
	locked   = "locked"   // the job file is its own: it recovers, imports, checks, claims
	asked    = "asked"    // a call has come to the server
	answered = "answered" // a call has its answer: it is being saved
	writing  = "writing"  // an output file is in the making
	written  = "written"  // the results stand in their place
	logged   = "logged"   // the write-ahead log has something in it
	moved    = "moved"    // the job file itself has changed: what stands in its log is being moved there
)

// draw gives a moment of any kind. The waits lean to the short side: a run begins with much in a few milliseconds.
func draw(r *rand.Rand) moment {
	call, limit := 1+r.IntN(60), 1+r.IntN(20)
	switch r.IntN(11) {
	case 0, 1:
		return drawEarly(r)
	case 2, 3:
		return moment{first: asked, call: call, then: within(r, 4)}
	case 4, 5, 6:
		return moment{first: answered, call: call, then: within(r, 4)}
	case 7, 8:
		return moment{first: writing, then: within(r, 4), limit: limit}
	case 9:
		return moment{first: moved, then: within(r, 0.5), limit: limit}
	}
	return moment{first: written, then: within(r, 4), limit: limit}
}

// drawEarly gives a moment before the first calls, most of the time.
func drawEarly(r *rand.Rand) moment {
	if r.IntN(4) == 0 {
		return moment{first: started, then: within(r, 30)}
	}
	return moment{first: locked, then: within(r, 25)}
}

func within(r *rand.Rand, ms float64) time.Duration {
	share := r.Float64()
	return time.Duration(share * share * ms * float64(time.Millisecond))
}

// run starts a child, kills it at the moment, and looks at what it left behind.
func (v *victim) run(m moment) {
	v.t.Helper()
	v.before = v.traces()
	happened, stop := v.watch(m)
	defer stop()
	c := v.batch(v.runArgs(m.limit)...)
	if !c.await(happened) {
		v.t.Fatalf("child %d: neither %s %d nor its end for %s\n%s", v.child, m.first, m.call, killPatience, &c.said)
	}
	killed := c.killAfter(m.then)
	if code := c.cmd.ProcessState.ExitCode(); !killed && code != exitOK && code != exitStopped {
		v.t.Fatalf("child %d ended with %d\n%s", v.child, code, &c.said)
	}
	if strings.Contains(c.said.String(), killKey) {
		v.t.Errorf("child %d said the API key", v.child)
	}
	v.look(killed)
	if v.t.Failed() {
		v.t.Fatalf("after child %d, %s: %+v\n%s", v.child, map[bool]string{true: "killed", false: "ended by itself"}[killed], m, &c.said)
	}
}

// child is a batch at work.
type child struct {
	cmd   *exec.Cmd
	said  bytes.Buffer
	dying func() // is called just before it is killed
	ended chan struct{}
}

func (v *victim) runArgs(limit int) []string {
	args := []string{"run", "in.jsonl", "--db", filepath.Base(v.jobFile()), "--base-url", v.wire.http.URL + "/v1",
		"--max-wait", "1m", "--header", fmt.Sprint(childHeader, ": ", v.child)}
	if limit > 0 {
		args = append(args, "--limit", fmt.Sprint(limit))
	}
	return append(args, v.flags...)
}

// batch starts a command in the victim's folder.
func (v *victim) batch(args ...string) *child {
	c := v.command(args...)
	v.start(c)
	return c
}

func (v *victim) command(args ...string) *child {
	c := &child{cmd: exec.Command(v.binary, args...), dying: func() {}, ended: make(chan struct{})}
	if v.wire != nil {
		c.dying = func() { v.calls = v.wire.callsOf(v.child) }
	}
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = v.dir, &c.said, &c.said
	c.cmd.Env = append(append(os.Environ(), "ASSISTERS_API_KEY="+killKey, "ASSISTERS_BASE_URL="), v.env...)
	return c
}

func (v *victim) start(c *child) {
	if err := c.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		c.cmd.Wait()
	}()
}

// await waits until the child has ended or something has happened, but not for ever: then it kills the child.
func (c *child) await(happened <-chan struct{}) bool {
	wait := time.NewTimer(killPatience)
	defer wait.Stop()
	select {
	case <-c.ended:
	case <-happened:
	case <-wait.C:
		c.killAfter(0)
		return false
	}
	return true
}

// killAfter says whether the child died of it: it may have ended before. batch
// starts no processes, so killing it kills all there is.
func (c *child) killAfter(d time.Duration) bool {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-c.ended:
	}
	c.dying()
	c.cmd.Process.Kill()
	<-c.ended
	status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// watch arms a moment: the channel is closed when the first of it has happened.
func (v *victim) watch(m moment) (happened <-chan struct{}, stop func()) {
	switch m.first {
	case asked, answered:
		return v.wire.set(v.child, m.call, m.first == answered), func() {}
	case started:
		done := make(chan struct{})
		close(done)
		return done, func() {}
	}
	look := map[string]func() string{
		created: func() string { return identify(v.jobFile()) },
		locked:  func() string { return identify(v.jobFile() + ".lock") },
		writing: func() string { return fmt.Sprint(v.temporary()) },
		written: func() string { return identify(v.results()) },
		logged:  func() string { return v.logSize() },
		moved:   func() string { return identify(v.jobFile()) },
	}[m.first]
	before := look()
	return poll(func() bool { now := look(); return now != before && now != "" && now != "[]" })
}

// poll closes the channel when it is so.
func poll(so func() bool) (<-chan struct{}, func()) {
	happened, stop := make(chan struct{}), make(chan struct{})
	go func() {
		tick := time.NewTicker(200 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if so() {
					close(happened)
					return
				}
			case <-stop:
				return
			}
		}
	}()
	return happened, func() { close(stop) }
}

// traces are what a child finds of those before it, and changes.
type traces struct {
	jobFile, lock string   // as identify tells them
	litter        []string // temporary files of killed children
}

func (v *victim) traces() traces {
	return traces{identify(v.jobFile()), identify(v.jobFile() + ".lock"), v.temporary()}
}

// identify changes when a file is made, written or replaced; "" where there is none.
func identify(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino, info.ModTime().UnixNano(), info.Size())
}

// logSize is that of the write-ahead log; "" where there is nothing in it.
func (v *victim) logSize() string {
	info, err := os.Stat(v.jobFile() + "-wal")
	if err != nil || info.Size() == 0 {
		return ""
	}
	return fmt.Sprint(info.Size())
}

// temporary lists the files in the making.
func (v *victim) temporary() []string {
	all, _ := filepath.Glob(v.path(".in.*.tmp"))
	return all
}
