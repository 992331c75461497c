package store

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// importLengths imports a job for every number of tokens, and adds max_tokens where there are some.
func importLengths(t testing.TB, s *Store, lengths []int64, most ...int64) {
	t.Helper()
	_, err := s.Import(ctx, ImportOptions{AcceptChanges: true}, func(imp *Importer) error {
		imp.File("p.jsonl")
		for i, n := range lengths {
			line := job(i+1, fmt.Sprint("line ", i))
			line.Tokens = n
			if i < len(most) {
				line.MaxTokens = most[i]
			}
			if err := imp.Add(line); err != nil {
				return err
			}
		}
		return imp.EndFile(Input{Path: "p.jsonl", Rows: len(lengths)})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func backlog(t testing.TB, s *Store) []Backlog {
	t.Helper()
	v := viewOf(t, s)
	defer v.Close()
	all, err := v.Backlog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBacklog(t *testing.T) {
	s := open(t)
	if got := backlog(t, s); len(got) != 0 {
		t.Errorf("an empty file: %+v", got)
	}
	importLengths(t, s, []int64{5, 7, 11, 13}, 0, 100, 200, math.MaxInt64) // the last bounds nothing
	if diff := cmp.Diff([]Backlog{{Model: "m", Jobs: 4, Tokens: 36, Bounded: 2, Most: 300, Longest: 13}}, backlog(t, s)); diff != "" {
		t.Error(diff)
	}
	mustBegin(t, s)
	first := move(t, s, failed)
	if first.Tokens != 5 || first.MaxTokens != 0 {
		t.Errorf("%+v", first)
	}
	turned := mustTurn(t, s, 1) // is in flight
	if c := turned.Claims[0]; c.Tokens != 7 || c.MaxTokens != 100 {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]Backlog{{Model: "m", Jobs: 2, Tokens: 24, Bounded: 1, Most: 200, Longest: 13}}, backlog(t, s)); diff != "" {
		t.Error("in flight and failed:", diff)
	}
	importLengths(t, s, []int64{5, 7, 11}, 0, 100, 300) // another count for the same lines; one is gone
	if diff := cmp.Diff([]Backlog{{Model: "m", Jobs: 1, Tokens: 11, Bounded: 1, Most: 300, Longest: 11}}, backlog(t, s)); diff != "" {
		t.Error("imported again:", diff)
	}
}

func TestSeen(t *testing.T) {
	s := open(t)
	importLengths(t, s, []int64{10, 20, 30, 40, 0})
	mustBegin(t, s)
	for _, u := range []Usage{{Known: true, Prompt: 11, Completion: 5, Total: 16}, {Known: true, Prompt: 20, Completion: 1, Total: 31}, {}} {
		turned := mustTurn(t, s, 1)
		o := answer(turned.Claims[0], string(turned.Claims[0].Body))
		o.Usage, o.Duration = u, 250*time.Millisecond
		mustTurn(t, s, 0, o)
	}
	move(t, s, func(o *Outcome) {
		failed(o)
		o.Usage = Usage{Known: true, Prompt: 9999, Total: 9999} // of a failure, which tells nothing of answers
	})
	turned := mustTurn(t, s, 1)
	o := answer(turned.Claims[0], string(turned.Claims[0].Body))
	o.Usage = Usage{Known: true, Prompt: 3, Total: 3} // was estimated at nothing
	mustTurn(t, s, 0, o)
	importLengths(t, s, []int64{10}) // the others are gone, but what they tell still holds
	v := viewOf(t, s)
	defer v.Close()
	got, err := v.Seen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []Seen{{Endpoint: "http://127.0.0.1/v1", Model: "m", Answers: 3, Estimated: 30, Prompt: 34, Output: 16, Millis: 500,
		EstimatedSq: 500, EstimatedPrompt: 510, PromptSq: 530, OutputSq: 146, Highest: 3000}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// chosen are the lengths of the jobs that can be claimed.
func chosen(t testing.TB, s *Store) []int64 {
	t.Helper()
	var all []int64
	var back []Outcome
	turned := mustTurn(t, s, 10_000)
	for _, c := range turned.Claims {
		all = append(all, c.Tokens)
		back = append(back, Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: HandBack})
	}
	mustTurn(t, s, 0, back...)
	slices.Sort(all)
	return all
}

func TestChoose(t *testing.T) {
	var lengths []int64 // 1 to 100 in a muddled order
	for i := range int64(100) {
		lengths = append(lengths, 1+i*37%100)
	}
	s := open(t)
	importLengths(t, s, lengths)
	mustBegin(t, s)
	choose := func(n int) int64 {
		t.Helper()
		pending, err := s.Choose(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		return pending
	}
	for n, want := range map[int][]int64{1: {50}, 2: {25, 75}, 4: {13, 38, 63, 88}} {
		if pending := choose(n); pending != int64(n) {
			t.Errorf("of %d chosen, %d are pending", n, pending)
		}
		got := chosen(t, s)
		for i := range got { // the middle of an even number of jobs is either of two
			if len(got) != len(want) || got[i] < want[i] || got[i] > want[i]+1 {
				t.Errorf("%d of 1 to 100: %v, not about %v", n, got, want)
				break
			}
		}
	}
	choose(20)
	twenty := chosen(t, s)
	for i, length := range twenty {
		if low := int64(i * 5); length <= low || length > low+5 {
			t.Errorf("none of 20 is longer than %d and not than %d: %v", low, low+5, twenty)
		}
	}
	for _, n := range []int{100, 101, 1 << 40} {
		if pending := choose(n); pending != 100 || len(chosen(t, s)) != 100 {
			t.Errorf("of %d chosen, %d are pending", n, pending)
		}
	}
	if pending := choose(0); pending != 0 || len(chosen(t, s)) != 0 {
		t.Errorf("%d of none are pending", pending)
	}

	// The same are chosen after some of them were answered, and nothing else is claimed.
	choose(20)
	var answered []int64
	for range 7 {
		c := move(t, s, func(o *Outcome) {
			o.Arrow, o.Class, o.Response = Complete, "done", []byte("{}")
		})
		answered = append(answered, c.Tokens)
	}
	move(t, s, func(o *Outcome) { o.Arrow, o.Class, o.RunAfter = Retry, "not_processed", time.Now().Add(time.Hour) })
	if turned := mustTurn(t, s, 0); !turned.NextDue.IsZero() {
		t.Errorf("nothing was wanted, but looked up: %v", turned.NextDue)
	}
	s.Close()
	again, err := Open(ctx, s.Path(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	s = again
	mustBegin(t, s)
	if pending := choose(20); pending != 13 {
		t.Errorf("after 7 answers %d are pending", pending)
	}
	left := chosen(t, s)
	if len(left) != 12 { // one waits for its retry
		t.Errorf("%d can be claimed", len(left))
	}
	for _, length := range left {
		if !slices.Contains(twenty, length) || slices.Contains(answered, length) {
			t.Errorf("%d was not chosen the first time, or is answered: %v", length, twenty)
		}
	}
	s.Close()
	if s, err = Open(ctx, s.Path(), false); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustBegin(t, s)
	if all := chosen(t, s); len(all) != 92 {
		t.Errorf("opened again, without a choice, %d can be claimed", len(all))
	}
}

// A larger choice holds what a smaller one had answered, and what was answered in the order of the file is not paid for again.
func TestChooseMore(t *testing.T) {
	var lengths []int64
	for i := range int64(1000) {
		lengths = append(lengths, 1+i*379%1000)
	}
	s := open(t)
	importLengths(t, s, lengths)
	mustBegin(t, s)
	sends := func(n, want int) {
		t.Helper()
		v := viewOf(t, s)
		foretold, err := v.Choice(ctx, int64(n))
		v.Close()
		if err != nil {
			t.Fatal(err)
		}
		pending, err := s.Choose(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		if pending != int64(want) || want > 0 && foretold[0].Jobs != pending || want == 0 && len(foretold) > 0 {
			t.Errorf("of %d, %d are sent, want %d; foretold were %+v", n, pending, want, foretold)
		}
		for range pending {
			move(t, s, func(o *Outcome) {
				o.Arrow, o.Class, o.Response = Complete, "done", []byte("{}")
			})
		}
	}
	sends(20, 20)
	sends(20, 0)
	sends(5, 0)
	sends(30, 10)
	sends(80, 80-30)
	sends(80, 0)
	sends(1000, 1000-80)
}

func TestChooseEmpty(t *testing.T) {
	s := open(t)
	if pending, err := s.Choose(ctx, 5); pending != 0 || err != nil {
		t.Error(pending, err)
	}
}

// The most that is believed of usage and bounds, in every row of a large file, adds up.
func TestHugeCounts(t *testing.T) {
	path := t.TempDir() + "/huge.batch.db"
	makeMany(t, path, 2000, nil)
	db := raw(t, path)
	defer db.Close()
	// As if these two thousand rows were a million.
	const most = noBound / 2000 * 1_000_000
	if _, err := db.Exec(fmt.Sprintf(`
		UPDATE attempts SET prompt_tokens = %[1]d, completion_tokens = 0, total_tokens = %[1]d, cached_tokens = %[1]d WHERE total_tokens IS NOT NULL;
		UPDATE answers SET estimated_prompt = %[1]d, estimated = %[1]d WHERE estimated IS NOT NULL;
		UPDATE jobs SET tokens = %[1]d, max_tokens = %[1]d`, int64(most))); err != nil {
		t.Fatal(err)
	}
	s, err := OpenRead(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v := viewOf(t, s)
	defer v.Close()
	_, err1 := v.Bills(ctx)
	_, err2 := v.Totals(ctx)
	_, err3 := v.Backlog(ctx)
	_, err4 := v.Seen(ctx)
	_, err5 := v.Counts(ctx)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Error(err)
		}
	}
}
