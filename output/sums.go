package output

import (
	"context"
	"fmt"
	"iter"

	"batch/runner/tokens"
	"batch/store"
)

// attemptSource knows every single call, beside the sums that a Source gives.
type attemptSource interface {
	Source
	Attempts(ctx context.Context) iter.Seq2[*store.Attempt, error]
}

// sums is what one way of adding up comes to.
type sums struct {
	Total, Estimated, Wasted, Gone int64
	Attempts, PossiblyPaid         int64
	Cost                           Cost // without that of unknown outcomes, which is a bound and no sum
}

// CheckSums adds up tokens and money call by call and row by row, and says where that differs from the totals, which are
// summed by the database and priced as sums. What it finds is empty, or what does not hold.
func CheckSums(ctx context.Context, src attemptSource) (wrong store.Wrong, err error) {
	rows, err := src.Prices(ctx)
	if err != nil {
		return wrong, fmt.Errorf("read prices: %w", err)
	}
	prices := NewPrices(rows)
	totals, err := src.Totals(ctx)
	if err != nil {
		return wrong, fmt.Errorf("read usage totals: %w", err)
	}
	bills, err := src.Bills(ctx)
	if err != nil {
		return wrong, fmt.Errorf("read what was charged for: %w", err)
	}
	byCall, err := sumCalls(ctx, src, prices)
	if err != nil {
		return wrong, err
	}
	byRow, err := sumRows(ctx, src, prices)
	if err != nil {
		return wrong, err
	}

	all := sum(totals)
	billed := sums{Total: all.Total, Estimated: all.Estimated, Wasted: all.Wasted, Gone: all.Gone,
		Attempts: all.Attempts, PossiblyPaid: all.PossiblyPaid, Cost: prices.Cost(bills, nil)}
	billed.Cost.Lost, billed.Cost.Open = Amount{}, Amount{}
	if byCall != billed {
		wrong.Add(fmt.Sprintf("not so: the totals are the sum of the attempts (%s; the attempts: %s)", billed, byCall))
	}
	rowsOfTotals := sums{Total: billed.Total, Estimated: billed.Estimated, Cost: Cost{Done: billed.Cost.Done, Estimated: billed.Cost.Estimated}}
	if byRow != rowsOfTotals {
		wrong.Add(fmt.Sprintf("not so: the totals are the sum of the result rows (%s; the rows: %s)", rowsOfTotals, byRow))
	}
	return wrong, nil
}

func sumCalls(ctx context.Context, src attemptSource, prices Prices) (sums, error) {
	var s sums
	for a, err := range src.Attempts(ctx) {
		if err != nil {
			return s, fmt.Errorf("read attempts: %w", err)
		}
		s.Attempts++
		if a.PossiblyPaid {
			s.PossiblyPaid++
		}
		price := prices.Of(a.Endpoint, a.Model)
		switch {
		case a.Usage.Known && !a.Answer:
			s.Wasted = Plus(s.Wasted, a.Usage.Total)
			s.Cost.Wasted = s.Cost.Wasted.Plus(costOf(price, a.Usage))
		case a.Usage.Known && a.Gone:
			s.Gone = Plus(s.Gone, a.Usage.Total)
			s.Cost.Gone = s.Cost.Gone.Plus(costOf(price, a.Usage))
		case a.Usage.Known:
			s.Total = Plus(s.Total, a.Usage.Total)
			s.Cost.Done = s.Cost.Done.Plus(costOf(price, a.Usage))
		case a.Estimated.Known && a.Gone:
			s.Cost.GoneEstimated = s.Cost.GoneEstimated.Plus(costOf(price, a.Estimated))
		case a.Estimated.Known:
			s.Estimated = Plus(s.Estimated, a.Estimated.Total)
			s.Cost.Estimated = s.Cost.Estimated.Plus(costOf(price, a.Estimated))
		}
	}
	return s, nil
}

func sumRows(ctx context.Context, src Source, prices Prices) (sums, error) {
	var s sums
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return s, fmt.Errorf("read rows: %w", err)
		}
		if row.Skipped || row.State != store.Done || row.Reused || row.Shared {
			continue
		}
		price := prices.Of(row.Endpoint, row.Model)
		switch {
		case row.Usage.Known:
			s.Total = Plus(s.Total, row.Usage.Total)
			s.Cost.Done = s.Cost.Done.Plus(costOf(price, row.Usage))
		case row.Estimated > 0:
			s.Estimated = Plus(s.Estimated, row.Estimated)
			s.Cost.Estimated = s.Cost.Estimated.Plus(costOf(price, row.EstimatedUsage()))
		}
	}
	return s, nil
}

func costOf(price *tokens.Price, u store.Usage) Amount {
	if cost, known := price.Cost(tokens.Usage(u)); known {
		return Amount{Money: cost, Attempts: 1}
	}
	return Amount{Unknown: 1, Attempts: 1}
}

func (s sums) String() string {
	text := fmt.Sprintf("%d tokens, %d estimated, %d wasted, %d gone, in %d calls, %d possibly paid", s.Total, s.Estimated, s.Wasted, s.Gone, s.Attempts, s.PossiblyPaid)
	if c := s.Cost.Billed().Plus(s.Cost.Estimated); c.Money > 0 {
		text += fmt.Sprintf("; %s dollars", c.Money)
	}
	return text
}
