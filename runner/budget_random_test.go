package runner

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
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
	learn map[string]*tokens.Learnt // what its answers have told
	bills map[int]tokens.Usage      // by number of the call; none of one that was given up
}

// ratios are how many tokens the prompts of a model really have, for 1,000 estimated ones: from, to. An earlier run has learnt what
// the wild one does; of the others nothing is known, and nothing is beyond what is reckoned with then.
var ratios = map[string][2]int64{"wild": {0, wildFactor}, "dense": {1440, 1500}, "plain": {980, 1020}, "sparse": {520, 550}}

const wildFactor = 1250

func newBiller(seed uint64) *biller {
	b := &biller{Rand: rand.New(rand.NewPCG(seed, 0)), bills: map[int]tokens.Usage{}, learn: map[string]*tokens.Learnt{}}
	b.price = &tokens.Price{Rates: []tokens.Rates{
		{Input: tokens.Money(1 + b.IntN(5)), Output: tokens.Money(3 + b.IntN(20)), Cached: 1, Reasoning: 30},
		{Above: 100, Input: 7, Output: 31, Cached: 2, CacheWrite: 9, Reasoning: 31},
	}}
	models := slices.Sorted(maps.Keys(ratios))
	b.Shuffle(len(models), reflect.Swapper(models))
	models = models[:1+b.IntN(len(models))]
	for range 20 {
		b.jobs = append(b.jobs, store.Job{Model: models[b.IntN(len(models))], Tokens: 60 + b.Int64N(100), MaxTokens: 1 + b.Int64N(200)})
	}
	return b
}

// margins are what a run is given: what the answers of those before have told.
func (b *biller) margins() map[string]tokens.Margin {
	all := map[string]tokens.Margin{}
	for model, l := range b.learn {
		all[model] = l.Margin()
	}
	all["wild"] = tokens.Margin{Factor: wildFactor}
	return all
}

// most is the most that a call for a job can cost.
func (b *biller) most(i int) amount {
	job := b.jobs[i]
	prompt := job.Tokens * ratios[job.Model][1] / 1000
	return amount{b.price.Worst(prompt, job.MaxTokens), prompt + job.MaxTokens}
}

func jobOf(prompt string) (i int) {
	fmt.Sscanf(prompt, "p%d", &i)
	return i
}

func (b *biller) answer(n int, prompt string) chat.Result {
	job := b.jobs[jobOf(prompt)]
	ratio := ratios[job.Model]
	u := tokens.Usage{Known: true, Prompt: job.Tokens * (ratio[0] + b.Int64N(ratio[1]-ratio[0]+1)) / 1000, Completion: b.Int64N(job.MaxTokens + 1)}
	u.Total = u.Prompt + u.Completion
	u.Cached = b.Int64N(u.Prompt + 1)
	u.CacheWrite = b.Int64N(u.Prompt - u.Cached + 1)
	u.Reasoning = b.Int64N(u.Completion + 1)
	with := func(res chat.Result) chat.Result {
		b.bills[n], res.Answer.Usage = u, chat.Usage(u)
		if b.learn[job.Model] == nil {
			b.learn[job.Model] = &tokens.Learnt{}
		}
		b.learn[job.Model].Add(job.Tokens, u.Prompt)
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

// tooDear says that a job is left that does not fit any more, at the margins that the run had.
func (b *biller) tooDear(w *world, l *ledger) bool {
	v, err := w.store.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	for row, err := range v.Rows(w.t.Context()) {
		if err != nil {
			w.t.Fatal(err)
		}
		job := b.jobs[row.Line-1]
		c := store.Claim{Model: job.Model, Tokens: job.Tokens, MaxTokens: job.MaxTokens}
		if row.State == store.Pending && !l.fits(l.most(&c, b.price).most) {
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
		budget := Budget{MaxCost: limit.cost, MaxTokens: limit.tokens, Prices: func(string) *tokens.Price { return b.price }}
		for !reached && w.counts().Pending > 0 {
			w.api.slow = map[string]time.Duration{}
			for i := range b.jobs {
				w.api.slow[fmt.Sprint("p", i)] = time.Duration(1+b.IntN(5000)) * time.Millisecond
			}
			after, grace := time.Duration(b.IntN(60))*time.Second, time.Duration(b.IntN(2))*time.Second
			budget.Margins = b.margins()
			r, wait := w.start(Options{Concurrency: 1 + b.IntN(16), Limit: b.IntN(20), MaxAttempts: 3, KeepGoing: true, Budget: budget})
			running.Store(r.gate)
			interrupt := time.AfterFunc(after, func() { r.Stop(grace) })
			sum := wait()
			interrupt.Stop()
			p := r.Progress()
			budget.Cost, budget.Tokens = p.Spent, p.SpentTokens
			if reached = sum.Stop != nil && sum.Stop.Cause == BudgetReached; reached && !b.tooDear(w, &r.gate.ledger) {
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
