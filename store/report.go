package store

import (
	"context"
	"database/sql"
	"iter"
)

// Call is an attempt with what a report needs of its job.
type Call struct {
	Job, Run        int64
	Endpoint, Model string
	Started         int64 // Unix milliseconds
	Millis          int64 // how long it took; 0 while it is open
	Class           string
	Sent            bool
	Unsaved         bool  // it has no outcome yet, and one was foreseen
	Free            bool  // of those: nothing was charged for it
	State           State // of the job
	Final           bool  // it answered or failed the job, or is what the job now waits for
	Gone            bool  // the prompt is no longer in the input
	Usage           Usage // reported by the API

	// Of the call that answered the job.
	Finish                     string // "" when the answer did not say
	Estimated, EstimatedPrompt int64  // tokens counted locally when Usage is not Known

	Tokens, MaxTokens int64 // of the job: its estimated prompt, and what its request allows for the answer, 0 for no bound
	Boundless         bool  // nothing says how much the job can use at most
}

var classes = []string{"", "done", "not_processed", "unknown", "job_failed", "run_stops", "interrupted"}

var states = []State{Pending, Running, Done, Failed}

// Calls yields every attempt in the order of their claims, in one pass. A Call is good only until the next one.
//
// What is one of a few is read as bits of one number: a column costs more than its bytes.
func (v *View) Calls(ctx context.Context) iter.Seq2[*Call, error] {
	return func(yield func(*Call, error) bool) {
		if err := v.calls(ctx, yield); err != nil {
			yield(nil, v.s.explain("read", err))
		}
	}
}

func (v *View) calls(ctx context.Context, yield func(*Call, error) bool) error {
	runs, err := v.Runs(ctx)
	if err != nil {
		return err
	}
	endpoints := map[int64]string{}
	for _, r := range runs {
		endpoints[r.ID] = r.Endpoint
	}
	rows, err := v.tx.QueryContext(ctx, `
		SELECT a.job, a.run, j.model, a.started_at, coalesce(a.duration_ms, 0),
		  CASE a.class WHEN 'done' THEN 1 WHEN 'not_processed' THEN 2 WHEN 'unknown' THEN 3 WHEN 'job_failed' THEN 4
		    WHEN 'run_stops' THEN 5 WHEN 'interrupted' THEN 6 ELSE 0 END
		  | (CASE j.state WHEN 'running' THEN 1 WHEN 'done' THEN 2 WHEN 'failed' THEN 3 ELSE 0 END << 3)
		  | ((j.attempt IS a.id) << 5) | ((j.position IS NULL) << 6) | (coalesce(a.sent, 0) << 7),
		  a.prompt_tokens, a.completion_tokens, a.total_tokens,
		  a.cached_tokens, a.cache_write_tokens, a.reasoning_tokens, a.audio_tokens,
		  w.finish_reason, w.estimated_prompt, w.estimated, j.tokens, j.max_tokens
		FROM attempts a
		JOIN jobs j ON j.id = a.job
		LEFT JOIN answers w ON w.job = j.id AND j.attempt = a.id AND j.state = 'done'
		ORDER BY a.id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	names := map[string]string{}
	var c Call
	var model, finish sql.RawBytes
	var bits int
	var prompt, completion, total, cached, written, thought, audio, estPrompt, estimated, most sql.NullInt64
	for rows.Next() {
		if err := rows.Scan(&c.Job, &c.Run, &model, &c.Started, &c.Millis, &bits, &prompt, &completion, &total,
			&cached, &written, &thought, &audio, &finish, &estPrompt, &estimated, &c.Tokens, &most); err != nil {
			return err
		}
		c.Endpoint, c.Model, c.Finish = endpoints[c.Run], intern(names, model), intern(names, finish)
		c.Class, c.State = classes[bits&7], states[bits>>3&3]
		c.Final, c.Gone, c.Sent = bits>>5&1 == 1, bits>>6&1 == 1, bits>>7&1 == 1
		charged, waits := v.s.waits[c.Job]
		c.Unsaved = waits && c.Class == ""
		c.Free = c.Unsaved && !charged
		c.Started, c.Millis = within(c.Started, maxTime), within(c.Millis, maxDuration)
		c.Usage = tokensOf(prompt, completion, total, cached, written, thought, audio)
		c.Estimated, c.EstimatedPrompt = within(estimated.Int64, maxTokens), within(estPrompt.Int64, maxTokens)
		c.Tokens, c.MaxTokens, c.Boundless = within(c.Tokens, maxTokens), within(most.Int64, maxTokens), most.Valid && most.Int64 == 0
		if !yield(&c, nil) {
			return nil
		}
	}
	return rows.Err()
}

// intern makes one string of equal names; strangers beyond a few thousand are not kept.
func intern(names map[string]string, b []byte) string {
	if s, ok := names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(names) < 4096 {
		names[s] = s
	}
	return s
}

// RunRow is a run with its number.
type RunRow struct {
	ID int64
	Run
}

// Runs returns all runs, oldest first.
func (v *View) Runs(ctx context.Context) ([]RunRow, error) {
	rows, err := v.tx.QueryContext(ctx, `
		SELECT id, started_at, ended_at, endpoint, version, reason, coalesce(rpm, 0), coalesce(tpm, 0) FROM runs ORDER BY id`)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []RunRow
	for rows.Next() {
		var r RunRow
		var started int64
		var ended sql.NullInt64
		var reason sql.NullString
		if err := rows.Scan(&r.ID, &started, &ended, &r.Endpoint, &r.Version, &reason, &r.RPM, &r.TPM); err != nil {
			return nil, v.s.explain("read", err)
		}
		r.Started, r.Ended, r.Reason = fromMillis(started), fromMillis(ended.Int64), reason.String
		all = append(all, r)
	}
	return all, v.s.explain("read", rows.Err())
}
