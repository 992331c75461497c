package report

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"regexp"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"batch/output"
)

// role is what a color is for. The library draws with a color that no other thing has, and themed puts the page's variable in
// its place, so that charts follow light and dark.
type role uint8

const (
	roleText role = iota + 1
	roleGrid
	roleOne // the first of two things
	roleOneArea
	roleTwo
	roleTwoArea
	roleBad
	roleBadArea
	roleLimit
	roleCard
)

var variables = map[role]string{roleText: "--muted", roleGrid: "--line", roleOne: "--one", roleOneArea: "--one-area", roleTwo: "--two",
	roleTwoArea: "--two-area", roleBad: "--bad", roleBadArea: "--bad-area", roleLimit: "--limit", roleCard: "--card"}

func (r role) color() color.Color { return color.NRGBA{0xBA, 0x7C, uint8(r), 0xFF} }

var (
	themed  = themeReplacer()
	fonts   = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;`)
	opening = regexp.MustCompile(`(?s)^.*?<svg[^>]*>`)
)

func themeReplacer() *strings.Replacer {
	var pairs []string
	for r, name := range variables {
		pairs = append(pairs, fmt.Sprintf("#BA7C%02X", uint8(r)), "var("+name+")")
	}
	return strings.NewReplacer(pairs...)
}

// size of a chart in points, which become CSS pixels. Each chart is drawn for a wide and for a narrow screen, so that its text
// keeps its size.
type size struct {
	name          string
	width, height vg.Length
	ticks         int // about so many on the horizontal axis
}

var sizes = []size{{"wide", 520, 230, 6}, {"narrow", 320, 210, 3}}

// newPlot is a plot in the style of the page.
func newPlot(s size, xLabel, yLabel string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = roleCard.color()
	style := func(of *text.Style, points vg.Length) {
		of.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: points}
		of.Color = roleText.color()
	}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		style(&a.Label.TextStyle, 11)
		style(&a.Tick.Label, 11)
		a.LineStyle = draw.LineStyle{Color: roleGrid.color(), Width: 1}
		a.Tick.LineStyle = a.LineStyle
		a.Tick.Length = 3
		a.Padding = 0
	}
	p.Y.LineStyle.Width, p.Y.Tick.Length = 0, 0
	p.X.Label.Text, p.Y.Label.Text = xLabel, yLabel
	p.X.Label.Padding, p.Y.Label.Padding = 4, 5
	p.Y.Min = 0
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal = draw.LineStyle{Color: roleGrid.color(), Width: 1}
	p.Add(grid)
	return p
}

// render draws the plot as inline SVG. Of the library's own document only the inside is kept.
func render(p *plot.Plot, s size, label string) template.HTML {
	c := vgsvg.New(s.width, s.height)
	canvas := draw.New(c)
	p.Draw(draw.Crop(canvas, 4, -8, 0, -6)) // room for what the widths of other fonts need
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil { // a buffer takes all
		panic(err)
	}
	inside := fonts.ReplaceAllString(opening.ReplaceAllString(themed.Replace(b.String()), ""), "")
	return template.HTML(fmt.Sprintf(`<svg class="%s" viewBox="0 0 %g %g" role="img" aria-label="%s">`,
		s.name, s.width.Points(), s.height.Points(), html.EscapeString(label)) + strings.TrimSpace(inside))
}

// area draws a value that holds from one point to the next, and what lies below it.
func area(p *plot.Plot, points plotter.XYs, line, below role) {
	l, err := plotter.NewLine(points)
	if err != nil { // no points, or none that is a number
		return
	}
	l.LineStyle = draw.LineStyle{Color: line.color(), Width: 1.5}
	l.FillColor = below.color()
	p.Add(l)
}

// rule draws a line from one point to another.
func rule(p *plot.Plot, x0, y0, x1, y1 float64, r role, dashed bool) {
	l, err := plotter.NewLine(plotter.XYs{{X: x0, Y: y0}, {X: x1, Y: y1}})
	if err != nil {
		return
	}
	l.LineStyle = draw.LineStyle{Color: r.color(), Width: 1.5}
	if dashed {
		l.Dashes = []vg.Length{5, 4}
	}
	p.Add(l)
}

// label writes a few words at a point of the plot.
func label(p *plot.Plot, x, y float64, words string, left bool) {
	l, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: x, Y: y}}, Labels: []string{words}})
	if err != nil {
		return
	}
	l.TextStyle[0] = text.Style{Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}, Color: roleText.color(),
		YAlign: draw.YCenter, XAlign: draw.XLeft, Handler: plot.DefaultTextHandler}
	l.Offset.X = 4
	if left {
		l.TextStyle[0].XAlign = draw.XRight
		l.Offset.X = -4
	}
	p.Add(l)
}

// ticks are some round values of an axis with their names.
type ticks []plot.Tick

func (t ticks) Ticks(float64, float64) []plot.Tick { return t }

// upTo gives about n round ticks from 0 to most, named by say, and the value at which the axis ends.
func upTo(most float64, n int, say func(float64) string) (ticks, float64) {
	if most <= 0 {
		most = 1
	}
	step := 1.0
	for step*float64(n) > most*2 {
		step /= 10
	}
	for factor := []float64{2, 2.5, 2}; step*float64(n) < most; {
		step *= factor[0]
		factor = append(factor[1:], factor[0])
	}
	var all ticks
	end := 0.0
	for i := 0; ; i++ {
		end = float64(i) * step
		all = append(all, plot.Tick{Value: end, Label: say(end)})
		if end >= most {
			return all, end
		}
	}
}

// short names a number in as few letters as an axis has room for.
func short(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if v >= unit.size {
			size := unit.size
			if unit.name == "k" {
				size = 1e3
			}
			return strings.TrimSuffix(fmt.Sprintf("%.1f", v/size), ".0") + unit.name
		}
	}
	if v == float64(int64(v)) {
		return output.Count(int64(v))
	}
	return fmt.Sprintf("%.3g", v)
}
