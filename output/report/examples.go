package report

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"batch/output"
	"batch/runner/tokens"
	"batch/store"
)

// ranked is an answer that may be one of the ten.
type ranked struct {
	job, millis, tokens int64
	model               string
	cost                tokens.Money
	priced              bool
}

// ranking keeps the greatest.
type ranking struct {
	by  func(a, b ranked) int
	top []ranked // greatest first; of equals the earlier one
}

func (r *ranking) offer(one ranked) {
	if len(r.top) == mostAnswers && r.by(one, r.top[mostAnswers-1]) <= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(r.top, one, func(a, b ranked) int { return cmp.Or(-r.by(a, b), -1) })
	r.top = slices.Insert(r.top, at, one)
	r.top = r.top[:min(len(r.top), mostAnswers)]
}

func (r *ranking) answers(ctx context.Context, v *store.View) ([]Answer, error) {
	all := []Answer{}
	for _, one := range r.top {
		place, err := v.Place(ctx, one.job)
		if err != nil {
			return nil, err
		}
		a := Answer{Where: where(place.File, place.Line, place.CustomID, place.HasCustomID), Model: one.model,
			Attempts: place.Attempts, Millis: one.millis, Tokens: one.tokens}
		if one.priced {
			a.Cost = &one.cost
		}
		all = append(all, a)
	}
	return all, nil
}

func where(file string, line int, id string, hasID bool) Where {
	w := Where{File: file, Line: line}
	if hasID {
		w.CustomID = &id
	}
	return w
}

// rest asks for what the pass over the attempts does not tell.
func (g *gatherer) rest(ctx context.Context, v *store.View, doc *Document) (err error) {
	if doc.Slowest, err = g.slowest.answers(ctx, v); err != nil {
		return err
	}
	if doc.Dearest, err = g.dearest.answers(ctx, v); err != nil {
		return err
	}
	if err := g.runsAndLimits(ctx, v, doc); err != nil {
		return err
	}
	if err := g.pending(ctx, v, doc); err != nil {
		return err
	}
	kinds, err := v.ErrorKinds(ctx, mostErrors)
	if err != nil {
		return err
	}
	doc.Errors = []Failure{}
	for _, k := range kinds {
		f := Failure{Class: k.Class, Reason: k.Reason, Type: k.Type, Code: k.Code, Attempts: k.Attempts, Jobs: k.Fatal,
			Example: Example{where(k.File, k.Line, k.CustomID, k.HasCustomID), shorten(k.Message, 300), k.RequestID}}
		if k.Status != 0 {
			f.Status = &k.Status
		}
		doc.Errors = append(doc.Errors, f)
	}
	doc.Samples = []Sample{}
	return v.Sample(ctx, mostSamples, func(row *store.Row) error {
		prompt, content := output.Sample(row)
		doc.Samples = append(doc.Samples, Sample{where(row.File, row.Line, row.CustomID, row.HasCustomID), row.Model,
			row.FinishReason, shorten(prompt, 400), shorten(content, 600)})
		return nil
	})
}

func (g *gatherer) runsAndLimits(ctx context.Context, v *store.View, doc *Document) error {
	runs, err := v.Runs(ctx)
	if err != nil {
		return err
	}
	limits, err := v.Limits(ctx)
	if err != nil {
		return err
	}
	waits, err := v.Waits(ctx)
	if err != nil {
		return err
	}
	doc.Runs, doc.Limits, doc.Waits = []Run{}, []Limit{}, []Wait{}
	for _, r := range runs {
		run := Run{Started: r.Started.UTC(), Endpoint: r.Endpoint, Reason: r.Reason, Attempts: g.runs[r.ID],
			RPM: unless0(r.RPM), TPM: unless0(r.TPM)}
		if !r.Ended.IsZero() {
			ended := r.Ended.UTC()
			run.Ended = &ended
		}
		doc.Runs = append(doc.Runs, run)
	}
	for endpoint, l := range limits {
		doc.Limits = append(doc.Limits, Limit{endpoint, unless0(l.Requests), unless0(l.Tokens)})
	}
	slices.SortFunc(doc.Limits, func(a, b Limit) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	for _, w := range waits {
		doc.Waits = append(doc.Waits, Wait(w))
	}
	return nil
}

func unless0[T int64 | float64](n T) *T {
	if n == 0 {
		return nil
	}
	return &n
}

// pending counts the jobs that wait, for the endpoint of the newest run: they have met none yet.
func (g *gatherer) pending(ctx context.Context, v *store.View, doc *Document) error {
	backlog, err := v.Backlog(ctx)
	if err != nil {
		return err
	}
	newest := ""
	if n := len(doc.Runs); n > 0 {
		newest = doc.Runs[n-1].Endpoint
	}
	for _, b := range backlog {
		g.part(newest, b.Model).part.Jobs.add(store.Pending, b.Jobs)
	}
	reused, err := v.Reused(ctx) // no call of this file answered these
	if err != nil {
		return err
	}
	for _, r := range reused {
		p := &g.part(r.Endpoint, r.Model).part
		p.Jobs.add(store.Done, r.Answers)
		p.Jobs.Reused += r.Answers
		p.Finish[r.Finish] += r.Answers
		if r.Finish == finishLength {
			p.Jobs.reusedCut += r.Answers
		}
	}
	counts, err := v.Counts(ctx)
	doc.Skipped = counts.Skipped
	return err
}

// shorten cuts a text at a character, and says so.
func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
