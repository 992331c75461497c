package output

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"unicode/utf8"

	"batch/runner/tokens"
	"batch/store"
)

// Compared is how two job files differ, as a document. Everything in it is counted from the same picture of both.
type Compared struct {
	A ComparedFile `json:"a"`
	B ComparedFile `json:"b"`

	MatchedByKey      int64 `json:"jobs_matched_by_key"`
	MatchedByCustomID int64 `json:"jobs_matched_by_custom_id"`
	JobsOnlyA         int64 `json:"jobs_only_a"`
	JobsOnlyB         int64 `json:"jobs_only_b"`

	Same    int64 `json:"answers_same"`
	Changed int64 `json:"answers_changed"`
	OnlyA   int64 `json:"answers_only_a"` // the job is not answered in b, or is not in it
	OnlyB   int64 `json:"answers_only_b"`

	Changes []Change `json:"changes"` // the first of them
}

// ComparedFile is one of the two. Tokens, cost, latency and finish reasons are those of its answers; what else was charged for, a
// report tells.
type ComparedFile struct {
	JobFile   string `json:"job_file"`
	Simulated bool   `json:"simulated"`
	RunOn     bool   `json:"run_on"`

	Jobs    int64 `json:"jobs"`
	Done    int64 `json:"done"`
	Failed  int64 `json:"failed"`
	Pending int64 `json:"pending"` // those in work too
	Damaged int64 `json:"damaged"` // answers that cannot be read any more, and count as none

	Prompt       int64 `json:"prompt_tokens"` // reported
	Completion   int64 `json:"completion_tokens"`
	Total        int64 `json:"total_tokens"`
	Reused       int64 `json:"reused,omitempty"` // answers taken over from another file, whose tokens are not counted here
	Estimated    int64 `json:"estimated_tokens"` // of answers without reported usage
	UsageUnknown int64 `json:"usage_unknown"`    // those answers

	Cost          *tokens.Money `json:"cost"` // in dollars; null where a part is unknown
	EstimatedCost *tokens.Money `json:"estimated_cost"`
	Spent         Amount        `json:"-"`
	SpentGuess    Amount        `json:"-"`

	Latency       ComparedLatency  `json:"latency_ms"`
	FinishReasons map[string]int64 `json:"finish_reasons"`

	prices    Prices
	durations map[int64]int64 // answers by milliseconds
}

// ComparedLatency has percentiles by nearest rank, null without answers.
type ComparedLatency struct {
	P50 *int64 `json:"p50"`
	P90 *int64 `json:"p90"`
	P99 *int64 `json:"p99"`
}

// Change is an answer that is another in b: an excerpt of each from where they part.
type Change struct {
	File     string  `json:"file"`
	Line     int     `json:"line"`
	CustomID *string `json:"custom_id"`
	A        string  `json:"a"`
	B        string  `json:"b"`
}

// The first so many changes are shown, each with so many characters.
const (
	shownChanges = 10
	excerptRunes = 60
)

// comparison gives the jobs of two files side by side.
type comparison interface {
	Pairs(ctx context.Context) iter.Seq2[*store.Pair, error]
}

// CompareFiles fills in doc, whose files have their names, and writes the jobs as a table where there is one.
func CompareFiles(ctx context.Context, src comparison, doc *Compared, prices [2]Prices, table *ComparedTable) error {
	files := [2]*ComparedFile{&doc.A, &doc.B}
	for i, f := range files {
		f.prices, f.durations, f.FinishReasons = prices[i], map[int64]int64{}, map[string]int64{}
	}
	doc.Changes = []Change{}
	var replies [2]reply
	readers := [2]replyReader{{picker: newPicker()}, {picker: newPicker()}}
	for pair, err := range src.Pairs(ctx) {
		if err != nil {
			return fmt.Errorf("read jobs: %w", err)
		}
		for i, row := range []*store.Row{pair.A, pair.B} {
			replies[i] = readers[i].read(row)
			files[i].count(row, &replies[i])
		}
		same := doc.count(pair, &replies[0], &replies[1])
		if table != nil {
			if err := table.write(pair, replies, same, prices); err != nil {
				return err
			}
		}
	}
	for _, f := range files {
		f.Cost, f.EstimatedCost = exactly(f.Spent), exactly(f.SpentGuess)
		f.Latency = percentiles(f.durations)
	}
	return nil
}

