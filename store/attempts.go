package store

import (
	"context"
	"database/sql"
	"iter"
)

// Attempt is one call, as far as it tells who was charged for what.
type Attempt struct {
	Endpoint, Model string
	Answer          bool // it gave its job its answer
	Gone            bool // its job's prompt is no longer in the input
	PossiblyPaid    bool // its outcome is unknown
	Usage           Usage
	Estimated       Usage // counted here for an answer without reported usage
}

// Attempts yields every attempt of the file in the order in which they were made. An Attempt is good only until the next one.
func (v *View) Attempts(ctx context.Context) iter.Seq2[*Attempt, error] {
	return func(yield func(*Attempt, error) bool) {
		if err := v.attempts(ctx, yield); err != nil {
			yield(nil, v.s.explain("read", err))
		}
	}
}

func (v *View) attempts(ctx context.Context, yield func(*Attempt, error) bool) error {
	rows, err := v.tx.QueryContext(ctx, `
		SELECT r.endpoint, j.model, j.state = 'done' AND j.attempt = a.id, j.position IS NULL,
		  a.class = 'unknown' OR (a.class = 'interrupted' AND a.sent),
		  a.prompt_tokens, a.completion_tokens, a.total_tokens, a.cached_tokens, a.cache_write_tokens, a.reasoning_tokens, a.audio_tokens,
		  w.estimated_prompt, w.estimated
		FROM attempts a JOIN jobs j ON j.id = a.job JOIN runs r ON r.id = a.run
		LEFT JOIN answers w ON w.job = j.id AND j.attempt = a.id
		ORDER BY a.id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var a Attempt
		var paid sql.NullBool
		var n [9]sql.NullInt64
		if err := rows.Scan(&a.Endpoint, &a.Model, &a.Answer, &a.Gone, &paid,
			&n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8]); err != nil {
			return err
		}
		a.PossiblyPaid = paid.Bool
		a.Usage = Usage{Known: n[2].Valid, Prompt: n[0].Int64, Completion: n[1].Int64, Total: n[2].Int64,
			Cached: n[3].Int64, CacheWrite: n[4].Int64, Reasoning: n[5].Int64, Audio: n[6].Int64}
		if n[8].Valid {
			a.Estimated = Usage{Known: true, Prompt: n[7].Int64, Completion: n[8].Int64 - n[7].Int64, Total: n[8].Int64}
		}
		if !yield(&a, nil) {
			return nil
		}
	}
	return rows.Err()
}
