package tokens

// Rates are what a token costs, in picodollars, of a call whose prompt has more tokens than Above.
type Rates struct {
	Above                                        int64
	Input, Output, Cached, CacheWrite, Reasoning Money
}

// Price is what a model costs.
type Price struct {
	Rates   []Rates // by Above, ascending; the first begins at 0
	Largest int64   // tokens of its largest answer, 0 when that is not known
	Source  string  // where the price is from, with its date, in a few words
}

// For is what applies to a call with so many prompt tokens: to the whole of it, not only to what lies above.
func (p *Price) For(prompt int64) Rates {
	found := p.Rates[0]
	for _, r := range p.Rates[1:] {
		if prompt > r.Above {
			found = r
		}
	}
	return found
}

// At is the tier that begins above so many prompt tokens.
func (p *Price) At(above int64) Rates {
	for _, r := range p.Rates {
		if r.Above == above {
			return r
		}
	}
	return p.For(above)
}

// Cost is what a call, or a sum of calls at the same rates, costs: every token once, at the rate of the part that it is. What
// lies between prompt + completion and the total is output: some providers count thought there. The parts are within their
// wholes (who reads usage sees to it), so the cost of a sum is the sum of the costs.
func (r Rates) Cost(u Usage) Money {
	sum := r.Input.times(u.Prompt - u.Cached - u.CacheWrite)
	sum = sum.Plus(r.Cached.times(u.Cached)).Plus(r.CacheWrite.times(u.CacheWrite))
	return sum.Plus(r.Output.times(u.Total - u.Prompt - u.Reasoning)).Plus(r.Reasoning.times(u.Reasoning))
}

// Cost is what one call costs; false when that cannot be known: without usage, and for audio, which is priced apart.
func (p *Price) Cost(u Usage) (Money, bool) {
	if p == nil || !u.Known || u.Audio > 0 {
		return 0, false
	}
	return p.For(u.Prompt).Cost(u), true
}

// Worst is the most that a call with at most so many prompt and completion tokens can cost. A shorter prompt is the dearer one
// where a lower tier has the higher price.
func (p *Price) Worst(prompt, completion int64) Money {
	worst := p.Rates[0].Worst(prompt, completion)
	for _, r := range p.Rates[1:] {
		if prompt > r.Above {
			worst = max(worst, r.Worst(prompt, completion))
		}
	}
	return worst
}

// Worst is the most that so many prompt and completion tokens can cost at these rates.
func (r Rates) Worst(prompt, completion int64) Money {
	return max(r.Input, r.Cached, r.CacheWrite).times(prompt).Plus(max(r.Output, r.Reasoning).times(completion))
}
