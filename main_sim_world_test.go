package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/tokens"
)

// simulation is one seed: its prompts, their API, and the processes that were started for them.
type simulation struct {
	t     *testing.T
	seed  uint64
	dir   string
	plan  simPlan
	api   *simAPI
	net   *simNet
	begun time.Time

	lines  []simLine
	ids    int
	budget tokens.Money // 0 for none

	runs, deaths, stops int
	open                bool // the last run died, and left what it had open
	ended               []*simProcess
	saved               map[int64]string // answers that were seen in the job file, by job
}

// simLine is a line of the input.
type simLine struct {
	id     string // custom_id, "" for none
	prompt string
	most   int // max_tokens
}

const (
	simKey = "ask_simulation_canary_93ab"
	simURL = "http://127.0.0.1:9/v1"
)

// newSimulation draws what is not given.
func newSimulation(t *testing.T, seed uint64, dir string, given *simPlan) *simulation {
	s := &simulation{t: t, seed: seed, dir: dir, saved: map[int64]string{}}
	// A bubble begins in the year 2000; what tells a point in time from a number of seconds needs a later one.
	<-time.After(time.Until(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) + time.Duration(seed%86_400_000)*time.Millisecond)
	s.begun = time.Now()
	r := s.random(0)
	if s.plan = drawPlan(r, s.begun); given != nil {
		s.plan = *given
	}
	s.grow(r, s.plan.prompts)
	s.api = newSimAPI(t, seed, s.plan.api)
	s.api.most = 1000 + 200*s.plan.prompts
	s.net = newSimNet(seed, s.plan.network)
	s.api.serve(s.net.pipes)
	return s
}

// random draws for one purpose: what happens to one run does not depend on how far the one before got.
func (s *simulation) random(purpose int) *rand.Rand {
	return rand.New(rand.NewPCG(s.seed, uint64(purpose)))
}

func (s *simulation) close() {
	s.api.close()
	synctest.Wait()
}

func (s *simulation) path(name string) string { return filepath.Join(s.dir, name) }
func (s *simulation) jobFile() string         { return s.path("in" + jobSuffix) }

// grow adds lines, some of which are equal to others, some with a custom_id.
func (s *simulation) grow(r *rand.Rand, n int) {
	for range n {
		l := simLine{prompt: fmt.Sprintf("seed %d: %d %s 東京", s.seed, r.IntN(1_000_000), strings.Repeat("and so on ", r.IntN(20))), most: 5 + r.IntN(60)}
		if len(s.lines) > 0 && r.IntN(10) == 0 {
			l = s.lines[r.IntN(len(s.lines))]
			l.id = ""
		}
		if r.IntN(3) == 0 {
			s.ids++
			l.id = fmt.Sprint("id-", s.ids)
		}
		s.lines = append(s.lines, l)
	}
}

// edit changes the input between runs.
func (s *simulation) edit(r *rand.Rand) {
	switch r.IntN(6) {
	case 0:
		s.grow(r, 1+r.IntN(10))
	case 1:
		r.Shuffle(len(s.lines), func(i, j int) { s.lines[i], s.lines[j] = s.lines[j], s.lines[i] })
	case 2:
		if len(s.lines) > 1 {
			i := r.IntN(len(s.lines))
			s.lines = slices.Delete(s.lines, i, i+1)
		}
	case 3:
		s.lines[r.IntN(len(s.lines))].prompt += " edited"
	}
}

