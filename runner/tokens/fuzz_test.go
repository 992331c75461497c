package tokens

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
)

// Money and tokens are held against arithmetic without bounds: a cost is exact or stays at the largest, what a call costs is never
// more than the most that it can, and the cost of a sum of calls is the sum of their costs.
func FuzzMoney(f *testing.F) {
	f.Add(int64(2_500_000), int64(10_000_000), int64(1_250_000), int64(100), int64(60), int64(20), int64(30))
	f.Add(int64(mostForAToken), int64(mostForAToken), int64(0), int64(1)<<53, int64(1)<<53, int64(1)<<52, int64(1)<<53)
	f.Add(int64(0), int64(1024), int64(0), int64(1)<<53, int64(0), int64(0), int64(0)) // 2^63 is one too many
	f.Add(int64(1), int64(0), int64(math.MaxInt64), int64(0), int64(0), int64(0), int64(0))
	f.Add(int64(3), int64(5), int64(7), int64(math.MaxInt64), int64(math.MaxInt64), int64(-1), int64(2))
	f.Fuzz(func(t *testing.T, input, output, cached, prompt, completion, read, thought int64) {
		price := Price{Rates: []Rates{
			{Input: rate(input), Output: rate(output), Cached: rate(cached), CacheWrite: rate(input ^ cached), Reasoning: rate(output ^ cached)},
			{Above: 1 << 20, Input: rate(output), Output: rate(input), Cached: rate(input), CacheWrite: rate(output), Reasoning: rate(cached)},
		}}
		u := Usage{Known: true, Prompt: within(prompt, maxTokens), Completion: within(completion, maxTokens)}
		u.Total = u.Prompt + u.Completion
		u.Cached = within(read, u.Prompt)
		u.CacheWrite = within(thought, u.Prompt-u.Cached)
		u.Reasoning = within(thought, u.Completion)

		r := price.For(u.Prompt)
		cost, known := price.Cost(u)
		if want := bounded(exactly(r, u)); !known || cost != want {
			t.Fatalf("%+v at %+v costs %d (%v), want %d", u, r, cost, known, want)
		}
		if most := price.Worst(u.Prompt, u.Completion); cost > most {
			t.Fatalf("%+v at %+v costs %d, more than the most, %d", u, r, cost, most)
		}
		if most := price.Worst(u.Prompt/2, u.Completion/2); most > price.Worst(u.Prompt, u.Completion) {
			t.Fatalf("half of %+v at %+v can cost more, %d", u, price, most)
		}
		other := Usage{Known: true, Prompt: u.Prompt / 3, Completion: u.Completion / 2, Cached: u.Cached / 3, CacheWrite: u.CacheWrite / 3, Reasoning: u.Reasoning / 2}
		other.Total = other.Prompt + other.Completion
		both := Usage{Known: true, Prompt: u.Prompt + other.Prompt, Completion: u.Completion + other.Completion, Total: u.Total + other.Total,
			Cached: u.Cached + other.Cached, CacheWrite: u.CacheWrite + other.CacheWrite, Reasoning: u.Reasoning + other.Reasoning}
		if sum := r.Cost(u).Plus(r.Cost(other)); sum != r.Cost(both) {
			t.Fatalf("%+v and %+v cost %d, together %d", u, other, sum, r.Cost(both))
		}
		for _, m := range []Money{cost, rate(input), rate(output).Plus(rate(cached)), math.MaxInt64} {
			isWritten(t, m)
		}
	})
}

const maxTokens = 1 << 53 // that a usage may claim

func rate(n int64) Money                { return Money(n & math.MaxInt64) }
func within(n, most int64) int64        { return n & math.MaxInt64 % (most + 1) }
func product(m Money, n int64) *big.Int { return new(big.Int).Mul(big.NewInt(int64(m)), big.NewInt(n)) }

