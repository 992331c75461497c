package report

import (
	"math"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// axis lays the stretches of the timeline side by side, with a gap for each pause.
type axis struct {
	t    Timeline
	from []float64 // of each stretch
	end  float64
	gap  float64
}

func newAxis(t Timeline) axis {
	a := axis{t: t}
	n := 0
	for _, s := range t.Stretches {
		n += len(s.Buckets)
	}
	a.gap = math.Max(1, float64(n)/25)
	for i, s := range t.Stretches {
		if i > 0 {
			a.end += a.gap
		}
		a.from = append(a.from, a.end)
		a.end += float64(len(s.Buckets))
	}
	return a
}

// at is where a moment lies, in buckets; false when it lies in no stretch.
func (a axis) at(i int, moment time.Time) float64 {
	s := a.t.Stretches[i]
	x := float64(moment.Sub(s.Buckets[0].At).Milliseconds()) / float64(a.t.BucketMillis)
	return a.from[i] + min(max(x, 0), float64(len(s.Buckets)))
}

// lay puts the axis into a plot: round times as ticks, and a mark in each pause.
func (a axis) lay(p *plot.Plot, s size) {
	p.X.Min, p.X.Max = 0, a.end
	span := time.Duration(a.end*float64(a.t.BucketMillis)) * time.Millisecond
	step := tickStep(span / time.Duration(s.ticks))
	format := "15:04"
	switch {
	case step < time.Second:
		format = "15:04:05.0"
	case step < time.Minute:
		format = "15:04:05"
	case step >= 24*time.Hour:
		format = "Jan 2"
	}
	least := a.end / float64(s.ticks) * 0.8
	if len(format) > len("15:04") {
		least *= 1.25
	}
	var all ticks
	last := -least
	for i, stretch := range a.t.Stretches {
		begin := stretch.Buckets[0].At
		for at := begin.Truncate(step); ; at = at.Add(step) {
			if at.Before(begin) {
				continue
			}
			x := a.at(i, at)
			if x >= a.from[i]+float64(len(stretch.Buckets)) {
				break
			}
			if x-last >= least && x <= a.end*0.97 && x >= a.end*0.02 {
				all = append(all, plot.Tick{Value: x, Label: at.Format(format)})
				last = x
			}
		}
	}
	if len(all) == 0 {
		all = ticks{{Value: a.end / 2, Label: a.t.Stretches[0].Start.Format("15:04:05")}}
	}
	p.X.Tick.Marker = all
	for _, from := range a.from[1:] {
		x := from - a.gap/2
		rule(p, x, p.Y.Min, x, p.Y.Max, roleGrid, true)
	}
}

// tickStep is the next round time.
func tickStep(least time.Duration) time.Duration {
	steps := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour}
	for _, s := range steps {
		if s >= least {
			return s
		}
	}
	day := 24 * time.Hour
	return (least + day - 1) / day * day
}

// perMinute gives the areas of a value a minute, one a stretch, and the greatest. A stretch begins and ends within a bucket: its rate
// is over the part that it covers, of which there must be some, or one call would look like thousands.
func (a axis) perMinute(value func(Bucket) float64) (all []plotter.XYs, most float64) {
	width := time.Duration(a.t.BucketMillis) * time.Millisecond
	for i, s := range a.t.Stretches {
		var xys plotter.XYs
		for j, b := range s.Buckets {
			from, to := b.At, b.At.Add(width)
			if from.Before(s.Start) {
				from = s.Start
			}
			if to.After(s.End) {
				to = s.End
			}
			y := value(b) / max(to.Sub(from), width/4).Minutes()
			most = max(most, y)
			x := a.from[i] + float64(j)
			xys = append(xys, plotter.XY{X: x, Y: y}, plotter.XY{X: x + 1, Y: y})
		}
		all = append(all, xys)
	}
	return all, most
}

// note says which time the chart is of, pauses included.
func (a axis) note() string {
	var parts []string
	for i, s := range a.t.Stretches {
		if i > 0 {
			parts = append(parts, "pause of "+duration(s.Start.Sub(a.t.Stretches[i-1].End).Milliseconds()))
		}
		end := s.End.Format("15:04:05")
		if s.End.YearDay() != s.Start.YearDay() {
			end = s.End.Format("Jan 2 15:04:05")
		}
		parts = append(parts, s.Start.Format("Jan 2 15:04:05")+" to "+end)
	}
	return strings.Join(parts, ", ") + " UTC"
}