func (s *simulation) writeInput() {
	var text bytes.Buffer
	for i, l := range s.lines {
		line := map[string]any{"prompt": l.prompt, "model": "practice", "max_tokens": l.most, "note": i}
		if l.id != "" {
			line["custom_id"] = l.id
		}
		if err := json.NewEncoder(&text).Encode(line); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.path("in.jsonl"), text.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// simProcess is a command at work, as good as a process: it can die.
type simProcess struct {
	number  int
	args    []string
	code    int
	said    bytes.Buffer
	out     bytes.Buffer
	signals chan os.Signal
	ended   chan struct{}
	dead    atomic.Bool
	died    bool // the end that it came to is none of this world
	stopped bool
	told    time.Time // to stop, zero when it never was
	hasty   bool      // told to leave at once, which leaves the files as they were
}

func (p *simProcess) isDead() bool { return p.dead.Load() }

// start runs a verb.
func (s *simulation) start(args ...string) *simProcess {
	p := &simProcess{number: len(s.ended) + 1, args: args, signals: make(chan os.Signal, 4), ended: make(chan struct{})}
	s.ended = append(s.ended, p)
	c := command{args: append([]string{"batch"}, args...), stdin: strings.NewReader(""), stdout: &p.out, term: newTerminal(&p.said),
		network: s.net.dialerOf(p), signals: p.signals}
	go func() {
		defer close(p.ended)
		p.code = c.run()
	}()
	return p
}

// simPatience is longer than any run of a simulation may take: its waits are bounded by --max-wait, and its calls by --timeout.
const simPatience = 200 * time.Hour

// wait waits for the end of a process, or for something else.
func (s *simulation) wait(p *simProcess, other <-chan struct{}) {
	timer := time.NewTimer(simPatience)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-other:
	case <-s.api.tooMany:
		p.signals <- os.Interrupt
		p.signals <- os.Interrupt
		<-p.ended
		s.t.Fatalf("%d calls for %d prompts\n%s", len(s.api.log()), len(s.lines), s.story())
	case <-timer.C:
		p.signals <- os.Interrupt
		p.signals <- os.Interrupt
		<-p.ended
		s.t.Fatalf("%q went on for %s\n%s", p.args, simPatience, s.story())
	}
}

// do runs a verb to its end and wants one of these exit codes.
func (s *simulation) do(codes []int, args ...string) *simProcess {
	s.t.Helper()
	p := s.start(args...)
	s.wait(p, nil)
	if !slices.Contains(codes, p.code) {
		s.t.Fatalf("batch %q: exit %d, not %d\n%s", args, p.code, codes, s.story())
	}
	return p
}

// simProgress are the lines that are said every ten seconds.
var simProgress = regexp.MustCompile(`(?m)^batch: \d+/\d+, .*\n`)

// story is all that was said.
func (s *simulation) story() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", s.plan)
	for _, p := range s.ended {
		fmt.Fprintf(&b, "--- batch %q: exit %d, died %t\n%s", p.args, p.code, p.died, simProgress.ReplaceAllString(p.said.String(), ""))
	}
	for i, c := range s.api.log() {
		fmt.Fprintf(&b, "%d: process %d, %s to %s, %s, %q: %d %s\n", i, c.child, c.When.Sub(s.begun), c.answer.Sub(s.begun), c.Key, c.prompt[:min(len(c.prompt), 24)], c.Status, c.Fault)
	}
	return b.String()
}

// end brings a run to its end in the way that was drawn.
func (s *simulation) end(p *simProcess, e simEnd) {
	if e.how == "" {
		s.wait(p, nil)
		return
	}
	var first <-chan struct{}
	if e.call > 0 {
		first = s.api.set(p.number, e.call, e.whole)
	} else {
		now := make(chan struct{})
		close(now)
		first = now
	}
	s.wait(p, first)
	then := time.NewTimer(e.then)
	defer then.Stop()
	select {
	case <-then.C:
	case <-p.ended:
	}
	synctest.Wait()
	select {
	case <-p.ended:
		return
	default:
	}
	p.stopped = e.how != "death"
	if p.stopped {
		p.told = time.Now()
	}
	switch e.how {
	case "death":
		s.kill(p)
	case "gently", "twice":
		p.signals <- os.Interrupt
		if e.how == "twice" {
			<-time.After(e.then / 2)
			p.signals <- os.Interrupt
		}
		p.hasty = e.how == "twice"
	case "term":
		p.signals <- syscall.SIGTERM
	}
	s.wait(p, nil)
	if p.stopped {
		s.stops++
	}
}

// kill lets a process die: everything on disk is, afterwards, what it is now, and nothing more goes over the network. What runs on in
// this world is not the process but its ghost, which is led out.
func (s *simulation) kill(p *simProcess) {
	synctest.Wait()
	p.dead.Store(true)
	left := s.snapshot()
	s.net.severAll(p)
	p.signals <- os.Interrupt
	p.signals <- os.Interrupt
	<-p.ended
	s.restore(left)
	p.died = true
	s.deaths++
}

// snapshot is every file of the job, by name. Those that batch only replaces are not copied: they have to stay the very same, and are kept
// by another link.
func (s *simulation) snapshot() map[string][]byte {
	left := map[string][]byte{}
	for _, name := range s.names() {
		left[name] = nil
		if strings.Contains(name, jobSuffix) && !strings.HasSuffix(name, "-shm") {
			text, err := os.ReadFile(s.path(name))
			if err != nil {
				s.t.Fatal(err)
			}
			left[name] = append([]byte{}, text...)
		} else if !strings.HasSuffix(name, "-shm") {
			if err := os.Link(s.path(name), s.beside(name)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return left
}

// beside is where a file is kept while a ghost walks: on the same file system, and not in the folder that is looked at.
func (s *simulation) beside(name string) string { return s.dir + "." + name }

func (s *simulation) restore(left map[string][]byte) {
	for _, name := range s.names() {
		if _, was := left[name]; !was || strings.HasSuffix(name, "-shm") {
			if err := os.Remove(s.path(name)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	for name, text := range left {
		var err error
		if text != nil {
			err = os.WriteFile(s.path(name), text, 0o600)
		} else if !strings.HasSuffix(name, "-shm") {
			err = s.restoreLink(name)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// restoreLink gives a file back to its folder. To rename one link to another of the same file would leave both.
func (s *simulation) restoreLink(name string) error {
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(s.beside(name), s.path(name))
}

func (s *simulation) names() (all []string) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
