package runner

import (
	"fmt"
	"math"
	"time"

	"batch/runner/chat"
	"batch/runner/tokens"
	"batch/store"
)

// Budget bounds what a job file may cost over all its runs. A call goes out only when what is spent, what is reserved for the calls
// in flight and the most that it can cost itself stay within the limits. Without limits the cost is only counted.
type Budget struct {
	MaxCost   tokens.Money // 0 is no limit
	MaxTokens int64        // 0 is no limit

	// What the runs before have spent: as reported, as estimated where an answer came without usage, and the most that attempts with
	// an unknown outcome can have cost.
	Cost   tokens.Money
	Tokens int64
	// The parts of these that are only possibly spent.
	PossiblyCost   tokens.Money
	PossiblyTokens int64

	// Margins say by requested model how much longer prompts were at this endpoint than they had been estimated. One that is not
	// among them is tokens.Unlearnt. Each learns from the answers of the run.
	Margins map[string]tokens.Margin
	// Prices knows the price of a requested model, or nil. Every worker asks it, many at once.
	Prices func(model string) *tokens.Price
}

func (b Budget) limited() bool { return b.MaxCost > 0 || b.MaxTokens > 0 }

// amount is money and tokens together.
type amount struct {
	cost   tokens.Money
	tokens int64
}

func (a amount) plus(b amount) amount {
	return amount{a.cost.Plus(b.cost), add(a.tokens, b.tokens)}
}

// add stays at the largest int64 instead of wrapping.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// ledger is the gate's account of the budget.
type ledger struct {
	limit    amount
	spent    amount // over all runs, possibly spent included
	possibly amount // of spent
	reserved amount // for the calls in flight
	margins  margins
	prices   func(model string) *tokens.Price

	// Of this run.
	cost    tokens.Money
	unsure  tokens.Money // possibly spent
	unknown bool         // some of it has no known cost
}

func newLedger(b Budget) ledger {
	return ledger{
		limit:    amount{b.MaxCost, b.MaxTokens},
		spent:    amount{b.Cost, b.Tokens},
		possibly: amount{b.PossiblyCost, b.PossiblyTokens},
		margins:  newMargins(b.Margins),
		prices:   b.Prices,
	}
}

func (l *ledger) price(model string) *tokens.Price {
	if l.prices == nil {
		return nil
	}
	return l.prices(model)
}

// reservation is the most that a call can cost, and what it takes to settle it.
type reservation struct {
	price  *tokens.Price
	margin *margin
	prompt int64 // tokens, estimated
	answer int64 // tokens at most, 0 when that is not known: then most is no limit
	most   amount
}

func (l *ledger) most(c *store.Claim, price *tokens.Price) reservation {
	margin := l.margins.of(c.Model)
	prompt, answer := margin.now().Reserve(c.Tokens), c.MaxTokens
	if answer == 0 && price != nil {
		answer = price.Largest
	}
	r := reservation{price: price, margin: margin, prompt: c.Tokens, answer: answer}
	r.most.tokens = add(prompt, answer)
	if price != nil {
		r.most.cost = price.Worst(prompt, answer)
	}
	return r
}

// next is when a call may go out, or a Stop when it never may: what is spent does not become less. While it does not fit beside
// the calls in flight, their answers wake the gate.
func (l *ledger) next(now time.Time, c *store.Claim, r reservation, inFlight int) (time.Time, *Stop) {
	switch flaw := l.flaw(c, r); {
	case flaw != "":
		return now, &Stop{Cause: BudgetReached, Message: flaw}
	case l.fits(r.most):
		return time.Time{}, nil
	case inFlight > 0:
		return now.Add(time.Minute), nil
	}
	return now, &Stop{Cause: BudgetReached, Message: l.reached(r.most)}
}

// claim is the most that a job can cost, and the Stop that it means when it may not be claimed beside those that are out, which can cost
// so much: should the run die, all of them count as possibly spent.
func (l *ledger) claim(c *store.Claim, out amount) (most amount, stop *Stop) {
	r := l.most(c, l.price(c.Model))
	if flaw := l.flaw(c, r); flaw != "" {
		return r.most, &Stop{Cause: BudgetReached, Message: flaw}
	}
	together := out.plus(r.most)
	if within(int64(l.limit.cost), int64(l.spent.cost), int64(together.cost)) && within(l.limit.tokens, l.spent.tokens, together.tokens) {
		return r.most, nil
	}
	return r.most, &Stop{Cause: BudgetReached, Message: l.reached(r.most)}
}

