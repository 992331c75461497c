package output

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"batch/runner/tokens"
	"batch/store"
)

const here = "https://api.example/v1"

// perMillion is a price of so many dollars a million tokens, with a largest answer.
func perMillion(model string, in, out, largest int64) store.Price {
	return store.Price{Endpoint: here, Model: model, Input: in * 1e6, Output: out * 1e6, Cached: in * 1e6, CacheWrite: in * 1e6, Reasoning: out * 1e6, Largest: largest}
}

func knowing(prices ...store.Price) Known {
	return Known{Endpoint: here, Prices: NewPrices(prices), Sampled: true, Pace: Pace{Concurrency: 10}}
}

// see adds up answers: estimated prompt, reported prompt, output tokens, milliseconds.
func see(model string, answers ...[4]float64) store.Seen {
	s := store.Seen{Endpoint: here, Model: model}
	for _, a := range answers {
		s.Answers++
		s.Estimated += int64(a[0])
		s.Prompt += int64(a[1])
		s.Output += int64(a[2])
		s.Millis += int64(a[3])
		s.EstimatedSq += a[0] * a[0]
		s.EstimatedPrompt += a[0] * a[1]
		s.PromptSq += a[1] * a[1]
		s.OutputSq += a[2] * a[2]
	}
	return s
}

func wantGuess[T quantity](t *testing.T, what string, got Guess[T], least, likely, most any) {
	t.Helper()
	for i, g := range []*T{got.Least, got.Likely, got.Most} {
		want := []any{least, likely, most}[i]
		name := []string{"least", "likely", "most"}[i]
		switch {
		case want == nil && g != nil:
			t.Errorf("%s %s: %v, want unknown", what, name, *g)
		case want != nil && g == nil:
			t.Errorf("%s %s: unknown, want %v", what, name, want)
		case want != nil && *g != want.(T):
			t.Errorf("%s %s: %v, want %v", what, name, *g, want)
		}
	}
}

// Before an answer has come nobody knows how long they are: at most as long as the requests, or the model, allow.
func TestForecastUnknown(t *testing.T) {
	open := store.Backlog{Model: "gpt-4o", Jobs: 10, Tokens: 1000}
	bounded := store.Backlog{Model: "gpt-4o", Jobs: 10, Tokens: 1000, Bounded: 10, Most: 500}
	half := store.Backlog{Model: "gpt-4o", Jobs: 10, Tokens: 1000, Bounded: 4, Most: 200}

	f := NewForecast([]store.Backlog{open}, knowing())
	wantGuess(t, "prompt", f.Total.Prompt, int64(980), int64(1000), int64(1020))
	wantGuess(t, "completion", f.Total.Completion, int64(0), nil, nil)
	wantGuess(t, "cost", f.Total.Cost, nil, nil, nil)
	wantGuess(t, "time", f.Time, nil, nil, nil)

	f = NewForecast([]store.Backlog{bounded}, knowing(perMillion("gpt-4o", 1, 2, 0)))
	wantGuess(t, "bounded completion", f.Total.Completion, int64(0), nil, int64(500))
	wantGuess(t, "bounded cost", f.Total.Cost, tokens.Money(980e6), nil, tokens.Money(1020e6+1000e6))

	f = NewForecast([]store.Backlog{half}, knowing(perMillion("gpt-4o", 1, 2, 0)))
	wantGuess(t, "half bounded completion", f.Total.Completion, int64(0), nil, nil)
	wantGuess(t, "half bounded cost", f.Total.Cost, tokens.Money(980e6), nil, nil)

	f = NewForecast([]store.Backlog{half}, knowing(perMillion("gpt-4o", 1, 2, 4096)))
	wantGuess(t, "completion up to the largest", f.Total.Completion, int64(0), nil, int64(200+6*4096))

	// One answer tells what is likely, and not how far the others may be from it.
	k := knowing()
	k.Seen = []store.Seen{see("gpt-4o", [4]float64{100, 101, 30, 2000})}
	f = NewForecast([]store.Backlog{bounded}, k)
	wantGuess(t, "prompt after one", f.Total.Prompt, int64(980), int64(1000), int64(1020))
	wantGuess(t, "completion after one", f.Total.Completion, int64(0), int64(300), int64(500))
	wantGuess(t, "time after one", f.Time, nil, 2*time.Second, nil)

	// Answers of another endpoint tell nothing.
	k.Seen[0].Endpoint = "https://other.example/v1"
	f = NewForecast([]store.Backlog{bounded}, k)
	wantGuess(t, "completion after another's", f.Total.Completion, int64(0), nil, int64(500))
}

