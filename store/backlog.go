package store

import "context"

// Backlog is what is left to send to one model.
type Backlog struct {
	Model   string // requested
	Jobs    int64
	Tokens  int64 // estimated, of their prompts
	Bounded int64 // jobs whose request bounds its answer
	Most    int64 // completion tokens that those allow, together
	// Boundless is how many jobs have no worst case: parts of their prompts are not counted, or they ask for several answers of
	// no given length.
	Boundless int64
	Longest   int64 // estimated tokens of the longest prompt
}

// Backlog sums up the pending jobs of the input by model.
func (v *View) Backlog(ctx context.Context) ([]Backlog, error) {
	all, err := readBacklog(ctx, v.tx, "state = 'pending'")
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	return all, nil
}

// unanswered are the jobs that have no final state; those that run are such of a run that died, where nobody else has the lock.
func (s *Store) unanswered() string { return s.countedAs() + " IN ('pending', 'running')" }

// Unanswered is Backlog with the jobs that are running.
func (v *View) Unanswered(ctx context.Context) ([]Backlog, error) {
	all, err := readBacklog(ctx, v.tx, v.s.unanswered())
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	return all, nil
}

func readBacklog(ctx context.Context, q querier, where string, args ...any) ([]Backlog, error) {
	rows, err := q.QueryContext(ctx, `
		SELECT model, count(*), sum(tokens), coalesce(sum(max_tokens > 0), 0), coalesce(sum(max_tokens), 0), coalesce(sum(max_tokens = 0), 0), max(tokens)
		FROM jobs WHERE `+where+` AND position IS NOT NULL GROUP BY model ORDER BY model`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Backlog
	for rows.Next() {
		var b Backlog
		if err := rows.Scan(&b.Model, &b.Jobs, &b.Tokens, &b.Bounded, &b.Most, &b.Boundless, &b.Longest); err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, rows.Err()
}

// Seen is what the answers of one model, at one endpoint, that came with usage tell of those that are to come: sums of their
// tokens and times, and of products, from which follow means, ratios and how sure they are.
type Seen struct {
	Endpoint, Model                        string
	Answers                                int64
	Bounded                                int64 // of them, those whose request bounded its answer
	Estimated, Prompt, Output, Millis      int64 // prompt as it was estimated, as it was reported; what is not prompt; time
	EstimatedSq, EstimatedPrompt, PromptSq float64
	OutputSq                               float64
	Highest                                int64 // reported prompt tokens for 1,000 estimated ones, of the answer where they were most
}

// Surplus is by how much a prompt was longer than so many times what it was estimated at.
type Surplus struct {
	Endpoint, Model string
	Factor          int64 // for 1,000 estimated tokens
	Most            int64 // tokens beyond that, of the answer where they were most; at least 0
}

// Surplus fills in Most of each.
func (v *View) Surplus(ctx context.Context, all []Surplus) error {
	for i := range all {
		s := &all[i]
		err := v.tx.QueryRowContext(ctx, `
			SELECT max(0, coalesce(max(a.prompt_tokens - j.tokens * ?1 / 1000), 0))
			FROM jobs j JOIN attempts a ON a.id = j.attempt JOIN runs r ON r.id = a.run
			WHERE j.state = 'done' AND a.total_tokens IS NOT NULL AND r.endpoint = ?2 AND j.model = ?3`,
			s.Factor, s.Endpoint, s.Model).Scan(&s.Most)
		if err != nil {
			return v.s.explain("read", err)
		}
	}
	return nil
}

// Seen reads what the answers of this file tell, those no longer in the input among them.
func (v *View) Seen(ctx context.Context) ([]Seen, error) {
	rows, err := v.tx.QueryContext(ctx, `
		SELECT r.endpoint, j.model, count(*), coalesce(sum(j.max_tokens > 0), 0), sum(j.tokens), sum(a.prompt_tokens), sum(a.total_tokens - a.prompt_tokens), sum(a.duration_ms),
		  total(1.0 * j.tokens * j.tokens), total(1.0 * j.tokens * a.prompt_tokens), total(1.0 * a.prompt_tokens * a.prompt_tokens),
		  total(1.0 * (a.total_tokens - a.prompt_tokens) * (a.total_tokens - a.prompt_tokens)),
		  max((a.prompt_tokens * 1000 + max(j.tokens, 1) - 1) / max(j.tokens, 1))
		FROM jobs j JOIN attempts a ON a.id = j.attempt JOIN runs r ON r.id = a.run
		WHERE j.state = 'done' AND a.total_tokens IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2`)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	defer rows.Close()
	var all []Seen
	for rows.Next() {
		var s Seen
		if err := rows.Scan(&s.Endpoint, &s.Model, &s.Answers, &s.Bounded, &s.Estimated, &s.Prompt, &s.Output, &s.Millis,
			&s.EstimatedSq, &s.EstimatedPrompt, &s.PromptSq, &s.OutputSq, &s.Highest); err != nil {
			return nil, v.s.explain("read", err)
		}
		all = append(all, s)
	}
	return all, v.s.explain("read", rows.Err())
}

// onlyChosen restricts a query of jobs to those of Choose.
const onlyChosen = " AND id IN (SELECT id FROM temp.chosen)"

// choice are n jobs: of n equal parts of the input in order of length one each, which is an answered one where there is one, so that
// a larger choice holds what a smaller one has paid for, else the one in the middle.
const choice = `
	SELECT id FROM (
	  SELECT id, row_number() OVER (
	    PARTITION BY part ORDER BY state <> 'done', state <> 'failed', abs(2 * n * nth + n - (2 * part + 1) * jobs), nth) AS place
	  FROM (
	    SELECT *, nth * n / jobs AS part FROM (
	      SELECT id, state, row_number() OVER (ORDER BY tokens, position) - 1 AS nth, count(*) OVER () AS jobs, min(?1, count(*) OVER ()) AS n
	      FROM jobs WHERE position IS NOT NULL)))
	WHERE place = 1 AND ?1 > 0`

// Choose lets this Store claim only so many jobs of the input, spread evenly over the lengths of their prompts. The choice depends on
// the input and its answers alone: made again, it finds the same jobs. It returns how many of them are pending.
func (s *Store) Choose(ctx context.Context, n int) (pending int64, err error) {
	err = s.transact(ctx, func() error {
		ctx := context.WithoutCancel(ctx)
		if _, err := s.conn.ExecContext(ctx, "DROP TABLE IF EXISTS temp.chosen; CREATE TEMP TABLE chosen (id INTEGER PRIMARY KEY)"); err != nil {
			return err
		}
		if _, err := s.conn.ExecContext(ctx, "INSERT INTO temp.chosen "+choice, n); err != nil {
			return err
		}
		return s.conn.QueryRowContext(ctx, `
			SELECT count(*) FROM jobs WHERE state = 'pending' AND position IS NOT NULL`+onlyChosen).Scan(&pending)
	})
	if err != nil {
		return 0, s.explain("choose jobs of", err)
	}
	s.chosen = onlyChosen
	return pending, nil
}

// Choice is what Choose would let be sent.
func (v *View) Choice(ctx context.Context, n int64) ([]Backlog, error) {
	all, err := readBacklog(ctx, v.tx, v.s.unanswered()+" AND id IN ("+choice+")", n)
	if err != nil {
		return nil, v.s.explain("read", err)
	}
	return all, nil
}
