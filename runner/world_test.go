package runner

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat"
	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
	"batch/store"
)

// api is an API of the test's own: answer gives the result of a call, after latency.
type api struct {
	latency time.Duration
	slow    map[string]time.Duration               // other latencies, by prompt
	answer  func(n int, prompt string) chat.Result // n counts the calls from 1

	mu    sync.Mutex
	calls []sent
	now   int // in flight
	most  int
}

// sent is one call as it went out.
type sent struct {
	prompt, key string
	at          time.Time
	body        [sha256.Size]byte
	status      int // of the answer
}

func (a *api) Do(ctx context.Context, call chat.Call) chat.Result {
	var body struct{ Prompt string }
	json.Unmarshal(call.Body, &body)
	started := time.Now()
	a.mu.Lock()
	a.calls = append(a.calls, sent{prompt: body.Prompt, key: call.IdempotencyKey, at: started, body: sha256.Sum256(call.Body)})
	n := len(a.calls)
	a.now++
	a.most = max(a.most, a.now)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.now--
		a.mu.Unlock()
	}()
	latency := a.latency
	if slow, found := a.slow[body.Prompt]; found {
		latency = slow
	}
	wait := time.NewTimer(latency)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return chat.Result{Class: chat.Interrupted, Sent: true, Started: started}
	case <-wait.C:
	}
	res := a.say(n, body.Prompt)
	res.Started, res.Duration, res.Sent = started, time.Since(started), true
	return res
}

func (a *api) say(n int, prompt string) chat.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	res := a.answer(n, prompt)
	a.calls[n-1].status = res.Status
	return res
}

func (a *api) sentAt(i int) time.Time { return a.calls[i].at }

func done(text string) chat.Result {
	return chat.Result{Class: chat.Done, Status: 200, Body: []byte(text),
		Answer: chat.Answer{FinishReason: "stop", Usage: chat.Usage{Known: true, Prompt: 10, Completion: 5, Total: 15}}}
}

func refused(class chat.Class, reason chat.Reason, status int, code string) chat.Result {
	return chat.Result{Class: class, Reason: reason, Status: status, Code: code, Message: "the API says no"}
}

func always(res chat.Result) func(int, string) chat.Result {
	return func(int, string) chat.Result { return res }
}

// world is a job file of n prompts and an API, in a synctest bubble: its time costs nothing.
type world struct {
	t     *testing.T
	store *store.Store
	api   *api
	line  *line // a network in place of api
	died  bool  // a run did not end in order: attempts may be on record that were never sent
}

// in runs a story in a bubble. Whatever it does, afterwards the job file must hold together.
func in(t *testing.T, jobs int, answer func(int, string) chat.Result, story func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { tell(t, dir, jobs, answer, story) })
}

// tell is in without the bubble: its time is the real one.
func tell(t *testing.T, dir string, jobs int, answer func(int, string) chat.Result, story func(w *world)) {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(dir, "prompts.batch.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: st, api: &api{latency: time.Second, answer: answer}}
	defer func() { w.store.Close() }()
	w.load(jobs)
	story(w)
	w.check()
}

// load puts as many jobs into the job file, all alike.
func (w *world) load(n int) {
	w.t.Helper()
	jobs := make([]store.Job, n)
	for i := range jobs {
		jobs[i] = store.Job{Tokens: 10, MaxTokens: 20}
	}
	w.put(jobs)
}

// put fills in what the jobs leave out.
func (w *world) put(jobs []store.Job) {
	w.t.Helper()
	_, err := w.store.Import(w.t.Context(), store.ImportOptions{}, func(imp *store.Importer) error {
		imp.File("prompts.jsonl")
		for i, job := range jobs {
			body := fmt.Sprintf(`{"prompt":"p%d"}`, i)
			job.Line, job.Model, job.Key, job.Body = i+1, cmp.Or(job.Model, "m"), sha256.Sum256([]byte(body)), []byte(body)
			if err := imp.Add(job); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// endpoint is what the job file calls the API.
const endpoint = "test"

func (w *world) begin() {
	w.t.Helper()
	if err := w.store.BeginRun(w.t.Context(), store.Run{Started: time.Now(), Endpoint: endpoint, Version: "test"}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) end(sum Summary) {
	if err := w.store.EndRun(w.t.Context(), store.End{At: time.Now(), Reason: "test", Doubtful: sum.Doubtful}); err != nil {
		w.t.Error(err)
	}
}

// start begins a run and returns what it will come to.
func (w *world) start(opt Options) (*Runner, func() Summary) {
	w.t.Helper()
	return w.startOn(w.store, opt)
}

// startOn begins a run on what stands between it and the job file.
func (w *world) startOn(st Store, opt Options) (*Runner, func() Summary) {
	w.t.Helper()
	if broken, is := st.(*brokenStore); is {
		broken.Store = w.store
	}
	if _, err := w.store.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.begin()
	if opt.Random == nil {
		opt.Random = func() float64 { return 0.5 }
	}
	opt.Endpoint = endpoint
	var caller Caller = w.api
	if w.line != nil {
		caller = w.line.client
	}
	r := New(st, caller, opt)
	type result struct {
		sum Summary
		err error
	}
	ch := make(chan result, 1)
	go func() {
		sum, err := r.Run(w.t.Context())
		w.end(sum)
		ch <- result{sum, err}
	}()
	return r, func() Summary {
		w.t.Helper()
		res := <-ch
		if res.err != nil {
			w.t.Fatal(res.err)
		}
		return res.sum
	}
}

func (w *world) run(opt Options) Summary {
	w.t.Helper()
	_, wait := w.start(opt)
	return wait()
}

func (w *world) counts() store.Counts {
	w.t.Helper()
	v, err := w.store.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	c, err := v.Counts(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// possiblyPaid is how many attempts the job file counts as such.
func (w *world) possiblyPaid() (n int) {
	w.t.Helper()
	v, err := w.store.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	for a, err := range v.Attempts(w.t.Context()) {
		if err != nil {
			w.t.Fatal(err)
		}
		if a.PossiblyPaid {
			n++
		}
	}
	return n
}

// check holds the job file against the calls that went out.
func (w *world) check() {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
	calls := []sim.Call{}
	if w.line != nil {
		calls = w.line.server.Ledger()
	}
	for _, c := range w.api.calls {
		calls = append(calls, sim.Call{Key: c.key, Body: c.body, Status: c.status, When: c.at})
	}
	for _, wrong := range oracle.Check(oracle.Case{Folder: filepath.Dir(w.store.Path()), Died: w.died,
		Ledgers: map[string][]sim.Call{endpoint: calls}}) {
		w.t.Error(wrong)
	}
}
