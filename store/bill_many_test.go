package store

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var manyJobs = flag.Int64("jobs", 50_000, "how many jobs TestQ8_BillsOfMany adds up")

// The many: every job, attempt and answer follows from its number, once in SQL, which makes the rows, and once in Go, which sums
// them up. Of twenty jobs one failed, one waits for its retry, one is in flight; a quarter were tried before, and three runs took turns.
const manyRows = `
	INSERT INTO inputs VALUES (1, 'p.jsonl', '/p.jsonl', zeroblob(32), 1, 1000000);
	INSERT INTO runs (id, started_at, ended_at, endpoint, version, reason) VALUES
	  (1, 1, 2, 'https://e0.example/v1', 'v', 'finished'), (2, 3, 4, 'https://e1.example/v1', 'v', 'finished'),
	  (3, 5, 6, 'https://e2.example/v1', 'v', 'finished');
	INSERT INTO jobs (id, state, position, input, line, attempt, attempts, unknown, tokens, max_tokens, model, key, body)
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
	SELECT i, iif(i % 20 = 3, 'failed', iif(i % 20 = 4, 'pending', iif(i % 20 = 5, 'running', 'done'))), iif(i % 50 = 0, NULL, i), 1, i,
	  iif(i % 20 = 4, NULL, i), (i % 20 <> 4) + (i % 4 = 0), i % 8 = 0 OR i % 20 = 4, 10 + i % 5003, iif(i % 7 = 0, NULL, 100 + i % 401),
	  'm' || (i / 3 % 4), CAST(printf('%032d', i) AS BLOB), x'7b7d' FROM n;
	INSERT INTO attempts (id, job, run, generation, started_at, duration_ms, class, sent, prompt_tokens, completion_tokens, total_tokens,
	  cached_tokens, cache_write_tokens, reasoning_tokens, audio_tokens)
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1),
	last AS (SELECT i, i % 20 <> 5 AND i % 13 <> 0 AND (i % 20 <> 3 OR i % 40 = 3) AS known, 20 + i * 31 % 5009 AS p, i * 17 % 809 AS c,
	  iif(i % 6 = 0, i * 7 % 101, 0) AS beside FROM n WHERE i % 20 <> 4)
	SELECT i, i, 1 + i % 3, 0, i, iif(i % 20 = 5, NULL, i % 997), iif(i % 20 = 3, 'job_failed', iif(i % 20 = 5, NULL, 'done')),
	  iif(i % 20 = 5, NULL, 1), iif(known, p, NULL), iif(known, c, NULL), iif(known, p + c + beside, NULL), iif(known, p * (i % 4) / 10, NULL),
	  iif(known, p * (i % 3) / 10, NULL), iif(known, (c + beside) * (i % 5) / 8, NULL), iif(known, iif(i % 97 = 0, 1 + i % 5, 0), NULL) FROM last;
	INSERT INTO attempts (id, job, run, generation, started_at, duration_ms, class, sent, prompt_tokens, completion_tokens, total_tokens)
	WITH RECURSIVE n (i) AS (SELECT 4 UNION ALL SELECT i + 4 FROM n WHERE i + 4 <= ?1)
	SELECT ?1 + i, i, 1 + i / 4 % 3, 0, i, 5, iif(i % 20 = 4, 'interrupted', iif(i % 8 = 0, 'unknown', 'not_processed')), i % 20 <> 4 OR i % 40 = 4,
	  iif(i % 12 = 0, 1 + i % 6007, NULL), iif(i % 12 = 0, i % 11, NULL), iif(i % 12 = 0, 1 + i % 6007 + i % 11, NULL) FROM n;
	INSERT INTO answers (job, assembled, finish_reason, estimated_prompt, estimated, response)
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
	SELECT i, 0, 'stop', iif(i % 13 = 0, 15 + i % 103, NULL), iif(i % 13 = 0, 15 + i % 103 + i % 79, NULL), x'7b7d'
	FROM n WHERE i % 20 NOT IN (3, 4, 5);`

