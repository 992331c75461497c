package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"iter"
	"net/url"

	"github.com/mattn/go-sqlite3"
)

// MatchedBy is what makes a job of one file that of another.
type MatchedBy string

const (
	MatchedNot      MatchedBy = ""
	MatchedKey      MatchedBy = "key"       // the same request
	MatchedCustomID MatchedBy = "custom_id" // another request under the same custom_id
	MatchedMessages MatchedBy = "messages"  // another request with the same messages
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

// A job is found by its key, one of several with the same key by the order of occurrence; what is left, by its custom_id; what is
// left then, by its messages, so that two models can be compared on the same prompts. The pairs are kept in a temporary file of SQLite, so that files of any size are compared in little memory.
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
	CREATE TEMP TABLE said (conversation BLOB NOT NULL, job INTEGER NOT NULL, position INTEGER NOT NULL, b INTEGER NOT NULL)`

// What is left of a and of b, each with a column that says whose it is.
const leftOver = `
	SELECT id, position, 0, body FROM main.jobs WHERE position IS NOT NULL AND position NOT IN (SELECT position FROM temp.pairs)
	UNION ALL
	SELECT id, position, 1, body FROM b.jobs WHERE position IS NOT NULL AND id NOT IN (SELECT job FROM temp.pairs)`

const pairMessages = `
	INSERT INTO temp.pairs
	SELECT l.position, j.job
	FROM (SELECT conversation, position, row_number() OVER (PARTITION BY conversation ORDER BY position) AS nth FROM temp.said WHERE NOT b) l
	JOIN (SELECT conversation, job, row_number() OVER (PARTITION BY conversation ORDER BY position) AS nth FROM temp.said WHERE b) j
	  ON j.conversation = l.conversation AND j.nth = l.nth
	ORDER BY 1;
	DROP TABLE temp.said;
	PRAGMA query_only = 1`

// Compare finds for the jobs of a's input those of b's. conversation computes what the messages of a request are known by; a request
// that has none is left unpaired.
func Compare(ctx context.Context, a, b *Store, conversation func(body []byte) ([32]byte, error)) (*Comparison, error) {
	for _, s := range []*Store{a, b} {
		if err := s.assertText(ctx); err != nil {
			return nil, err
		}
	}
	c := &Comparison{a: a, b: b}
	if err := c.open(ctx, conversation); err != nil {
		err = c.explain(ctx, err)
		c.Close()
		return nil, err
	}
	return c, nil
}

// explain names the file that is damaged; SQLite does not say which of the two it is.
func (c *Comparison) explain(ctx context.Context, err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && e.Code == sqlite3.ErrCorrupt && c.conn != nil {
		var said string
		if c.conn.QueryRowContext(ctx, "PRAGMA b.quick_check(1)").Scan(&said) != nil || said != "ok" {
			return c.b.explain("compare", err)
		}
	}
	return c.a.explain("compare", err)
}

func (c *Comparison) open(ctx context.Context, conversation func(body []byte) ([32]byte, error)) error {
	var err error
	if c.db, err = sql.Open(driver, c.a.dsn(c.a.mode+"&_txlock=deferred&_cache_size=-4096")); err != nil {
		return err
	}
	if c.conn, err = c.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := c.conn.ExecContext(ctx, "ATTACH ? AS b", "file:"+url.PathEscape(c.b.path)+"?"+c.b.mode); err != nil {
		return err
	}
	if _, err := c.conn.ExecContext(ctx, pairUp); err != nil {
		return err
	}
	if err := c.readMessages(ctx, conversation); err != nil {
		return err
	}
	_, err = c.conn.ExecContext(ctx, pairMessages)
	return err
}

// readMessages notes the conversations of the jobs that are left over.
func (c *Comparison) readMessages(ctx context.Context, conversation func(body []byte) ([32]byte, error)) error {
	insert, err := c.conn.PrepareContext(ctx, "INSERT INTO temp.said VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	rows, err := c.conn.QueryContext(ctx, leftOver)
	if err != nil {
		return err
	}
	defer rows.Close()
	var id, position, side int64
	var body sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&id, &position, &side, &body); err != nil {
			return err
		}
		said, err := conversation(body)
		if err != nil {
			continue
		}
		if _, err := insert.ExecContext(ctx, said[:], id, position, side); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Close ends the picture.
func (c *Comparison) Close() error {
	if c.conn != nil {
		c.conn.Close()
	}
	return c.db.Close()
}

// matchedBy says what made two jobs a pair: the first of all that could have, since each leaves no such pair over.
func matchedBy(a, b *Row) MatchedBy {
	switch {
	case bytes.Equal(a.Key, b.Key):
		return MatchedKey
	case a.HasCustomID && b.HasCustomID && a.CustomID == b.CustomID:
		return MatchedCustomID
	}
	return MatchedMessages
}

// Pairs yields the jobs of a's input in its order, each with that of b, then those that are in b's input alone.
func (c *Comparison) Pairs(ctx context.Context) iter.Seq2[*Pair, error] {
	return func(yield func(*Pair, error) bool) {
		if err := c.pairs(ctx, yield); err != nil {
			yield(nil, c.explain(ctx, err))
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
			pair.B, pair.By = &right.Row, matchedBy(&left.Row, &right.Row)
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
