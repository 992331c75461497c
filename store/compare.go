package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"net/url"
)

// MatchedBy is what makes a job of one file that of another.
type MatchedBy string

const (
	MatchedNot      MatchedBy = ""
	MatchedKey      MatchedBy = "key"       // the same request
	MatchedCustomID MatchedBy = "custom_id" // another request under the same custom_id
)

// Pair is a job of each of two files; one of them is nil when it is in the other alone. It is good only until the next one.
type Pair struct {
	A, B *Row
	By   MatchedBy
}

// Comparison is a consistent picture of each of two job files, and knows which job of one is which of the other. Runs may go on
// beside it.
type Comparison struct {
	a, b *Store
	db   *sql.DB
	conn *sql.Conn
}

// A job is found by its key, one of several with the same key by the order of occurrence; what is left, by its custom_id. The pairs
// are kept in a temporary file of SQLite, so that files of any size are compared in little memory.
const pairUp = `
	BEGIN;
	CREATE TEMP TABLE pairs (position INTEGER PRIMARY KEY, job INTEGER NOT NULL);
	INSERT INTO temp.pairs
	SELECT l.position, j.id
	FROM (SELECT key, position, row_number() OVER (PARTITION BY key ORDER BY position) AS nth FROM main.jobs WHERE position IS NOT NULL) l
	JOIN (SELECT key, id, row_number() OVER (PARTITION BY key ORDER BY position) AS nth FROM b.jobs WHERE position IS NOT NULL) j
	  ON j.key = l.key AND j.nth = l.nth
	ORDER BY 1;
	CREATE UNIQUE INDEX temp.pairs_job ON pairs (job);
	INSERT INTO temp.pairs
	SELECT l.position, j.id
	FROM (SELECT custom_id, position, row_number() OVER (PARTITION BY custom_id ORDER BY position) AS nth FROM main.jobs
	      WHERE position IS NOT NULL AND custom_id IS NOT NULL AND position NOT IN (SELECT position FROM temp.pairs)) l
	JOIN (SELECT custom_id, id, row_number() OVER (PARTITION BY custom_id ORDER BY position) AS nth FROM b.jobs
	      WHERE position IS NOT NULL AND custom_id IS NOT NULL AND id NOT IN (SELECT job FROM temp.pairs)) j
	  ON j.custom_id = l.custom_id AND j.nth = l.nth
	ORDER BY 1;
	PRAGMA query_only = 1`

// Compare finds for the jobs of a's input those of b's.
func Compare(ctx context.Context, a, b *Store) (*Comparison, error) {
	for _, s := range []*Store{a, b} {
		if err := s.assertText(ctx); err != nil {
			return nil, err
		}
	}
	c := &Comparison{a: a, b: b}
	if err := c.open(ctx); err != nil {
		c.Close()
		return nil, a.explain(fmt.Sprintf("compare %s with", b.Path()), err)
	}
	return c, nil
}

func (c *Comparison) open(ctx context.Context) error {
	var err error
	if c.db, err = sql.Open("sqlite3", c.a.dsn("mode=rw&_txlock=deferred&_cache_size=-4096")); err != nil {
		return err
	}
	if c.conn, err = c.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := c.conn.ExecContext(ctx, "ATTACH ? AS b", "file:"+url.PathEscape(c.b.path)+"?mode=rw"); err != nil {
		return err
	}
	_, err = c.conn.ExecContext(ctx, pairUp)
	return err
}

// Close ends the picture.
func (c *Comparison) Close() error {
	if c.conn != nil {
		c.conn.Close()
	}
	return c.db.Close()
}

// Pairs yields the jobs of a's input in its order, each with that of b, then those that are in b's input alone.
func (c *Comparison) Pairs(ctx context.Context) iter.Seq2[*Pair, error] {
	return func(yield func(*Pair, error) bool) {
		if err := c.pairs(ctx, yield); err != nil {
			yield(nil, c.a.explain("compare", err))
		}
	}
}

func (c *Comparison) pairs(ctx context.Context, yield func(*Pair, error) bool) error {
	var simulated [2]bool
	for i, s := range []*Store{c.a, c.b} {
		var err error
		if simulated[i], err = s.simulated(ctx); err != nil {
			return err
		}
	}
	ours, err := c.conn.QueryContext(ctx, rowsQuery("j.position", "main.jobs j", "main", "ORDER BY j.position"))
	if err != nil {
		return err
	}
	defer ours.Close()
	theirs, err := c.conn.QueryContext(ctx, rowsQuery("p.position", "temp.pairs p CROSS JOIN b.jobs j ON j.id = p.job", "b", "ORDER BY p.position"))
	if err != nil {
		return err
	}
	defer theirs.Close()
	var left, right rowScan
	next := func() error { // the next pair's job of b; position 0 when there is none
		right.position = 0
		if !theirs.Next() {
			return theirs.Err()
		}
		_, err := right.row(theirs)
		right.Row.Simulated = simulated[1]
		return err
	}
	if err := next(); err != nil {
		return err
	}
	var pair Pair
	for ours.Next() {
		if pair.A, err = left.row(ours); err != nil {
			return err
		}
		left.Row.Simulated = simulated[0]
		pair.B, pair.By = nil, MatchedNot
		matched := right.position == left.position
		if matched {
			pair.B, pair.By = &right.Row, MatchedCustomID
			if bytes.Equal(left.Row.Key, right.Row.Key) {
				pair.By = MatchedKey
			}
		}
		if !yield(&pair, nil) {
			return nil
		}
		if matched {
			if err := next(); err != nil {
				return err
			}
		}
	}
	if err := ours.Err(); err != nil {
		return err
	}
	rest, err := c.conn.QueryContext(ctx, rowsQuery("j.position", "b.jobs j", "b", "AND j.id NOT IN (SELECT job FROM temp.pairs) ORDER BY j.position"))
	if err != nil {
		return err
	}
	defer rest.Close()
	pair.A, pair.By = nil, MatchedNot
	for rest.Next() {
		if pair.B, err = right.row(rest); err != nil {
			return err
		}
		right.Row.Simulated = simulated[1]
		if !yield(&pair, nil) {
			return nil
		}
	}
	return rest.Err()
}
