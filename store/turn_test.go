package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// move claims one job and moves it along an arrow.
func move(t testing.TB, s *Store, edit func(*Outcome)) Claim {
	t.Helper()
	turned := mustTurn(t, s, 1)
	if len(turned.Claims) != 1 {
		t.Fatalf("claimed %d jobs", len(turned.Claims))
	}
	c := turned.Claims[0]
	o := Outcome{Job: c.Job, Attempt: c.Attempt, Started: time.Now(), Used: c.Used, Timeouts: c.Timeouts, Limited: c.Limited, Generation: c.Generation}
	edit(&o)
	mustTurn(t, s, 0, o)
	return c
}

func counts(t testing.TB, s *Store) Counts {
	t.Helper()
	v := viewOf(t, s)
	defer v.Close()
	c, err := v.Counts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func totals(t testing.TB, s *Store) []UsageTotal {
	t.Helper()
	v := viewOf(t, s)
	defer v.Close()
	all, err := v.Totals(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func failed(o *Outcome) { o.Arrow, o.Class, o.Status, o.Sent = Fail, "job_failed", 400, true }

func TestClaimOrder(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b", "c", "d")
	mustBegin(t, s)
	now := time.Now()
	later := func(d time.Duration) func(*Outcome) {
		return func(o *Outcome) { o.Arrow, o.Class, o.RunAfter = Retry, "not_processed", now.Add(d) }
	}
	move(t, s, later(time.Hour))                                                           // a waits
	move(t, s, later(-time.Second))                                                        // b is due again
	move(t, s, func(o *Outcome) { o.Arrow, o.Class, o.Last = Release, "run_stops", true }) // b again: it is last now
	var order []string
	for range 2 {
		order = append(order, string(move(t, s, failed).Body))
	}
	if diff := cmp.Diff([]string{`{"prompt":"c"}`, `{"prompt":"d"}`}, order); diff != "" {
		t.Error(diff)
	}
	turned := mustTurn(t, s, 5)
	if len(turned.Claims) != 0 || turned.NextDue.UnixMilli() != now.Add(time.Hour).UnixMilli() {
		t.Errorf("while a waits, nothing is claimed until it is due: %+v", turned)
	}
	turned, err := s.Turn(ctx, nil, nil, Want{Jobs: 5, New: 5, Bytes: 1 << 20, Now: now.Add(2 * time.Hour)})
	if err != nil || len(turned.Claims) != 1 || string(turned.Claims[0].Body) != `{"prompt":"a"}` {
		t.Errorf("then a alone: %+v %v", turned.Claims, err)
	}
	mustTurn(t, s, 0, answer(turned.Claims[0], "x"))
	if turned := mustTurn(t, s, 1); len(turned.Claims) != 0 {
		t.Error("the run that b stopped does not claim it again")
	}
	mustBegin(t, s)
	if c := move(t, s, failed); string(c.Body) != `{"prompt":"b"}` {
		t.Errorf("and b last: %s", c.Body)
	}
}

func TestClaimStopsAtBytes(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b", "c")
	mustBegin(t, s)
	turned, err := s.Turn(ctx, nil, nil, Want{Jobs: 3, New: 3, Bytes: 20, Now: time.Now()})
	if err != nil || len(turned.Claims) != 2 {
		t.Errorf("claimed %d of 14 bytes each: %v", len(turned.Claims), err)
	}
}

func TestIdempotencyKey(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "a")
	mustBegin(t, s)
	retry := func(o *Outcome) { o.Arrow, o.Class, o.Used = Retry, "unknown", o.Used+1 }
	first := move(t, s, retry)
	second := move(t, s, failed) // a retry is due before a fresh job
	if second.Job != first.Job {
		t.Fatal("a retry that is due comes first")
	}
	if first.IdempotencyKey != second.IdempotencyKey {
		t.Error("an unknown outcome must keep the key")
	}
	if other := move(t, s, failed); other.IdempotencyKey == first.IdempotencyKey {
		t.Error("two jobs share a key")
	}
	if n, err := s.RetryFailed(ctx); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	third := move(t, s, func(o *Outcome) { o.Arrow, o.Class, o.Sent = Fail, "unknown", true })
	if third.Job != first.Job || third.IdempotencyKey == first.IdempotencyKey || third.Used != 0 {
		t.Errorf("a job answered with a failure gets a new key and a new count: %+v", third)
	}
	move(t, s, failed)
	s.RetryFailed(ctx)
	if fourth := move(t, s, failed); fourth.IdempotencyKey != third.IdempotencyKey {
		t.Error("a job that failed with an unknown outcome must keep its key")
	}
}

func TestFence(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b")
	mustBegin(t, s)
	turned := mustTurn(t, s, 2)
	a, b := turned.Claims[0], turned.Claims[1]
	stale := answer(a, "x")
	stale.Attempt = 999
	_, err := s.Turn(ctx, []Outcome{stale, answer(b, string(b.Body))}, nil, Want{})
	var fence *FenceError
	if !errors.As(err, &fence) || fence.Job != a.Job {
		t.Errorf("a stale attempt: %v", err)
	}
	if diff := cmp.Diff([]string{"1 a running", "2 b done"}, rows(t, s)); diff != "" {
		t.Error("the good outcome beside it must be saved:", diff)
	}
}

// An attempt moves its own job alone, though it is on record and still open: nobody else's comes to be called answered, failed or free.
func TestFenceOfAnotherJob(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b")
	mustBegin(t, s)
	turned := mustTurn(t, s, 2)
	a, b := turned.Claims[0], turned.Claims[1]
	for _, arrow := range []Arrow{Complete, Fail, Retry, Release, HandBack, TakeBack} {
		mixed := answer(a, string(a.Body))
		mixed.Attempt, mixed.Arrow = b.Attempt, arrow
		_, err := s.Turn(ctx, []Outcome{mixed}, nil, Want{})
		var fence *FenceError
		if !errors.As(err, &fence) || fence.Job != a.Job {
			t.Errorf("arrow %d: %v", arrow, err)
		}
	}
	if diff := cmp.Diff([]string{"1 a running", "2 b running"}, rows(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedClaimKeepsTheOutcomes(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b")
	mustBegin(t, s)
	a := mustTurn(t, s, 1).Claims[0]
	s.attempt-- // the next claim's attempt is on record already
	_, err := s.Turn(ctx, []Outcome{answer(a, string(a.Body))}, nil, Want{Jobs: 1, New: 1, Bytes: 1, Now: time.Now()})
	if err == nil || err.Error() == "" {
		t.Error("the claim must be refused:", err)
	}
	if diff := cmp.Diff([]string{"1 a done", "2 b pending"}, rows(t, s)); diff != "" {
		t.Error("the answer beside it must be saved:", diff)
	}
}

func TestHandBackForgetsTheAttempt(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a")
	mustBegin(t, s)
	move(t, s, func(o *Outcome) { o.Arrow = HandBack })
	if all := totals(t, s); all[0].Attempts != 0 || all[0].Pending != 1 {
		t.Errorf("%+v", all[0])
	}
}

func TestTakeBack(t *testing.T) {
	for what, c := range map[string]struct {
		fail   func(*Outcome)
		newKey bool
	}{
		"answered": {failed, true},
		"unknown":  {func(o *Outcome) { o.Arrow, o.Class, o.Sent = Fail, "unknown", true }, false},
		"a 500":    {func(o *Outcome) { o.Arrow, o.Class, o.Status, o.Sent = Fail, "unknown", 500, true }, false},
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t)
			mustImport(t, s, "a", "b")
			mustBegin(t, s)
			first := move(t, s, c.fail)
			mustTurn(t, s, 0, Outcome{Job: first.Job, Attempt: first.Attempt, Arrow: TakeBack})
			if got := counts(t, s); got.Failed != 0 || got.Pending != 2 {
				t.Errorf("%+v", got)
			}
			if next := move(t, s, failed); next.Job == first.Job {
				t.Error("a job taken back goes last")
			}
			mustBegin(t, s)
			if again := mustTurn(t, s, 1).Claims[0]; again.Job != first.Job || (again.IdempotencyKey != first.IdempotencyKey) != c.newKey {
				t.Errorf("%+v after %+v", again, first)
			}
		})
	}
}

func TestLimitOfNewJobs(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b", "c")
	mustBegin(t, s)
	want := Want{Jobs: 5, New: 1, Bytes: 1 << 20, Now: time.Now()}
	turned, err := s.Turn(ctx, nil, nil, want)
	if err != nil || turned.New != 1 || len(turned.Claims) != 1 {
		t.Fatalf("%+v %v", turned, err)
	}
	c := turned.Claims[0]
	want.New = 0
	retry := Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: Retry, Class: "unknown", RunAfter: want.Now}
	turned, err = s.Turn(ctx, []Outcome{retry}, nil, want)
	if err != nil || turned.New != 0 || len(turned.Claims) != 1 || turned.Claims[0].Job != c.Job {
		t.Errorf("a job of this run may be tried again: %+v %v", turned, err)
	}
}

func TestRecover(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b", "c")
	mustBegin(t, s)
	claims := mustTurn(t, s, 2).Claims
	mustTurn(t, s, 0, answer(claims[0], string(claims[0].Body)))
	s.Close() // as a death: the run did not end

	s, err := Open(ctx, s.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Recover(ctx); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if diff := cmp.Diff([]string{"1 a done", "2 b pending", "3 c pending"}, rows(t, s)); diff != "" {
		t.Error(diff)
	}
	mustBegin(t, s)
	again := mustTurn(t, s, 1).Claims[0]
	if again.IdempotencyKey != claims[1].IdempotencyKey || again.Used != 0 {
		t.Errorf("b must go out again with its key and no attempt used up: %+v", again)
	}
	if got := totals(t, s)[0]; got.PossiblyPaid != 1 || got.Attempts != 3 {
		t.Errorf("%+v", got)
	}
}

func TestTotalsAddUp(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b", "c", "d")
	mustBegin(t, s)
	move(t, s, func(o *Outcome) { // a: wasted 7
		o.Arrow, o.Class, o.Sent, o.Status, o.Usage = Fail, "job_failed", true, 200, Usage{Known: true, Prompt: 3, Completion: 4, Total: 7}
	})
	move(t, s, func(o *Outcome) { // b: usage unknown
		o.Arrow, o.Class, o.Sent, o.Status, o.Response, o.EstimatedPrompt, o.Estimated = Complete, "done", true, 200, []byte(`{"prompt":"b"}`), 8, 12
	})
	drain(t, s) // c, d: 15 each
	mustImport(t, s, "a", "b", "c")
	want := []UsageTotal{{Endpoint: "http://127.0.0.1/v1", Model: "m", Jobs: 3, Done: 2, Failed: 1, Attempts: 4,
		Prompt: 10, Completion: 5, Total: 15, Estimated: 12, UsageUnknown: 1, Wasted: 7, Gone: 15}}
	if diff := cmp.Diff(want, totals(t, s)); diff != "" {
		t.Error(diff)
	}
	var billed int64
	if err := s.conn.QueryRowContext(ctx, "SELECT sum(total_tokens) FROM attempts").Scan(&billed); err != nil || billed != 15+7+15 {
		t.Errorf("billed %d: %v", billed, err)
	}
}

func BenchmarkImport(b *testing.B) {
	for _, ids := range []string{"", "r%07d="} {
		b.Run("ids="+ids, func(b *testing.B) {
			s := open(b)
			body := make([]byte, 200)
			b.ResetTimer()
			_, err := s.Import(ctx, ImportOptions{}, func(imp *Importer) error {
				imp.File("prompts.jsonl")
				for i := range b.N {
					j := Job{Line: i + 1, Model: "llama-3.1-8b", Tokens: 50, Body: body}
					j.Key[0], j.Key[1], j.Key[2] = byte(i), byte(i>>8), byte(i>>16)
					if ids != "" {
						j.CustomID, j.HasCustomID = fmt.Sprintf("r%07d", i), true
					}
					if err := imp.Add(j); err != nil {
						return err
					}
				}
				_, _, err := imp.Duplicates(50)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

func BenchmarkTurn(b *testing.B) {
	for _, group := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
			s := open(b)
			response := make([]byte, 600)
			s.Import(ctx, ImportOptions{}, func(imp *Importer) error {
				imp.File("prompts.jsonl")
				for i := range b.N + group {
					imp.Add(Job{Line: i + 1, Model: "m", Body: make([]byte, 200)})
				}
				return nil
			})
			mustBegin(b, s)
			b.ResetTimer()
			claims := mustTurn(b, s, group).Claims
			for done := 0; done < b.N; done += group {
				var outs []Outcome
				for _, c := range claims {
					o := answer(c, "")
					o.Response = response
					outs = append(outs, o)
				}
				claims = mustTurn(b, s, group, outs...).Claims
			}
		})
	}
}
