package runner

import (
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"batch/runner/chat"
	"batch/runner/tokens"
	"batch/store"
)

// aDollar a token: a job of 10 prompt tokens and an answer of at most 20 can cost $30.
var aDollar = tokens.Price{Rates: []tokens.Rates{{
	Input: tokens.Dollar, Output: tokens.Dollar, Cached: tokens.Dollar, CacheWrite: tokens.Dollar, Reasoning: tokens.Dollar,
}}}

func dollars(max int64) Budget {
	return Budget{MaxCost: tokens.Money(max) * tokens.Dollar, Prices: aDollarEach, Margins: exact}
}

// exact is a margin of nothing.
var exact = map[string]tokens.Margin{"m": {Factor: 1000}}

func aDollarEach(string) *tokens.Price { return &aDollar }

func used(res chat.Result, prompt, completion int64) chat.Result {
	res.Answer.Usage = chat.Usage{Known: true, Prompt: prompt, Completion: completion, Total: prompt + completion}
	return res
}

func TestBudget(t *testing.T) {
	t.Run("stops before the call that could exceed it", func(t *testing.T) {
		in(t, 10, always(done("x")), func(w *world) { // of $15 each
			r, wait := w.start(Options{Budget: dollars(100), Concurrency: 4})
			sum := wait()
			if sum.Stop == nil || sum.Stop.Cause != BudgetReached || sum.Failed != 0 {
				t.Fatalf("%+v", sum)
			}
			if want := "$75.00 of $100.00 spent, and the next call can cost $32.00"; sum.Done != 5 || sum.Stop.Message != want {
				t.Errorf("%d done; %s", sum.Done, sum.Stop.Message)
			}
			if c := w.counts(); c.Pending != 5 || len(w.api.calls) != 5 {
				t.Errorf("%+v after %d calls", c, len(w.api.calls))
			}
			if p := r.Progress(); p.Cost != 75*tokens.Dollar || !p.CostKnown || p.Spent != p.Cost || p.SpentTokens != 75 || p.PossiblySpent != 0 {
				t.Errorf("%+v", p)
			}

			budget := dollars(100)
			budget.Cost = 75 * tokens.Dollar
			if sum := w.run(Options{Budget: budget}); sum.Done != 0 || sum.Stop == nil || len(w.api.calls) != 5 {
				t.Errorf("the same command again: %+v after %d calls", sum, len(w.api.calls))
			}
			budget.MaxCost *= 2
			if sum := w.run(Options{Budget: budget}); sum.Done != 5 || sum.Stop != nil {
				t.Errorf("with twice the budget: %+v", sum)
			}
		})
	})
	t.Run("of tokens", func(t *testing.T) {
		in(t, 10, always(done("x")), func(w *world) {
			sum := w.run(Options{Budget: Budget{MaxTokens: 100, Tokens: 20, PossiblyTokens: 5, Margins: exact}})
			if sum.Stop == nil || sum.Stop.Message != "80 of 100 tokens spent, 5 of that possibly, and the next call can use 32" || sum.Done != 4 {
				t.Errorf("%d done; %+v", sum.Done, sum.Stop)
			}
		})
	})
	t.Run("waits for the calls in flight to cost less than they could", func(t *testing.T) {
		in(t, 2, always(done("x")), func(w *world) {
			sum := w.run(Options{Budget: dollars(45), Concurrency: 2})
			if sum.Done != 2 || sum.Stop != nil || sum.Waited["budget"] != time.Second {
				t.Fatalf("%+v", sum)
			}
			if gap := w.api.sentAt(1).Sub(w.api.sentAt(0)); gap != time.Second {
				t.Errorf("the second call went out after %s", gap)
			}
		})
	})
	t.Run("an unknown outcome stays possibly spent", func(t *testing.T) {
		in(t, 1, always(refused(chat.Unknown, "", 500, "")), func(w *world) {
			r, wait := w.start(Options{Budget: dollars(80)})
			sum := wait()
			if want := "$60.00 of $80.00 spent, $60.00 of that possibly, and the next call can cost $30.00"; sum.Stop == nil || sum.Stop.Message != want {
				t.Errorf("%+v", sum.Stop)
			}
			if p := r.Progress(); len(w.api.calls) != 2 || p.Cost != 0 || !p.CostKnown || p.PossiblySpent != 60*tokens.Dollar {
				t.Errorf("%+v after %d calls", p, len(w.api.calls))
			}
		})
	})
	t.Run("a refusal costs nothing, a failure what it reports", func(t *testing.T) {
		in(t, 3, func(n int, prompt string) chat.Result {
			switch n {
			case 1:
				return refused(chat.NotProcessed, chat.RateLimited, 429, "")
			case 2:
				return refused(chat.NotProcessed, chat.Unreachable, 0, "")
			case 3:
				return refused(chat.JobFailed, "", 400, "")
			case 4:
				return used(refused(chat.JobFailed, "", 400, ""), 10, 2)
			}
			return done("x")
		}, func(w *world) {
			r, wait := w.start(Options{Budget: dollars(42), Concurrency: 1})
			if sum := wait(); sum.Done != 1 || sum.Failed != 2 || sum.Stop != nil {
				t.Errorf("%+v", sum)
			}
			if p := r.Progress(); p.Cost != 27*tokens.Dollar || p.PossiblySpent != 0 {
				t.Errorf("%+v", p)
			}
		})
	})
	t.Run("an answer too large to read is possibly paid", func(t *testing.T) {
		in(t, 1, always(refused(chat.JobFailed, chat.ResponseTooLarge, 200, "")), func(w *world) {
			r, wait := w.start(Options{Budget: dollars(30)})
			wait()
			if p := r.Progress(); p.Spent != 30*tokens.Dollar || p.PossiblySpent != p.Spent {
				t.Errorf("%+v", p)
			}
		})
	})
	t.Run("a call that is given up is possibly paid", func(t *testing.T) {
		in(t, 1, always(done("x")), func(w *world) {
			r, wait := w.start(Options{Budget: dollars(30)})
			time.AfterFunc(time.Millisecond, func() { r.Stop(0) })
			wait()
			if p := r.Progress(); p.Spent != 30*tokens.Dollar || w.counts().Pending != 1 {
				t.Errorf("%+v", p)
			}
		})
	})
	t.Run("counts more than the worst in full", func(t *testing.T) {
		in(t, 3, always(used(done("x"), 10, 500)), func(w *world) {
			r, wait := w.start(Options{Budget: dollars(100), Concurrency: 1})
			if sum := wait(); sum.Done != 1 || r.Progress().Spent != 510*tokens.Dollar {
				t.Errorf("%+v %+v", sum, r.Progress())
			}
		})
	})
	t.Run("an answer without usage is counted here, with the margin", func(t *testing.T) {
		for _, c := range []struct {
			answer      int
			cost, spent tokens.Money
		}{
			{8, 18, 15 + 12},
			{16, 26, 15 + 20}, // more than max_tokens it cannot be
			{24, 34, 15 + 24}, // unless it is
		} {
			res := done("x")
			res.Answer.Usage, res.Answer.Text = chat.Usage{}, strings.Repeat(" river", c.answer)
			in(t, 1, always(res), func(w *world) {
				budget := dollars(1000)
				budget.Margins = nil
				r, wait := w.start(Options{Budget: budget})
				wait()
				if p := r.Progress(); p.Cost != c.cost*tokens.Dollar || p.Spent != c.spent*tokens.Dollar || p.SpentTokens != int64(c.spent) {
					t.Errorf("an answer of %d tokens: %+v", c.answer, p)
				}
			})
		}
	})
	t.Run("sound has a price of its own", func(t *testing.T) {
		res := done("x")
		res.Answer.Usage.Audio = 3
		in(t, 1, always(res), func(w *world) {
			r, wait := w.start(Options{Budget: dollars(1000)})
			wait()
			if p := r.Progress(); p.CostKnown || p.Cost != 0 || p.Spent != 30*tokens.Dollar || p.SpentTokens != 15 {
				t.Errorf("%+v", p)
			}
		})
	})
	t.Run("cannot hold for what has no bound", func(t *testing.T) {
		in(t, 0, always(done("x")), func(w *world) {
			w.put([]store.Job{{Tokens: 10}})
			for remedy, budget := range map[string]Budget{
				"--price":    {MaxCost: tokens.Dollar},
				"max_tokens": {MaxTokens: math.MaxInt64},
			} {
				if sum := w.run(Options{Budget: budget}); sum.Stop == nil || sum.Stop.Cause != BudgetReached || !strings.Contains(sum.Stop.Message, remedy) {
					t.Errorf("%+v, want word of %s", sum.Stop, remedy)
				}
			}
			if c := w.counts(); c.Pending != 1 || len(w.api.calls) != 0 {
				t.Errorf("%+v after %d calls", c, len(w.api.calls))
			}
			price := aDollar
			price.Largest = 100
			budget := Budget{MaxCost: 110 * tokens.Dollar, Margins: exact, Prices: func(string) *tokens.Price { return &price }}
			if sum := w.run(Options{Budget: budget}); sum.Done != 1 {
				t.Errorf("with a largest answer: %+v", sum.Stop)
			}
		})
	})
	t.Run("a generous one changes nothing", func(t *testing.T) {
		drain := func(budget Budget) (tries map[string]int, counts store.Counts, took time.Duration) {
			tries = map[string]int{}
			in(t, 60, func(_ int, prompt string) chat.Result {
				tries[prompt]++
				switch i := jobOf(prompt); {
				case i%5 == 0 && tries[prompt] == 1:
					return refused(chat.Unknown, "", 500, "")
				case i%7 == 0:
					return refused(chat.JobFailed, "", 400, "context_length_exceeded")
				}
				return done("x")
			}, func(w *world) {
				begun := time.Now()
				if sum := w.run(Options{Concurrency: 6, Budget: budget}); sum.Waited["budget"] != 0 || sum.Stop != nil {
					t.Errorf("%+v", sum)
				}
				counts, took = w.counts(), time.Since(begun)
			})
			return tries, counts, took
		}
		tries, counts, took := drain(Budget{})
		with, withCounts, withTook := drain(dollars(1_000_000))
		if !maps.Equal(tries, with) || counts != withCounts || (took-withTook).Abs() > 5*spreadApart { // who comes first at the start is open
			t.Errorf("%v %+v in %s; without a budget %v %+v in %s", with, withCounts, withTook, tries, counts, took)
		}
	})
	t.Run("without one the cost is known all the same, or known to be unknown", func(t *testing.T) {
		for known, prices := range map[bool]func(string) *tokens.Price{true: aDollarEach, false: nil} {
			in(t, 2, always(done("x")), func(w *world) {
				r, wait := w.start(Options{Budget: Budget{Prices: prices}})
				wait()
				if p := r.Progress(); p.CostKnown != known || known && p.Cost != 30*tokens.Dollar || p.SpentTokens != 30 {
					t.Errorf("%+v", p)
				}
			})
		}
	})
}
