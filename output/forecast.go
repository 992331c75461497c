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
	Sampled  bool         // the answers are those of a sample; else they are what was sent first, and may be unlike the rest
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
	// Boundless is how many have parts that are not counted, or ask for several answers of no given length.
	Boundless int64
	Answers   int64 // that what is likely was learnt from
	Enough    bool  // as many as a confidence needs
	Above     int64 // where the dearest tier begins that a prompt may be in, though the mean one is not; else 0
	Sure      bool  // the bounds of tokens hold with 95 % confidence; else they are what the requests allow

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

// Seconds is the Time for programs.
func (f *Forecast) Seconds() Guess[float64] {
	seconds := func(d *time.Duration) *float64 {
		if d == nil {
			return nil
		}
		s := d.Seconds()
		return &s
	}
	return Guess[float64]{seconds(f.Time.Least), seconds(f.Time.Likely), seconds(f.Time.Most)}
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
		if b.Jobs <= 0 {
			continue
		}
		m := known.model(b, seen[b.Model])
		f.Models = append(f.Models, m)
		prompts, completions, costs = append(prompts, m.prompt), append(completions, m.completion), append(costs, m.cost)
		if m.Cost.Likely != nil {
			likely = likely.Plus(*m.Cost.Likely)
		}
		f.Total.Jobs += m.Jobs
		f.Total.Bounded += m.Bounded
		f.Total.Boundless += m.Boundless
		f.Total.Answers += m.Answers
		f.Total.Enough = m.Enough && (f.Total.Enough || len(f.Models) == 1)
	}
	f.Total.prompt, f.Total.completion = addSpans(prompts), addSpans(completions)
	f.Total.Prompt, f.Total.Completion = guessOf[int64](f.Total.prompt), guessOf[int64](f.Total.completion)
	f.Total.Sure = f.Total.prompt.drawn && f.Total.completion.drawn
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
