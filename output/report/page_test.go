package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"batch/runner/tokens"
	"batch/store"
)

func TestPage(t *testing.T) {
	ctx := browser(t)
	for _, c := range []struct {
		name   string
		doc    *Document
		charts int // drawn; the others say why not
	}{
		{"with some of everything", eventful(t).gather(Options{Prices: append(slices.Clone(prices), store.Price{Endpoint: endpoint, Input: 7e6, Output: 7e6})}), 6},
		{"with an unknown price", eventful(t).gather(Options{}), 5},
		{"empty", newJobFile(t).gather(Options{}), 0},
		{"of a million jobs", million(), 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, took := open(t, ctx, c.doc)
			if took > 2*time.Second {
				t.Errorf("the page was drawn after %v", took)
			}
			p.charts(c.charts)
			p.numbers(c.doc)
			p.cards(c.charts > 0)
			for _, scheme := range []string{"light", "dark"} {
				p.scheme(scheme)
				p.contrast(scheme)
			}
			for _, width := range []int64{320, 400, 768, 1920} {
				p.viewport(width)
				p.fits(width)
			}
			p.viewport(360)
			p.charts(c.charts)
			p.quiet()
		})
	}
}

// quiet says that the page has asked for nothing and complained of nothing.
func (p *opened) quiet() {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.said) > 0 {
		p.Errorf("the page is not quiet: %q", p.said)
	}
}

// charts looks at what is drawn: every chart that is shown has marks in the color of data, and fills its place.
func (p *opened) charts(want int) {
	p.Helper()
	type drawn struct {
		ID            string
		Width, Height float64
		Marks         int
		Cut           []string // words that stand outside of the drawing
		Over          []string // words that stand on others
	}
	charts := eval[[]drawn](p, `[...document.querySelectorAll('section.chart')].flatMap(section => [...section.querySelectorAll('svg')].filter(svg => svg.getBoundingClientRect().width > 0).map(svg => {
		const box = svg.getBoundingClientRect(), words = [...svg.querySelectorAll('text')].map(t => ({text: t.textContent, box: t.getBoundingClientRect()}));
		return {ID: section.id, Width: box.width, Height: box.height,
			Marks: [...svg.querySelectorAll('path')].filter(m => /--(one|two|bad)/.test(m.getAttribute('style')) && (m.getBoundingClientRect().width > 0 || m.getBoundingClientRect().height > 0)).length,
			Cut: words.filter(w => w.box.left < box.left - 1 || w.box.right > box.right + 1 || w.box.top < box.top - 1 || w.box.bottom > box.bottom + 1).map(w => w.text),
			Over: words.flatMap((a, i) => words.slice(i + 1).filter(b => Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left) > 1 &&
				Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top) > 4).map(b => a.text + ' / ' + b.text))}
	}))`)
	// Where no font has the widths of Arial, words may touch; the page stays readable. fonts-liberation has one.
	metric := eval[bool](p, `(() => { const c = document.createElement('canvas').getContext('2d'); c.font = '100px Arial, "Liberation Sans", Helvetica, sans-serif'; return Math.abs(c.measureText('mi8').width - 161.1) < 2 })()`)
	if !metric {
		p.Log("no font with the widths of Arial: where words stand is not looked at")
	}
	if len(charts) != want {
		p.Errorf("%d charts are shown, want %d", len(charts), want)
	}
	for _, c := range charts {
		if c.Width < 200 || c.Height < 100 || c.Marks == 0 {
			p.Errorf("chart %s is not drawn: %+v", c.ID, c)
		}
		if metric && (len(c.Cut) > 0 || len(c.Over) > 0) {
			p.Errorf("chart %s: words are cut off %q, or stand on others %q", c.ID, c.Cut, c.Over)
		}
	}
	silent := 6 - want
	if want == 0 { // the page says it once
		silent = 0
	}
	if empty := eval[int](p, `document.querySelectorAll('section.chart .empty').length`); empty != silent {
		p.Errorf("%d charts say why there is nothing to draw, want %d", empty, silent)
	}
	if once := eval[int](p, `document.querySelectorAll('section.nothing').length`); (once == 1) != (want == 0) {
		p.Errorf("%d places say that nothing was called", once)
	}
}

