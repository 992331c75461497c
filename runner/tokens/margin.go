package tokens

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// Margin is how many more tokens a prompt may have than were estimated: so many for 1,000 estimated ones, as another vocabulary makes
// of them, and so many beside them, as a provider puts before every prompt.
type Margin struct{ Factor, Surplus int64 }

// Unlearnt is the margin of a model before an answer has told.
var Unlearnt = Margin{Factor: 1500}

// LeastFactor is the factor where estimates have been right: the next prompt may be of another kind.
const LeastFactor = 1100

const perMille = 1000

// Worst is the most tokens that a prompt may have.
func (m Margin) Worst(estimated int64) int64 {
	return plus(portion(estimated, m.Factor, perMille), m.Surplus)
}

// Together is the most tokens that n prompts may have that were estimated so together. It knows none of them, and so takes each as rounded up.
func (m Margin) Together(estimated, n int64) int64 {
	return plus(m.Worst(estimated), plus(m.Surplus, m.rounding())*(n-1))
}

// Reserve is what to set aside for one prompt, so that it is enough for all of them together.
func (m Margin) Reserve(estimated int64) int64 { return plus(m.Worst(estimated), m.rounding()) }

// rounding is the most that Worst may add to be a whole number.
func (m Margin) rounding() int64 {
	if m.Factor%perMille == 0 {
		return 0
	}
	return 1
}

// Missing is how much surplus a prompt needs beyond the margin, so that another that is longer by the factor is covered as well: it is
// rounded the other way than Worst.
func (m Margin) Missing(estimated, reported int64) int64 {
	hi, lo := bits.Mul64(uint64(max(estimated, 0)), uint64(m.Factor))
	if hi >= perMille {
		return 0
	}
	at, _ := bits.Div64(hi, lo, perMille)
	return max(0, reported-plus(int64(min(at, math.MaxInt64)), m.Surplus))
}

// Or is the larger of both, part by part.
func (m Margin) Or(o Margin) Margin {
	return Margin{max(m.Factor, o.Factor), max(m.Surplus, o.Surplus)}
}

// Learnt is what answers told of a model's margin. Sums make the factor, so that a few words behind a long hidden prompt do not raise
// it for long ones; the surplus is what then is missing to the answer that exceeds it most.
type Learnt struct {
	Answers             int64
	estimated, reported int64 // sums
	peaks               []told
	margin              Margin
}

type told struct{ estimated, reported int64 }

// Add takes in an answer. One that reports no prompt at all tells nothing.
func (l *Learnt) Add(estimated, reported int64) {
	if reported <= 0 {
		return
	}
	const most = 1 << 50 // no prompt is longer, and nothing wraps
	t := told{min(max(estimated, 0), most), min(reported, most)}
	l.Answers++
	l.estimated, l.reported = plus(l.estimated, t.estimated), plus(l.reported, t.reported)
	l.margin = Unlearnt
	if l.estimated > 0 {
		l.margin.Factor = max(LeastFactor, portion(l.reported, LeastFactor, l.estimated))
	}
	l.raise(t)
	factor := l.margin
	for _, t := range l.peaks {
		l.margin.Surplus = max(l.margin.Surplus, factor.Missing(t.estimated, t.reported))
	}
}

// Margin is what is to be reckoned with, Unlearnt before an answer. It covers every answer that was added.
func (l *Learnt) Margin() Margin {
	if l.Answers == 0 {
		return Unlearnt
	}
	return l.margin
}

// raise keeps the answers that need the largest surplus at one factor or another: the factor moves with every answer, and a surplus
// that was taken at an earlier one would not fit. They are the corners of the upper hull, few even of a million answers.
func (l *Learnt) raise(t told) {
	if t.excess() <= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(l.peaks, t, func(a, b told) int {
		return cmp.Or(cmp.Compare(a.estimated, b.estimated), cmp.Compare(b.reported, a.reported))
	})
	l.peaks = slices.Insert(l.peaks, at, t)
	corners := l.peaks[:0]
	highest := int64(0)
	for _, t := range l.peaks {
		if t.excess() <= highest {
			continue
		}
		highest = t.excess()
		for n := len(corners); n > 1 && !corners[n-1].above(corners[n-2], t); n-- {
			corners = corners[:n-1]
		}
		corners = append(corners, t)
	}
	l.peaks = corners
}

// excess is what no factor that is ever used covers, in thousandths.
func (t told) excess() int64 { return t.reported*perMille - t.estimated*LeastFactor }

// above says whether t lies above the line from a to b, which are on its left and its right.
func (t told) above(a, b told) bool {
	return float64(t.reported-a.reported)*float64(b.estimated-a.estimated) > float64(b.reported-a.reported)*float64(t.estimated-a.estimated)
}

// portion is n times num by den, rounded up, and at most the largest int64. All are at least 0.
func portion(n, num, den int64) int64 {
	hi, lo := bits.Mul64(uint64(max(n, 0)), uint64(num))
	if hi >= uint64(den) {
		return math.MaxInt64
	}
	whole, rest := bits.Div64(hi, lo, uint64(den))
	if rest > 0 {
		whole = min(whole, math.MaxInt64) + 1
	}
	return int64(min(whole, math.MaxInt64))
}

// plus stays at the largest int64 instead of wrapping.
func plus(a, b int64) int64 {
	return a + min(b, math.MaxInt64-a)
}
