package runner

import (
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
}

func (a *api) Do(ctx context.Context, call chat.Call) chat.Result {
	var body struct{ Prompt string }
	json.Unmarshal(call.Body, &body)
	started := time.Now()
	a.mu.Lock()
	a.calls = append(a.calls, sent{body.Prompt, call.IdempotencyKey, started})
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
	a.mu.Lock()
	res := a.answer(n, body.Prompt)
	a.mu.Unlock()
	res.Started, res.Duration, res.Sent = started, time.Since(started), true
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
	died  bool // a run did not end in order: attempts may be on record that were never sent
}

// in runs a story in a bubble. Whatever it does, afterwards the job file must hold together.
func in(t *testing.T, jobs int, answer func(int, string) chat.Result, story func(w *world)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prompts.batch.db")
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(t.Context(), path, true)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		w := &world{t: t, store: st, api: &api{latency: time.Second, answer: answer}}
		w.load(jobs)
		story(w)
		w.check()
	})
}

func (w *world) load(jobs int) {
	w.t.Helper()
	_, err := w.store.Import(w.t.Context(), store.ImportOptions{}, func(imp *store.Importer) error {
		imp.File("prompts.jsonl")
		for i := range jobs {
			body := fmt.Sprintf(`{"prompt":"p%d"}`, i)
			if err := imp.Add(store.Job{Line: i + 1, Model: "m", Key: sha256.Sum256([]byte(body)), Body: []byte(body), Tokens: 10}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// start begins a run and returns what it will come to.
func (w *world) start(opt Options) (*Runner, func() Summary) {
	w.t.Helper()
	if _, err := w.store.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.BeginRun(w.t.Context(), store.Run{Started: time.Now(), Endpoint: "test", Version: "test"}); err != nil {
		w.t.Fatal(err)
	}
	if opt.Random == nil {
		opt.Random = func() float64 { return 0.5 }
	}
	opt.Endpoint = "test"
	r := New(w.store, w.api, opt)
	type result struct {
		sum Summary
		err error
	}
	ch := make(chan result, 1)
	go func() {
		sum, err := r.Run(w.t.Context())
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

// check holds the job file against the calls that went out.
func (w *world) check() {
	w.t.Helper()
	v, err := w.store.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	totals, err := v.Totals(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var attempts int64
	for _, total := range totals {
		attempts += total.Attempts
	}
	if calls := int64(len(w.api.calls)); attempts < calls || attempts > calls && !w.died {
		w.t.Errorf("%d calls went out, %d attempts are on record", len(w.api.calls), attempts)
	}
	for row, err := range v.Rows(w.t.Context()) {
		if err != nil {
			w.t.Fatal(err)
		}
		if row.State == store.Running {
			w.t.Errorf("line %d is still running", row.Line)
		}
		if row.State == store.Done && len(row.Response) == 0 {
			w.t.Errorf("line %d is done without its answer", row.Line)
		}
	}
}

func TestDrain(t *testing.T) {
	in(t, 100, func(_ int, prompt string) chat.Result { return done("answer to " + prompt) }, func(w *world) {
		begun := time.Now()
		sum := w.run(Options{Concurrency: 10})
		if sum.Done != 100 || sum.Stop != nil {
			t.Errorf("%+v", sum)
		}
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("100 calls of 1 s, 10 at a time, took %s", took)
		}
		if w.api.most != 10 {
			t.Errorf("%d calls at a time", w.api.most)
		}
		v, _ := w.store.View(w.t.Context())
		defer v.Close()
		for row := range v.Rows(w.t.Context()) {
			if want := fmt.Sprintf("answer to p%d", row.Line-1); string(row.Response) != want {
				t.Errorf("line %d has %q", row.Line, row.Response)
			}
		}
		if sum := w.run(Options{}); sum.Done != 0 || len(w.api.calls) != 100 {
			t.Error("a finished job file is not drained again")
		}
	})
}

func TestRetry(t *testing.T) {
	t.Run("an unknown outcome is tried again with the same key, up to the limit", func(t *testing.T) {
		in(t, 1, always(refused(chat.Unknown, "", 500, "")), func(w *world) {
			sum := w.run(Options{MaxAttempts: 8})
			if sum.Failed != 1 || len(w.api.calls) != 8 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
			for i, call := range w.api.calls {
				if call.key != w.api.calls[0].key {
					t.Errorf("call %d has another key", i)
				}
				if i == 0 {
					continue
				}
				waited := call.at.Sub(w.api.sentAt(i-1)) - time.Second
				if want := ceiling(i) / 2; waited < want || waited > want+50*time.Millisecond {
					t.Errorf("waited %s before call %d, want %s", waited, i+1, want)
				}
			}
		})
	})
	t.Run("a call that was not processed uses up no attempt", func(t *testing.T) {
		in(t, 1, func(n int, _ string) chat.Result {
			if n < 10 {
				return refused(chat.NotProcessed, "", 503, "")
			}
			return done("x")
		}, func(w *world) {
			if sum := w.run(Options{MaxAttempts: 2}); sum.Done != 1 {
				t.Errorf("%+v", sum)
			}
		})
	})
	t.Run("a retry does not hold up its worker", func(t *testing.T) {
		in(t, 20, func(n int, _ string) chat.Result {
			if n == 1 {
				res := refused(chat.NotProcessed, "", 503, "")
				res.Wait = chat.Wait{Known: true, Until: time.Now().Add(time.Minute)}
				return res
			}
			return done("x")
		}, func(w *world) {
			w.run(Options{Concurrency: 1})
			if got := w.api.calls[20]; got.prompt != "p0" || got.at.Sub(w.api.sentAt(0)) < time.Minute {
				t.Errorf("the last call is %+v", got)
			}
			if gap := w.api.sentAt(19).Sub(w.api.sentAt(0)); gap > 20*time.Second {
				t.Errorf("the others took %s", gap)
			}
		})
	})
	t.Run("a timeout is tried once more", func(t *testing.T) {
		in(t, 1, always(refused(chat.Unknown, chat.TimedOut, 0, "")), func(w *world) {
			if sum := w.run(Options{}); sum.Failed != 1 || len(w.api.calls) != 2 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
		})
	})
	t.Run("a replayed failure gets a new key", func(t *testing.T) {
		in(t, 1, func(n int, _ string) chat.Result {
			res := refused(chat.Unknown, "", 500, "")
			if n == 2 {
				res.Replayed = true
			}
			if n == 3 {
				return done("x")
			}
			return res
		}, func(w *world) {
			w.run(Options{})
			if len(w.api.calls) != 3 || w.api.calls[0].key != w.api.calls[1].key || w.api.calls[1].key == w.api.calls[2].key {
				t.Errorf("%+v", w.api.calls)
			}
		})
	})
}

func TestRateLimit(t *testing.T) {
	limited := func(wait time.Duration) chat.Result {
		res := refused(chat.NotProcessed, chat.RateLimited, 429, "rate_limit_exceeded")
		res.Wait = chat.Wait{Known: true, Until: time.Now().Add(wait)}
		return res
	}
	t.Run("one episode pauses the whole pool until the server's time", func(t *testing.T) {
		in(t, 40, func(n int, _ string) chat.Result {
			if n <= 4 {
				return limited(30 * time.Second)
			}
			return done("x")
		}, func(w *world) {
			sum := w.run(Options{Concurrency: 4})
			if sum.Done != 40 || len(w.api.calls) != 44 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
			if gap := w.api.sentAt(4).Sub(w.api.sentAt(0)); gap < 31*time.Second || gap > 32*time.Second {
				t.Errorf("the pool went on after %s", gap)
			}
			if gap := w.api.sentAt(7).Sub(w.api.sentAt(4)); gap < spreadOver/2 {
				t.Errorf("the pause ended in a stampede: 4 calls in %s", gap)
			}
		})
	})
	t.Run("a wait that is too long stops the run", func(t *testing.T) {
		in(t, 10, func(int, string) chat.Result { return limited(14 * 24 * time.Hour) }, func(w *world) {
			begun := time.Now()
			sum := w.run(Options{Concurrency: 2})
			if sum.Stop == nil || sum.Stop.Cause != RateLimit || time.Since(begun) > time.Minute {
				t.Errorf("%+v", sum)
			}
			if c := w.counts(); c.Pending != 10 {
				t.Errorf("%+v", c)
			}
		})
	})
	t.Run("nothing but rate limit errors stops the run", func(t *testing.T) {
		in(t, 10, always(refused(chat.NotProcessed, chat.RateLimited, 429, "")), func(w *world) {
			begun := time.Now()
			sum := w.run(Options{Concurrency: 2})
			if sum.Stop == nil || sum.Stop.Cause != RateLimit {
				t.Fatalf("%+v", sum)
			}
			if took := time.Since(begun); took < 10*time.Minute || took > 12*time.Minute {
				t.Errorf("after %s", took)
			}
			if n := len(w.api.calls); n > 100 {
				t.Errorf("%d calls in ten minutes of refusals", n)
			}
		})
	})
	t.Run("a job that is refused while others are answered fails", func(t *testing.T) {
		in(t, 100, func(_ int, prompt string) chat.Result {
			if prompt == "p0" {
				return limited(time.Second)
			}
			return done("x")
		}, func(w *world) {
			if sum := w.run(Options{Concurrency: 1}); sum.Failed != 1 || sum.Done != 99 {
				t.Errorf("%+v", sum)
			}
		})
	})
	t.Run("the server's own count is kept to", func(t *testing.T) {
		var windowEnds time.Time
		left := 0
		in(t, 30, func(int, string) chat.Result {
			now := time.Now()
			if !now.Before(windowEnds) {
				windowEnds, left = now.Add(time.Minute), 10
			}
			left--
			if left < 0 {
				return limited(windowEnds.Sub(now))
			}
			res := done("x")
			res.Limits.Requests = chat.Limit{HasRemaining: true, Remaining: int64(left), HasReset: true, Reset: windowEnds}
			return res
		}, func(w *world) {
			w.run(Options{Concurrency: 4})
			if n := len(w.api.calls); n > 31 { // the window starts with the first answer, so that few calls can be one too many
				t.Errorf("%d calls for 30 jobs: the limit was not kept to", n)
			}
		})
	})
}

func TestPace(t *testing.T) {
	t.Run("requests", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			w.run(Options{RPM: 60, Concurrency: 8})
			for i := range w.api.calls[1:] {
				if gap := w.api.sentAt(i + 1).Sub(w.api.sentAt(i)); gap < time.Second {
					t.Errorf("%s between calls %d and %d", gap, i, i+1)
				}
			}
			if took := w.api.sentAt(19).Sub(w.api.sentAt(0)); took > 20*time.Second {
				t.Errorf("20 calls at 60 a minute took %s", took)
			}
		})
	})
	t.Run("tokens", func(t *testing.T) {
		res := done("x")
		res.Answer.Usage = chat.Usage{Known: true, Prompt: 30, Completion: 5, Total: 35} // the prompt was estimated at 10
		in(t, 100, always(res), func(w *world) {
			begun := time.Now()
			w.run(Options{TPM: 350, Concurrency: 8})
			if took := time.Since(begun); took < 9*time.Minute || took > 11*time.Minute {
				t.Errorf("100 calls of 35 tokens at 350 a minute took %s", took)
			}
		})
	})
}

func TestRunStops(t *testing.T) {
	t.Run("a refused key stops at once and fails nothing", func(t *testing.T) {
		in(t, 50, func(n int, _ string) chat.Result {
			if n >= 10 {
				return refused(chat.RunStops, chat.KeyRefused, 401, "invalid_api_key")
			}
			return done("x")
		}, func(w *world) {
			sum := w.run(Options{Concurrency: 4})
			if sum.Stop == nil || sum.Stop.Cause != KeyRefused || sum.Stop.Code != "invalid_api_key" {
				t.Fatalf("%+v", sum)
			}
			if n := len(w.api.calls); n > 10+4 {
				t.Errorf("%d calls", n)
			}
			if c := w.counts(); c.Done != 9 || c.Failed != 0 || c.Pending != 41 {
				t.Errorf("%+v", c)
			}
			first := w.api.calls[9].prompt
			w.api.calls, w.api.answer = w.api.calls[:len(w.api.calls):len(w.api.calls)], always(done("x"))
			w.run(Options{Concurrency: 1})
			last := w.api.calls[len(w.api.calls)-4:]
			found := false
			for _, call := range last {
				found = found || call.prompt == first
			}
			if !found {
				t.Errorf("%s stopped the run and is not among the last: %v", first, last)
			}
		})
	})
	t.Run("20 equal failures are taken back", func(t *testing.T) {
		unknownModel := refused(chat.JobFailed, "", 404, "model_not_found")
		in(t, 100, always(unknownModel), func(w *world) {
			sum := w.run(Options{Concurrency: 8})
			if sum.Stop == nil || sum.Stop.Cause != SameFailure || sum.Failed != 0 {
				t.Fatalf("%+v", sum)
			}
			if c := w.counts(); c.Pending != 100 || len(w.api.calls) > 19+8 {
				t.Errorf("%+v after %d calls", c, len(w.api.calls))
			}
			if sum := w.run(Options{KeepGoing: true}); sum.Failed != 100 {
				t.Errorf("%+v", sum)
			}
		})
	})
	t.Run("an answer that comes late does not keep them failed", func(t *testing.T) {
		in(t, 100, func(n int, prompt string) chat.Result {
			if prompt == "p0" {
				return done("x")
			}
			return refused(chat.JobFailed, "", 404, "model_not_found")
		}, func(w *world) {
			w.api.slow = map[string]time.Duration{"p0": time.Minute}
			sum := w.run(Options{Concurrency: 2})
			if c := w.counts(); sum.Stop == nil || c.Failed != 0 || c.Done != 1 {
				t.Errorf("%+v %+v", sum, c)
			}
		})
	})
	t.Run("equal failures that are the jobs' own go on", func(t *testing.T) {
		in(t, 50, always(refused(chat.JobFailed, "", 400, "context_length_exceeded")), func(w *world) {
			if sum := w.run(Options{}); sum.Failed != 50 {
				t.Errorf("%+v", sum)
			}
		})
	})
	t.Run("a 403 stops the run when three jobs in a row meet it", func(t *testing.T) {
		in(t, 10, always(refused(chat.JobFailed, chat.Forbidden, 403, "")), func(w *world) {
			sum := w.run(Options{Concurrency: 1})
			if sum.Stop == nil || sum.Stop.Cause != Refused || len(w.api.calls) != 3 || w.counts().Pending != 10 {
				t.Errorf("%+v after %d calls: %+v", sum, len(w.api.calls), w.counts())
			}
		})
	})
	t.Run("a practice answer is not taken for a real one", func(t *testing.T) {
		res := done("made up")
		res.Simulated = true
		in(t, 5, always(res), func(w *world) {
			sum := w.run(Options{Concurrency: 1})
			if sum.Stop == nil || sum.Stop.Cause != Simulated || w.counts().Done != 0 {
				t.Errorf("%+v", sum)
			}
			if sum := w.run(Options{AllowSimulated: true}); sum.Done != 5 {
				t.Errorf("%+v", sum)
			}
		})
		in(t, 5, always(done("real")), func(w *world) {
			if sum := w.run(Options{AllowSimulated: true}); sum.Stop == nil || sum.Stop.Cause != Simulated || w.counts().Done != 0 {
				t.Errorf("a real answer got among made-up ones: %+v", sum)
			}
		})
	})
}

func TestOutage(t *testing.T) {
	t.Run("probes go out one at a time until the provider is back", func(t *testing.T) {
		var back time.Time
		in(t, 60, func(int, string) chat.Result {
			if time.Now().Before(back) {
				return refused(chat.NotProcessed, chat.Unreachable, 0, "")
			}
			return done("x")
		}, func(w *world) {
			w.api.latency = 500 * time.Millisecond
			back = time.Now().Add(5 * time.Minute)
			sum := w.run(Options{Concurrency: 8})
			if sum.Done != 60 || sum.Stop != nil {
				t.Errorf("%+v", sum)
			}
			var during []sent
			for _, call := range w.api.calls {
				if call.at.Before(back) {
					during = append(during, call)
				}
			}
			if n := len(during); n < 15 || n > 30 {
				t.Errorf("%d calls while the provider was down", n)
			}
			for i := outageAfter + 9; i < len(during); i++ {
				if during[i].prompt == during[i-1].prompt {
					t.Errorf("probes %d and %d sent the same job", i-1, i)
				}
				if gap := during[i].at.Sub(during[i-1].at); gap < time.Second {
					t.Errorf("%s between probes", gap)
				}
			}
		})
	})
	t.Run("one that lasts stops the run and fails nothing", func(t *testing.T) {
		in(t, 60, always(refused(chat.Unknown, "", 502, "")), func(w *world) {
			begun := time.Now()
			sum := w.run(Options{Concurrency: 8, MaxAttempts: 2})
			if sum.Stop == nil || sum.Stop.Cause != ProviderDown {
				t.Fatalf("%+v", sum)
			}
			if took := time.Since(begun); took < 9*time.Minute || took > 12*time.Minute {
				t.Errorf("after %s", took)
			}
			if c := w.counts(); c.Pending != 60 {
				t.Errorf("%+v", c)
			}
		})
	})
}

func TestInterrupt(t *testing.T) {
	t.Run("calls in flight are waited for", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			w.api.latency = 10 * time.Second
			r, wait := w.start(Options{Concurrency: 4})
			<-time.After(time.Second)
			r.Stop(time.Minute)
			synctest.Wait()
			if p := r.Progress(); p.InFlight != 4 || p.GraceEnds.IsZero() {
				t.Errorf("%+v", p)
			}
			sum := wait()
			if sum.Done != 4 || sum.Stop.Cause != Interrupt || len(w.api.calls) != 4 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
		})
	})
	t.Run("until the grace time ends", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			w.api.latency = time.Hour
			r, wait := w.start(Options{Concurrency: 4})
			synctest.Wait()
			begun := time.Now()
			r.Stop(8 * time.Second)
			if sum := wait(); sum.Done != 0 || time.Since(begun) != 8*time.Second {
				t.Errorf("%+v after %s", sum, time.Since(begun))
			}
			if c := w.counts(); c.Pending != 20 {
				t.Errorf("%+v", c)
			}
			keys := map[string]string{}
			for _, call := range w.api.calls {
				keys[call.prompt] = call.key
			}
			w.api.latency = 0
			w.run(Options{})
			for _, call := range w.api.calls {
				if key := keys[call.prompt]; key != "" && key != call.key {
					t.Errorf("%s was interrupted and came back with another key", call.prompt)
				}
			}
		})
	})
	t.Run("before it began", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			if err := w.store.BeginRun(w.t.Context(), store.Run{Started: time.Now(), Endpoint: "test", Version: "test"}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(w.t.Context())
			cancel()
			sum, err := New(w.store, w.api, Options{Concurrency: 4}).Run(ctx)
			if err != nil || sum.Stop == nil || sum.Stop.Cause != Interrupt || len(w.api.calls) != 0 || w.counts().Pending != 20 {
				t.Errorf("%+v %v after %d calls: %+v", sum, err, len(w.api.calls), w.counts())
			}
		})
	})
	t.Run("while the pool is paused", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			r, wait := w.start(Options{Concurrency: 4, NotBefore: time.Now().Add(5 * time.Minute)})
			synctest.Wait()
			r.Stop(time.Minute)
			if sum := wait(); sum.Done != 0 || len(w.api.calls) != 0 {
				t.Errorf("%+v", sum)
			}
		})
	})
}