// One model without a price leaves the total without one, but not without a lower bound.
func TestForecastOneUnpriced(t *testing.T) {
	k := knowing(perMillion("gpt-4o", 1, 2, 0))
	backlog := []store.Backlog{{Model: "gpt-4o", Jobs: 1, Tokens: 100, Bounded: 1, Most: 10}, {Model: "other", Jobs: 1, Tokens: 100, Bounded: 1, Most: 10}}
	f := NewForecast(backlog, k)
	wantGuess(t, "priced", f.Models[0].Cost, tokens.Money(98e6), nil, tokens.Money(122e6))
	wantGuess(t, "unpriced", f.Models[1].Cost, nil, nil, nil)
	wantGuess(t, "total", f.Total.Cost, tokens.Money(98e6), nil, nil)
	wantGuess(t, "prompt", f.Total.Prompt, int64(98+85), int64(200), int64(102+115))
}

// Nothing pending costs nothing, and that is known, with a price or without.
func TestForecastNothingPending(t *testing.T) {
	none := NewForecast([]store.Backlog{{Model: "gpt-4o"}}, knowing())
	wantGuess(t, "cost of no job", none.Total.Cost, tokens.Money(0), tokens.Money(0), tokens.Money(0))
	f := NewForecast(nil, knowing())
	wantGuess(t, "prompt", f.Total.Prompt, int64(0), int64(0), int64(0))
	wantGuess(t, "cost", f.Total.Cost, tokens.Money(0), tokens.Money(0), tokens.Money(0))
	wantGuess(t, "time", f.Time, time.Duration(0), time.Duration(0), time.Duration(0))
	wantGuess(t, "projected", f.Projected(Amount{Money: 5}), tokens.Money(5), tokens.Money(5), tokens.Money(5))
	wantGuess(t, "projected of unknown", f.Projected(Amount{Money: 5, Unknown: 1}), tokens.Money(5), nil, nil)
}

// Answers that say exactly the same leave little doubt, but some: others may be of another kind.
func TestForecastLearns(t *testing.T) {
	k := knowing(perMillion("gpt-4o", 1, 2, 0))
	answer := [4]float64{100, 110, 50, 1000}
	k.Seen = []store.Seen{see("gpt-4o", answer, answer, answer, answer)}
	f := NewForecast([]store.Backlog{{Model: "gpt-4o", Jobs: 100, Tokens: 20_000, Bounded: 100, Most: 5100}}, k)
	if f.Factor() != 1.1 || f.Answers != 4 {
		t.Errorf("factor %v from %d answers, want 1.1 from 4", f.Factor(), f.Answers)
	}
	m := f.Models[0]
	wantGuess(t, "prompt", m.Prompt, int64(21672), int64(22000), int64(22333)) // e^(2 % * 3/4)
	if *m.Completion.Likely != 5000 || *m.Completion.Most != 5100 || *m.Completion.Least >= 5000 {
		t.Errorf("completion %d, %d, %d", *m.Completion.Least, *m.Completion.Likely, *m.Completion.Most)
	}
	if *m.Cost.Likely != 22000e6+10000e6 {
		t.Errorf("cost %s", *m.Cost.Likely)
	}
	if *f.Time.Likely != 10*time.Second {
		t.Errorf("time %s, want 100 jobs of 1 s, 10 at a time", *f.Time.Likely)
	}
}

