package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"

	"batch/runner"
	"batch/runner/tokens"
)

const (
	budgetPrice  = "2,8" // dollars for a million tokens
	budgetFaults = "500=5%,429=0.1%,cut=5%"
)

// TestKillBudget kills runs that have a budget. Each is started again with the same command, and only where it says that the budget
// is reached does it get more. Whatever the kills hit, the server must never have charged more than the budget of that moment, nor
// would it have if it charged for every call. -kills counts those of TestKill, and these are three tenths of them.
func TestKillBudget(t *testing.T) {
	t.Parallel()
	binary := buildBatch(t)
	sum := killTally{phases: map[string]int{}}
	var stops atomic.Int64
	t.Cleanup(func() {
		sum.report(t)
		if *killSeed == 0 && !t.Failed() && (stops.Load() == 0 || sum.phases[callsInFlight] == 0) {
			t.Errorf("%d times the budget was reached, %d kills met calls in flight", stops.Load(), sum.phases[callsInFlight])
		}
	})
	seeds := []uint64{*killSeed}
	if *killSeed == 0 {
		seeds = seeds[:0]
		for n := 0; n < max(*kills*3/10, 1); n += budgetKills {
			seeds = append(seeds, uint64(len(seeds)+1))
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			s := newSpender(t, binary, seed)
			s.spend(budgetKills)
			s.finish()
			sum.add(&s.tally)
			stops.Add(int64(s.stops))
			t.Logf("%d kills, reached a budget %d times; charged %s (%s if every call is paid) of %s", s.tally.kills, s.stops, s.charged(), s.atMost(), s.budget)
		})
	}
}

const budgetKills = 15

// spent is money and tokens together.
type spent struct {
	cost   tokens.Money
	tokens int64
}

func (a spent) String() string { return fmt.Sprintf("%s and %d tokens", a.cost.Dollars(), a.tokens) }

func (a spent) plus(u tokens.Usage, p *tokens.Price) spent {
	cost, _ := p.Cost(u)
	return spent{a.cost.Plus(cost), a.tokens + u.Total}
}

// spender is a victim with a budget.
type spender struct {
	*victim
	price    *tokens.Price
	settings []string
	capped   spent // 1 for the parts that the command limits
	budget   spent
	stops    int // with exit 4
}

// newSpender limits money, tokens or both, on a server that keeps Idempotency-Keys or bills every call; every fifth streams, and is not
// always told what it used.
func newSpender(t *testing.T, binary string, seed uint64) *spender {
	faults, untold := budgetFaults, seed%5 == 2
	if untold {
		faults += ",nousage=20%"
	}
	s := &spender{victim: newVictimOf(t, binary, seed, newFaultyWire(t, seed, faults, seed%2 == 0)),
		capped: []spent{{1, 0}, {0, 1}, {1, 1}}[seed%3]}
	s.untold = untold
	r := s.random()
	s.settings = []string{"--price", budgetPrice, "--concurrency", fmt.Sprint([]int{1, 4, 8, 16}[r.IntN(4)])}
	if untold || r.IntN(3) == 0 {
		s.settings = append(s.settings, "--stream")
	}
	var err error
	if s.price, err = tokens.ParsePrice(budgetPrice); err != nil {
		t.Fatal(err)
	}
	s.raise(100 + r.IntN(100))
	return s
}

// raise adds what so many calls of middling length may cost to the budget.
func (s *spender) raise(calls int) {
	const prompt, answer = 100, 40
	s.budget.cost += s.price.Worst(prompt, answer) * tokens.Money(calls)
	s.budget.tokens += int64(calls) * (prompt + answer)
	s.flags = s.settings[:len(s.settings):len(s.settings)]
	if s.capped.cost > 0 {
		s.flags = append(s.flags, "--max-cost", s.budget.cost.String())
	}
	if s.capped.tokens > 0 {
		s.flags = append(s.flags, "--max-tokens-total", fmt.Sprint(s.budget.tokens))
	}
}

func (s *spender) within(a spent) bool {
	return (s.capped.cost == 0 || a.cost <= s.budget.cost) && (s.capped.tokens == 0 || a.tokens <= s.budget.tokens)
}

// spend lets one run end by its budget, whose unknown outcomes it alone knows, and then kills n times, mostly while calls are in flight.
func (s *spender) spend(n int) {
	s.child++
	if !s.run(moment{}) {
		s.t.Fatal("the first run ended, and not for its budget")
	}
	for s.tally.kills < n {
		if s.child > 10*n {
			s.t.Fatalf("%d runs, and only %d of them could be killed", s.child, s.tally.kills)
		}
		s.child++
		r := s.random()
		if len(s.prompts)-len(s.saved) < 100 {
			s.grow(100, r)
		}
		if s.run(s.draw(r)) {
			s.raise(20 + r.IntN(80))
		}
	}
}

func (s *spender) draw(r *rand.Rand) moment {
	if r.IntN(3) == 0 {
		return draw(r)
	}
	return moment{first: []string{asked, answered}[r.IntN(2)], call: 1 + r.IntN(30), then: within(r, 4)}
}