// numbers compares every number of the page that has a key with the JSON form.
func (p *opened) numbers(doc *Document) {
	p.Helper()
	dec := json.NewDecoder(bytes.NewReader(written(p.T, doc, JSON)))
	dec.UseNumber()
	var form any
	if err := dec.Decode(&form); err != nil {
		p.Fatal(err)
	}
	type number struct{ Key, Value, Text string }
	shown := eval[[]number](p, `[...document.querySelectorAll('[data-key]')].map(e => ({Key: e.dataset.key, Value: e.value, Text: e.textContent}))`)
	if least := min(10, 1+9*doc.Total.Attempts.All); int64(len(shown)) < least {
		p.Errorf("only %d numbers have a key", len(shown))
	}
	for _, s := range shown {
		if want := at(form, s.Key); s.Value != want {
			p.Errorf("%s is %s on the page, %s in the JSON form", s.Key, s.Value, want)
		}
		if n, err := strconv.ParseInt(s.Value, 10, 64); err == nil && !strings.ContainsAny(s.Text, "$sMG –") && !strings.Contains(s.Text, " ") && strings.ReplaceAll(s.Text, ",", "") != strconv.FormatInt(n, 10) &&
			!strings.HasPrefix(s.Key, "rate.") {
			p.Errorf("%s shows %q for %s", s.Key, s.Text, s.Value)
		}
	}
}

// cards looks at how the cards are laid out: in full rows, and no number is broken off its unit.
func (p *opened) cards(some bool) {
	p.Helper()
	for width, columns := range map[int64]int{1920: 6, 1200: 6, 1000: 3, 768: 3, 400: 2, 320: 2} {
		p.viewport(width)
		rows := eval[[]int](p, `Object.values(Object.groupBy([...document.querySelectorAll('.card')], c => c.getBoundingClientRect().top)).map(row => row.length)`)
		for _, n := range rows {
			if n != columns {
				p.Errorf("at %d pixels a row has %d cards, want %d", width, n, columns)
			}
		}
		if some != (len(rows) == 6/columns) {
			p.Errorf("at %d pixels there are %d rows of cards", width, len(rows))
		}
		if broken := eval[[]string](p, `[...document.querySelectorAll('.card data')].filter(d => d.getClientRects().length > 1 || d.scrollWidth > d.parentElement.clientWidth ||
			d.getBoundingClientRect().right > d.closest('.card').getBoundingClientRect().right || d.getBoundingClientRect().height > 40).map(d => d.textContent)`); len(broken) > 0 {
			p.Errorf("at %d pixels numbers are broken, or stand out of their card: %q", width, broken)
		}
	}
	p.viewport(1200)
}

// at finds the value of a key such as models.0.jobs.all.
func at(form any, key string) string {
	for name := range strings.SplitSeq(key, ".") {
		switch v := form.(type) {
		case map[string]any:
			form = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return "nothing"
			}
			form = v[i]
		}
	}
	if form == nil {
		return "null"
	}
	return fmt.Sprint(form)
}

// contrast measures every text against what lies behind it, by the rule of WCAG: at least 4.5 to 1.
func (p *opened) contrast(scheme string) {
	p.Helper()
	bad := eval[[]string](p, `(() => {
		const rgb = s => (s.match(/[\d.]+/g) || []).map(Number);
		const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
		const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c } return [255, 255, 255] };
		const bad = [];
		for (const e of document.querySelectorAll('body *')) {
			const svg = e.tagName === 'text';
			if (!svg && ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.closest('svg') && !svg || !e.getClientRects().length) continue;
			const a = light(rgb(getComputedStyle(e)[svg ? 'fill' : 'color'])), b = light(behind(e)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
			if (ratio < 4.5) bad.push(e.tagName + ' ' + e.textContent.trim().slice(0, 40) + ': ' + ratio.toFixed(2));
		}
		return bad })()`)
	if len(bad) > 0 {
		p.Errorf("too little contrast in %s: %q", scheme, bad)
	}
	if dark := eval[bool](p, `getComputedStyle(document.body).backgroundColor.match(/\d+/g)[0] < 128`); dark != (scheme == "dark") {
		p.Errorf("the page does not follow the scheme %s", scheme)
	}
}

