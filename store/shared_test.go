package store

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// However lines come, go, share and stop sharing: each line has a row that asks what it asks, a request is sent once among those that
// share, an answer that is there is used, and the sums hold.
func TestShared(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t)
		defer s.Close()
		mustBegin(t, s)
		calls, answered := map[string]int{}, map[string]bool{}
		for range rapid.IntRange(1, 6).Draw(rt, "imports") {
			share := rapid.Bool().Draw(rt, "share")
			lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "i=a", "j=a", "k=b"}), 1, 8).Draw(rt, "lines")
			seen := map[string]bool{} // a custom_id stands once
			for i, l := range lines {
				if strings.Contains(l, "=") && seen[l] {
					lines[i] = l[2:]
				}
				seen[l] = true
			}
			done, err := s.Import(ctx, ImportOptions{AcceptChanges: true, Share: share}, load(lines...))
			if err != nil {
				rt.Fatal(err)
			}
			distinct := map[string]bool{}
			for _, l := range lines {
				distinct[l[strings.Index(l, "=")+1:]] = true
			}
			jobs := len(lines)
			if share {
				jobs = len(distinct)
			}
			if c := done.Counts; c.Jobs != int64(jobs) || c.Jobs+c.Shared != int64(len(lines)) {
				rt.Fatalf("%q: %+v", lines, c)
			}
			sound(rt, s)
			for range rapid.IntRange(0, 3).Draw(rt, "turns") {
				turned := mustTurn(t, s, rapid.IntRange(1, 3).Draw(rt, "claims"))
				var outs []Outcome
				for _, c := range turned.Claims {
					request := string(c.Body)
					if calls[request]++; share && answered[request] {
						rt.Fatalf("%s is sent again", request)
					}
					answered[request] = true
					outs = append(outs, answer(c, "answer to "+request))
				}
				mustTurn(t, s, 0, outs...)
			}
			sound(rt, s)
			checkRows(rt, s, lines)
		}
	})
}

// checkRows looks at the rows of lines: each stands at its place under its name, and equal ones that share are in the same state.
func checkRows(t *rapid.T, s *Store, lines []string) {
	v := viewOf(t, s)
	defer v.Close()
	type first struct {
		state State
		id    int64
	}
	jobs := map[string]first{}
	i := 0
	for row, err := range v.Rows(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		id, text, named := strings.Cut(lines[i], "=")
		if !named {
			id, text = "", lines[i]
		}
		i++
		if row.Line != i || row.CustomID != id || row.HasCustomID != named || string(row.Body) != fmt.Sprintf(`{"prompt":"%s"}`, text) {
			t.Fatalf("row %d of %q: %d %s %s", i, lines, row.Line, row.CustomID, row.Body)
		}
		asked, there := jobs[text]
		if row.Shared && (!there || asked != first{row.State, row.ID} || row.Attempts != 0 || row.PossiblyPaid) {
			t.Fatalf("row %d of %q is shared: %+v, asked for by %+v", i, lines, row, asked)
		}
		if !there {
			jobs[text] = first{row.State, row.ID}
		}
		if (row.State == Done) != strings.Contains(string(row.Response), "answer to") {
			t.Fatalf("row %d of %q is %s with %q", i, lines, row.State, row.Response)
		}
	}
	if i != len(lines) {
		t.Fatalf("%d rows of %q", i, lines)
	}
}