// run starts a child, kills it at the moment (the zero one is never) and looks at what it left behind and was charged; it says whether the budget ended it.
func (s *spender) run(m moment) (reached bool) {
	s.t.Helper()
	s.before = s.traces()
	var happened <-chan struct{}
	if m != (moment{}) {
		var stop func()
		happened, stop = s.watch(m)
		defer stop()
	}
	c := s.batch(s.runArgs(m.limit)...)
	if !c.await(happened) {
		s.t.Fatalf("child %d: neither %s %d nor its end for %s\n%s", s.child, m.first, m.call, killPatience, &c.said)
	}
	killed := happened != nil && c.killAfter(m.then)
	s.look(killed)
	if all := s.atMost(); !s.within(all) {
		s.t.Errorf("%s paid, if every call is, of %s", all, s.budget)
	}
	if charged := s.charged(); !s.within(charged) {
		s.t.Errorf("%s charged of %s", charged, s.budget)
	}
	if !killed {
		reached = s.ended(c)
	}
	if s.t.Failed() {
		s.t.Fatalf("after child %d, killed: %t, %+v, %q\n%s", s.child, killed, m, s.flags, &c.said)
	}
	return reached
}

// ended says of a run that ended by itself whether that was for its budget, and holds what status tells against it.
func (s *spender) ended(c *child) (reached bool) {
	said := s.status()
	code := c.cmd.ProcessState.ExitCode()
	reached = said.LastRun.Reason == string(runner.BudgetReached)
	limited := said.LastRun.Reason == string(runner.Limit)
	if want := map[bool]int{true: exitStopped, false: exitOK}[reached || limited]; code != want {
		s.t.Errorf("child %d: exit %d, not %d, for %q", s.child, code, want, said.LastRun.Reason)
	}
	if said.Failed > 0 || said.InWork > 0 {
		s.t.Errorf("%d failed, %d in work", said.Failed, said.InWork)
	}
	told := spent{said.Cost + said.Estimated + said.Possibly, said.Total + said.Counted + said.Wasted}
	if !s.within(told) {
		s.t.Errorf("status tells of $%s and %d tokens spent ($%s of it possibly), of $%s and %d tokens", told.cost, told.tokens, said.Possibly, s.budget.cost, s.budget.tokens)
	}
	if all := s.atMost(); told.cost < all.cost {
		s.t.Errorf("status tells of %s spent, and up to %s may have been charged", told, all)
	}
	if reached {
		s.stops++
	}
	return reached
}

// saidStatus is what the test reads of status.
type saidStatus struct {
	Failed                    int64
	InWork                    int64                   `json:"running"`
	Total                     int64                   `json:"total_tokens"`
	Counted                   int64                   `json:"estimated_tokens"`
	Wasted                    int64                   `json:"wasted_tokens"`
	Billed                    json.Number             `json:"cost"`
	Guessed                   json.Number             `json:"estimated_cost"`
	Lost                      json.Number             `json:"possibly_spent"`
	LastRun                   struct{ Reason string } `json:"last_run"`
	Cost, Estimated, Possibly tokens.Money            `json:"-"`
}

func (s *spender) status() (said saidStatus) {
	s.t.Helper()
	c := s.batch("status", "--json", filepath.Base(s.jobFile()))
	if !c.await(nil) || c.cmd.ProcessState.ExitCode() != exitOK {
		s.t.Fatalf("status: %s", &c.said)
	}
	if err := json.Unmarshal(c.said.Bytes(), &said); err != nil {
		s.t.Fatalf("status: %v in %s", err, &c.said)
	}
	for to, text := range map[*tokens.Money]json.Number{&said.Cost: said.Billed, &said.Estimated: said.Guessed, &said.Possibly: said.Lost} {
		var err error
		if *to, err = tokens.ParseMoney(text.String()); err != nil {
			s.t.Fatalf("status: %v in %s", err, &c.said)
		}
	}
	return said
}

// charged is what the server has billed.
func (s *spender) charged() spent {
	st := s.wire.practice.Stats()
	return spent{}.plus(tokens.Usage{Known: true, Prompt: st.PromptTokens, Completion: st.CompletionTokens, Total: st.PromptTokens + st.CompletionTokens}, s.price)
}

// atMost is what it comes to when every call is billed in full, whatever became of it, but for those that the server refused.
func (s *spender) atMost() (all spent) {
	log := s.wire.log()
	for i, prompt := range s.prompts {
		for _, c := range log[prompt] {
			if c.spared() {
				continue
			}
			a, err := s.answer(i + 1)
			if err != nil {
				s.t.Fatal(err)
			}
			all = all.plus(tokens.Usage{Known: true, Prompt: a.prompt, Completion: a.tokens - a.prompt, Total: a.tokens}, s.price)
		}
	}
	return all
}

// finish repeats the command until it calls nobody any more, gives what is missing and holds everything against everything.
func (s *spender) finish() {
	s.t.Helper()
	for calls, same := -1, 0; calls != s.wire.count(); same++ {
		if same > 10 {
			s.t.Fatalf("the same command goes on and on: %d calls", s.wire.count())
		}
		calls = s.wire.count()
		s.child++
		s.run(moment{})
	}
	for s.child++; s.run(moment{}); s.child++ {
		s.raise(200)
	}
	s.wire.close()
	s.exits(exitOK, "verify", filepath.Base(s.jobFile()))
	s.lookAtResults(true)
	s.checkAll(false, true)
	s.checkFolder()
	s.count()
}
