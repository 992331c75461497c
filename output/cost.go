package output

import (
	"math"

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

// Amount is what a number of attempts cost: Money for those whose cost is known, and how many others there are. An Amount with
// others is shown as unknown, or as "at least", never as the Money alone.
type Amount struct {
	Money   tokens.Money
	Unknown int64 // attempts
}

// Known says that nothing is missing from the Money.
func (a Amount) Known() bool { return a.Unknown == 0 }

// Plus adds two amounts.
func (a Amount) Plus(b Amount) Amount {
	return Amount{a.Money.Plus(b.Money), plus(a.Unknown, b.Unknown)}
}

// Cost is what the attempts of a job file cost, in the parts of its usage totals.
type Cost struct {
	Done          Amount // reported, of the rows of the output
	Estimated     Amount // of rows whose usage is counted here
	Wasted        Amount // reported for attempts that gave no row its answer
	Gone          Amount // reported for answers that are no longer in the input
	GoneEstimated Amount
	Lost          Amount // the most that attempts with an unknown outcome can have cost
}

// Billed is what was charged for, as far as it was reported.
func (c Cost) Billed() Amount { return c.Done.Plus(c.Wasted).Plus(c.Gone) }

// Most is what may have been charged for at most, as far as anybody can know.
func (c Cost) Most() Amount {
	return c.Billed().Plus(c.Estimated).Plus(c.GoneEstimated).Plus(c.Lost)
}

// Plus adds two costs.
func (c Cost) Plus(o Cost) Cost {
	return Cost{c.Done.Plus(o.Done), c.Estimated.Plus(o.Estimated), c.Wasted.Plus(o.Wasted), c.Gone.Plus(o.Gone),
		c.GoneEstimated.Plus(o.GoneEstimated), c.Lost.Plus(o.Lost)}
}

// Cost prices bills. factor is how many prompt tokens a lost attempt may have had for 1,000 estimated ones.
func (p Prices) Cost(bills []store.Bill, factor int64) Cost {
	var c Cost
	for _, b := range bills {
		at := map[bool]map[store.BillKind]*Amount{
			false: {store.BillDone: &c.Done, store.BillGone: &c.Gone, store.BillWasted: &c.Wasted},
			true:  {store.BillDone: &c.Estimated, store.BillGone: &c.GoneEstimated, store.BillLost: &c.Lost},
		}[b.Estimated][b.Kind]
		*at = at.Plus(p.amount(b, factor))
	}
	return c
}

func (p Prices) amount(b store.Bill, factor int64) Amount {
	unknown := Amount{Unknown: b.Attempts}
	price := p.Of(b.Endpoint, b.Model)
	if price == nil || b.Usage.Audio > 0 {
		return unknown
	}
	if b.Kind != store.BillLost {
		return Amount{Money: price.At(b.Above).Cost(tokens.Usage(b.Usage))}
	}
	if b.Unbounded > 0 && price.Largest == 0 {
		return unknown
	}
	prompt, completion := LostTokens(b, price, factor)
	return Amount{Money: price.At(b.Above).Worst(prompt, completion)}
}

// LostTokens is the most that the attempts of a BillLost can have used, each rounded up.
func LostTokens(b store.Bill, price *tokens.Price, factor int64) (prompt, completion int64) {
	prompt = plus(int64(math.Ceil(float64(b.Usage.Prompt)/1000*float64(factor))), b.Attempts)
	completion = b.Usage.Completion
	if price != nil {
		completion = plus(completion, b.Unbounded*price.Largest)
	}
	return prompt, completion
}