// count takes in a job, and says whether its answers are the same; nil when there are not two.
func (doc *Compared) count(pair *store.Pair, a, b *reply) (same *bool) {
	switch {
	case pair.By == store.MatchedKey:
		doc.MatchedByKey++
	case pair.By == store.MatchedCustomID:
		doc.MatchedByCustomID++
	case pair.A != nil:
		doc.JobsOnlyA++
	default:
		doc.JobsOnlyB++
	}
	switch {
	case a.there && b.there:
		equal := bytes.Equal(a.said, b.said)
		if equal {
			doc.Same++
			return &equal
		}
		doc.Changed++
		if len(doc.Changes) < shownChanges {
			c := Change{File: pair.A.File, Line: pair.A.Line}
			if pair.A.HasCustomID {
				id := pair.A.CustomID
				c.CustomID = &id
			}
			c.A, c.B = apart(a.said, b.said)
			doc.Changes = append(doc.Changes, c)
		}
		return &equal
	case a.there:
		doc.OnlyA++
	case b.there:
		doc.OnlyB++
	}
	return nil
}

func (f *ComparedFile) count(row *store.Row, r *reply) {
	if row == nil {
		return
	}
	f.Jobs++
	switch row.State {
	case store.Failed:
		f.Failed++
		return
	case store.Pending, store.Running:
		f.Pending++
		return
	}
	f.Done++
	if !r.there {
		f.Damaged++
	}
	price := f.prices.Of(row.Endpoint, row.Model)
	switch u := row.Usage; {
	case row.Reused: // what it used was charged to another file
		f.Reused++
	case u.Known:
		f.Prompt, f.Completion, f.Total = plus(f.Prompt, u.Prompt), plus(f.Completion, u.Completion), plus(f.Total, u.Total)
		f.Spent = f.Spent.Plus(costOf(price, u))
	case row.Estimated > 0:
		f.Estimated = plus(f.Estimated, row.Estimated)
		f.SpentGuess = f.SpentGuess.Plus(costOf(price, row.EstimatedUsage()))
		fallthrough
	default:
		f.UsageUnknown++
	}
	f.durations[coarse(row.Latency.Milliseconds())]++
	f.FinishReasons[row.FinishReason]++
}

// coarse bounds how many values of latency there can be: beyond ten minutes they are counted by the second.
func coarse(ms int64) int64 {
	if ms > 600_000 {
		return ms / 1000 * 1000
	}
	return ms
}

func percentiles(durations map[int64]int64) (l ComparedLatency) {
	var n, passed int64
	for _, times := range durations {
		n += times
	}
	wanted := []struct {
		percent int64
		into    **int64
	}{{50, &l.P50}, {90, &l.P90}, {99, &l.P99}}
	for _, ms := range slices.Sorted(maps.Keys(durations)) {
		passed += durations[ms]
		for len(wanted) > 0 && passed*100 >= n*wanted[0].percent {
			*wanted[0].into = &ms
			wanted = wanted[1:]
		}
	}
	return l
}

func exactly(a Amount) *tokens.Money {
	if !a.Known() {
		return nil
	}
	return &a.Money
}

// apart gives an excerpt of two texts each, from the first character that differs.
func apart(a, b []byte) (string, string) {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	for i > 0 && (i < len(a) && !utf8.RuneStart(a[i]) || i < len(b) && !utf8.RuneStart(b[i])) {
		i--
	}
	return excerpt(a, i), excerpt(b, i)
}

// excerpt marks with dots where it leaves text out.
func excerpt(text []byte, from int) string {
	rest := string(text[from:])
	if n := utf8.RuneCountInString(rest); n > excerptRunes {
		rest = string([]rune(rest)[:excerptRunes]) + "…"
	}
	if from > 0 {
		rest = "…" + rest
	}
	return rest
}
