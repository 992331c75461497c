package report

import (
	"html/template"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"batch/output"
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

// charts of the page, in order; none before the first call.
func (d *Document) charts() []chart {
	if d.Total.Attempts.All == 0 {
		return nil
	}
	return []chart{d.callsChart(), d.tokensChart(), d.latencyChart(), d.lengthsChart(), d.spendChart(), d.failuresChart()}
}

// draw fills in the drawings, one a size.
func (c *chart) draw(label string, each func(size) *plot.Plot) {
	for _, s := range sizes {
		c.Drawings = append(c.Drawings, render(each(s), s, label))
	}
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
			label(p, v, float64(i), output.Count(int64(v)), false)
		}
		p.X.Min, p.X.Max = 0, end
		return p
	})
	if more := len(d.Errors) - len(kinds); more > 0 {
		c.Note = "the most frequent; the table below has more"
	}
	return c
}
