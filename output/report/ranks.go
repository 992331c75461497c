package report

import (
	"cmp"
	"fmt"
	"slices"
)

// fewAnswers are looked through as a whole: which of them took longest says nothing.
const fewAnswers = 20

func (d *Document) slowestTable() table {
	if !stands(d, d.Latency, d.Slowest, func(a Answer) int64 { return a.Millis }) {
		return table{}
	}
	return d.answersTable("slowest", "Slowest answers", d.Slowest)
}

func (d *Document) dearestTable() table {
	title := "Dearest answers"
	if !slices.ContainsFunc(d.Dearest, func(a Answer) bool { return a.Cost != nil }) {
		title = "Largest answers"
	}
	if !stands(d, d.Tokens, d.Dearest, func(a Answer) int64 { return a.Tokens }) {
		return table{}
	}
	return d.answersTable("dearest", title, d.Dearest)
}

// stands says that the greatest of the answers are more than a few per cent above the usual one, or differ by as much.
func stands(d *Document, all *Histogram, top []Answer, of func(Answer) int64) bool {
	if all == nil || len(top) == 0 || d.Total.Jobs.Done < fewAnswers {
		return false
	}
	byValue := func(a, b Answer) int { return cmp.Compare(of(a), of(b)) }
	most, least := of(slices.MaxFunc(top, byValue)), of(slices.MinFunc(top, byValue))
	return most > min(least, all.median())*21/20
}

// median is the upper end of the bin that it lies in.
func (h *Histogram) median() int64 {
	n := h.Under + h.Rest
	for _, b := range h.Bins {
		n += b.N
	}
	passed := h.Under
	for _, b := range h.Bins {
		if passed += b.N; passed*2 >= n {
			return b.From + h.Step
		}
	}
	return h.Bins[len(h.Bins)-1].From + h.Step
}

func (d *Document) answersTable(id, title string, answers []Answer) table {
	t := table{ID: id, Title: title, Head: []string{"prompt", "model", "took", "tokens", "cost", "attempts"}}
	for i, a := range answers {
		key := fmt.Sprintf("%s.%d.", id, i)
		t.Rows = append(t.Rows, []cell{words(a.Where.String()), words(a.Model), millis(key+"latency_ms", &a.Millis),
			number(key+"total_tokens", a.Tokens), money(key+"cost", a.Cost), number(key+"attempts", int64(a.Attempts))})
	}
	if len(d.Models) == 1 {
		t.drop(1)
	}
	return t
}
