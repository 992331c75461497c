package store

import (
	"context"
	"database/sql"
	"math"
)

// share takes the lines out that ask what an earlier line asks: its job answers them, too. A job is one line's and has one state; what
// is summed over jobs counts each call once.
func (imp *Importer) share() error {
	_, err := imp.s.conn.ExecContext(imp.ctx, `
		INSERT INTO shared (position, input, line, custom_id, trimmed, carried, first)
		SELECT d.position, d.input, d.line, d.custom_id, d.trimmed, d.carried, f.first
		FROM `+imp.table+` d
		JOIN (SELECT key, sample, min(position) AS first FROM `+imp.table+` GROUP BY key, sample HAVING count(*) > 1) f
		  ON f.key = d.key AND f.sample IS d.sample AND d.position > f.first
		ORDER BY d.position;
		DELETE FROM `+imp.table+` WHERE position IN (SELECT position FROM shared)`)
	return err
}

// sharedJobs are the jobs of shared lines as rowsQuery wants them, each under the place, the name and the own keys of its line.
// No call was made for the line itself.
const sharedJobs = `(
	  SELECT s.position, j.id, j.state, s.input, s.line, s.custom_id, j.sample, s.trimmed, j.model, j.key, j.body, s.carried,
	    0 AS attempts, 0 AS unknown, j.attempt
	  FROM main.shared s JOIN main.jobs j ON j.position = s.first) j`

// aside is a stream of rows that stand between those of the jobs, in order of their positions.
type aside struct {
	rows     *sql.Rows
	scan     func(*sql.Rows) (int64, *Row, error)
	position int64
	row      *Row // nil at the end
}

// asides are the streams of an input.
type asides []*aside

// asides opens the skipped and the shared lines.
func (v *View) asides(ctx context.Context) (asides, error) {
	var all asides
	var scan rowScan
	for _, a := range []struct {
		query string
		scan  func(*sql.Rows) (int64, *Row, error)
	}{
		{`SELECT s.position, i.path, s.line, s.custom_id, s.message
		  FROM skipped s LEFT JOIN inputs i ON i.number = s.input ORDER BY s.position`, scanSkipped},
		{rowsQuery("j.position", sharedJobs, "main", "ORDER BY j.position"), func(rows *sql.Rows) (int64, *Row, error) {
			row, err := scan.row(rows)
			if err != nil {
				return 0, nil, err
			}
			row.Shared = true
			return scan.position, row, nil
		}},
	} {
		rows, err := v.tx.QueryContext(ctx, a.query)
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, &aside{rows: rows, scan: a.scan})
		if err := all[len(all)-1].next(); err != nil {
			all.close()
			return nil, err
		}
	}
	return all, nil
}

func (all asides) close() {
	for _, a := range all {
		a.rows.Close()
	}
}

func (a *aside) next() error {
	a.row = nil
	if !a.rows.Next() {
		return a.rows.Err()
	}
	var err error
	a.position, a.row, err = a.scan(a.rows)
	return err
}

// end is behind every row.
const end = math.MaxInt64

// before yields the rows that stand before a position; false when no more are wanted.
func (all asides) before(position int64, yield func(*Row) bool) (bool, error) {
	for {
		var first *aside
		for _, a := range all {
			if a.row != nil && a.position < position && (first == nil || a.position < first.position) {
				first = a
			}
		}
		if first == nil {
			return true, nil
		}
		if !yield(first.row) {
			return false, nil
		}
		if err := first.next(); err != nil {
			return false, err
		}
	}
}