// The likely cost is that of the tokens to the picodollar, of the parts too that a cache held, at the tier of the mean prompt.
func TestForecastRates(t *testing.T) {
	low, high := perMillion("gpt-4o", 4, 10, 0), perMillion("gpt-4o", 8, 20, 0)
	low.Cached, high.Cached, high.Above = 1e6, 2e6, 1000
	k := knowing(low, high)
	k.Seen = []store.Seen{see("gpt-4o", [4]float64{2000, 2000, 100, 10}, [4]float64{2000, 2000, 100, 10}, [4]float64{2000, 2000, 100, 10})}
	k.Bills = []store.Bill{
		{Endpoint: here, Model: "gpt-4o", Kind: store.BillDone, Usage: store.Usage{Known: true, Prompt: 6000, Total: 6300, Cached: 3000}},
		{Endpoint: "https://other.example", Model: "gpt-4o", Kind: store.BillDone, Usage: store.Usage{Known: true, Prompt: 6000, Total: 6300, Cached: 6000}},
	}
	f := NewForecast([]store.Backlog{{Model: "gpt-4o", Jobs: 10, Tokens: 20_000}}, k)
	if got, want := *f.Total.Cost.Likely, tokens.Money(10_000*8e6+10_000*2e6+1000*20e6); got != want {
		t.Errorf("cost %s, want %s", got, want)
	}
	k.Bills[0].Usage.Audio = 1
	wantGuess(t, "cost with audio", NewForecast([]store.Backlog{{Model: "gpt-4o", Jobs: 10, Tokens: 20_000}}, k).Total.Cost, nil, nil, nil)
}

// Of parts that are not text nobody knows the tokens before an answer tells.
func TestForecastBoundless(t *testing.T) {
	b := store.Backlog{Model: "gpt-4o", Jobs: 10, Tokens: 1000, Bounded: 0, Boundless: 4}
	k := knowing(perMillion("gpt-4o", 1, 2, 4096))
	f := NewForecast([]store.Backlog{b}, k)
	wantGuess(t, "prompt", f.Total.Prompt, int64(980), int64(1000), nil)
	wantGuess(t, "completion", f.Total.Completion, int64(0), nil, nil)
	wantGuess(t, "cost", f.Total.Cost, tokens.Money(980e6), nil, nil)
	if f.Total.Boundless != 4 {
		t.Errorf("%d boundless, want 4", f.Total.Boundless)
	}
	answer := [4]float64{100, 900, 50, 1000}
	k.Seen = []store.Seen{see("gpt-4o", answer, answer, answer)}
	if f = NewForecast([]store.Backlog{b}, k); f.Total.Prompt.Most == nil || *f.Total.Prompt.Likely != 9000 {
		t.Errorf("prompt after answers: %+v", f.Total.Prompt)
	}
}

// Answers that nobody drew, of prompts unlike the rest, bound nothing: the requests do.
func TestForecastUnlike(t *testing.T) {
	k := knowing(perMillion("gpt-4o", 1, 2, 0))
	k.Sampled = false
	answer := [4]float64{100, 100, 50, 1000}
	k.Seen = []store.Seen{see("gpt-4o", answer, answer, answer, answer)}
	k.Seen[0].Bounded = 4
	for _, b := range []struct {
		store.Backlog
		sure bool
	}{
		{store.Backlog{Model: "gpt-4o", Jobs: 100, Tokens: 11_000, Bounded: 100, Most: 20_000}, true},
		{store.Backlog{Model: "gpt-4o", Jobs: 100, Tokens: 40_000, Bounded: 100, Most: 20_000}, false},
		{store.Backlog{Model: "gpt-4o", Jobs: 100, Tokens: 10_000, Bounded: 50, Most: 10_000}, false},
	} {
		f := NewForecast([]store.Backlog{b.Backlog}, k)
		if f.Total.Sure != b.sure || !f.Total.Enough {
			t.Errorf("%+v: sure %v, enough %v", b.Backlog, f.Total.Sure, f.Total.Enough)
		}
		if most := f.Total.Completion.Most; !b.sure && b.Bounded == 100 && (most == nil || *most != 20_000) || b.Bounded == 50 && most != nil {
			t.Errorf("%+v: completions are not bounded by the requests: %+v", b.Backlog, f.Total.Completion)
		}
	}
}

