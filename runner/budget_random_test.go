package runner

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"batch/runner/chat"
	"batch/runner/tokens"
	"batch/store"
)

// biller is an API that keeps its own books: what it charges for each call, whatever it answers and whether that arrives.
type biller struct {
	*rand.Rand
	price *tokens.Price
	jobs  []store.Job
	bills map[int]tokens.Usage // by number of the call; none of one that was given up
}

const promptMargin = 1250 // its prompts are up to so much longer than they were estimated, per mille

func newBiller(seed uint64) *biller {
	b := &biller{Rand: rand.New(rand.NewPCG(seed, 0)), bills: map[int]tokens.Usage{}}
	b.price = &tokens.Price{Rates: []tokens.Rates{
		{Input: tokens.Money(1 + b.IntN(5)), Output: tokens.Money(3 + b.IntN(20)), Cached: 1, Reasoning: 30},
		{Above: 40, Input: 7, Output: 31, Cached: 2, CacheWrite: 9, Reasoning: 31},
	}}
	b.jobs = make([]store.Job, 20)
	for i := range b.jobs {
		b.jobs[i] = store.Job{Tokens: 1 + b.Int64N(60), MaxTokens: 1 + b.Int64N(200)}
	}
	return b
}

func (b *biller) most(i int) amount {
	l := ledger{factor: promptMargin}
	return l.most(&store.Claim{Tokens: b.jobs[i].Tokens, MaxTokens: b.jobs[i].MaxTokens}, b.price).most
}

func jobOf(prompt string) (i int) {
	fmt.Sscanf(prompt, "p%d", &i)
	return i
}

func (b *biller) answer(n int, prompt string) chat.Result {
	job := b.jobs[jobOf(prompt)]
	u := tokens.Usage{Known: true, Prompt: b.Int64N(job.Tokens*promptMargin/perMille + 1), Completion: b.Int64N(job.MaxTokens + 1)}
	u.Total = u.Prompt + u.Completion
	u.Cached = b.Int64N(u.Prompt + 1)
	u.CacheWrite = b.Int64N(u.Prompt - u.Cached + 1)
	u.Reasoning = b.Int64N(u.Completion + 1)
	with := func(res chat.Result) chat.Result {
		b.bills[n], res.Answer.Usage = u, chat.Usage(u)
		return res
	}
	b.bills[n] = tokens.Usage{Known: true}
	switch b.IntN(12) {
	case 0: // lost on its way, and charged
		b.bills[n] = u
		return refused(chat.Unknown, "", 0, "")
	case 1:
		b.bills[n] = u
		return refused(chat.Unknown, chat.TimedOut, 0, "")
	case 2: // it does not say what it cost
		res := done("x")
		res.Answer.Usage, res.Answer.Text = chat.Usage{}, strings.Repeat(" river", int(u.Completion))
		b.bills[n] = estimate(u.Prompt, u.Completion)
		return res
	case 3:
		return refused(chat.NotProcessed, chat.RateLimited, 429, "")
	case 4:
		return refused(chat.NotProcessed, chat.Unreachable, 0, "")
	case 5:
		return refused(chat.JobFailed, "", 400, "")
	case 6:
		return with(refused(chat.JobFailed, "", 400, ""))
	case 7:
		return with(refused(chat.Unknown, "", 502, ""))
	}
	return with(done("x"))
}

// charged is the sum of the books. A call that was given up may have cost all that it could.
func (b *biller) charged(calls []sent) (all amount) {
	for i, call := range calls {
		bill := b.most(jobOf(call.prompt))
		if u, answered := b.bills[i+1]; answered {
			cost, _ := b.price.Cost(u)
			bill = amount{cost, u.Total}
		}
		all = all.plus(bill)
	}
	return all
}

// tooDear says that a job is left that does not fit any more.
func (b *biller) tooDear(w *world, limit, spent amount) bool {
	v, err := w.store.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	for row, err := range v.Rows(w.t.Context()) {
		if err != nil {
			w.t.Fatal(err)
		}
		if row.State == store.Pending && !inside(spent.plus(b.most(row.Line-1)), limit) {
			return true
		}
	}
	return false
}

// TestBudgetHolds drains with every kind of fault and interruption, one run after the other, each knowing what those before it have
// spent. At no moment may what is spent and reserved exceed the budget, nor in the end what the API has charged.
func TestBudgetHolds(t *testing.T) {
	seeds := 200
	if testing.Short() {
		seeds = 20
	}
	var reached atomic.Int64
	t.Run("seed", func(t *testing.T) {
		for seed := range seeds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				if budgetHolds(t, newBiller(uint64(seed))) {
					reached.Add(1)
				}
			})
		}
	})
	if n := int(reached.Load()); n < seeds/4 || n > seeds*3/4 {
		t.Errorf("%d of %d stories reached their budget", n, seeds)
	}
}

// budgetHolds tells one story, and whether it ended with the budget.
func budgetHolds(t *testing.T, b *biller) (reached bool) {
	var limit amount
	for i := range b.jobs {
		limit = limit.plus(b.most(i))
	}
	limit.cost, limit.tokens = 1+limit.cost*tokens.Money(b.IntN(200))/100, 1+limit.tokens*b.Int64N(200)/100
	switch b.IntN(3) {
	case 0:
		limit.cost = 0
	case 1:
		limit.tokens = 0
	}
	var running atomic.Pointer[gate]
	in(t, 0, func(n int, prompt string) chat.Result {
		g := running.Load()
		g.mu.Lock()
		defer g.mu.Unlock()
		if used := g.ledger.spent.plus(g.ledger.reserved); !inside(used, limit) {
			t.Errorf("%+v spent and reserved of %+v", used, limit)
		}
		return b.answer(n, prompt)
	}, func(w *world) {
		w.put(b.jobs)
		budget := Budget{MaxCost: limit.cost, MaxTokens: limit.tokens, Factor: promptMargin, Prices: func(string) *tokens.Price { return b.price }}
		for !reached && w.counts().Pending > 0 {
			w.api.slow = map[string]time.Duration{}
			for i := range b.jobs {
				w.api.slow[fmt.Sprint("p", i)] = time.Duration(1+b.IntN(5000)) * time.Millisecond
			}
			after, grace := time.Duration(b.IntN(60))*time.Second, time.Duration(b.IntN(2))*time.Second
			r, wait := w.start(Options{Concurrency: 1 + b.IntN(16), Limit: b.IntN(20), MaxAttempts: 3, KeepGoing: true, Budget: budget})
			running.Store(r.gate)
			interrupt := time.AfterFunc(after, func() { r.Stop(grace) })
			sum := wait()
			interrupt.Stop()
			p := r.Progress()
			budget.Cost, budget.Tokens = p.Spent, p.SpentTokens
			if reached = sum.Stop != nil && sum.Stop.Cause == BudgetReached; reached && !b.tooDear(w, limit, amount{p.Spent, p.SpentTokens}) {
				t.Errorf("stopped although every job that is left would fit: %s", sum.Stop.Message)
			}
		}
		spent := amount{budget.Cost, budget.Tokens}
		if all := b.charged(w.api.calls); !inside(all, limit) || all.cost > spent.cost || all.tokens > spent.tokens {
			t.Errorf("%+v charged, %+v counted as spent, of %+v", all, spent, limit)
		}
	})
	return reached
}

func inside(a, limit amount) bool {
	return within(int64(limit.cost), int64(a.cost), 0) && within(limit.tokens, a.tokens, 0)
}
