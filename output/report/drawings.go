package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"batch/runner/tokens"
)

// chart is one drawing of the page, or the words that stand in its place when there is nothing to draw.
type chart struct {
	ID, Title string
	Legend    []legend
	Drawings  []template.HTML // for a wide and for a narrow screen
	Note      string
	Empty     string
}

type legend struct{ Class, Name string }

// charts of the page, in order.
func (d *Document) charts() []chart {
	return []chart{d.callsChart(), d.tokensChart(), d.latencyChart(), d.lengthsChart(), d.spendChart(), d.failuresChart()}
}

// draw fills in the drawings, one a size.
func (c *chart) draw(label string, each func(size) *plot.Plot) {
	for _, s := range sizes {
		c.Drawings = append(c.Drawings, render(each(s), s, label))
	}
}

// axis lays the stretches of the timeline side by side, with a gap for each pause.
type axis struct {
	t       Timeline
	from    []float64 // of each stretch
	end     float64
	gap     float64
	seconds bool
}

func newAxis(t Timeline) axis {
	a := axis{t: t, seconds: t.BucketMillis < 60_000}
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

// limit is a level that held for a time.
type limit struct{ x0, x1, y float64 }

// limits are those of each run: the user's own, else what its endpoint stated.
func (d *Document) limits(a axis, own func(Run) *float64, stated func(Limit) *int64) (all []limit, most float64, said bool) {
	for i, r := range d.Runs {
		y := own(r)
		if y == nil {
			if l := d.stated(r.Endpoint); l != nil && stated(*l) != nil {
				v := float64(*stated(*l))
				y, said = &v, true
			}
		}
		if y == nil {
			continue
		}
		end := d.WrittenAt
		if r.Ended != nil {
			end = *r.Ended
		}
		if i+1 < len(d.Runs) && (r.Ended == nil || !r.Ended.After(r.Started)) {
			end = d.Runs[i+1].Started
		}
		for j, s := range d.Time.Stretches {
			if r.Started.Before(s.End.Add(time.Second)) && end.After(s.Start.Add(-time.Second)) {
				x0, x1 := a.at(j, r.Started), a.at(j, end)
				all = append(all, limit{x0, max(x1, x0+a.end/200), *y})
				most = max(most, *y)
			}
		}
	}
	return all, most, said
}

// rates draws values a minute over the time, stacked, with the limit in force.
func (d *Document) rates(c chart, yLabel string, values []func(Bucket) float64, lines, areas []role, own func(Run) *float64, stated func(Limit) *int64) chart {
	if len(d.Time.Stretches) == 0 {
		c.Empty = "No call was made."
		return c
	}
	a := newAxis(d.Time)
	limits, highest, said := d.limits(a, own, stated)
	most := 0.0
	var all [][]plotter.XYs
	for _, value := range values {
		xys, m := a.perMinute(value)
		all, most = append(all, xys), max(most, m)
	}
	c.Note = a.note()
	beyond := highest > 5*most
	switch {
	case len(limits) == 0:
	case beyond:
		c.Note += fmt.Sprintf("; the limit of %s a minute lies far above", thousands(int64(highest)))
	case said:
		c.Legend = append(c.Legend, legend{"limit", "limit, as the API stated it"})
	default:
		c.Legend = append(c.Legend, legend{"limit", "limit"})
	}
	top := most
	if !beyond {
		top = max(most, highest)
	}
	c.draw(c.Title, func(s size) *plot.Plot {
		p := newPlot(s, "time (UTC)", yLabel)
		marks, end := upTo(top*1.02, 4, short)
		p.Y.Tick.Marker, p.Y.Max = marks, end
		for i, stretches := range all {
			for _, xys := range stretches {
				area(p, xys, lines[i], areas[i])
			}
		}
		if !beyond {
			for _, l := range limits {
				rule(p, l.x0, l.y, l.x1, l.y, roleLimit, true)
			}
		}
		a.lay(p, s)
		p.Y.Max = end
		return p
	})
	return c
}

func (d *Document) callsChart() chart {
	c := chart{ID: "calls", Title: "Calls over time", Legend: []legend{{"one", "calls"}}}
	values := []func(Bucket) float64{func(b Bucket) float64 { return float64(b.Calls) }}
	if len(d.Errors) > 0 {
		c.Legend = append(c.Legend, legend{"bad", "failed"})
		values = append(values, func(b Bucket) float64 { return float64(b.Failures) })
	}
	return d.rates(c, "a minute", values, []role{roleOne, roleBad}, []role{roleOneArea, roleBadArea},
		func(r Run) *float64 { return r.RPM }, func(l Limit) *int64 { return l.Requests })
}

func (d *Document) tokensChart() chart {
	c := chart{ID: "tokens-time", Title: "Tokens over time", Legend: []legend{{"two", "completion"}, {"one", "prompt"}}}
	return d.rates(c, "a minute", []func(Bucket) float64{
		func(b Bucket) float64 { return float64(b.Prompt) + float64(b.Completion) },
		func(b Bucket) float64 { return float64(b.Prompt) },
	}, []role{roleTwo, roleOne}, []role{roleTwoArea, roleOneArea},
		func(r Run) *float64 { return r.TPM }, func(l Limit) *int64 { return l.Tokens })
}

// mark is a value that a histogram points out.
type mark struct {
	name string
	at   float64
}

// bars draws a histogram. The bar at the right end holds what lies beyond.
func (h *Histogram) bars(c *chart, xLabel string, say func(float64) string, marks []mark) {
	bins := len(h.Bins)
	low := float64(h.Bins[0].From)
	high := float64(h.Bins[bins-1].From + h.Step)
	end := high
	if h.Rest > 0 {
		end += float64(h.Step) * 2
	}
	most := float64(h.Rest)
	for _, b := range h.Bins {
		most = max(most, float64(b.N))
	}
	c.draw(c.Title, func(s size) *plot.Plot {
		p := newPlot(s, xLabel, "answers")
		yTicks, top := upTo(max(most*1.22, 4), 4, short) // room for the marks' names, and no half answers
		p.Y.Tick.Marker, p.Y.Max = yTicks, top
		p.X.Min, p.X.Max = low, end
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
		if h.Rest > 0 {
			bar(high+float64(h.Step)/2, end-float64(h.Step)/2, h.Rest, roleTwo)
		}
		step := round(int64(math.Ceil((high - low) / float64(s.ticks))))
		var xTicks ticks
		for v := h.Bins[0].From / step * step; float64(v) <= high; v += step {
			if float64(v) >= low && (h.Rest == 0 || float64(v) < high-float64(step)/3) {
				xTicks = append(xTicks, plot.Tick{Value: float64(v), Label: say(float64(v))})
			}
		}
		if h.Rest > 0 {
			xTicks = append(xTicks, plot.Tick{Value: end - float64(h.Step), Label: "more"})
		}
		p.X.Tick.Marker = xTicks
		// The names stand at heights of their own, on the side where no other mark's line is that high.
		right := len(marks) > 0 && marks[0].at < low+(end-low)*0.3
		for i, m := range marks {
			level := len(marks) - 1 - i
			if right {
				level = i
			}
			x, y := min(m.at, high), top*(0.96-0.075*float64(level))
			rule(p, x, 0, x, y, roleLimit, true)
			label(p, x, y, m.name, !right || x > low+(end-low)*0.7)
		}
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = low, end, 0, top
		return p
	})
	if h.Rest > 0 {
		c.Note = fmt.Sprintf("%s took or had more than %s", thousands(h.Rest), say(high))
	}
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
	if d.Latency.Rest > 0 {
		c.Note = fmt.Sprintf("%s took longer than %s", plural(d.Latency.Rest, "answer"), duration(last+d.Latency.Step))
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
	if d.Tokens.Rest > 0 {
		c.Note = fmt.Sprintf("%s had %s tokens or more", plural(d.Tokens.Rest, "answer"), thousands(d.Tokens.Bins[len(d.Tokens.Bins)-1].From+d.Tokens.Step))
	}
	return c
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// spendChart adds up what was billed. A part that has no price makes no line: it would look like the whole.
func (d *Document) spendChart() chart {
	c := chart{ID: "spend-time", Title: "Spend over time"}
	billed := d.Total.Spend.Billed
	switch {
	case len(d.Time.Stretches) == 0:
		c.Empty = "No call was made."
	case billed.Cost == nil:
		c.Empty = fmt.Sprintf("The cost of %s is not known", plural(billed.Unknown, "attempt"))
		if len(d.Unknown) > 0 {
			c.Empty += ": " + d.Unknown[0].Why + " for " + printable(place("", d.Unknown[0].Model))
		}
		c.Empty += ". Give prices with --price or --prices."
	case *billed.Cost == 0:
		c.Empty = "Nothing was charged for."
	}
	if c.Empty != "" {
		return c
	}
	a := newAxis(d.Time)
	sum := tokens.Money(0)
	var all []plotter.XYs
	for i, s := range d.Time.Stretches {
		xys := plotter.XYs{{X: a.from[i], Y: float64(sum) / float64(tokens.Dollar)}}
		for j, b := range s.Buckets {
			sum = sum.Plus(b.Spent)
			xys = append(xys, plotter.XY{X: a.from[i] + float64(j+1), Y: float64(sum) / float64(tokens.Dollar)})
		}
		all = append(all, xys)
	}
	c.Note = a.note()
	c.draw(c.Title, func(s size) *plot.Plot {
		p := newPlot(s, "time (UTC)", "US dollars, added up")
		marks, end := upTo(float64(sum)/float64(tokens.Dollar), 4, dollars)
		p.Y.Tick.Marker, p.Y.Max = marks, end
		for _, xys := range all {
			area(p, xys, roleOne, roleOneArea)
		}
		a.lay(p, s)
		p.Y.Max = end
		return p
	})
	return c
}

func dollars(v float64) string {
	if v == 0 {
		return "$0"
	}
	if v >= 10_000 {
		return "$" + short(v)
	}
	if v == math.Trunc(v) {
		return "$" + thousands(int64(v))
	}
	return "$" + fmt.Sprintf("%.2g", v)
}

func (d *Document) failuresChart() chart {
	c := chart{ID: "failures", Title: "Failures by kind"}
	if len(d.Errors) == 0 {
		c.Empty = "No failures."
		return c
	}
	kinds := d.Errors[:min(len(d.Errors), 7)]
	c.draw(c.Title, func(s size) *plot.Plot {
		p := newPlot(s, "attempts", "")
		names := make([]string, len(kinds))
		values := make(plotter.Values, len(kinds))
		for i, k := range kinds { // the axis begins below
			at := len(kinds) - 1 - i
			names[at], values[at] = shorten(printable(k.name()), map[string]int{"wide": 30, "narrow": 18}[s.name]), float64(k.Attempts)
		}
		bars, err := plotter.NewBarChart(values, min(18, (s.height-60)/1.6/vg.Length(len(kinds))))
		if err != nil {
			return p
		}
		bars.Horizontal, bars.Color, bars.LineStyle.Width = true, roleBad.color(), 0
		p.Add(bars)
		p.NominalY(names...)
		p.Y.LineStyle.Width, p.Y.Tick.Length = 0, 0
		p.Y.Min, p.Y.Max = -0.6, float64(len(kinds))-0.4
		most := slices.Max(values)
		marks, end := upTo(max(most*1.15, float64(s.ticks-1)), s.ticks-1, short)
		p.X.Tick.Marker = marks
		for i, v := range values {
			label(p, v, float64(i), thousands(int64(v)), false)
		}
		p.X.Min, p.X.Max = 0, end
		return p
	})
	if more := len(d.Errors) - len(kinds); more > 0 {
		c.Note = "the most frequent; the table below has more"
	}
	return c
}
