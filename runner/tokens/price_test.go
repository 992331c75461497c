package tokens

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParsePrice(t *testing.T) {
	const m = 1_000_000 // a dollar for a million tokens is a million picodollars a token
	for text, want := range map[string]Rates{
		"2.50,10":         {Input: 2.5 * m, Cached: 2.5 * m, CacheWrite: 2.5 * m, Output: 10 * m, Reasoning: 10 * m},
		"2.5, 10 ,1.25":   {Input: 2.5 * m, Cached: 1.25 * m, CacheWrite: 2.5 * m, Output: 10 * m, Reasoning: 10 * m},
		"$0.075,$0.3,$0":  {Input: 75_000, Cached: 0, CacheWrite: 75_000, Output: 300_000, Reasoning: 300_000},
		"0,0":             {},
		"0.000001,1e6,.5": {Input: 1, Cached: 500_000, CacheWrite: 1, Output: Dollar, Reasoning: Dollar},
	} {
		p, err := ParsePrice(text)
		if err != nil || len(p.Rates) != 1 || p.Rates[0] != want || p.Source != "--price" || p.Largest != 0 {
			t.Errorf("%q: %+v, %v, want %+v", text, p, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "two or three numbers", "2.5": "two or three numbers", "1,2,3,4": "two or three numbers",
		",10": "the input price is empty", "1,": "the output price is empty", "1,2,": "the cached price is empty",
		"-1,10": "the input price -1 is negative", "1,NaN": "the output price NaN is not a number", "1,2,x": "the cached price x is not a number",
		"1,1e400": "the output price is more than $1,000,000", "1e99999999999999999999,1": "the input price is more than",
		"1000000.1,1": "more than $1,000,000", "0.0000025,0.00001": "the input price has more than 6 decimals",
	} {
		_, err := ParsePrice(text)
		var refused *PriceError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) || refused.Hint == "" {
			t.Errorf("%q: %v, want %q and a hint", text, err, want)
		}
	}
}

// usages are as the API may report them: the parts are within their wholes.
var usages = rapid.Custom(func(t *rapid.T) Usage {
	part := func(name string, whole int64) int64 { return rapid.Int64Range(0, whole).Draw(t, name) }
	u := Usage{Known: true, Prompt: part("prompt", 1<<20), Completion: part("completion", 1<<20)}
	u.Total = u.Prompt + u.Completion + part("beside", 1000)
	u.CacheWrite = part("written", u.Prompt)
	u.Cached = part("cached", u.Prompt-u.CacheWrite)
	u.Reasoning = part("thought", u.Total-u.Prompt)
	return u
})

var someRates = rapid.Custom(func(t *rapid.T) Rates {
	rate := func(name string) Money { return Money(rapid.Int64Range(0, 100_000_000).Draw(t, name)) }
	return Rates{0, rate("input"), rate("output"), rate("cached"), rate("written"), rate("thought")}
})

func TestQ8_TheCostOfASumIsTheSumOfTheCosts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := someRates.Draw(t, "rates")
		var sum Usage
		var cost Money
		for _, u := range rapid.SliceOfN(usages, 1, 20).Draw(t, "usages") {
			cost = cost.Plus(r.Cost(u))
			sum.Prompt += u.Prompt
			sum.Completion += u.Completion
			sum.Total += u.Total
			sum.Cached += u.Cached
			sum.CacheWrite += u.CacheWrite
			sum.Reasoning += u.Reasoning
		}
		if r.Cost(sum) != cost {
			t.Fatalf("%s, want %s", r.Cost(sum), cost)
		}
	})
}

func TestNoCallCostsMoreThanItsWorst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Price{Rates: []Rates{someRates.Draw(t, "first")}}
		for range rapid.IntRange(0, 2).Draw(t, "tiers") {
			r := someRates.Draw(t, "tier")
			r.Above = p.Rates[len(p.Rates)-1].Above + rapid.Int64Range(1, 1<<19).Draw(t, "above")
			p.Rates = append(p.Rates, r)
		}
		u := usages.Draw(t, "usage")
		cost, _ := p.Cost(u)
		if worst := p.Worst(u.Prompt+rapid.Int64Range(0, 1<<18).Draw(t, "margin"), u.Total-u.Prompt); worst < cost {
			t.Fatalf("worst %s, cost %s", worst, cost)
		}
	})
}

