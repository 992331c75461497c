package tokens

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestMarginWorst(t *testing.T) {
	for _, c := range []struct {
		m               Margin
		estimated, want int64
	}{
		{Margin{}, 10, 0}, {Unlearnt, 0, 0}, {Unlearnt, 10, 15}, {Margin{1001, 0}, 1, 2}, {Margin{1001, 7}, 1000, 1008}, {Margin{1100, 5}, -3, 5},
		{Margin{1 << 62, 0}, 1 << 53, math.MaxInt64}, {Margin{1000, 0}, math.MaxInt64, math.MaxInt64}, {Margin{1000, 1}, math.MaxInt64, math.MaxInt64},
		{Margin{1001, 0}, math.MaxInt64, math.MaxInt64}, {Margin{500_000, 0}, 1 << 53, 500 << 53}, {Margin{1100, math.MaxInt64}, 10, math.MaxInt64},
		{Margin{2000, 0}, math.MaxInt64, math.MaxInt64},
	} {
		if got := c.m.Worst(c.estimated); got != c.want {
			t.Errorf("%+v of %d is %d, want %d", c.m, c.estimated, got, c.want)
		}
	}
	if got := (Margin{1100, 7}).Or(Margin{1500, 3}); got != (Margin{1500, 7}) {
		t.Errorf("either is %+v", got)
	}
}

// TestMarginTogether: what is set aside for each prompt is enough for what is told of all, and that for each as it may be.
func TestMarginTogether(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		m := Margin{[]int64{1000, LeastFactor, LeastFactor + r.Int64N(1000)}[r.IntN(3)], r.Int64N(2) * r.Int64N(100)}
		n := 1 + r.Int64N(30)
		var estimated, worst, reserved int64
		for range n {
			e := r.Int64N(200)
			estimated, worst, reserved = estimated+e, worst+m.Worst(e), reserved+m.Reserve(e)
		}
		if told := m.Together(estimated, n); told < worst || told > reserved {
			t.Fatalf("%d prompts of %d at %+v: %d are told together, %d one by one, and %d were set aside", n, estimated, m, told, worst, reserved)
		}
	}
}

func TestMarginIsLearnt(t *testing.T) {
	for name, c := range map[string]struct {
		answers []told
		want    Margin
	}{
		"nothing yet":                         {nil, Unlearnt},
		"right":                               {[]told{{10, 10}, {100, 100}}, Margin{1100, 0}},
		"less than estimated":                 {[]told{{100, 50}}, Margin{1100, 0}},
		"a tenth more than the sums show":     {[]told{{1000, 1300}, {1000, 1300}}, Margin{1430, 0}},
		"rounded up":                          {[]told{{3, 4}}, Margin{1467, 0}},
		"a hidden prompt before a short one":  {[]told{{100_000, 100_200}, {10, 210}}, Margin{1105, 199}},
		"and the other way round":             {[]told{{10, 210}, {100_000, 100_200}}, Margin{1105, 199}},
		"one that is not like the others":     {[]told{{1000, 1000}, {1000, 1000}, {1000, 1900}}, Margin{1430, 470}},
		"says nothing of its prompt":          {[]told{{1000, 0}, {1000, -1}}, Unlearnt},
		"an empty prompt":                     {[]told{{0, 40}}, Margin{1500, 40}},
		"nonsense that is as large as can be": {[]told{{math.MaxInt64, math.MaxInt64}}, Margin{1100, 0}},
	} {
		var l Learnt
		for _, a := range c.answers {
			l.Add(a.estimated, a.reported)
		}
		if got := l.Margin(); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestMarginCoversWhatItWasTold: after every answer, the margin is enough for it and for all before it, and not for one token more
// where there is a surplus.
func TestMarginCoversWhatItWasTold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		ratio, fixed, longest := 0.5+3*r.Float64(), r.Int64N(2)*r.Int64N(500), 1+r.Int64N(1<<(1+r.IntN(20)))
		var l Learnt
		var all []told
		for range 60 {
			e := r.Int64N(longest)
			a := told{e, int64(float64(e)*ratio*(1+r.Float64()/4)) + fixed}
			all = append(all, a)
			l.Add(a.estimated, a.reported)
			m := l.Margin()
			tight := m.Surplus <= 0
			for _, a := range all {
				if a.reported > m.Worst(a.estimated) {
					t.Fatalf("%+v does not cover %+v", m, a)
				}
				tight = tight || a.reported >= m.Worst(a.estimated)-1
			}
			if !tight || m.Factor < LeastFactor {
				t.Fatalf("%+v is more than %v need", m, all)
			}
		}
		if len(l.peaks) > 30 {
			t.Errorf("%d of %d answers are kept", len(l.peaks), len(all))
		}
	}
}
