package store

import (
	"context"
	"errors"
)

// Restore takes back what Retry did to answered jobs: choose calls back for rows that failed or are pending, and those in whose place an
// answered job stood get it back; was says whether one did. All of it is one transaction: with an error of choose nothing has changed.
//
// The newer job stays in the file with its attempts, out of the input, as the older one was.
func (s *Store) Restore(ctx context.Context, choose func(v *View, back func(row *Row) (was bool, err error)) error) error {
	return s.retry(ctx, func(v *View, r *retrier) error {
		older, err := r.replaced()
		if err != nil {
			return s.explain("restore jobs of", err)
		}
		return choose(v, func(row *Row) (bool, error) {
			id := answeredBefore(older, row.ID)
			if id == 0 || row.State != Failed && row.State != Pending {
				return false, nil
			}
			if err := r.restore(row, id); err != nil {
				return false, s.explain("restore jobs of", err)
			}
			return true, nil
		})
	})
}

// replacedJob is a job that has another in its place.
type replacedJob struct {
	id   int64
	done bool
}

// replaced lists what each job stands in the place of, the newest first.
func (r *retrier) replaced() (map[int64][]replacedJob, error) {
	rows, err := r.s.conn.QueryContext(r.ctx, "SELECT id, replaced, state = 'done' FROM jobs WHERE replaced IS NOT NULL ORDER BY id DESC")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	older := map[int64][]replacedJob{}
	for rows.Next() {
		var j replacedJob
		var by int64
		if err := rows.Scan(&j.id, &by, &j.done); err != nil {
			return nil, err
		}
		older[by] = append(older[by], j)
	}
	return older, rows.Err()
}

// answeredBefore finds the nearest answered job that a job stands in the place of, 0 when there is none.
func answeredBefore(older map[int64][]replacedJob, id int64) int64 {
	for near := older[id]; len(near) > 0; {
		var further []replacedJob
		for _, j := range near {
			if j.done {
				return j.id
			}
			further = append(further, older[j.id]...)
		}
		near = further
	}
	return 0
}

// restore lets two jobs change places. The line is the one that the newer has: it may have moved.
func (r *retrier) restore(row *Row, older int64) error {
	var position int64
	err := r.s.conn.QueryRowContext(r.ctx, "SELECT position FROM jobs WHERE id = ? AND position IS NOT NULL AND state IN ('failed', 'pending')", row.ID).Scan(&position)
	if err != nil {
		return err
	}
	if err := r.one(row, "UPDATE jobs SET position = NULL, replaced = ? WHERE id = ?", older, row.ID); err != nil {
		return err
	}
	n, err := r.s.execN(r.ctx, `
		UPDATE jobs SET position = ?, replaced = NULL, input = n.input, line = n.line, custom_id = n.custom_id, sample = n.sample,
		  trimmed = n.trimmed, carried = n.carried, origin = nullif(coalesce(n.origin, n.key), jobs.key)
		FROM jobs n WHERE n.id = ? AND jobs.id = ? AND jobs.state = 'done' AND jobs.position IS NULL`, position, row.ID, older)
	if err == nil && n != 1 {
		err = errors.New("an answer that was put aside is gone")
	}
	return err
}
