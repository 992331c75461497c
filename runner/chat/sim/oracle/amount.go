package oracle

import (
	"fmt"
	"math"
	"math/big"
)

// amount is money in picodollars: what is known of it, and of how many attempts nothing is.
type amount struct{ pico, unknown int64 }

var unknownAmount = amount{unknown: 1}

func (a amount) plus(b amount) amount {
	if a.pico > math.MaxInt64-b.pico {
		return amount{math.MaxInt64, a.unknown + b.unknown}
	}
	return amount{a.pico + b.pico, a.unknown + b.unknown}
}

// told is the amount as programs are told it: nothing, as soon as a part of it is unknown.
func (a amount) told() amount {
	if a.unknown > 0 {
		return unknownAmount
	}
	return a
}

func (a amount) String() string {
	return fmt.Sprintf("%d pico and %d unknown", a.pico, a.unknown)
}

// UnmarshalJSON reads dollars, to the picodollar; null is unknown.
func (a *amount) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*a = unknownAmount
		return nil
	}
	dollars, ok := new(big.Rat).SetString(string(text))
	if !ok {
		return fmt.Errorf("%s is no amount", text)
	}
	pico := dollars.Mul(dollars, big.NewRat(1e12, 1))
	if !pico.IsInt() || !pico.Num().IsInt64() {
		return fmt.Errorf("%s is no amount of picodollars", text)
	}
	*a = amount{pico: pico.Num().Int64()}
	return nil
}

// cell reads the amount of a table, in which an empty cell is unknown.
func (a *amount) cell(text string) error {
	if text == "" {
		text = "null"
	}
	return a.UnmarshalJSON([]byte(text))
}

// rate is what a token costs in picodollars, of calls whose prompt is longer than above.
type rate struct{ above, input, output, cached, written, thought int64 }

// price is that of a model at an endpoint: its rates, the cheapest calls first, and the tokens of its largest answer where they are known.
type price struct {
	rates   []rate
	largest int64
}

// tokens are what a call used, in the parts that have prices.
type tokens struct{ prompt, completion, total, cached, written, thought, audio int64 }

// cost is exact; it is unknown without a price, and where there was sound, which has another.
func (p *price) cost(t tokens) amount {
	if p == nil || t.audio > 0 {
		return unknownAmount
	}
	r := p.rates[0]
	for _, higher := range p.rates {
		if t.prompt > higher.above {
			r = higher
		}
	}
	return sum(r.input, t.prompt-t.cached-t.written, r.cached, t.cached, r.written, t.written, r.output, t.total-t.prompt-t.thought, r.thought, t.thought)
}

// least is what a call can cost at least of which nobody knows what became of it, when it is charged in full: its prompt as it was
// estimated, and as long an answer as it allows. Unknown is an answer that nothing bounds.
func (p *price) least(b *job) amount {
	if p == nil {
		return unknownAmount
	}
	answer := p.largest
	if b.maxTokens.Valid {
		answer = b.maxTokens.Int64
	}
	if answer == 0 {
		return unknownAmount
	}
	least := amount{pico: math.MaxInt64}
	for _, r := range p.rates {
		a := sum(max(r.input, r.cached, r.written), b.tokens, max(r.output, r.thought), answer)
		least.pico = min(least.pico, a.pico)
	}
	return least
}

// sum adds up products of a price and a number of tokens each, and stays at the most that there is.
func sum(pairs ...int64) amount {
	all := new(big.Int)
	for i := 0; i < len(pairs); i += 2 {
		all.Add(all, new(big.Int).Mul(big.NewInt(pairs[i]), big.NewInt(pairs[i+1])))
	}
	if !all.IsInt64() {
		return amount{pico: math.MaxInt64}
	}
	return amount{pico: all.Int64()}
}