// manyCosts adds to the ledger what manyRows put into the attempts of job i.
func manyCosts(l *ledger, i int64) {
	endpoint := func(n int64) string { return fmt.Sprintf("https://e%d.example/v1", n%3) }
	job := Bill{Endpoint: endpoint(i), Model: fmt.Sprintf("m%d", i/3%4), Kind: BillWasted}
	done := i%20 != 3 && i%20 != 4 && i%20 != 5
	switch {
	case done && i%50 == 0:
		job.Kind = BillGone
	case done:
		job.Kind = BillDone
	}
	var u Usage
	switch {
	case done && i%13 == 0:
		job.Estimated = true
		u = Usage{Known: true, Prompt: 15 + i%103, Completion: i % 79}
		u.Total = u.Prompt + u.Completion
		l.charge(job, u, false)
	case done || i%40 == 3 && i%13 != 0:
		u = Usage{Known: true, Prompt: 20 + i*31%5009, Completion: i * 17 % 809}
		u.Total = u.Prompt + u.Completion
		if i%6 == 0 {
			u.Total += i * 7 % 101
		}
		u.Cached, u.CacheWrite, u.Reasoning = u.Prompt*(i%4)/10, u.Prompt*(i%3)/10, (u.Total-u.Prompt)*(i%5)/8
		if i%97 == 0 {
			u.Audio = 1 + i%5
		}
		l.charge(job, u, false)
	case i%20 == 5:
		job.Kind, job.Estimated = BillOpen, true
		l.charge(job, mostOfMany(i), i%7 == 0)
	}
	if i%4 != 0 {
		return
	}
	before := Bill{Endpoint: endpoint(i / 4), Model: job.Model, Kind: BillWasted}
	switch {
	case i%12 == 0:
		u = Usage{Known: true, Prompt: 1 + i%6007, Completion: i % 11}
		u.Total = u.Prompt + u.Completion
		l.charge(before, u, false)
	case i%40 == 4 || i%20 != 4 && i%8 == 0:
		before.Kind, before.Estimated = BillLost, true
		l.charge(before, mostOfMany(i), i%7 == 0)
	}
}

// mostOfMany is the worst case of job i, as far as it has one.
func mostOfMany(i int64) Usage {
	u := Usage{Known: true, Prompt: 10 + i%5003, Completion: 100 + i%401}
	if i%7 == 0 {
		u.Completion = 0
	}
	u.Total = u.Prompt + u.Completion
	return u
}

// makeMany fills a new job file with n jobs.
func makeMany(t testing.TB, path string, n int64, prices []Price) {
	t.Helper()
	s, err := Open(ctx, path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetPrices(ctx, prices); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	defer db.Close()
	if _, err := db.Exec("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(strings.ReplaceAll("BEGIN;"+manyRows+indexes+";COMMIT", "?1", fmt.Sprint(n))); err != nil {
		t.Fatal(err)
	}
}

func TestQ8_BillsOfMany(t *testing.T) {
	n := *manyJobs
	prices := somePrices([]string{"https://e0.example/v1", "https://e1.example/v1", "https://e2.example/v1"}, []string{"m0", "m1", "m2", "m3"})
	path := filepath.Join(t.TempDir(), "many.batch.db")
	begun := time.Now()
	makeMany(t, path, n, prices)
	t.Logf("made %d jobs in %v", n, time.Since(begun))
	begun = time.Now()
	want := newLedger(prices)
	for i := int64(1); i <= n; i++ {
		manyCosts(want, i)
	}
	t.Logf("summed up one by one in %v: %s", time.Since(begun), want.money.Dollars())
	s, err := OpenRead(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v := viewOf(t, s)
	defer v.Close()
	var bills []Bill
	var seen []Seen
	for _, query := range []struct {
		name string
		run  func() error
	}{
		{"Bills", func() (err error) { bills, err = v.Bills(ctx); return err }},
		{"Totals", func() error { _, err := v.Totals(ctx); return err }},
		{"Backlog", func() error { _, err := v.Backlog(ctx); return err }},
		{"Seen", func() (err error) { seen, err = v.Seen(ctx); return err }},
		{"Counts", func() error { _, err := v.Counts(ctx); return err }},
	} {
		begun := time.Now()
		if err := query.run(); err != nil {
			t.Fatal(query.name, err)
		}
		t.Logf("%s took %v", query.name, time.Since(begun))
	}
	want.check(t, bills)
	checkTotals(t, v, bills, possiblyPaid(n))
	var answers, reported int64
	for _, s := range seen {
		answers, reported = answers+s.Answers, reported+s.Prompt
	}
	for _, b := range bills {
		if !b.Estimated && (b.Kind == BillDone || b.Kind == BillGone) {
			answers, reported = answers-b.Attempts, reported-b.Usage.Prompt
		}
	}
	if answers != 0 || reported != 0 {
		t.Errorf("Seen has %d answers and %d prompt tokens more than the bills", answers, reported)
	}
}

func possiblyPaid(n int64) (all int64) {
	for i := int64(4); i <= n; i += 4 {
		if i%40 == 4 || i%20 != 4 && i%8 == 0 {
			all++
		}
	}
	return all
}