func TestLimit(t *testing.T) {
	in(t, 20, func(n int, _ string) chat.Result {
		if n == 1 {
			return refused(chat.Unknown, "", 500, "")
		}
		return done("x")
	}, func(w *world) {
		if sum := w.run(Options{Limit: 5, Concurrency: 2}); sum.Done != 5 || len(w.api.calls) != 6 {
			t.Errorf("%+v after %d calls", sum, len(w.api.calls))
		}
		if c := w.counts(); c.Pending != 15 {
			t.Errorf("%+v", c)
		}
	})
}

// brokenStore refuses the turns from failAt on, until as many have failed. With saved set it saves them all the same, as a COMMIT may
// that failed.
type brokenStore struct {
	Store
	turns, failAt, fails int
	saved                bool
}

func (s *brokenStore) Turn(ctx context.Context, outs []store.Outcome, pause *store.Pause, want store.Want) (store.Turned, error) {
	s.turns++
	if s.turns >= s.failAt && s.turns < s.failAt+s.fails {
		if s.saved {
			s.Store.Turn(ctx, outs, pause, store.Want{})
		}
		return store.Turned{}, fmt.Errorf("disk full")
	}
	return s.Store.Turn(ctx, outs, pause, want)
}

func TestStorageFails(t *testing.T) {
	run := func(w *world, s *brokenStore, opt Options) (Summary, error) {
		if err := w.store.BeginRun(w.t.Context(), store.Run{Started: time.Now(), Endpoint: "test", Version: "test"}); err != nil {
			t.Fatal(err)
		}
		s.Store, opt.Concurrency = w.store, 4
		return New(s, w.api, opt).Run(w.t.Context())
	}
	for _, saved := range []bool{false, true} {
		t.Run(fmt.Sprintf("for a while, saved=%v", saved), func(t *testing.T) {
			in(t, 40, always(done("x")), func(w *world) {
				sum, err := run(w, &brokenStore{failAt: 3, fails: 30, saved: saved}, Options{})
				if err != nil || sum.Stop == nil || sum.Stop.Cause != Storage {
					t.Errorf("%+v %v", sum, err)
				}
				if c := w.counts(); c.Done != int64(len(w.api.calls)) || c.Running != 0 || len(w.api.calls) > 12 {
					t.Errorf("%d calls were answered: %+v", len(w.api.calls), c)
				}
			})
		})
	}
	t.Run("for good", func(t *testing.T) {
		in(t, 20, always(done("x")), func(w *world) {
			begun := time.Now()
			if _, err := run(w, &brokenStore{failAt: 3, fails: 1e9}, Options{Grace: time.Minute}); err == nil {
				t.Error("the run must end with the job file's error")
			}
			if took := time.Since(begun); took < time.Minute || took > 65*time.Second {
				t.Errorf("it was tried for %s", took)
			}
			if _, err := w.store.Recover(w.t.Context()); err != nil {
				t.Fatal(err)
			}
			w.died = true
		})
	})
}