// flaw is why no budget can hold with such a call, "" when it can. The command line refuses such jobs before anything is sent.
func (l *ledger) flaw(c *store.Claim, r reservation) string {
	switch {
	case l.limit.cost > 0 && r.price == nil:
		return fmt.Sprintf("no price is known for the model %s, so that its cost has no limit: give one with --price or --prices", c.Model)
	case l.limit != (amount{}) && r.answer == 0:
		return fmt.Sprintf("a job for the model %s has no limit to its answer: give it max_tokens", c.Model)
	}
	return ""
}

func (l *ledger) fits(most amount) bool {
	used := l.spent.plus(l.reserved)
	return within(int64(l.limit.cost), int64(used.cost), int64(most.cost)) && within(l.limit.tokens, used.tokens, most.tokens)
}

func within(limit, used, more int64) bool {
	return limit == 0 || used <= limit && more <= limit-used
}

// reached says which limit leaves no room for a call that is alone.
func (l *ledger) reached(most amount) string {
	if within(int64(l.limit.cost), int64(l.spent.cost), int64(most.cost)) {
		return fmt.Sprintf("%d of %d tokens spent%s, and the next call can use %d", l.spent.tokens, l.limit.tokens,
			ofThat(l.possibly.tokens > 0, fmt.Sprint(l.possibly.tokens)), most.tokens)
	}
	return fmt.Sprintf("%s of %s spent%s, and the next call can cost %s", l.spent.cost.Dollars(), l.limit.cost.Dollars(),
		ofThat(l.possibly.cost > 0, l.possibly.cost.Dollars()), most.cost.Dollars())
}

func ofThat(any bool, possibly string) string {
	if !any {
		return ""
	}
	return ", " + possibly + " of that possibly"
}

func (l *ledger) take(r reservation) { l.reserved = l.reserved.plus(r.most) }

// settle puts what a call has cost in the place of what was reserved for it. answer is the tokens that were counted locally in an
// answer without usage. Thought that was not shown is not among them, and nothing tells how much it was.
func (l *ledger) settle(r reservation, res *chat.Result, answer int64) {
	l.reserved.cost -= r.most.cost
	l.reserved.tokens -= r.most.tokens
	r.margin.learn(r.prompt, res.Answer.Usage)
	usage := tokens.Usage(res.Answer.Usage)
	switch {
	case usage.Known:
		l.charge(r, usage, usage)
	case res.Class == chat.Done:
		margin := r.margin.now()
		most := tokens.Margin{Factor: margin.Factor}.Worst(answer)
		if r.answer > 0 { // more was not allowed
			most = max(min(most, r.answer), answer)
		}
		l.charge(r, estimate(r.prompt, answer), estimate(margin.Worst(r.prompt), most))
	case possiblyPaid(res):
		l.keep(r.most)
		l.unknown = l.unknown || r.price == nil || r.answer == 0
	}
}

// charge counts the usage of a call as the rows tell it, and against the budget what it may have been at most.
func (l *ledger) charge(r reservation, told, most tokens.Usage) {
	l.spent.tokens = add(l.spent.tokens, most.Total)
	cost, known := r.price.Cost(told)
	if !known { // its worst case is the best that is known
		l.unknown = true
		l.keep(amount{cost: r.most.cost})
		return
	}
	l.cost = l.cost.Plus(cost)
	atMost, _ := r.price.Cost(most)
	l.spent.cost = l.spent.cost.Plus(max(cost, atMost))
}

// keep counts as possibly spent.
func (l *ledger) keep(a amount) {
	l.spent, l.possibly = l.spent.plus(a), l.possibly.plus(a)
	l.unsure = l.unsure.Plus(a.cost)
}

func (l *ledger) status(p *Progress) {
	p.Cost, p.CostKnown, p.PossiblySpent = l.cost, !l.unknown, l.unsure
	p.Spent, p.SpentTokens = l.spent.cost, l.spent.tokens
}

// possiblyPaid says of a call without usage that the API may have worked on it and charged for it.
func possiblyPaid(res *chat.Result) bool {
	return res.Class == chat.Unknown || res.Class == chat.Interrupted && res.Sent || res.Reason == chat.ResponseTooLarge
}

func estimate(prompt, answer int64) tokens.Usage {
	return tokens.Usage{Known: true, Prompt: prompt, Completion: answer, Total: add(prompt, answer)}
}
