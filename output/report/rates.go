package report

import (
	"fmt"
	"math"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"batch/output"
	"batch/runner/tokens"
)

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
		c.Note += fmt.Sprintf("; the limit of %s a minute lies far above", output.Count(int64(highest)))
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
	if d.Total.Spend.Billed.Tokens == 0 {
		c.Empty = "No usage was reported."
		return c
	}
	return d.rates(c, "a minute", []func(Bucket) float64{
		func(b Bucket) float64 { return float64(b.Prompt) + float64(b.Completion) },
		func(b Bucket) float64 { return float64(b.Prompt) },
	}, []role{roleTwo, roleOne}, []role{roleTwoArea, roleOneArea},
		func(r Run) *float64 { return r.TPM }, func(l Limit) *int64 { return l.Tokens })
}

// spendChart adds up what was billed. A part that has no price makes no line: it would look like the whole.
func (d *Document) spendChart() chart {
	c := chart{ID: "spend-time", Title: "Spend over time"}
	billed := d.Total.Spend.Billed
	switch {
	case len(d.Time.Stretches) == 0:
		c.Empty = "No call was made."
	case billed.Attempts == 0:
		c.Empty = "No usage was reported."
	case billed.Cost == nil:
		c.Empty = fmt.Sprintf("The cost of %s is not known", output.Plural(billed.Unknown, "attempt"))
		if len(d.Unknown) > 0 {
			c.Empty += ": " + d.Unknown[0].Why + " for " + printable(d.place("", d.Unknown[0].Model))
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
		return "$" + output.Count(int64(v))
	}
	return "$" + fmt.Sprintf("%.2g", v)
}
