package store

import (
	"context"
	"fmt"
)

// claims are what must hold in every job file: a query that counts what breaks it. A job that is running while a run is on
// breaks none of them.
var claims = []struct{ says, broken string }{
	{"every line of the input is one job, one skipped or one shared line",
		`SELECT abs((SELECT coalesce(sum(rows), 0) FROM inputs) - (SELECT count(*) FROM jobs WHERE position IS NOT NULL)
		  - (SELECT count(*) FROM skipped) - (SELECT count(*) FROM shared))`},
	{"no two lines share a position",
		`SELECT (SELECT count(*) FROM jobs j JOIN skipped s ON s.position = j.position) + (SELECT count(*) FROM jobs j JOIN shared s ON s.position = j.position) +
		  (SELECT count(*) FROM skipped k JOIN shared s ON s.position = k.position)`},
	{"a shared line has a job before it that answers it",
		`SELECT count(*) FROM shared s LEFT JOIN jobs j ON j.position = s.first WHERE j.id IS NULL OR s.first >= s.position`},
	{"an answered job has its answer, and only an answered job has one",
		`SELECT (SELECT count(*) FROM jobs j LEFT JOIN answers w ON w.job = j.id WHERE j.state = 'done' AND w.job IS NULL) +
		        (SELECT count(*) FROM answers w LEFT JOIN jobs j ON j.id = w.job WHERE j.state IS NULL OR j.state <> 'done')`},
	{"an answered job points at the attempt that answered it",
		`SELECT count(*) FROM jobs j LEFT JOIN attempts a ON a.id = j.attempt AND a.job = j.id
		 WHERE j.state = 'done' AND (a.class IS NULL OR a.class <> 'done') AND j.id NOT IN (SELECT job FROM reused)`},
	{"an answer that was taken over is that of an answered job, which no call answered",
		`SELECT count(*) FROM reused u LEFT JOIN jobs j ON j.id = u.job LEFT JOIN sources o ON o.id = u.source
		 WHERE j.state IS NULL OR j.state <> 'done' OR j.attempt <> 0 OR o.id IS NULL`},
	{"what retry replaced has another job in its place",
		`SELECT count(*) FROM jobs j LEFT JOIN jobs n ON n.id = j.replaced WHERE j.replaced IS NOT NULL AND (n.id IS NULL OR n.id = j.id)`},
	{"a failed job points at the attempt that failed it",
		`SELECT count(*) FROM jobs j LEFT JOIN attempts a ON a.id = j.attempt AND a.job = j.id
		 WHERE j.state = 'failed' AND (a.class IS NULL OR a.class IN ('done', 'run_stops', 'interrupted'))`},
	{"an attempt is open exactly while its job is running",
		`SELECT (SELECT count(*) FROM jobs j LEFT JOIN attempts a ON a.id = j.attempt AND a.job = j.id AND a.class IS NULL
		         WHERE j.state = 'running' AND a.id IS NULL) +
		        (SELECT count(*) FROM attempts a JOIN jobs j ON j.id = a.job WHERE a.class IS NULL AND (j.state <> 'running' OR j.attempt <> a.id))`},
	{"every attempt belongs to a job and a run",
		`SELECT count(*) FROM attempts a WHERE a.job NOT IN (SELECT id FROM jobs) OR a.run NOT IN (SELECT id FROM runs)`},
	{"the jobs count their attempts",
		`SELECT count(*) FROM jobs j LEFT JOIN (
		   SELECT job, count(*) AS n, sum(class = 'unknown' OR (class = 'interrupted' AND sent)) AS unknown FROM attempts GROUP BY job) a ON a.job = j.id
		 WHERE j.attempts <> coalesce(a.n, 0) OR j.unknown <> coalesce(a.unknown, 0)`},
	{"one attempt answered each job",
		`SELECT count(*) FROM attempts a JOIN jobs j ON j.id = a.job WHERE a.class = 'done' AND (j.state <> 'done' OR j.attempt <> a.id)`},
}

// Verify holds the file against all that must hold in it and returns what does not; ErrDamaged when its pages are broken.
// keyOf computes the key of a request, which must still be the one that it was imported under.
func (v *View) Verify(ctx context.Context, keyOf func(body []byte) ([32]byte, error)) (wrong Wrong, err error) {
	conn, err := v.s.read.Conn(ctx)
	if err != nil {
		return wrong, v.s.explain("verify", err)
	}
	defer conn.Close()
	if err := quickCheck(ctx, conn); err != nil {
		return wrong, v.s.explain("verify", err)
	}
	for _, claim := range claims {
		var n int64
		if err := v.tx.QueryRowContext(ctx, claim.broken).Scan(&n); err != nil {
			return wrong, v.s.explain("verify", err)
		}
		if n != 0 {
			wrong.Add(fmt.Sprintf("not so: %s (%d times)", claim.says, n))
		}
	}
	for row, err := range v.Rows(ctx) {
		if err != nil {
			return wrong, err
		}
		if row.Skipped {
			continue
		}
		if key, err := keyOf(row.Body); err != nil || string(key[:]) != string(row.Key) {
			wrong.Add(fmt.Sprintf("not so: the request of %s:%d is the one that was imported", row.File, row.Line))
		}
	}
	return wrong, nil
}