// One long prompt may be of a dearer tier than the others are.
func TestForecastLongest(t *testing.T) {
	low, high := perMillion("gpt-4o", 4, 10, 0), perMillion("gpt-4o", 8, 20, 0)
	high.Above = 1000
	b := store.Backlog{Model: "gpt-4o", Jobs: 10, Tokens: 5000, Bounded: 10, Most: 100, Longest: 900}
	short := NewForecast([]store.Backlog{b}, knowing(low, high))
	wantGuess(t, "all are short", short.Total.Cost, tokens.Money(4900*4e6), nil, tokens.Money(5100*4e6+100*10e6))
	b.Longest = 990 // and counted 2 % wrong
	long := NewForecast([]store.Backlog{b}, knowing(low, high))
	wantGuess(t, "one is long", long.Total.Cost, tokens.Money(4900*4e6), nil, tokens.Money(5100*8e6+100*20e6))
	if short.Models[0].Above != 0 || long.Models[0].Above != 1000 {
		t.Errorf("tiers above %d and %d, want 0 and 1000", short.Models[0].Above, long.Models[0].Above)
	}
}

// Calls go in rounds.
func TestForecastRounds(t *testing.T) {
	k := knowing()
	answer := [4]float64{100, 100, 10, 1000}
	k.Seen = []store.Seen{see("gpt-4o", answer, answer, answer, answer)}
	for jobs, rounds := range map[int64]time.Duration{1: 1, 10: 1, 11: 2, 21: 3} {
		f := NewForecast([]store.Backlog{{Model: "gpt-4o", Jobs: jobs, Tokens: 100 * jobs}}, k)
		if *f.Time.Likely != rounds*time.Second || *f.Time.Most < *f.Time.Likely || *f.Time.Least < time.Second || *f.Time.Least > *f.Time.Likely {
			t.Errorf("%d jobs, 10 at a time: %s, %s, %s", jobs, *f.Time.Least, *f.Time.Likely, *f.Time.Most)
		}
	}
}

// The time is what the slowest limit makes of it.
func TestForecastTime(t *testing.T) {
	backlog := []store.Backlog{{Model: "gpt-4o", Jobs: 601, Tokens: 60_100, Bounded: 601, Most: 6010}}
	k := knowing()
	k.Pace.RPM = 60
	wantGuess(t, "rpm alone", NewForecast(backlog, k).Time, 10*time.Minute, nil, nil)
	answers := make([][4]float64, 20)
	for i := range answers {
		answers[i] = [4]float64{100, 100, 10, 500}
	}
	k.Seen = []store.Seen{see("gpt-4o", answers...)}
	wantGuess(t, "rpm", NewForecast(backlog, k).Time, 10*time.Minute, 10*time.Minute, 10*time.Minute)
	k.Pace.TPM = 601 * 110 / 20.0
	if got := NewForecast(backlog, k).Time; *got.Likely != 20*time.Minute || *got.Least >= 20*time.Minute || *got.Most <= 20*time.Minute {
		t.Errorf("tpm: %s, %s, %s, want about 20m", *got.Least, *got.Likely, *got.Most)
	}
	k.Pace = Pace{Concurrency: 1000}
	if got := NewForecast(backlog, k).Time; *got.Likely != 500*time.Millisecond {
		t.Errorf("more at a time than there are jobs: %s, want as long as one call", *got.Likely)
	}
}

