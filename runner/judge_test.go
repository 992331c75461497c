package runner

import (
	"testing"
	"time"

	"batch/runner/chat"
)

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
	t.Run("an API that keeps failures by their keys does not stop the next run again", func(t *testing.T) {
		for _, failure := range []chat.Result{
			refused(chat.JobFailed, "", 404, "model_not_found"),
			refused(chat.JobFailed, chat.Forbidden, 403, ""),
			refused(chat.RunStops, chat.QuotaSpent, 402, ""),
		} {
			for _, latency := range []time.Duration{time.Second, 0} { // the failures are saved when the run stops, or about to be
				in(t, 40, nil, func(w *world) {
					mended := false
					stored := map[string]chat.Result{}
					w.api.latency = latency
					w.api.answer = func(n int, _ string) chat.Result {
						key := w.api.calls[n-1].key
						res, found := stored[key]
						if !found {
							res = failure
							if mended {
								res = done("x")
							}
							stored[key] = res
						}
						res.Replayed = found && res.Class == chat.RunStops // of a failure of the job's own it would tell by itself
						return res
					}
					if sum := w.run(Options{Concurrency: 8}); sum.Stop == nil || w.counts().Pending != 40 {
						t.Fatalf("%+v: %+v", sum, w.counts())
					}
					mended = true
					if failure.Class == chat.RunStops {
						w.run(Options{Concurrency: 8}) // that it is one that was kept is only known once it came again
					}
					if sum := w.run(Options{Concurrency: 8}); sum.Stop != nil || w.counts().Done != 40 {
						t.Errorf("%d: %+v", failure.Status, sum)
					}
				})
			}
		}
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
	t.Run("answers too large to read go on: each was made, and most likely paid", func(t *testing.T) {
		tooLarge := refused(chat.JobFailed, chat.ResponseTooLarge, 200, "")
		replayed := tooLarge
		replayed.Replayed = true
		for _, res := range []chat.Result{tooLarge, replayed} {
			in(t, 50, always(res), func(w *world) {
				if sum := w.run(Options{}); sum.Failed != 50 || sum.Stop != nil || len(w.api.calls) != 50 || w.possiblyPaid() != 50 {
					t.Errorf("%+v after %d calls, %d of them possibly paid", sum, len(w.api.calls), w.possiblyPaid())
				}
			})
		}
	})
	t.Run("what stops a run stays possibly paid", func(t *testing.T) {
		res := refused(chat.Unknown, "", 500, "")
		res.Simulated = true
		in(t, 1, always(res), func(w *world) {
			if sum := w.run(Options{}); sum.Stop == nil || sum.Stop.Cause != Simulated || w.possiblyPaid() != 1 {
				t.Errorf("%+v, %d possibly paid", sum, w.possiblyPaid())
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
