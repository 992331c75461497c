package store

import (
	"context"
	"database/sql"
	"fmt"
)

// BillKind says what became of the answers that a Bill sums up.
type BillKind string

const (
	BillDone   BillKind = "done"   // they stand in the output
	BillGone   BillKind = "gone"   // their prompts are no longer in the input
	BillWasted BillKind = "wasted" // of attempts that gave no job its answer
	BillLost   BillKind = "lost"   // of attempts with an unknown outcome: the worst case, not what was used
	BillOpen   BillKind = "open"   // of attempts without an outcome: in flight, or out when a run died; the worst case too
)

// Bill is what attempts used that are priced alike: of one endpoint, model and kind, at one tier of its price. With Price.Rates
// of that tier the cost of the sum is the sum of the costs.
type Bill struct {
	Endpoint, Model string
	Kind            BillKind
	Estimated       bool  // counted here, since the API reported no usage
	Above           int64 // of the price tier
	Attempts        int64
	Usage           Usage // the sum; of BillLost the estimated prompts, and what the requests allow for their answers
	Unbounded       int64 // of BillLost and BillOpen, the attempts whose request says nothing of the length of its answer
	Boundless       int64 // and those that have no worst case at all
}

// Tier is where a tier of a price begins, in prompt tokens: as they were reported, and as they are estimated when they may turn out
// to be so many.
type Tier struct {
	Endpoint, Model  string
	Above, Estimated int64
}

// Bills sums up all that was or may have been charged for: every attempt is in one Bill, or cost nothing.
//
// Most of the time goes into sorting the rows into groups, which is twice as fast by numbers; so runs are made endpoints of afterwards.
func (v *View) Bills(ctx context.Context) ([]Bill, error) {
	prices, err := v.Prices(ctx)
	if err != nil {
		return nil, err
	}
	var tiers []Tier
	for _, p := range prices {
		tiers = append(tiers, Tier{p.Endpoint, p.Model, p.Above, p.Above})
	}
	return v.BillsAt(ctx, tiers)
}

// BillsAt is Bills at the tiers of other prices than those of the file, those that begin at 0 among them.
func (v *View) BillsAt(ctx context.Context, tiers []Tier) ([]Bill, error) {
	values := "VALUES ('', '', 0, 0)" // of no endpoint
	var args []any
	lowest := int64(-1)
	for _, t := range tiers {
		values += ", (?, ?, ?, ?)"
		args = append(args, t.Endpoint, t.Model, t.Above, t.Estimated)
		if least := min(t.Above, t.Estimated); t.Above > 0 && (lowest < 0 || least < lowest) {
			lowest = max(least, 0)
		}
	}
	if lowest < 0 {
		values, args = "VALUES ('', '', 0, 0)", nil
	}
	tier := func(prompt, begins string) string {
		if lowest < 0 {
			return "0"
		}
		const of = `(SELECT max(p.above) FROM tiers p JOIN runs r ON r.endpoint = p.endpoint WHERE r.id = a.run AND p.model = %s AND p.%s < %s)`
		own, every := fmt.Sprintf(of, "j.model", begins, prompt), fmt.Sprintf(of, "''", begins, prompt)
		return fmt.Sprintf("iif(%s <= %d, 0, coalesce(%s, %s, 0))", prompt, lowest, own, every)
	}
	rows, err := v.tx.QueryContext(ctx, `
		WITH tiers (endpoint, model, above, estimated) AS MATERIALIZED (`+values+`),
		parts (run, model, kind, estimated, above, audible, attempts, prompt, completion, total, cached, written, thought, audio, unbounded, boundless) AS (
		  SELECT a.run, j.model, iif(j.state = 'done' AND j.attempt = a.id, iif(j.position IS NULL, 'gone', 'done'), 'wasted'), 0,
		    `+tier("a.prompt_tokens", "above")+`, coalesce(a.audio_tokens, 0) > 0,
		    count(*), sum(a.prompt_tokens), sum(a.completion_tokens), sum(a.total_tokens), coalesce(sum(a.cached_tokens), 0),
		    coalesce(sum(a.cache_write_tokens), 0), coalesce(sum(a.reasoning_tokens), 0), coalesce(sum(a.audio_tokens), 0), 0, 0
		  FROM attempts a JOIN jobs j ON j.id = a.job
		  WHERE a.total_tokens IS NOT NULL
		  GROUP BY a.run * 8 + iif(j.state = 'done' AND j.attempt = a.id, iif(j.position IS NULL, 2, 4), 6) + (coalesce(a.audio_tokens, 0) > 0), j.model, 5
		  UNION ALL
		  SELECT a.run, j.model, iif(j.position IS NULL, 'gone', 'done'), 1, `+tier("w.estimated_prompt", "above")+`, 0,
		    count(*), sum(w.estimated_prompt), sum(w.estimated - w.estimated_prompt), sum(w.estimated), 0, 0, 0, 0, 0, 0
		  FROM attempts a JOIN jobs j ON j.id = a.job AND j.attempt = a.id JOIN answers w ON w.job = j.id
		  WHERE a.total_tokens IS NULL AND a.class = 'done' AND w.estimated IS NOT NULL GROUP BY 1, 2, 3, 5
		  UNION ALL
		  SELECT a.run, j.model, iif(a.class IS NULL, 'open', 'lost'), 1, `+tier("j.tokens", "estimated")+`, 0,
		    count(*), sum(j.tokens), sum(coalesce(j.max_tokens, 0)), sum(j.tokens + coalesce(j.max_tokens, 0)), 0, 0, 0, 0,
		    sum(j.max_tokens IS NULL), sum(coalesce(j.max_tokens = 0, 0))
		  FROM attempts a JOIN jobs j ON j.id = a.job
		  WHERE a.total_tokens IS NULL AND (a.class IS NULL OR a.class = 'unknown' OR a.class = 'interrupted' AND a.sent) GROUP BY 1, 2, 3, 5)
		SELECT r.endpoint, p.model, p.kind, p.estimated, p.above, sum(p.attempts), sum(p.prompt), sum(p.completion), sum(p.total), sum(p.cached),
		  sum(p.written), sum(p.thought), sum(p.audio), sum(p.unbounded), sum(p.boundless)
		FROM parts p JOIN runs r ON r.id = p.run
		GROUP BY r.endpoint, p.model, p.kind, p.estimated, p.above, p.audible ORDER BY 1, 2, 3, 4, 5`, args...)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []Bill
	for rows.Next() {
		b := Bill{Usage: Usage{Known: true}}
		u := &b.Usage
		if err := rows.Scan(&b.Endpoint, &b.Model, &b.Kind, &b.Estimated, &b.Above, &b.Attempts, &u.Prompt, &u.Completion, &u.Total,
			&u.Cached, &u.CacheWrite, &u.Reasoning, &u.Audio, &b.Unbounded, &b.Boundless); err != nil {
			return nil, v.s.explain("read", err)
		}
		all = append(all, b)
	}
	return all, v.s.explain("read", rows.Err())
}

