package store

import (
	"testing"
	"time"
)

// TestCalls says what a report is told of attempts: their outcome, their job's state, and which of them answered.
func TestCalls(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b", "c")
	mustBegin(t, s)
	claims := mustTurn(t, s, 2).Claims
	again := Outcome{Job: claims[0].Job, Attempt: claims[0].Attempt, Arrow: Retry, Started: time.Now(), Duration: 7 * time.Millisecond, Class: "unknown", Sent: true,
		Usage: Usage{Known: true, Prompt: 10, Completion: 5, Total: 16, Cached: 4, CacheWrite: 3, Reasoning: 2, Audio: 1}}
	mustTurn(t, s, 0, again, answer(claims[1], "b"))
	mustTurn(t, s, 2) // the retry, and c
	v := viewOf(t, s)
	defer v.Close()
	var all []Call
	for c, err := range v.Calls(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *c)
	}
	if len(all) != 4 {
		t.Fatalf("%d calls, want 4", len(all))
	}
	if c := all[0]; c.Class != "unknown" || c.State != Running || c.Final || c.Gone || !c.Sent || c.Millis != 7 || c.Usage != again.Usage || c.Tokens != 10 {
		t.Errorf("the first attempt of a: %+v", c)
	}
	if c := all[1]; c.Class != "done" || c.State != Done || !c.Final || c.Finish != "stop" || c.Endpoint != "http://127.0.0.1/v1" || c.Model != "m" {
		t.Errorf("the answer to b: %+v", c)
	}
	if c := all[3]; c.Class != "" || c.State != Running || !c.Final || c.Sent || c.Usage.Known {
		t.Errorf("the open attempt of c: %+v", c)
	}
	mustImport(t, s, "a", "c")
	v2, err := s.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer v2.Close()
	for c, err := range v2.Calls(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if gone := c.Job == all[1].Job; c.Gone != gone {
			t.Errorf("job %d: gone is %v", c.Job, c.Gone)
		}
	}
}

// TestSample spreads the answers over the input, and finds all there are when there are few.
func TestSample(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
	mustBegin(t, s)
	sample := func(n int) (lines []int) {
		v := viewOf(t, s)
		defer v.Close()
		if err := v.Sample(ctx, n, func(r *Row) error { lines = append(lines, r.Line); return nil }); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	if got := sample(3); got != nil {
		t.Errorf("samples of no answers: %v", got)
	}
	claims := mustTurn(t, s, 2).Claims
	mustTurn(t, s, 0, answer(claims[0], "x"), answer(claims[1], "y"))
	if got := sample(5); len(got) != 2 {
		t.Errorf("two answers give the samples %v", got)
	}
	drain(t, s)
	if got := sample(3); len(got) != 3 || got[0] != 1 || got[2] < 6 {
		t.Errorf("the samples of ten lines are %v: not spread", got)
	}
}
