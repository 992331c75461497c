package output

import (
	"math"

	"batch/runner/tokens"
	"batch/store"
)

func (k *Known) model(b store.Backlog, s *store.Seen) ModelForecast {
	m := ModelForecast{Model: b.Model, Jobs: b.Jobs, Bounded: b.Bounded, Price: k.Prices.Of(k.Endpoint, b.Model)}
	if s != nil {
		m.Answers = s.Answers
	}
	m.prompt, m.completion = promptSpan(b, s, k.Counted), completionSpan(b, s, m.Price)
	m.Prompt, m.Completion = guessOf[int64](m.prompt), guessOf[int64](m.completion)
	m.Cost = k.cost(&m)
	m.Sure = m.prompt.drawn && m.completion.drawn
	m.cost = span{asFloat(m.Cost.Least), asFloat(m.Cost.Likely), asFloat(m.Cost.Most), m.Sure}
	return m
}

func asFloat(m *tokens.Money) float64 {
	if m == nil {
		return unknown
	}
	return float64(*m)
}

// learntFrom is how many answers say more of how a prompt is counted than its vocabulary does.
const learntFrom = 3

// promptSpan is the estimated prompts times what reported ones were to theirs.
func promptSpan(b store.Backlog, s *store.Seen, counted float64) span {
	estimated := float64(b.Tokens)
	_, margin := tokens.Vocabulary(b.Model)
	if s == nil || s.Answers < learntFrom || s.Estimated <= 0 || s.Prompt <= 0 {
		margin += counted
		return span{least: estimated * (1 - margin), likely: estimated, most: estimated * (1 + margin)}
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
		if price == nil || price.Largest == 0 {
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

// cost prices the tokens, at the tier of the mean prompt.
func (k *Known) cost(m *ModelForecast) Guess[tokens.Money] {
	var g Guess[tokens.Money]
	mix := k.mix(m.Model)
	if m.Price == nil || mix.Audio > 0 {
		return g
	}
	rates := m.Price.For(int64(m.prompt.likely / float64(m.Jobs)))
	price := func(prompt, completion *int64) *tokens.Money {
		if prompt == nil || completion == nil {
			return nil
		}
		cost := rates.Cost(likeMix(mix, *prompt, *completion))
		return &cost
	}
	return Guess[tokens.Money]{price(m.Prompt.Least, m.Completion.Least), price(m.Prompt.Likely, m.Completion.Likely), price(m.Prompt.Most, m.Completion.Most)}
}

// mix is the usage of all answers of a model.
func (k *Known) mix(model string) store.Usage {
	var u store.Usage
	for _, b := range k.Bills {
		if b.Endpoint == k.Endpoint && b.Model == model && !b.Estimated {
			u.Prompt = plus(u.Prompt, b.Usage.Prompt)
			u.Total = plus(u.Total, b.Usage.Total)
			u.Cached = plus(u.Cached, b.Usage.Cached)
			u.CacheWrite = plus(u.CacheWrite, b.Usage.CacheWrite)
			u.Reasoning = plus(u.Reasoning, b.Usage.Reasoning)
			u.Audio = plus(u.Audio, b.Usage.Audio)
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
	return tokens.Usage{Known: true, Prompt: prompt, Completion: completion, Total: plus(prompt, completion),
		Cached: part(prompt, mix.Cached, mix.Prompt), CacheWrite: part(prompt, mix.CacheWrite, mix.Prompt),
		Reasoning: part(completion, mix.Reasoning, mix.Total-mix.Prompt)}
}
