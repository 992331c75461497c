package tokens

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const cjk = "東京都に行きます。"

// requests makes a file of about so many bytes.
func requests(size int, line func(i int) (model, text string)) []Request {
	var all []Request
	for i := 0; size > 0; i++ {
		model, text := line(i)
		body := []byte(fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}]}`, model, text))
		all = append(all, Request{Model: model, Body: body})
		size -= len(body)
	}
	return all
}

func total(all []Request) (counted, truth int64) {
	for _, r := range all {
		counted += r.Tokens
		truth += Count(r.Model, r.Body)
	}
	return
}

func TestSmallFilesAndExactOnesAreCountedWhole(t *testing.T) {
	line := func(i int) (string, string) { return "gpt-4o", strings.Repeat("river, ", i%50) + cjk }
	for name, c := range map[string]*Counter{"small": NewCounter(false), "exact": NewCounter(true)} {
		size := int64(1 << 20)
		if name == "exact" {
			c.first = size / 2
		}
		all := requests(int(size), line)
		c.CountAll(all)
		counted, truth := total(all)
		least, likely, most := c.Interval()
		exact, lines := c.Counted()
		if counted != truth || least != truth || likely != truth || most != truth || exact != lines || lines != int64(len(all)) {
			t.Errorf("%s: counted %d, %d to %d to %d, want %d; %d of %d lines exactly", name, counted, least, likely, most, truth, exact, lines)
		}
	}
}

// What was counted before counts as it is, beyond the first bytes too.
func TestKnownRequestsAreNotSampled(t *testing.T) {
	c := NewCounter(false)
	c.first = 0
	all := requests(1<<20, func(i int) (string, string) { return "gpt-4o", strings.Repeat("river, ", i%50) + cjk })
	for i := range all {
		all[i].Known = i%2 == 0
		all[i].Tokens = int64(i)
	}
	c.CountAll(all)
	for i, r := range all {
		if r.Known && (!r.Exact || r.Tokens != int64(i)) {
			t.Fatalf("request %d: %d tokens, exact %v", i, r.Tokens, r.Exact)
		}
	}
	if exact, lines := c.Counted(); exact < lines/2 || exact == lines {
		t.Errorf("%d of %d lines counted exactly", exact, lines)
	}
}

// The bounds hold for files that make it hard: unlike at the end, of two kinds in turn, with most of the text in few lines. They are
// to hold for 95 % of the files; of 20, 2 or fewer outside are what that gives.
func TestIntervalCoversTheTruth(t *testing.T) {
	words := strings.Fields("river lantern quiet copper 東京都に行きます。 Привет, 1234567890123 orchard; the of a internationalization x->y[0] \u00e9\u00e9\u00e9")
	for name, line := range map[string]func(r *rand.Rand, i int) (string, string){
		"alike": func(r *rand.Rand, i int) (string, string) { return "m", pick(r, words, 10+r.IntN(20)) },
		"sorted": func(r *rand.Rand, i int) (string, string) {
			if i < 2000 {
				return "m", pick(r, words[:4], 20)
			}
			return "m", strings.Repeat(cjk, 1+r.IntN(5))
		},
		"in turn": func(r *rand.Rand, i int) (string, string) {
			if i%2 == 0 {
				return "m", pick(r, words[:4], 30)
			}
			return "m", strings.Repeat("12345678 ", 30)
		},
		"few long lines": func(r *rand.Rand, i int) (string, string) {
			if r.IntN(100) == 0 {
				return "m", strings.Repeat(cjk, 200+int(2000*r.ExpFloat64()*r.ExpFloat64()))
			}
			return "m", pick(r, words[:4], 5)
		},
		"several models": func(r *rand.Rand, i int) (string, string) {
			return []string{"llama-3.1-8b", "gpt-4", "gpt-4o", "m"}[r.IntN(4)], pick(r, words, 10+r.IntN(20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside, files, size := 0, 20, 1<<20
			if name == "few long lines" {
				files, size = 10, 3<<20
			}
			for seed := range files {
				r := rand.New(rand.NewPCG(uint64(seed), 1))
				all := requests(size, func(i int) (string, string) { return line(r, i) })
				c := NewCounter(false)
				c.first = 64 << 10
				c.CountAll(all)
				counted, truth := total(all)
				least, likely, most := c.Interval()
				if exact, lines := c.Counted(); exact > lines/2 {
					t.Fatalf("%d of %d lines were counted: not much of a sample", exact, lines)
				}
				if truth < least || truth > most {
					outside++
				}
				if wide := float64(most-least) / float64(truth); likely < least || likely > most || wide > 0.4 {
					t.Errorf("file %d: %d to %d to %d for %d", seed, least, likely, most, truth)
				}
				if off := math.Abs(float64(counted)/float64(truth) - 1); off > 0.25 {
					t.Errorf("file %d: the lines add up to %d, want %d", seed, counted, truth)
				}
			}
			if outside > files/10 {
				t.Errorf("%d of %d files lie outside of their interval", outside, files)
			}
		})
	}
}

func pick(r *rand.Rand, words []string, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.String()
}

// A model that comes up when sampling has begun, too seldom to be sampled, is still within the bounds.
func TestFewLinesOfAnotherModel(t *testing.T) {
	all := requests(200<<10, func(i int) (string, string) { return "gpt-4o", "Name a river in France." })
	all = append(all, requests(2000, func(i int) (string, string) { return "llama-3.1-8b", strings.Repeat(cjk, 3) })...)
	c := NewCounter(false)
	c.first = 100 << 10
	c.CountAll(all)
	_, truth := total(all)
	if least, likely, most := c.Interval(); truth < least || truth > most || likely < least || likely > most {
		t.Errorf("%d to %d to %d for %d", least, likely, most, truth)
	}
}

// However the requests are grouped, and on however many processors they are counted, each gets the same number.
func TestCountsDoNotDependOnGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := requests(600<<10, func(i int) (string, string) {
		return []string{"llama-3.1-8b", "gpt-4o"}[r.IntN(2)], pick(r, []string{cjk, "river", "x"}, 1+r.IntN(60))
	})
	one, many := NewCounter(false), NewCounter(false)
	one.first, many.first = 100<<10, 100<<10
	for i := range all {
		all[i].Tokens = one.Count(all[i].Model, all[i].Body)
	}
	for group := range slices.Chunk(slices.Clone(all), 300) {
		want := make([]int64, len(group))
		for i := range group {
			want[i] = group[i].Tokens
		}
		many.CountAll(group)
		for i := range group {
			if group[i].Tokens != want[i] {
				t.Fatalf("%d tokens, counted alone %d", group[i].Tokens, want[i])
			}
		}
	}
	a, b, c := one.Interval()
	if x, y, z := many.Interval(); a != x || b != y || c != z {
		t.Errorf("%d to %d to %d, in groups %d to %d to %d", a, b, c, x, y, z)
	}
}

// What is counted exactly of a large file stays a small part of it.
func TestSampleIsBounded(t *testing.T) {
	for _, size := range []int{60, 2000, 40_000, 400_000} {
		c := NewCounter(false)
		c.first = 0
		body := make([]byte, size)
		var drawn, all int
		for all < 200<<20 {
			r := Request{Model: "m", Body: body}
			if c.draw(&r); r.Exact {
				drawn += size
			}
			all += size
		}
		if share := float64(drawn) / float64(all); share > 0.6 || size < longRequest && share > 0.12 || drawn/size < 100 {
			t.Errorf("lines of %d bytes: %d drawn, %.3f of all", size, drawn/size, share)
		}
	}
}

func TestNothingCounted(t *testing.T) {
	if a, b, c := NewCounter(false).Interval(); a != 0 || b != 0 || c != 0 {
		t.Errorf("%d to %d to %d", a, b, c)
	}
}

func BenchmarkCounter(b *testing.B) {
	for name, exact := range map[string]bool{"sampled": false, "exact": true} {
		b.Run(name, func(b *testing.B) {
			all := requests(1<<20, func(i int) (string, string) {
				return "llama-3.1-8b", fmt.Sprintf("Name river %d in France that ends in the Atlantic.", i)
			})
			c := NewCounter(exact)
			c.first = 0
			n := 0
			for b.Loop() {
				for group := range slices.Chunk(all, 512) {
					c.CountAll(group)
					n += len(group)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
