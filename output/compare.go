package output

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"unicode/utf8"

	"batch/store"
)

// Compared is how two job files differ, as a document. Everything in it is counted from the same picture of both.
type Compared struct {
	A ComparedFile `json:"a"`
	B ComparedFile `json:"b"`

	MatchedByKey      int64 `json:"jobs_matched_by_key"`
	MatchedByCustomID int64 `json:"jobs_matched_by_custom_id"`
	MatchedByMessages int64 `json:"jobs_matched_by_messages"`
	JobsOnlyA         int64 `json:"jobs_only_a"`
	JobsOnlyB         int64 `json:"jobs_only_b"`

	Same    int64 `json:"answers_same"`
	Changed int64 `json:"answers_changed"`
	OnlyA   int64 `json:"answers_only_a"` // the job is not answered in b, or is not in it
	OnlyB   int64 `json:"answers_only_b"`

	Changes []Change `json:"changes"` // the first of them
}

// ComparedFile is one of the two. The sums are those of its answers; what else was charged for, a report tells.
type ComparedFile struct {
	JobFile   string           `json:"job_file"`
	Simulated bool             `json:"simulated"`
	RunOn     bool             `json:"run_on"`
	Models    map[string]int64 `json:"requested_models"` // jobs

	Jobs    int64 `json:"jobs"`
	Done    int64 `json:"done"`
	Failed  int64 `json:"failed"`
	Pending int64 `json:"pending"` // those in work too
	Damaged int64 `json:"damaged"` // answers that cannot be read any more, and count as none

	ComparedSums
	FinishReasons map[string]int64 `json:"finish_reasons"`

	// Both sums up the answers to the prompts that are answered in the other file as well: a file with more failures has the smaller
	// sums for that alone.
	Both ComparedSums `json:"answered_in_both"`

	prices Prices
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
		f.prices, f.durations, f.Both.durations = prices[i], map[int64]int64{}, map[int64]int64{}
		f.Models, f.FinishReasons = map[string]int64{}, map[string]int64{}
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
		}
		both := replies[0].there && replies[1].there
		files[0].count(pair.A, &replies[0], both)
		files[1].count(pair.B, &replies[1], both)
		same := doc.count(pair, &replies[0], &replies[1])
		if table != nil {
			if err := table.write(pair, replies, same, prices); err != nil {
				return err
			}
		}
	}
	for _, f := range files {
		f.finish()
		f.Both.finish()
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
	case pair.By == store.MatchedMessages:
		doc.MatchedByMessages++
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

func (f *ComparedFile) count(row *store.Row, r *reply, both bool) {
	if row == nil {
		return
	}
	f.Jobs++
	f.Models[row.Model]++
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
	f.FinishReasons[row.FinishReason]++
	price := f.prices.Of(row.Endpoint, row.Model)
	f.add(row, price)
	if both {
		f.Both.add(row, price)
	}
}

// Paired is how many prompts were found in both files.
func (doc *Compared) Paired() int64 {
	return doc.MatchedByKey + doc.MatchedByCustomID + doc.MatchedByMessages
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