func TestLongWaits(t *testing.T) {
	hours := func(int, string) chat.Result {
		res := refused(chat.NotProcessed, "", 503, "")
		res.Wait = chat.Wait{Known: true, Until: time.Now().Add(10 * time.Hour)}
		return res
	}
	t.Run("a run does not sit and wait for a job", func(t *testing.T) {
		in(t, 5, hours, func(w *world) {
			begun := time.Now()
			sum := w.run(Options{})
			if sum.Stop == nil || sum.Stop.Until.Sub(begun) < 9*time.Hour || time.Since(begun) > time.Minute {
				t.Errorf("%+v after %s", sum.Stop, time.Since(begun))
			}
		})
	})
	t.Run("nor for the pause of the run before", func(t *testing.T) {
		in(t, 5, always(done("x")), func(w *world) {
			sum := w.run(Options{NotBefore: time.Now().Add(time.Hour)})
			if sum.Stop == nil || sum.Stop.Cause != RateLimit || len(w.api.calls) != 0 {
				t.Errorf("%+v", sum)
			}
		})
	})
	t.Run("absurd ones are a wrong clock's", func(t *testing.T) {
		in(t, 5, always(done("x")), func(w *world) {
			if sum := w.run(Options{NotBefore: time.Now().Add(48 * time.Hour)}); sum.Done != 5 {
				t.Errorf("%+v", sum)
			}
		})
	})
	t.Run("a job that is not processed is tried ever more rarely", func(t *testing.T) {
		in(t, 2000, func(_ int, prompt string) chat.Result {
			if prompt == "p0" {
				return refused(chat.NotProcessed, "", 503, "")
			}
			return done("x")
		}, func(w *world) {
			w.run(Options{Concurrency: 4, MaxWait: 10 * time.Minute})
			n := 0
			for _, call := range w.api.calls[:2000] {
				if call.prompt == "p0" {
					n++
				}
			}
			if n > 30 { // 500 seconds at up to 60 s each
				t.Errorf("%d tries of one job in 2,000 calls", n)
			}
		})
	})
}

func TestTermAfterStop(t *testing.T) {
	in(t, 20, func(_ int, prompt string) chat.Result {
		if prompt == "p0" {
			return refused(chat.RunStops, chat.KeyRefused, 401, "")
		}
		return done("x")
	}, func(w *world) {
		w.api.latency, w.api.slow = time.Hour, map[string]time.Duration{"p0": time.Second}
		r, wait := w.start(Options{Concurrency: 4})
		<-time.After(5 * time.Second)
		begun := time.Now()
		r.Stop(8 * time.Second)
		if sum := wait(); time.Since(begun) > 8*time.Second || sum.Stop.Cause != KeyRefused {
			t.Errorf("%+v after %s", sum, time.Since(begun))
		}
	})
}
