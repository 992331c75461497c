package output

import (
	"math"
	"time"

	"batch/runner/tokens"
)

type quantity interface {
	int64 | float64 | tokens.Money | time.Duration
}

// Guess is what a number will come to: at least, likely and at most. Nil is unknown, which is another thing than 0.
type Guess[T quantity] struct {
	Least  *T `json:"least"`
	Likely *T `json:"likely"`
	Most   *T `json:"most"`
}

// span is a Guess that is reckoned with; NaN is unknown.
type span struct {
	least, likely, most float64
	drawn               bool // the bounds are those of chance, and those of several outweigh each other
}

var unknown = math.NaN()

// guessOf rounds the bounds away from what is likely.
func guessOf[T quantity](s span) Guess[T] {
	whole := func(v float64, round func(float64) float64) *T {
		if v = round(v); math.IsNaN(v) || v >= math.MaxInt64 {
			return nil
		}
		n := T(max(v, 0))
		return &n
	}
	return Guess[T]{whole(s.least, math.Floor), whole(s.likely, math.Round), whole(s.most, math.Ceil)}
}

// addSpans is the sum of numbers that have nothing to do with each other: what chance does to them adds up by its squares, what
// is not known about them as it is.
func addSpans(all []span) span {
	sum := span{drawn: len(all) > 0}
	low, high := 0.0, 0.0
	for _, s := range all {
		sum.likely += s.likely
		if s.drawn {
			low += (s.likely - s.least) * (s.likely - s.least)
			high += (s.most - s.likely) * (s.most - s.likely)
			s.least, s.most = s.likely, s.likely
		}
		sum.least += s.least
		sum.most += s.most
		sum.drawn = sum.drawn && s.drawn
	}
	sum.least -= math.Sqrt(low)
	sum.most += math.Sqrt(high)
	return sum
}

// within bounds a span from above; an unknown bound does not.
func (s span) within(most float64) span {
	if math.IsNaN(most) {
		return s
	}
	s.least, s.likely = math.Min(s.least, most), math.Min(s.likely, most)
	if !(s.most < most) {
		s.most = most
	}
	return s
}

// around is what is likely, give or take a factor of e^off: a share of off, where that is small. A sum of what cannot be negative
// and is sometimes large is not as far above its mean as below; bounds that were, would be too low for it too often.
func around(likely, off float64) span {
	factor := math.Exp(off)
	return span{likely / factor, likely, likely * factor, true}
}

// offOf is how far the sum of jobs yet to come may be from what their mean says, as a share of it, with 95 % confidence: that
// mean comes of n jobs which scatter by so much, as a share of it too, and those to come will scatter as well.
func offOf(scatter float64, n, jobs int64) float64 {
	return tokens.Student(n-1) * scatter * math.Sqrt(1/float64(n)+1/float64(jobs))
}
