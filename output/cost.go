package output

import (
	"batch/runner/tokens"
	"batch/store"
)

// Prices are the prices in force in a job file, by endpoint and requested model.
type Prices map[priced]*tokens.Price

type priced struct{ endpoint, model string }

// NewPrices takes the rows of a job file, in its order.
func NewPrices(rows []store.Price) Prices {
	all := Prices{}
	for _, r := range rows {
		p := all[priced{r.Endpoint, r.Model}]
		if p == nil {
			p = &tokens.Price{Largest: r.Largest, Source: r.Source}
			all[priced{r.Endpoint, r.Model}] = p
		}
		p.Rates = append(p.Rates, tokens.Rates{Above: r.Above, Input: tokens.Money(r.Input), Output: tokens.Money(r.Output),
			Cached: tokens.Money(r.Cached), CacheWrite: tokens.Money(r.CacheWrite), Reasoning: tokens.Money(r.Reasoning)})
	}
	return all
}

// Of is the price of a model at an endpoint, else that of every model there; nil is unknown.
func (p Prices) Of(endpoint, model string) *tokens.Price {
	if own := p[priced{endpoint, model}]; own != nil {
		return own
	}
	return p[priced{endpoint, ""}]
}

// spent is what an answer used, where that is known from, and what it cost: tokens that the API reported, else those counted here, else
// none. What was taken over from another job file cost nothing here.
func (p Prices) spent(row *store.Row) (source string, u store.Usage, cost tokens.Money, known bool) {
	source, u = "unknown", row.Usage
	switch {
	case u.Known:
		source = "reported"
	case row.Estimated > 0:
		source, u = "estimated", row.EstimatedUsage()
	}
	switch { // what was taken over from another job file cost nothing here, and what a line shares stands at the other's cost
	case row.Shared:
		return "shared", u, 0, true
	case row.Reused:
		return "reused", u, 0, true
	}
	cost, known = p.Of(row.Endpoint, row.Model).Cost(tokens.Usage(u))
	return source, u, cost, known
}

// Amount is what a number of attempts cost: Money for those whose cost is known, and how many others there are. An Amount with
// others is shown as unknown, or as "at least", never as the Money alone.
type Amount struct {
	Money    tokens.Money
	Unknown  int64 // attempts
	Attempts int64 // in all
}

// Known says that nothing is missing from the Money.
func (a Amount) Known() bool { return a.Unknown == 0 }

// Exactly is the amount for programs: nil where a part of it is not known.
func (a Amount) Exactly() *tokens.Money {
	if !a.Known() {
		return nil
	}
	return &a.Money
}

// Plus adds two amounts.
func (a Amount) Plus(b Amount) Amount {
	return Amount{a.Money.Plus(b.Money), Plus(a.Unknown, b.Unknown), Plus(a.Attempts, b.Attempts)}
}

// Beside is an amount that was reported, as it is told beside what was counted here because it was not. Where nothing was reported it is
// unknown: that is no cost of nothing.
func (a Amount) Beside(counted Amount) Amount {
	if a.Attempts == 0 {
		a.Unknown = counted.Attempts
	}
	return a
}

// Cost is what the attempts of a job file cost, in the parts of its usage totals.
type Cost struct {
	Done          Amount // reported, of the rows of the output
	Estimated     Amount // of rows whose usage is counted here
	Wasted        Amount // reported for attempts that gave no row its answer
	Gone          Amount // reported for answers that are no longer in the input
	GoneEstimated Amount
	Lost          Amount // the most that attempts with an unknown outcome can have cost
	Open          Amount // the same of those without an outcome: in flight, or out when a run died
}

// Billed is what was charged for, as far as it was reported.
func (c Cost) Billed() Amount { return c.Done.Plus(c.Wasted).Plus(c.Gone) }

// Told is Billed beside what is only counted here.
func (c Cost) Told() Amount { return c.Billed().Beside(c.Counted()) }

// Counted is what answers cost that reported no usage, by our own count.
func (c Cost) Counted() Amount { return c.Estimated.Plus(c.GoneEstimated) }

// Spent is what was charged for, reported or by our own count.
func (c Cost) Spent() Amount { return c.Billed().Plus(c.Counted()) }

// Possibly is the most that may have been charged for beside it.
func (c Cost) Possibly() Amount { return c.Lost.Plus(c.Open) }

// Most is what may have been charged for at most, as far as anybody can know.
func (c Cost) Most() Amount { return c.Spent().Plus(c.Possibly()) }

// Plus adds two costs.
func (c Cost) Plus(o Cost) Cost {
	return Cost{c.Done.Plus(o.Done), c.Estimated.Plus(o.Estimated), c.Wasted.Plus(o.Wasted), c.Gone.Plus(o.Gone),
		c.GoneEstimated.Plus(o.GoneEstimated), c.Lost.Plus(o.Lost), c.Open.Plus(o.Open)}
}

// Cost prices bills. The margins say how long the prompts of attempts without an outcome can have been; nil is those before any
// answer told.
func (p Prices) Cost(bills []store.Bill, margins Margins) Cost {
	var c Cost
	for _, b := range bills {
		at := map[bool]map[store.BillKind]*Amount{
			false: {store.BillDone: &c.Done, store.BillGone: &c.Gone, store.BillWasted: &c.Wasted},
			true:  {store.BillDone: &c.Estimated, store.BillGone: &c.GoneEstimated, store.BillLost: &c.Lost, store.BillOpen: &c.Open},
		}[b.Estimated][b.Kind]
		*at = at.Plus(p.amount(b, margins))
	}
	return c
}

func (p Prices) amount(b store.Bill, margins Margins) Amount {
	unknown := Amount{Unknown: b.Attempts, Attempts: b.Attempts}
	price := p.Of(b.Endpoint, b.Model)
	if price == nil || b.Usage.Audio > 0 {
		return unknown
	}
	if b.Kind != store.BillLost && b.Kind != store.BillOpen {
		return Amount{Money: price.At(b.Above).Cost(tokens.Usage(b.Usage)), Attempts: b.Attempts}
	}
	prompt, completion, known := WorstTokens(b, price, margins.Of(b.Endpoint, b.Model))
	if !known {
		return unknown
	}
	return Amount{Money: price.At(b.Above).Worst(prompt, completion), Attempts: b.Attempts}
}

// WorstTokens is the most that the attempts of a BillLost or BillOpen can have used together; false when nothing bounds that.
func WorstTokens(b store.Bill, price *tokens.Price, margin tokens.Margin) (prompt, completion int64, known bool) {
	var largest int64
	if price != nil {
		largest = price.Largest
	}
	known = b.Boundless == 0 && (b.Unbounded == 0 || largest > 0)
	return margin.Together(b.Usage.Prompt, b.Attempts), Plus(b.Usage.Completion, b.Unbounded*largest), known
}
