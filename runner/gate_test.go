package runner

import (
	"math"
	"testing"
	"time"

	"batch/runner/chat"
	"batch/runner/tokens"
	"batch/store"
)

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
	t.Run("L2_a lone refusal is waited out in full", func(t *testing.T) {
		in(t, 3, func(n int, _ string) chat.Result {
			if n == 1 {
				return limited(30 * time.Second)
			}
			return done("x")
		}, func(w *world) {
			w.run(Options{Concurrency: 1})
			if gap := w.api.sentAt(1).Sub(w.api.sentAt(0)); gap < 31*time.Second || gap > 32*time.Second {
				t.Errorf("the next call went out after %s", gap)
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

func TestHistory(t *testing.T) {
	t.Run("what nothing could go out for", func(t *testing.T) {
		limited := true
		in(t, 4, func(n int, prompt string) chat.Result {
			if prompt == "p3" && limited {
				limited = false
				res := refused(chat.NotProcessed, chat.RateLimited, 429, "")
				res.Wait = chat.Wait{Known: true, Until: time.Now().Add(30 * time.Second)}
				return res
			}
			return done("x")
		}, func(w *world) {
			sum := w.run(Options{RPM: 20, Concurrency: 1})
			// Calls at 0, 3, 6 and 9 s, of a second each; the last comes back with its wait, and then nothing is left but to wait.
			if len(sum.Waited) != 2 || sum.Waited["pace"] != 6*time.Second || sum.Waited["rate limit"].Round(time.Second) != 30*time.Second {
				t.Errorf("%v", sum.Waited)
			}
		})
		in(t, 1, func(n int, _ string) chat.Result {
			if n == 1 {
				return refused(chat.Unknown, "", 500, "")
			}
			return done("x")
		}, func(w *world) {
			if sum := w.run(Options{}); len(sum.Waited) != 1 || sum.Waited["retry"] != 500*time.Millisecond {
				t.Errorf("%v", sum.Waited)
			}
		})
	})
	t.Run("the limits that the API stated last", func(t *testing.T) {
		in(t, 3, func(n int, _ string) chat.Result {
			res := done("x")
			switch n {
			case 1:
				res.Limits.Requests = chat.Limit{HasLimit: true, Limit: 60}
				res.Limits.Tokens = chat.Limit{HasLimit: true, Limit: 90_000}
			case 2:
				res.Limits.Requests = chat.Limit{HasLimit: true, Limit: 500}
			}
			return res
		}, func(w *world) {
			if sum := w.run(Options{Concurrency: 1}); sum.Limits != (store.Limits{Requests: 500, Tokens: 90_000}) {
				t.Errorf("%+v", sum.Limits)
			}
		})
	})
}

// BenchmarkGate is what every call pays for its turn.
func BenchmarkGate(b *testing.B) {
	for name, budget := range map[string]Budget{"free": {}, "budget": dollars(math.MaxInt64 / int64(tokens.Dollar))} {
		b.Run(name, func(b *testing.B) {
			g := newGate(Options{Budget: budget}.withDefaults())
			c := store.Claim{Model: "m", Tokens: 10, MaxTokens: 20}
			res := used(done("x"), 0, 0)
			for b.Loop() {
				p, _ := g.enter(b.Context(), &c)
				g.leave(p, &res, 0)
			}
			if n := testing.AllocsPerRun(10, func() { p, _ := g.enter(b.Context(), &c); g.leave(p, &res, 0) }); n > 0 {
				b.Errorf("%g allocations", n)
			}
		})
	}
}