// fits says that the page itself does not scroll sideways; tables may, inside their frames.
func (p *opened) fits(width int64) {
	p.Helper()
	if wide := eval[int64](p, `document.documentElement.scrollWidth`); wide > width {
		p.Errorf("the page is %d pixels wide on a screen of %d", wide, width)
	}
}

// million is the report of a job file with a million jobs, as full as it gets.
func million() *Document {
	rng := rand.New(rand.NewPCG(7, 7))
	g := &gatherer{parts: map[key]*sums{}, clock: newClock(), lengths: tally{}, unknown: map[Unknown]int64{}}
	doc := &Document{JobFile: "a-long-name-of-a-job-file-that-somebody-has-thought-of.batch.db", WrittenAt: begin.Add(10 * time.Hour), Prices: []Price{}, Runs: []Run{
		{Started: begin, Ended: ptr(begin.Add(3 * time.Hour)), Endpoint: endpoint, RPM: ptr(5000.0), TPM: ptr(1e6)},
		{Started: begin.Add(5 * time.Hour), Ended: ptr(begin.Add(8 * time.Hour)), Endpoint: endpoint, RPM: ptr(6000.0), TPM: ptr(1e6)}}}
	for m := range 12 {
		s := g.part(endpoint, fmt.Sprintf("a-model-with-a-long-name-%d", m))
		s.part.Jobs = Jobs{Done: 83_000, Failed: 333}
		s.part.Attempts = Attempts{All: 84_000, Done: 83_000, Unknown: 900, Open: 100}
		s.part.Spend.Billed = Amount{Attempts: 83_000, Tokens: 20_000_000, AtLeast: 3 * tokens.Dollar}
	}
	for i := range int64(100_000) {
		at := begin.UnixMilli() + i*108*2
		if i > 50_000 {
			at += 2 * 3_600_000
		}
		c := g.clock.at(at)
		c.Calls += 10
		c.Prompt += 900
		c.Completion += 1100
		c.Spent += 36e9
		c.Failures += i % 7 / 6
		g.clock.call(i/50_001, at, at)
		millis := int64(300 + rng.ExpFloat64()*800)
		g.parts[key{endpoint, "a-model-with-a-long-name-0"}].latency[millis] += 10
		g.lengths[int64(50+rng.ExpFloat64()*200)] += 10
	}
	for i := range mostErrors {
		doc.Errors = append(doc.Errors, Failure{Class: "unknown", Code: fmt.Sprintf("an_error_code_that_is_long_%d", i), Status: ptr(500 + i), Attempts: int64(100_000 / (i + 1)),
			Example: Example{Where{"prompts.jsonl", i, ptr("an-id")}, strings.Repeat("all went wrong ", 20), "req-1234567890"}})
	}
	for i := range mostSamples {
		doc.Samples = append(doc.Samples, Sample{Where{"prompts.jsonl", i, nil}, "m", "stop", strings.Repeat("word ", 80), strings.Repeat("unbroken", 75)})
	}
	for i := range mostAnswers {
		doc.Slowest = append(doc.Slowest, Answer{Where{"prompts.jsonl", i, ptr(strings.Repeat("id", 40))}, "m", 1, int64(9000 - i), 100, ptr(tokens.Money(5e9))})
	}
	doc.Dearest = doc.Slowest
	g.sum(doc)
	return doc
}

func ptr[T any](v T) *T { return &v }

func TestPageStaysSmall(t *testing.T) {
	if n := len(written(t, million(), HTML)); n > 400<<10 {
		t.Errorf("the page of a million jobs has %d bytes", n)
	}
}
