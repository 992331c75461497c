package runner

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"batch/runner/chat"
	"batch/store"
)

// noBad is a check that wants no bad in an answer.
func noBad(response []byte) error {
	if bytes.Contains(response, []byte("bad")) {
		return errors.New("it has a flaw")
	}
	return nil
}

func TestInvalidAnswers(t *testing.T) {
	opt := Options{Concurrency: 1, Check: noBad, MaxInvalid: 2}
	t.Run("a prompt is asked again under other keys until its answer is good", func(t *testing.T) {
		in(t, 1, func(n int, _ string) chat.Result {
			if n < 3 {
				return done("bad")
			}
			return done("good")
		}, func(w *world) {
			sum := w.run(opt)
			if sum.Done != 1 || sum.Retried != 2 || sum.Failed != 0 || sum.Stop != nil {
				t.Fatalf("%+v", sum)
			}
			w.keys(3)
			if total := w.total(); total.Total != 15 || total.Wasted != 30 || total.PossiblyPaid != 0 {
				t.Errorf("%+v", total)
			}
		})
	})
	t.Run("it has failed after so many tries, and can be put back", func(t *testing.T) {
		in(t, 2, func(_ int, prompt string) chat.Result {
			if prompt == "p0" {
				return done("bad")
			}
			return done("good")
		}, func(w *world) {
			if sum := w.run(opt); sum.Done != 1 || sum.Failed != 1 || sum.Retried != 2 {
				t.Fatalf("%+v", sum)
			}
			row := w.row(0)
			if row.Type != "invalid_answer" || row.Code != "schema" || row.Message != "it has a flaw" || row.Status != 200 || string(row.ErrorBody) != "bad" || row.PossiblyPaid {
				t.Errorf("%+v", row)
			}
			if n, err := w.store.RetryFailed(t.Context()); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			if sum := w.run(opt); sum.Failed != 1 || sum.Retried != 2 {
				t.Errorf("the count of tries did not begin anew: %+v", sum)
			}
			w.keys(7)
		})
	})
	t.Run("a run that was stopped goes on counting", func(t *testing.T) {
		in(t, 1, always(done("bad")), func(w *world) {
			running := make(chan *Runner, 1)
			w.api.answer = func(n int, _ string) chat.Result {
				if n == 2 {
					(<-running).Stop(0)
				}
				return done("bad")
			}
			r, wait := w.start(opt)
			running <- r
			if sum := wait(); sum.Failed != 0 || len(w.api.calls) != 2 {
				t.Fatalf("%+v after %d calls", sum, len(w.api.calls))
			}
			if sum := w.run(opt); sum.Failed != 1 || len(w.api.calls) != 3 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
			w.keys(3)
		})
	})
	t.Run("what was cut off by its limit is not asked again", func(t *testing.T) {
		res := done("bad")
		res.Answer.FinishReason = "length"
		in(t, 1, always(res), func(w *world) {
			if sum := w.run(opt); sum.Failed != 1 || sum.Retried != 0 {
				t.Errorf("%+v", sum)
			}
			if row := w.row(0); row.Code != "truncated" || !strings.HasSuffix(row.Message, "it has a flaw") {
				t.Errorf("%+v", row)
			}
		})
	})
	t.Run("without usage nobody knows what it has cost", func(t *testing.T) {
		res := done("bad")
		res.Answer.Usage = chat.Usage{}
		in(t, 1, always(res), func(w *world) {
			w.run(opt)
			if total := w.total(); total.PossiblyPaid != 3 || total.Wasted != 0 || total.Failed != 1 {
				t.Errorf("%+v", total)
			}
			if n, err := w.store.RetryFailed(t.Context()); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			w.run(opt)
			w.keys(6)
		})
	})
	t.Run("twenty in a row stop the run, and nothing goes out after", func(t *testing.T) {
		in(t, 30, always(done("bad")), func(w *world) {
			sum := w.run(opt)
			if sum.Stop == nil || sum.Stop.Cause != InvalidAnswers || len(w.api.calls) != 20 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
			if c := w.counts(); c.Failed+c.Pending != 30 {
				t.Errorf("%+v", c)
			}
			keepGoing := opt
			keepGoing.KeepGoing = true
			if w.run(keepGoing); w.counts().Failed != 30 || len(w.api.calls) != 90 {
				t.Errorf("%+v after %d calls", w.counts(), len(w.api.calls))
			}
		})
	})
	t.Run("a good one among them does not", func(t *testing.T) {
		in(t, 60, func(n int, _ string) chat.Result {
			if n%20 == 0 {
				return done("good")
			}
			return done("bad")
		}, func(w *world) {
			if sum := w.run(opt); sum.Stop != nil || sum.Done+sum.Failed != 60 {
				t.Errorf("%+v", sum)
			}
		})
	})
	t.Run("a budget counts every try", func(t *testing.T) {
		in(t, 10, always(done("bad")), func(w *world) {
			o := opt
			o.Budget = Budget{MaxTokens: 100}
			sum := w.run(o)
			if total := w.total(); sum.Stop == nil || sum.Stop.Cause != BudgetReached || total.Wasted > 100 || total.Wasted < 70 {
				t.Errorf("%+v %+v", sum, total)
			}
		})
	})
}

// keys wants so many calls, each under a key of its own.
func (w *world) keys(n int) {
	w.t.Helper()
	keys := map[string]bool{}
	for _, c := range w.api.calls {
		keys[c.key] = true
	}
	if len(w.api.calls) != n || len(keys) != n {
		w.t.Errorf("%d calls under %d keys, want %d", len(w.api.calls), len(keys), n)
	}
}

// total is what the one model used.
func (w *world) total() store.UsageTotal {
	w.t.Helper()
	v, err := w.store.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	totals, err := v.Totals(w.t.Context())
	if err != nil || len(totals) != 1 {
		w.t.Fatal(totals, err)
	}
	return totals[0]
}

// row is a prompt of the input.
func (w *world) row(i int) (row store.Row) {
	w.t.Helper()
	v, err := w.store.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	for r, err := range v.Rows(w.t.Context()) {
		if err != nil {
			w.t.Fatal(err)
		}
		if i--; i == -1 {
			row = *r
			row.ErrorBody = bytes.Clone(r.ErrorBody)
		}
	}
	return row
}