// Sums beyond what an integer holds are unknown, and nothing breaks.
func TestForecastAbsurd(t *testing.T) {
	k := knowing(perMillion("gpt-4o", math.MaxInt64/1_000_000, math.MaxInt64/1_000_000, math.MaxInt64))
	k.Seen = []store.Seen{see("gpt-4o", [4]float64{1, 1 << 53, 1 << 53, 1 << 40}, [4]float64{1 << 30, 0, 0, 0}, [4]float64{0, 0, 0, 0})}
	f := NewForecast([]store.Backlog{{Model: "gpt-4o", Jobs: math.MaxInt32, Tokens: math.MaxInt64 / 2}}, k)
	if f.Total.Cost.Most != nil || f.Total.Completion.Most != nil {
		t.Errorf("cost %v, completion %v, want unknown", *f.Total.Cost.Most, *f.Total.Completion.Most)
	}
	k.Seen = []store.Seen{see("gpt-4o", [4]float64{0, 0, 0, 0}, [4]float64{0, 0, 0, 0}, [4]float64{0, 0, 0, 0})}
	NewForecast([]store.Backlog{{Model: "gpt-4o", Jobs: 1}}, k)
}

// The bounds hold in at least nine of ten files, whatever the answers are like: 500 of each kind, with a few answers seen and many.
func TestForecastCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 14))
	kinds := []struct {
		name       string
		completion func() float64
	}{
		{"all alike", func() float64 { return 100 + 20*r.Float64() }},
		{"exponential", func() float64 { return 1 + r.ExpFloat64()*200 }},
		{"lognormal", func() float64 { return math.Exp(5 + 0.8*r.NormFloat64()) }},
		{"one word or two", func() float64 { return float64(1 + r.IntN(2)) }},
	}
	for _, kind := range kinds {
		for _, n := range []int{5, 20, 300} {
			const repetitions, jobs = 500, 500
			var held [4]int
			for range repetitions {
				f, truth := twoModels(r, n, jobs, kind.completion)
				for i, in := range []bool{
					covers(f.Total.Prompt, truth.Prompt), covers(f.Total.Completion, truth.Completion), covers(f.Total.Cost, truth.cost()), covers(f.Time, truth.time),
				} {
					if in {
						held[i]++
					}
				}
			}
			for i, what := range []string{"prompt", "completion", "cost", "time"} {
				if held[i] < repetitions*9/10 {
					t.Errorf("%s, %d answers seen: the bounds of %s hold in %d of %d", kind.name, n, what, held[i], repetitions)
				}
			}
			t.Logf("%s, %d answers seen: held in %v of %d", kind.name, n, held, repetitions)
		}
	}
}

type truth struct {
	Prompt, Completion int64
	time               time.Duration
}

func (u truth) cost() tokens.Money { return tokens.Money(u.Prompt*1e6 + u.Completion*4e6) }

// twoModels is two models, of prompts of all lengths that are counted a little wrong, of which n each are answered.
func twoModels(r *rand.Rand, n, jobs int, completion func() float64) (Forecast, truth) {
	k := knowing(perMillion("gpt-4o", 1, 4, 0), perMillion("other", 1, 4, 0))
	var backlog []store.Backlog
	var u truth
	for i, model := range []string{"gpt-4o", "other"} {
		b := store.Backlog{Model: model}
		var answers [][4]float64
		for j := range n + jobs {
			estimated := math.Round(10 + math.Exp(5+r.NormFloat64()))
			prompt := math.Round(estimated * (1 + 0.1*float64(i)) * (1 + 0.05*r.NormFloat64()))
			a := [4]float64{estimated, prompt, math.Round(completion()), math.Round(100 + r.ExpFloat64()*1000)}
			if j < n {
				answers = append(answers, a)
				continue
			}
			b.Jobs++
			b.Tokens += int64(estimated)
			u.Prompt += int64(prompt)
			u.Completion += int64(a[2])
			u.time += time.Duration(a[3]) * time.Millisecond / 10
		}
		k.Seen = append(k.Seen, see(model, answers...))
		backlog = append(backlog, b)
	}
	return NewForecast(backlog, k), u
}

func covers[T quantity](g Guess[T], truth T) bool {
	return *g.Least <= truth && truth <= *g.Most
}
