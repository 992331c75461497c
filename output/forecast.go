package output

import (
	"math"
	"time"

	"batch/runner/tokens"
	"batch/store"
)

// Known is what a forecast is made from.
type Known struct {
	Endpoint string // of the calls to come: answers of others tell nothing of it
	Prices   Prices
	Seen     []store.Seen
	Bills    []store.Bill // tell what part of the prompts a cache held, and of the answers thought was; may be nil
	Counted  float64      // how far off the prompts were counted at most, as a share: 0 when each was counted, not a sample
	Pace     Pace
}

// Pace is how fast calls may go out.
type Pace struct {
	Concurrency int
	RPM, TPM    float64 // 0 is no limit
}

// Forecast is what pending jobs will use, cost and take.
type Forecast struct {
	Models []ModelForecast
	Total  ModelForecast // of all of them
	Time   Guess[time.Duration]

	// Of answers at the endpoint that reported usage: what their prompts were estimated at, and what they were.
	Answers, Estimated, Reported int64
}

// ModelForecast is what the pending jobs of one model will use and cost.
type ModelForecast struct {
	Model   string
	Jobs    int64
	Bounded int64 // of these, jobs whose request bounds its answer
	Answers int64 // that what is likely was learnt from; with two or more the bounds hold with 95 % confidence

	Prompt     Guess[int64]
	Completion Guess[int64] // all tokens that are not prompt
	Cost       Guess[tokens.Money]
	Price      *tokens.Price // nil when unknown

	prompt, completion, cost span
}

// Factor is reported prompt tokens to estimated ones, 0 before an answer told.
func (f *Forecast) Factor() float64 {
	if f.Estimated == 0 {
		return 0
	}
	return float64(f.Reported) / float64(f.Estimated)
}

// Projected is what all runs will have cost in the end, when so much was spent until now.
func (f *Forecast) Projected(spent Amount) Guess[tokens.Money] {
	plus := func(rest *tokens.Money) *tokens.Money {
		if rest == nil {
			return nil
		}
		sum := spent.Money.Plus(*rest)
		return &sum
	}
	g := f.Total.Cost
	if !spent.Known() {
		g.Likely, g.Most = nil, nil
	}
	return Guess[tokens.Money]{plus(g.Least), plus(g.Likely), plus(g.Most)}
}

// NewForecast says what the jobs of a backlog will use, cost and take.
func NewForecast(backlog []store.Backlog, known Known) Forecast {
	var f Forecast
	seen := map[string]*store.Seen{}
	for i, s := range known.Seen {
		if s.Endpoint == known.Endpoint {
			seen[s.Model] = &known.Seen[i]
			f.Answers += s.Answers
			f.Estimated += s.Estimated
			f.Reported += s.Prompt
		}
	}
	var prompts, completions, costs []span
	likely := tokens.Money(0)
	for _, b := range backlog {
		m := known.model(b, seen[b.Model])
		f.Models = append(f.Models, m)
		prompts, completions, costs = append(prompts, m.prompt), append(completions, m.completion), append(costs, m.cost)
		if m.Cost.Likely != nil {
			likely = likely.Plus(*m.Cost.Likely)
		}
		f.Total.Jobs += m.Jobs
		f.Total.Bounded += m.Bounded
		f.Total.Answers += m.Answers
	}
	f.Total.prompt, f.Total.completion = addSpans(prompts), addSpans(completions)
	f.Total.Prompt, f.Total.Completion = guessOf[int64](f.Total.prompt), guessOf[int64](f.Total.completion)
	f.Total.Cost = totalCost(costs)
	if f.Total.Cost.Likely != nil {
		f.Total.Cost.Likely = &likely // to the picodollar
	}
	f.Time = guessOf[time.Duration](known.time(f.Total, backlog, seen))
	return f
}

// totalCost: of models whose price is not known the least is not either, but what the others cost will be paid.
func totalCost(costs []span) Guess[tokens.Money] {
	sum := addSpans(costs)
	if math.IsNaN(sum.least) {
		var priced []span
		for _, c := range costs {
			if !math.IsNaN(c.least) {
				priced = append(priced, c)
			}
		}
		if len(priced) > 0 {
			sum.least = addSpans(priced).least
		}
	}
	return guessOf[tokens.Money](sum)
}

func (k *Known) model(b store.Backlog, s *store.Seen) ModelForecast {
	m := ModelForecast{Model: b.Model, Jobs: b.Jobs, Bounded: b.Bounded, Price: k.Prices.Of(k.Endpoint, b.Model)}
	if s != nil {
		m.Answers = s.Answers
	}
	m.prompt, m.completion = promptSpan(b, s, k.Counted), completionSpan(b, s, m.Price)
	m.Prompt, m.Completion = guessOf[int64](m.prompt), guessOf[int64](m.completion)
	m.Cost = k.cost(&m)
	m.cost = span{asFloat(m.Cost.Least), asFloat(m.Cost.Likely), asFloat(m.Cost.Most), m.prompt.drawn && m.completion.drawn}
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

// time is how long the jobs take: as long as the slowest of what holds them up, which is the calls at a time, the requests a minute
// or the tokens a minute.
func (k *Known) time(total ModelForecast, backlog []store.Backlog, seen map[string]*store.Seen) span {
	if total.Jobs == 0 {
		return span{}
	}
	calls := k.calls(total, backlog, seen)
	least, minute := unknown, float64(time.Minute)
	atLeast := func(v float64) {
		if !math.IsNaN(v) && !(least > v) {
			least = v
		}
	}
	atLeast(calls.least)
	if k.Pace.RPM > 0 { // the first goes at once
		requests := float64(total.Jobs-1) / k.Pace.RPM * minute
		atLeast(requests)
		calls.likely, calls.most = math.Max(calls.likely, requests), math.Max(calls.most, requests)
	}
	if k.Pace.TPM > 0 {
		by := func(prompt, completion float64) float64 { return (prompt + completion) / k.Pace.TPM * minute }
		atLeast(by(total.prompt.least, total.completion.least))
		calls.likely = math.Max(calls.likely, by(total.prompt.likely, total.completion.likely))
		calls.most = math.Max(calls.most, by(total.prompt.most, total.completion.most))
	}
	calls.least = least
	return calls
}

// calls is how long the calls take one after the other, so many at a time. Of their times only the sum is known: they are taken to scatter
// by as much as their mean.
func (k *Known) calls(total ModelForecast, backlog []store.Backlog, seen map[string]*store.Seen) span {
	work := 0.0
	for _, b := range backlog {
		s := seen[b.Model]
		if s == nil || s.Answers == 0 {
			return span{unknown, unknown, unknown, false}
		}
		work += float64(b.Jobs) * float64(s.Millis) / float64(s.Answers) * float64(time.Millisecond)
	}
	atOnce := float64(min(int64(max(k.Pace.Concurrency, 1)), total.Jobs))
	if total.Answers < 2 {
		return span{unknown, work / atOnce, unknown, false}
	}
	return around(work/atOnce, offOf(1, total.Answers, total.Jobs))
}
