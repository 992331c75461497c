package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// again sends the rows that choose picks out again, with a suffix to their requests unless it is "".
func again(t fatal, s *Store, suffix string, choose func(*Row) bool) {
	err := s.Retry(ctx, func(v *View, again func(*Row, *Changed) error) error {
		for row, err := range v.Rows(ctx) {
			if err != nil {
				return err
			}
			if !choose(row) {
				continue
			}
			var c *Changed
			if suffix != "" {
				spec := strings.TrimSuffix(strings.TrimPrefix(string(row.Body), `{"prompt":"`), `"}`) + suffix
				c = &Changed{Model: row.Model + suffix, Body: []byte(`{"prompt":"` + spec + `"}`), Key: sha256.Sum256([]byte(spec))}
			}
			if err := again(row, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func keyOfTest(body []byte) ([32]byte, error) {
	return sha256.Sum256([]byte(strings.TrimSuffix(strings.TrimPrefix(string(body), `{"prompt":"`), `"}`))), nil
}

func sound(t fatal, s *Store) {
	v := viewOf(t, s)
	defer v.Close()
	wrong, err := v.Verify(ctx, keyOfTest)
	if err != nil || wrong.Count > 0 {
		t.Fatal(wrong, err)
	}
	bills, err := v.Bills(ctx)
	if err != nil {
		t.Fatal(err)
	}
	checkTotals(t, v, bills, 0)
}

// A retry that fails in the end has changed nothing, and a key of another generation goes with each new job.
func TestRetry(t *testing.T) {
	s := open(t)
	mustImport(t, s, "a", "b", "x=c")
	mustBegin(t, s)
	keys := map[string]bool{}
	first := mustTurn(t, s, 10)
	var outs []Outcome
	for _, c := range first.Claims {
		keys[c.IdempotencyKey] = true
		outs = append(outs, answer(c, "answer to "+string(c.Body)))
	}
	mustTurn(t, s, 0, outs...)
	broken := errors.New("broken")
	err := s.Retry(ctx, func(v *View, again func(*Row, *Changed) error) error {
		for row, err := range v.Rows(ctx) {
			if err != nil || again(row, nil) != nil {
				t.Error(err)
			}
		}
		return broken
	})
	if err != broken {
		t.Error(err)
	}
	if got := rows(t, s); !slices.Equal(got, []string{"1 a done", "2 b done", "3 xc done"}) {
		t.Errorf("%q", got)
	}
	again(t, s, "", func(r *Row) bool { return r.Line != 2 })
	if got := rows(t, s); !slices.Equal(got, []string{"1 a pending", "2 b done", "3 xc pending"}) {
		t.Errorf("%q", got)
	}
	for _, c := range mustTurn(t, s, 10).Claims {
		if keys[c.IdempotencyKey] {
			t.Errorf("job %d would be given the old answer", c.Job)
		}
	}
}

// What a changed request uses, and can use at most, is kept with it: also in the place of one that has an answer, and when the line that
// it came from is read again.
func TestRetryKeepsBounds(t *testing.T) {
	for _, answered := range []bool{false, true} {
		for _, c := range []struct {
			changed Changed
			want    Backlog
		}{
			{Changed{Tokens: 70}, Backlog{Longest: 70, Tokens: 70}},
			{Changed{Tokens: 70, MaxTokens: 9}, Backlog{Longest: 70, Tokens: 70, Bounded: 1, Most: 9}},
			{Changed{Tokens: 70, Boundless: true}, Backlog{Longest: 70, Tokens: 70, Boundless: 1}},
		} {
			s := open(t)
			mustImport(t, s, "a")
			if answered {
				mustBegin(t, s)
				drain(t, s)
			}
			c.changed.Model, c.changed.Key, c.changed.Body = "m", sha256.Sum256([]byte("b")), []byte(`{"prompt":"b"}`)
			c.want.Model, c.want.Jobs = "m", 1
			err := s.Retry(ctx, func(v *View, again func(*Row, *Changed) error) error {
				for row, err := range v.Rows(ctx) {
					if err != nil || again(row, &c.changed) != nil {
						t.Error(err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				v := viewOf(t, s)
				got, err := v.Backlog(ctx)
				if err != nil || !slices.Equal(got, []Backlog{c.want}) {
					t.Errorf("%+v is left to send (%v), want %+v", got, err, c.want)
				}
				v.Close()
				mustImport(t, s, "a")
			}
		}
	}
}

// Whatever was sent again, and with whatever change, the lines that are in the input find what was sent for them last: nothing that has
// an answer is sent another time, and no call is lost from the sums.
func TestRetryKeepsLines(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t)
		defer s.Close()
		mustBegin(t, s)
		var lines []string
		draw := func() {
			lines = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "i=a", "j=b", "c", "a+", "b+"}), 1, 6).Draw(rt, "lines")
			seen := map[string]bool{} // a custom_id stands once
			lines = slices.DeleteFunc(lines, func(l string) bool {
				twice := strings.Contains(l, "=") && seen[l]
				seen[l] = true
				return twice
			})
		}
		draw()
		mustImport(t, s, lines...)
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			switch step := rapid.SampledFrom([]string{"drain", "again", "change", "edit", "same"}).Draw(rt, "step"); step {
			case "drain":
				drain(t, s)
			case "edit":
				draw()
				mustImport(t, s, lines...)
			case "same":
				before := rows(t, s)
				slices.Sort(before)
				if c := mustImport(t, s, lines...); c.Kept != int64(len(lines)) || c.New+c.Changed+c.Gone != 0 {
					rt.Fatalf("the same input: %+v", c)
				}
				after := rows(t, s)
				if slices.Sort(after); !slices.Equal(stateless(before), stateless(after)) {
					rt.Fatalf("%q became %q", before, after)
				}
			default:
				suffix := map[string]string{"change": "+"}[step]
				mask := rapid.IntRange(0, 63).Draw(rt, "chosen")
				again(rt, s, suffix, func(r *Row) bool { return mask>>(r.Line%6)&1 == 1 })
			}
			sound(rt, s)
		}
		drain(t, s)
		sound(rt, s)
		if c := mustImport(t, s, lines...); c.Kept != int64(len(lines)) {
			rt.Fatalf("the input after all: %+v", c)
		}
		if turned := mustTurn(t, s, 10); len(turned.Claims) != 0 {
			rt.Fatalf("%d calls for what has its answer", len(turned.Claims))
		}
	})
}

// stateless is what jobs ask, without their lines: of two of one request either may have been sent first.
func stateless(rows []string) []string {
	var all []string
	for _, r := range rows {
		_, rest, _ := strings.Cut(r, " ")
		all = append(all, rest)
	}
	slices.Sort(all)
	return all
}

// No answer serves two jobs, and what is taken over is charged to nobody here.
func TestReuse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 8)
		has, wants := draw.Draw(rt, "has"), draw.Draw(rt, "wants")
		old, s := open(t), open(t)
		defer s.Close()
		defer old.Close()
		mustImport(t, old, has...)
		mustBegin(t, old)
		drain(t, old)
		mustImport(t, s, wants...)
		var taken int64
		for range 2 { // the second time there is nothing left
			if err := s.ReuseFrom(ctx, "old.batch.db", old); err != nil {
				rt.Fatal(err)
			}
			dry, err := s.Reuse(ctx, ReuseOptions{DryRun: true})
			if err != nil {
				rt.Fatal(err)
			}
			done, err := s.Reuse(ctx, ReuseOptions{})
			if err != nil || fmt.Sprint(done) != fmt.Sprint(dry) {
				rt.Fatal(done, dry, err)
			}
			taken += done.Reused[0].N
			if err := s.StopReuse(ctx); err != nil {
				rt.Fatal(err)
			}
		}
		var want int64
		for _, key := range []string{"a", "b", "c", "d"} {
			n := func(lines []string) (n int64) {
				for _, l := range lines {
					if l == key {
						n++
					}
				}
				return n
			}
			want += min(n(has), n(wants))
		}
		totals, counts := totalsOf(t, s)
		if taken != want || counts.Done != want || counts.Pending != int64(len(wants))-want {
			rt.Fatalf("%d of %q from %q: %+v", taken, wants, has, counts)
		}
		var reused, spared int64
		for _, total := range totals {
			reused, spared = reused+total.Reused, spared+total.ReusedTokens
			if total.Total+total.Attempts+total.UsageUnknown+total.Estimated != 0 || total.Done > 0 && total.Endpoint != "http://127.0.0.1/v1" {
				rt.Fatalf("%+v", total)
			}
		}
		if reused != want || spared != 15*want {
			rt.Fatalf("%d with %d tokens, want %d", reused, spared, want)
		}
		sound(rt, s)
	})
}