// exactly is what a call costs, part by part.
func exactly(r Rates, u Usage) *big.Int {
	sum := product(r.Input, u.Prompt-u.Cached-u.CacheWrite)
	for _, part := range []*big.Int{product(r.Cached, u.Cached), product(r.CacheWrite, u.CacheWrite), product(r.Reasoning, u.Reasoning),
		product(r.Output, u.Total-u.Prompt-u.Reasoning)} {
		sum.Add(sum, part)
	}
	return sum
}

func bounded(n *big.Int) Money {
	if n.IsInt64() {
		return Money(n.Int64())
	}
	return math.MaxInt64
}

// isWritten fails unless an amount is read as it is written, and people are told no less than half a digit off.
func isWritten(t *testing.T, m Money) {
	t.Helper()
	dollars, ok := new(big.Rat).SetString(m.String())
	if !ok || dollars.Mul(dollars, big.NewRat(int64(Dollar), 1)).Cmp(big.NewRat(int64(m), 1)) != 0 {
		t.Fatalf("%d is written %s", m, m)
	}
	shown, ok := new(big.Rat).SetString(strings.NewReplacer("$", "", ",", "").Replace(m.Dollars()))
	if !ok || (m > 0) != (shown.Sign() > 0) {
		t.Fatalf("%d is shown as %s", m, m.Dollars())
	}
	off := shown.Mul(shown, big.NewRat(int64(Dollar), 1)).Sub(shown, big.NewRat(int64(m), 1))
	if half := big.NewRat(max(int64(m)/10, 1)/2+1, 1); off.Abs(off).Cmp(half) > 0 && off.Cmp(big.NewRat(int64(Dollar)/200, 1)) > 0 {
		t.Fatalf("%d is shown as %s", m, m.Dollars())
	}
}

// Whatever stands for an amount: it is refused with a reason, or means what arithmetic without bounds says that it does.
func FuzzAmount(f *testing.F) {
	for _, s := range []string{"5", "$0.25", ".5", "5.", "1e3", "-0", "1e-12", "9000000", "0x10", "1_000", "NaN", "9e99999999999999999999", "2.50,10", "2.50,10,1.25", " 1 , 2 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var refused *PriceError
		m, err := ParseMoney(text)
		if err != nil && (!errors.As(err, &refused) || refused.Hint == "" || m != 0) {
			t.Fatalf("%q: %d, %v", text, m, err)
		}
		if err == nil {
			means(t, strings.TrimPrefix(strings.TrimSpace(text), "$"), m, int64(Dollar))
			isWritten(t, m)
			if m > mostMoney {
				t.Fatalf("%q is %d", text, m)
			}
		}
		p, err := ParsePrice(text)
		if err != nil {
			if !errors.As(err, &refused) || refused.Hint == "" || p != nil {
				t.Fatalf("%q: %v, %v", text, p, err)
			}
			return
		}
		r := p.For(0)
		for i, field := range strings.Split(text, ",") {
			means(t, strings.TrimPrefix(strings.TrimSpace(field), "$"), []Money{r.Input, r.Output, r.Cached}[i], 1_000_000)
		}
		if len(p.Rates) != 1 || r.CacheWrite != r.Input || r.Reasoning != r.Output || max(r.Input, r.Output, r.Cached) > mostForAToken {
			t.Fatalf("%q is %+v", text, p)
		}
	})
}

// means fails unless a number in the notation of people is so many of a unit. An exponent out of all bounds is one of zero.
func means(t *testing.T, number string, m Money, unit int64) {
	t.Helper()
	mantissa, power, _ := strings.Cut(strings.ToLower(number), "e")
	if len(power) > 4 {
		if strings.Trim(mantissa, "-0.") != "" && strings.TrimLeft(power, "-+0") == power {
			t.Fatalf("%q is taken for %d", number, m)
		}
		return
	}
	value, ok := new(big.Rat).SetString(number)
	if !ok || value.Mul(value, big.NewRat(unit, 1)).Cmp(big.NewRat(int64(m), 1)) != 0 {
		t.Fatalf("%q is taken for %d", number, m)
	}
}
