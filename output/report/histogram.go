package report

import (
	"maps"
	"math"
	"slices"
)

// tally counts how often a value occurs. Durations in milliseconds and token counts have few enough values that a
// million answers fit, so percentiles are exact.
type tally map[int64]int64

// sorted gives the values in order, and how many there are in all.
func (t tally) sorted() (values []int64, n int64) {
	values = slices.Sorted(maps.Keys(t))
	for _, v := range values {
		n += t[v]
	}
	return values, n
}

// percentiles finds by nearest rank the smallest value that so much of all values do not exceed. There must be values.
func (t tally) percentiles(percents ...int64) []int64 {
	values, n := t.sorted()
	found := make([]int64, len(percents))
	for i, percent := range percents {
		rank := max((n*percent+99)/100, 1)
		for _, v := range values {
			if rank -= t[v]; rank <= 0 {
				found[i] = v
				break
			}
		}
	}
	return found
}

func (t tally) latency() Latency {
	if len(t) == 0 {
		return Latency{}
	}
	p := t.percentiles(50, 90, 99, 100)
	return Latency{P50: &p[0], P90: &p[1], P99: &p[2], Max: &p[3]}
}

const mostBins = 36

// histogram sorts the values into bins of a round width. A long tail would press all others into one bar, so the lowest two and the
// highest hundredth stand beyond the others when they reach far.
func (t tally) histogram() *Histogram {
	if len(t) == 0 {
		return nil
	}
	values, _ := t.sorted()
	low, high := values[0], values[len(values)-1]
	core := t.percentiles(2, 99)
	if high-core[0] > (core[1]-core[0])*3/2 {
		high = core[1]
	}
	if high-low > (high-core[0])*3/2 {
		low = core[0]
	}
	if low == values[0] && low < high/3 {
		low = 0
	}
	h := &Histogram{Step: round((high - low + mostBins) / mostBins)}
	low -= low % h.Step
	h.Bins = make([]Bin, (high-low)/h.Step+1)
	for i := range h.Bins {
		h.Bins[i].From = low + int64(i)*h.Step
	}
	for _, v := range values {
		switch i := (v - low) / h.Step; {
		case v < low:
			h.Under += t[v]
		case i < int64(len(h.Bins)):
			h.Bins[i].N += t[v]
		default:
			h.Rest += t[v]
		}
	}
	return h
}

// round is the next of 1, 2, 5, 10, 20, ...
func round(n int64) int64 {
	for unit := int64(1); unit < math.MaxInt64/10; unit *= 10 {
		for _, m := range []int64{1, 2, 5} {
			if unit*m >= n {
				return unit * m
			}
		}
	}
	return math.MaxInt64
}