// Price is what a model costs at an endpoint, in picodollars (10^-12 US dollars) a token, of calls whose prompt has more tokens
// than Above.
type Price struct {
	Endpoint, Model                              string
	Above                                        int64
	Input, Output, Cached, CacheWrite, Reasoning int64
	Largest                                      int64  // answer in tokens, 0 when unknown
	Source                                       string // in words
	Given                                        bool   // by the user, not by a table of ours
}

// Prices returns the prices in force, by endpoint, model and tier.
func (v *View) Prices(ctx context.Context) ([]Price, error) {
	all, err := readPrices(ctx, v.tx)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	return all, nil
}

func readPrices(ctx context.Context, q querier) ([]Price, error) {
	rows, err := q.QueryContext(ctx, `
		SELECT endpoint, model, above, input, output, cached, cache_write, reasoning, largest, source, given
		FROM prices ORDER BY endpoint, model, above`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Price
	for rows.Next() {
		var p Price
		var largest sql.NullInt64
		if err := rows.Scan(&p.Endpoint, &p.Model, &p.Above, &p.Input, &p.Output, &p.Cached, &p.CacheWrite, &p.Reasoning,
			&largest, &p.Source, &p.Given); err != nil {
			return nil, err
		}
		p.Largest = largest.Int64
		all = append(all, p)
	}
	return all, rows.Err()
}

// SetPrices puts these in the place of all prices of the file.
func (s *Store) SetPrices(ctx context.Context, prices []Price) error {
	err := s.transact(ctx, func() error {
		ctx := context.WithoutCancel(ctx)
		if err := s.exec(ctx, "DELETE FROM prices"); err != nil {
			return err
		}
		for _, p := range prices {
			if err := s.exec(ctx, `
				INSERT INTO prices (endpoint, model, above, input, output, cached, cache_write, reasoning, largest, source, given)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?)`,
				p.Endpoint, p.Model, p.Above, p.Input, p.Output, p.Cached, p.CacheWrite, p.Reasoning, p.Largest, p.Source, p.Given); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.explain("write", err)
	}
	return nil
}