func TestQ6_EveryTokenIsChargedOnce(t *testing.T) {
	r := Rates{Input: 3, Output: 15, Cached: 1, CacheWrite: 4, Reasoning: 20}
	for u, want := range map[Usage]Money{
		{Prompt: 100, Completion: 10, Total: 110}:                             100*3 + 10*15,
		{Prompt: 100, Completion: 10, Total: 110, Cached: 60, CacheWrite: 30}: 10*3 + 60*1 + 30*4 + 10*15,
		{Prompt: 100, Completion: 10, Total: 110, Reasoning: 8}:               100*3 + 2*15 + 8*20,
		{Prompt: 100, Completion: 10, Total: 150, Reasoning: 40}:              100*3 + 10*15 + 40*20,
		{Prompt: 100, Completion: 10, Total: 150}:                             100*3 + 50*15,
		{}:                                0,
		{Prompt: 1 << 53, Total: 1 << 53}: 3 << 53,
		{Prompt: 1 << 53, Total: 1 << 53, Cached: 1 << 52, CacheWrite: 1 << 52, Reasoning: 0}: 5 << 52,
	} {
		if got := r.Cost(u); got != want {
			t.Errorf("%+v: %d, want %d", u, got, want)
		}
	}
	if m := (Rates{Input: 2_500_000}).Cost(Usage{Prompt: 1 << 53, Total: 1 << 53}); m != math.MaxInt64 {
		t.Errorf("2^53 tokens wrap to %d", m)
	}
}

func TestATierIsForTheWholeCall(t *testing.T) {
	p := &Price{Rates: []Rates{{Input: 1, Output: 2}, {Above: 200_000, Input: 10, Output: 20}}}
	for prompt, want := range map[int64]Money{200_000: 200_000 + 2, 200_001: 2_000_010 + 20} {
		if got, known := p.Cost(Usage{Known: true, Prompt: prompt, Completion: 1, Total: prompt + 1}); !known || got != want {
			t.Errorf("%d prompt tokens: %d %v, want %d", prompt, got, known, want)
		}
	}
}

func TestQ7_UnknownIsNotZero(t *testing.T) {
	free := &Price{Rates: []Rates{{}}}
	if cost, known := free.Cost(Usage{Known: true, Prompt: 5, Total: 5}); cost != 0 || !known {
		t.Error("a price of 0 is known")
	}
	var none *Price
	for _, known := range []bool{
		second(none.Cost(Usage{Known: true})), second(free.Cost(Usage{Prompt: 5})), second(free.Cost(Usage{Known: true, Prompt: 5, Total: 5, Audio: 1})),
	} {
		if known {
			t.Error("without a price, usage, or a price for sound the cost is unknown")
		}
	}
}

func second(_ Money, known bool) bool { return known }

// The costs of a million calls add up to the picodollar, at prices of which no float has the sum: the total is what exact fractions say.
func TestQ8_AMillionCostsAddUpExactly(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	rates := Rates{Input: 100_001, Output: 700_003, Cached: 12_347, CacheWrite: 125_003, Reasoning: 900_007}
	var sum Money
	var all Usage
	float := 0.0
	for range 1_000_000 {
		u := Usage{Known: true, Prompt: dice.Int64N(20_000), Completion: dice.Int64N(2_000)}
		u.Total = u.Prompt + u.Completion + dice.Int64N(100)
		u.CacheWrite = dice.Int64N(u.Prompt + 1)
		u.Cached = dice.Int64N(u.Prompt - u.CacheWrite + 1)
		u.Reasoning = dice.Int64N(u.Total - u.Prompt + 1)
		cost := rates.Cost(u)
		sum = sum.Plus(cost)
		float += float64(cost) / float64(Dollar)
		all.Prompt, all.Completion, all.Total = all.Prompt+u.Prompt, all.Completion+u.Completion, all.Total+u.Total
		all.Cached, all.CacheWrite, all.Reasoning = all.Cached+u.Cached, all.CacheWrite+u.CacheWrite, all.Reasoning+u.Reasoning
	}
	want := new(big.Rat)
	for _, part := range [][2]int64{
		{all.Prompt - all.Cached - all.CacheWrite, int64(rates.Input)}, {all.Cached, int64(rates.Cached)}, {all.CacheWrite, int64(rates.CacheWrite)},
		{all.Reasoning, int64(rates.Reasoning)}, {all.Total - all.Prompt - all.Reasoning, int64(rates.Output)},
	} {
		price := new(big.Rat).SetFrac64(part[1], int64(Dollar))
		want.Add(want, price.Mul(price, new(big.Rat).SetInt64(part[0])))
	}
	if got, ok := new(big.Rat).SetString(sum.String()); !ok || got.Cmp(want) != 0 {
		t.Errorf("a million costs add up to %s, want %s", sum, want.FloatString(12))
	}
	if exact, _ := want.Float64(); exact == float {
		t.Error("a sum of floats is no different, so this proves nothing")
	}
}
