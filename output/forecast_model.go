package output

import (
	"math"
	"slices"

	"batch/runner/tokens"
	"batch/store"
)

func (k *Known) model(b store.Backlog, s *store.Seen) ModelForecast {
	m := ModelForecast{Model: b.Model, Jobs: b.Jobs, Bounded: b.Bounded, Boundless: b.Boundless, Price: k.Prices.Of(k.Endpoint, b.Model)}
	if s != nil {
		m.Answers = s.Answers
	}
	m.prompt, m.completion = promptSpan(b, s, k.Counted), completionSpan(b, s, m.Price)
	m.Enough = m.prompt.drawn && m.completion.drawn
	if m.Enough && !k.Sampled && !alike(b, s) { // chance has not chosen the answers, and does not bound what they cannot tell
		allowed := completionSpan(b, nil, m.Price)
		m.prompt.drawn, m.completion = false, span{0, m.completion.likely, allowed.most, false}
	}
	m.Prompt, m.Completion = guessOf[int64](m.prompt), guessOf[int64](m.completion)
	m.Cost = k.cost(&m, longest(b, m.prompt))
	m.Sure = m.prompt.drawn && m.completion.drawn
	m.cost = span{asFloat(m.Cost.Least), asFloat(m.Cost.Likely), asFloat(m.Cost.Most), m.Sure && m.Above == 0}
	return m
}

func asFloat(m *tokens.Money) float64 {
	if m == nil {
		return unknown
	}
	return float64(*m)
}

// alike says that the answers are of prompts like those to come: of about the same length, and bounded as often.
func alike(b store.Backlog, s *store.Seen) bool {
	const near, share = 0.2, 0.1
	jobs, answers := float64(b.Jobs), float64(s.Answers)
	pending, told := float64(b.Tokens)/jobs, float64(s.Estimated)/answers
	return math.Abs(told-pending) <= near*pending && math.Abs(float64(b.Bounded)/jobs-float64(s.Bounded)/answers) <= share
}

// learntFrom is how many answers say more of how a prompt is counted than its vocabulary does.
const learntFrom = 3

// promptSpan is the estimated prompts times what reported ones were to theirs.
func promptSpan(b store.Backlog, s *store.Seen, counted float64) span {
	estimated := float64(b.Tokens)
	_, margin := tokens.Vocabulary(b.Model)
	if s == nil || s.Answers < learntFrom || s.Estimated <= 0 || s.Prompt <= 0 {
		margin += counted
		told := span{least: estimated * (1 - margin), likely: estimated, most: estimated * (1 + margin)}
		if b.Boundless > 0 { // parts that no answer has told the tokens of
			told.most = unknown
		}
		return told
	}
	n, ratio := float64(s.Answers), float64(s.Prompt)/float64(s.Estimated)
	residuals := max(0, s.PromptSq-2*ratio*s.EstimatedPrompt+ratio*ratio*s.EstimatedSq) / (n - 1)
	off := offOf(math.Sqrt(residuals)/(float64(s.Prompt)/n), s.Answers, b.Jobs)
	// However well n answers agree, 3 in n of the others may be of another kind (the rule of three).
	off = max(off, margin*min(1, 3/n))
	return around(estimated*ratio, math.Hypot(off, counted))
}

// completionSpan is the mean of the answers seen for every job, and no more than the requests allow.
func completionSpan(b store.Backlog, s *store.Seen, price *tokens.Price) span {
	most := float64(b.Most)
	if open := b.Jobs - b.Bounded; open > 0 {
		if price == nil || price.Largest == 0 || b.Boundless > 0 {
			most = unknown
		} else {
			most += float64(open) * float64(price.Largest)
		}
	}
	if s == nil || s.Answers == 0 {
		return span{0, unknown, most, false}
	}
	n := float64(s.Answers)
	mean := float64(s.Output) / n
	likely := mean * float64(b.Jobs)
	if s.Answers == 1 || s.Output <= 0 {
		return span{0, likely, unknown, false}.within(most)
	}
	variance := max(0, s.OutputSq-n*mean*mean) / (n - 1)
	variance = max(variance, mean/n) // answers all alike are few, not without scatter
	return around(likely, offOf(math.Sqrt(variance)/mean, s.Answers, b.Jobs)).within(most)
}

// cost prices the tokens at the tier of the mean prompt; the bounds at the cheapest and the dearest that any prompt can be in.
func (k *Known) cost(m *ModelForecast, longest int64) Guess[tokens.Money] {
	var g Guess[tokens.Money]
	mix := k.mix(m.Model)
	if m.Price == nil || mix.Audio > 0 {
		return g
	}
	mean := int64(m.prompt.likely / float64(m.Jobs))
	rates := m.Price.For(mean)
	reached := m.Price.Rates[:1]
	for i, r := range m.Price.Rates {
		if r.Above < max(longest, mean) {
			reached = m.Price.Rates[:i+1]
		}
	}
	if top := reached[len(reached)-1].Above; top > rates.Above {
		m.Above = top
	}
	price := func(prompt, completion *int64, at []tokens.Rates, pick func(...tokens.Money) tokens.Money) *tokens.Money {
		if prompt == nil || completion == nil {
			return nil
		}
		var all []tokens.Money
		for _, r := range at {
			all = append(all, r.Cost(likeMix(mix, *prompt, *completion)))
		}
		cost := pick(all...)
		return &cost
	}
	lowest := func(all ...tokens.Money) tokens.Money { return slices.Min(all) }
	highest := func(all ...tokens.Money) tokens.Money { return slices.Max(all) }
	return Guess[tokens.Money]{price(m.Prompt.Least, m.Completion.Least, reached, lowest),
		price(m.Prompt.Likely, m.Completion.Likely, []tokens.Rates{rates}, lowest), price(m.Prompt.Most, m.Completion.Most, reached, highest)}
}

// longest is how many tokens the longest prompt may have; as with their sum, it may have been counted a little wrong.
func longest(b store.Backlog, prompt span) int64 {
	factor := prompt.most / math.Max(float64(b.Tokens), 1)
	if math.IsNaN(factor) {
		factor = 1
	}
	return int64(math.Ceil(float64(b.Longest) * factor))
}

// mix is the usage of all answers of a model.
func (k *Known) mix(model string) store.Usage {
	var u store.Usage
	for _, b := range k.Bills {
		if b.Endpoint == k.Endpoint && b.Model == model && !b.Estimated {
			u.Prompt = Plus(u.Prompt, b.Usage.Prompt)
			u.Total = Plus(u.Total, b.Usage.Total)
			u.Cached = Plus(u.Cached, b.Usage.Cached)
			u.CacheWrite = Plus(u.CacheWrite, b.Usage.CacheWrite)
			u.Reasoning = Plus(u.Reasoning, b.Usage.Reasoning)
			u.Audio = Plus(u.Audio, b.Usage.Audio)
		}
	}
	return u
}

// likeMix is usage whose parts are what they are in the mix.
func likeMix(mix store.Usage, prompt, completion int64) tokens.Usage {
	part := func(of, part, whole int64) int64 {
		if whole <= 0 {
			return 0
		}
		return int64(float64(of) * (float64(part) / float64(whole)))
	}
	return tokens.Usage{Known: true, Prompt: prompt, Completion: completion, Total: Plus(prompt, completion),
		Cached: part(prompt, mix.Cached, mix.Prompt), CacheWrite: part(prompt, mix.CacheWrite, mix.Prompt),
		Reasoning: part(completion, mix.Reasoning, mix.Total-mix.Prompt)}
}
