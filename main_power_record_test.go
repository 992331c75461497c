package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// recorder lets a victim's runs be recorded, a log each: log.1, log.2, and log.3.killed where the run was killed.
type recorder struct {
	*victim
	shim   shim
	logs   string // folder
	mirror *mirror
	mu     sync.Mutex
	log    string // of the present run
	hold   *hold  // nil where calls need not wait
	calls  []arrival
}

// arrival is a call that came to the server, and how long the log was by then.
type arrival struct {
	prompt, log string
	length      int64
}

// record tells a story of runs, all of one job file: two imports, a run that ends early by itself, kills with calls in flight, in
// recovery and while answers are saved, an interruption, and the end.
func record(t *testing.T, binary string, seed uint64, prompts, weight int) *recorder {
	w := newWire(t, seed)
	r := &recorder{victim: newVictimOf(t, binary, seed, w), shim: buildShim(t), logs: t.TempDir()}
	r.ask = nil // whoever opens the job file may move its log into it, and only what the runs do is recorded
	r.mirror = newMirror(filepath.Join(t.TempDir(), "mirror"))
	t.Cleanup(r.mirror.close)
	r.tap(w)
	r.weight, r.prompts = weight, nil
	r.flags = []string{"--concurrency", "8"}
	r.grow(prompts*2/3, r.random())

	r.run(func() {
		r.exits(exitStopped, r.runArgs(prompts/8)...)
		r.look(false)
	})
	r.kill(moment{first: asked, call: prompts / 8})
	r.kill(moment{first: locked, then: within(r.random(), 10)})
	r.grow(prompts-len(r.prompts), r.random())
	r.kill(moment{first: answered, call: prompts / 8, then: within(r.random(), 4)})
	r.run(r.interrupt)
	r.run(r.finish)
	if err := errors.Join(os.Rename(r.path("in.jsonl"), filepath.Join(r.logs, "in.jsonl")), os.RemoveAll(r.dir)); err != nil {
		t.Fatal(err) // an image that is gone on with elsewhere is not to know these outputs
	}
	r.checkCallsAreOnRecord()
	return r
}

// tap notes how far the log is when a call comes in.
func (r *recorder) tap(w *wire) {
	w.http.Close()
	w.http = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		r.mu.Lock()
		if info, err := os.Stat(r.log); err == nil {
			r.calls = append(r.calls, arrival{promptOf(body), filepath.Base(r.log), info.Size()})
		}
		hold := r.hold
		r.mu.Unlock()
		if hold != nil {
			hold.once.Do(func() { close(hold.came) })
			<-hold.released
		}
		w.ServeHTTP(rw, req)
	}))
}

func (r *recorder) kill(m moment) {
	r.run(func() { r.victim.run(m) })
}

// hold makes calls wait.
type hold struct {
	once           sync.Once
	came, released chan struct{}
}

// interrupt ends a run gently when calls are in flight, which do not end before. Ctrl-C would be ignored where the test runs in the background of
// a shell.
func (r *recorder) interrupt() {
	h := &hold{came: make(chan struct{}), released: make(chan struct{})}
	r.setHold(h)
	defer r.setHold(nil)
	c := r.batch(r.runArgs(0)...)
	came := c.await(h.came)
	c.cmd.Process.Signal(syscall.SIGTERM)
	close(h.released)
	if !came || !c.await(nil) || c.cmd.ProcessState.ExitCode() != exitTerminated {
		r.t.Fatalf("interrupted: %v\n%s", c.cmd.ProcessState, &c.said)
	}
	r.look(false)
}

func (r *recorder) setHold(h *hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hold = h
}

// run records what is done, and holds the record against the files.
func (r *recorder) run(do func()) {
	r.t.Helper()
	r.child++
	log := filepath.Join(r.logs, fmt.Sprint("log.", r.child))
	r.mu.Lock()
	r.log = log
	r.mu.Unlock()
	r.env = r.shim.env(r.jobFile(), "SHIM_LOG="+log)
	kills := r.tally.kills
	do()
	killed := r.tally.kills > kills
	edits, err := readEdits(log)
	if err != nil {
		r.t.Fatal(err)
	}
	if edits, err = r.mirror.follow(edits, r.jobFile(), killed); err != nil {
		r.t.Fatalf("after child %d: %v", r.child, err)
	}
	if !killed {
		return
	}
	var end int64
	if len(edits) > 0 {
		end = edits[len(edits)-1].end
	}
	err = os.Truncate(log, end)
	if err == nil {
		err = os.Rename(log, log+".killed")
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// mirror is a folder in which the edits of a log are done again.
type mirror struct {
	jobFile string
	files   map[string]*os.File
}

func newMirror(dir string) *mirror {
	os.Mkdir(dir, 0o700)
	return &mirror{filepath.Join(dir, "job.db"), map[string]*os.File{}}
}

func (m *mirror) close() {
	for _, f := range m.files {
		f.Close()
	}
}

func (m *mirror) do(e *edit) error {
	f := m.files[e.file]
	var err error
	switch e.kind {
	case "found", "create":
		if f == nil {
			m.files[e.file], err = os.OpenFile(m.jobFile+suffixes[e.file], os.O_CREATE|os.O_RDWR, 0o600)
		}
	case "write":
		_, err = f.WriteAt(e.data, e.offset)
	case "truncate":
		err = f.Truncate(e.offset)
	case "unlink":
		delete(m.files, e.file)
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	return err
}

// follow does the edits and compares with what the process really left: nothing may have gone past the shim. It returns the edits
// without the last one if that was recorded, but the process was killed before it was done.
func (m *mirror) follow(edits []*edit, jobFile string, killed bool) ([]*edit, error) {
	for i, e := range edits {
		if killed && i == len(edits)-1 && e.kind != "sync" && m.differs(jobFile) == nil {
			return edits[:i], nil
		}
		if err := m.do(e); err != nil {
			return nil, err
		}
	}
	return edits, m.differs(jobFile)
}

func (m *mirror) differs(jobFile string) error {
	for name, suffix := range suffixes {
		want, err := os.ReadFile(jobFile + suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		got, err := os.ReadFile(m.jobFile + suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("the log of %s makes %d bytes that are not the %d of the file", name, len(got), len(want))
		}
	}
	return nil
}

// checkCallsAreOnRecord: when a call comes to the server, its attempt is durable in the job file. It would else go out again after a power
// cut, and nobody would know.
func (r *recorder) checkCallsAreOnRecord() {
	h, err := loadHistory(r.logs)
	if err != nil {
		r.t.Fatal(err)
	}
	lines := map[string]int{}
	for i, prompt := range h.prompts {
		lines[prompt] = i + 1
	}
	calls := map[int]int{}
	for _, call := range r.calls {
		line := lines[call.prompt]
		calls[line]++
		state := h.knownAt(call.log, call.length)
		if state < 0 || h.states[state].attempts[line] < calls[line] {
			r.t.Errorf("call %d for line %d came before its attempt was durable", calls[line], line)
		}
	}
	if len(r.calls) == 0 {
		r.t.Error("no call was seen")
	}
}
