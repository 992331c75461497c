package report

import (
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"batch/output"
)

// mark is a value that a histogram points out.
type mark struct {
	name string
	at   float64
}

// bars draws a histogram. A bar at either end, in another color, holds what lies beyond.
func (h *Histogram) bars(c *chart, xLabel string, say func(float64) string, marks []mark) {
	bins := len(h.Bins)
	low := float64(h.Bins[0].From)
	high := float64(h.Bins[bins-1].From + h.Step)
	// The bars beyond are wide enough to be seen.
	beyond := max(float64(h.Step)*2, (high-low)/20)
	begin, end := low, high
	if h.Under > 0 {
		begin -= beyond
	}
	if h.Rest > 0 {
		end += beyond
	}
	most := float64(max(h.Under, h.Rest))
	for _, b := range h.Bins {
		most = max(most, float64(b.N))
	}
	c.draw(c.Title, func(s size) *plot.Plot {
		p := newPlot(s, xLabel, "answers")
		yTicks, top := upTo(max(most*1.22, 4), 4, short) // room for the marks' names, and no half answers
		p.Y.Tick.Marker, p.Y.Max = yTicks, top
		p.X.Min, p.X.Max = begin, end
		bar := func(from, to float64, n int64, r role) {
			if n > 0 {
				hist := &plotter.Histogram{Bins: []plotter.HistogramBin{{Min: from, Max: to, Weight: float64(n)}}, Width: to - from, FillColor: r.color()}
				hist.LineStyle.Color, hist.LineStyle.Width = roleCard.color(), 0.7
				p.Add(hist)
			}
		}
		for _, b := range h.Bins {
			bar(float64(b.From), float64(b.From+h.Step), b.N, roleOne)
		}
		if h.Under > 0 {
			bar(begin+beyond/4, low-beyond/4, h.Under, roleTwo)
		}
		if h.Rest > 0 {
			bar(high+beyond/4, end-beyond/4, h.Rest, roleTwo)
		}
		step := round(int64(math.Ceil((high - low) / float64(s.ticks))))
		var xTicks ticks
		for v := h.Bins[0].From / step * step; float64(v) <= high; v += step {
			if float64(v) >= low && (h.Rest == 0 || float64(v) < high-float64(step)/3) {
				xTicks = append(xTicks, plot.Tick{Value: float64(v), Label: say(float64(v))})
			}
		}
		if h.Rest > 0 {
			xTicks = append(xTicks, plot.Tick{Value: end - beyond/2, Label: "more"})
		}
		if h.Under > 0 {
			xTicks = append(ticks{{Value: begin + beyond/2, Label: "less"}}, slices.DeleteFunc(xTicks, func(t plot.Tick) bool { return t.Value < low+float64(step)/3 })...)
		}
		p.X.Tick.Marker = xTicks
		// The names stand at heights of their own, on the side where no other mark's line is that high.
		right := len(marks) > 0 && marks[0].at < begin+(end-begin)*0.3
		for i, m := range marks {
			level := len(marks) - 1 - i
			if right {
				level = i
			}
			x, y := min(m.at, high), top*(0.96-0.075*float64(level))
			rule(p, x, 0, x, y, roleLimit, true)
			label(p, x, y, m.name, !right || x > begin+(end-begin)*0.7)
		}
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = begin, end, 0, top
		return p
	})
}

// note adds a sentence to what stands below the chart.
func (c *chart) note(what string) {
	if c.Note != "" {
		c.Note += ", "
	}
	c.Note += what
}

func (d *Document) latencyChart() chart {
	c := chart{ID: "latency-bins", Title: "Latency of the answers"}
	if d.Latency == nil {
		c.Empty = "No answers yet."
		return c
	}
	l := d.Total.Latency
	var marks []mark
	for _, m := range []struct {
		name string
		at   *int64
	}{{"p50", l.P50}, {"p90", l.P90}, {"p99", l.P99}} {
		marks = append(marks, mark{m.name + " " + duration(*m.at), float64(*m.at)})
	}
	last := d.Latency.Bins[len(d.Latency.Bins)-1].From
	unit, scale := "milliseconds", 1.0
	switch {
	case last >= 300_000:
		unit, scale = "minutes", 60_000
	case last >= 3000:
		unit, scale = "seconds", 1000
	}
	d.Latency.bars(&c, unit, func(v float64) string { return short(v / scale) }, marks)
	if n := d.Latency.Under; n > 0 {
		c.note(output.Plural(n, "answer") + " took less than " + duration(d.Latency.Bins[0].From))
	}
	if d.Latency.Rest > 0 {
		c.note(output.Plural(d.Latency.Rest, "answer") + " took " + duration(last+d.Latency.Step) + " or longer")
	}
	return c
}

func (d *Document) lengthsChart() chart {
	c := chart{ID: "tokens-bins", Title: "Tokens of a job"}
	if d.Tokens == nil {
		c.Empty = "No answers yet."
		return c
	}
	d.Tokens.bars(&c, "prompt and completion tokens", short, nil)
	if n := d.Tokens.Under; n > 0 {
		c.note(output.Plural(n, "answer") + " had fewer than " + output.Count(d.Tokens.Bins[0].From) + " tokens")
	}
	if d.Tokens.Rest > 0 {
		c.note(output.Plural(d.Tokens.Rest, "answer") + " had " + output.Count(d.Tokens.Bins[len(d.Tokens.Bins)-1].From+d.Tokens.Step) + " tokens or more")
	}
	return c
}
