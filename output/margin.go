package output

import (
	"context"
	"math"

	"batch/runner/tokens"
	"batch/store"
)

// Margins say how long a prompt can be that was estimated at so many tokens, by endpoint and requested model.
type Margins map[priced]tokens.Margin

// Of is the margin of a model at an endpoint; before its answers told, a cautious one.
func (m Margins) Of(endpoint, model string) tokens.Margin {
	if own, learnt := m[priced{endpoint, model}]; learnt {
		return own
	}
	return tokens.Unlearnt
}

// AnswerSource tells what the answers of a job file were, beside what was expected of them.
type AnswerSource interface {
	Seen(ctx context.Context) ([]store.Seen, error)
	Surplus(ctx context.Context, all []store.Surplus) error
}

// ReadMargins learns the margins from the answers of a job file.
func ReadMargins(ctx context.Context, src AnswerSource) (Margins, error) {
	seen, err := src.Seen(ctx)
	if err != nil {
		return nil, err
	}
	var all []store.Surplus
	for _, s := range seen {
		factor := math.Ceil(tokens.LeastFactor * float64(s.Prompt) / float64(max(s.Estimated, 1)))
		all = append(all, store.Surplus{Endpoint: s.Endpoint, Model: s.Model, Factor: max(tokens.LeastFactor, int64(factor))})
	}
	if err := src.Surplus(ctx, all); err != nil {
		return nil, err
	}
	margins := Margins{}
	for _, s := range all {
		margins[priced{s.Endpoint, s.Model}] = tokens.Margin{Factor: s.Factor, Surplus: s.Most}
	}
	return margins, nil
}

// Tiers are where the tiers of prices begin, for store.View.BillsAt.
func Tiers(prices []store.Price, margins Margins) []store.Tier {
	var all []store.Tier
	for _, p := range prices {
		m := margins.Of(p.Endpoint, p.Model)
		estimated := max(0, (p.Above-m.Surplus)*1000/m.Factor-1) // the shortest that may turn out longer than Above
		all = append(all, store.Tier{Endpoint: p.Endpoint, Model: p.Model, Above: p.Above, Estimated: estimated})
	}
	return all
}
