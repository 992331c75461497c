package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// told is a pair as "line of a, line of b, how".
func told(p *Pair) string {
	line := func(r *Row) string {
		if r == nil {
			return "-"
		}
		return fmt.Sprint(r.Line)
	}
	return strings.TrimSpace(line(p.A) + " " + line(p.B) + " " + string(p.By))
}

// conversation takes two letters for the same messages when they are the same but for their case.
func conversation(body []byte) ([32]byte, error) {
	if strings.Contains(string(body), "silent") {
		return [32]byte{}, errors.New("no messages")
	}
	return sha256.Sum256(bytes.ToLower(body)), nil
}

func compared(t fatal, a, b *Store) []string {
	c, err := Compare(ctx, a, b, conversation)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []string
	for pair, err := range c.Pairs(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, told(pair))
	}
	return all
}

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		name       string
		a, b, want []string
	}{
		{"the same", []string{"x", "y"}, []string{"x", "y"}, []string{"1 1 key", "2 2 key"}},
		{"shuffled", []string{"x", "y", "z"}, []string{"z", "x", "y"}, []string{"1 2 key", "2 3 key", "3 1 key"}},
		{"one more in each", []string{"x", "p", "y"}, []string{"y", "q", "x"}, []string{"1 3 key", "2 -", "3 1 key", "- 2"}},
		{"the same line twice", []string{"x", "y", "x", "x"}, []string{"x", "x", "y"}, []string{"1 1 key", "2 3 key", "3 2 key", "4 -"}},
		{"changed under its id", []string{"r1=x", "r2=y"}, []string{"r2=Y", "r1=x"}, []string{"1 2 key", "2 1 custom_id"}},
		{"the key outranks the id", []string{"r1=x", "r2=y"}, []string{"r2=x", "r1=y"}, []string{"1 1 key", "2 2 key"}},
		{"no ids to go by", []string{"x", "r2=y"}, []string{"Y", "X"}, []string{"1 2 messages", "2 1 messages"}},
		{"the id outranks the messages", []string{"r1=x", "r2=y"}, []string{"r2=X", "r1=Y"}, []string{"1 2 custom_id", "2 1 custom_id"}},
		{"the key outranks the messages", []string{"x", "X", "x"}, []string{"X", "X", "x"}, []string{"1 3 key", "2 1 key", "3 2 messages"}},
		{"the same messages twice", []string{"x", "x", "x"}, []string{"X", "q", "X"}, []string{"1 1 messages", "2 3 messages", "3 -", "- 2"}},
		{"no messages", []string{"r1=silent", "silently"}, []string{"r2=SILENT silent", "silent Silent"}, []string{"1 -", "2 -", "- 1", "- 2"}},
		{"nothing in common", []string{"r1=x"}, []string{"r2=y"}, []string{"1 -", "- 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := open(t), open(t)
			mustImport(t, a, test.a...)
			mustImport(t, b, test.b...)
			if diff := cmp.Diff(test.want, compared(t, a, b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is gone from an input is not compared, and answers stay with their own file.
func TestCompareAnswers(t *testing.T) {
	a, b := open(t), open(t)
	mustImport(t, a, "x", "y", "z")
	mustImport(t, b, "z", "x")
	for _, s := range []*Store{a, b} {
		mustBegin(t, s)
	}
	drain(t, a)
	mustTurn(t, b, 0, answer(mustTurn(t, b, 1).Claims[0], "another answer"))
	mustImport(t, a, "y", "z")
	c, err := Compare(ctx, a, b, conversation)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	drain(t, b) // too late for this picture
	var got []string
	for pair, err := range c.Pairs(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		text := told(pair)
		for _, r := range []*Row{pair.A, pair.B} {
			if r != nil {
				text += fmt.Sprintf(" [%s %s]", r.State, r.Response)
			}
		}
		got = append(got, text)
	}
	want := []string{`1 - [done answer to {"prompt":"y"}]`, `2 1 key [done answer to {"prompt":"z"}] [done another answer]`, `- 2 [pending ]`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := c.conn.ExecContext(ctx, "UPDATE main.settings SET value = value"); err == nil {
		t.Error("a comparison can write")
	}
}

// The pairs are those of a plain search in Go.
func TestComparePairs(t *testing.T) {
	dir, n := t.TempDir(), 0
	specs := rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z", "X", "Z", "r1=x", "r1=Y", "r2=x", "r2=z", "r3=w"}), 1, 8)
	rapid.Check(t, func(rt *rapid.T) {
		var files [2]*Store
		var lines [2][]string
		for i := range files {
			n++
			lines[i] = specs.Draw(rt, "lines")
			s, err := Open(ctx, filepath.Join(dir, fmt.Sprint(n, " ?#.db")), true)
			if err != nil {
				rt.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Import(ctx, ImportOptions{}, load(lines[i]...)); err != nil {
				rt.Fatal(err)
			}
			files[i] = s
		}
		if diff := cmp.Diff(pairedInGo(lines[0], lines[1]), compared(rt, files[0], files[1])); diff != "" {
			rt.Errorf("%v and %v: %s", lines[0], lines[1], diff)
		}
	})
}

func pairedInGo(a, b []string) []string {
	pairs, taken := make([]string, len(a)), make([]bool, len(b))
	for _, by := range []MatchedBy{MatchedKey, MatchedCustomID, MatchedMessages} {
		for i, left := range a {
			for j, right := range b {
				l, r := job(1, left), job(1, right)
				same := l.Key == r.Key
				switch by {
				case MatchedCustomID:
					same = l.HasCustomID && r.HasCustomID && l.CustomID == r.CustomID
				case MatchedMessages:
					same = bytes.EqualFold(l.Body, r.Body)
				}
				if pairs[i] == "" && !taken[j] && same {
					pairs[i], taken[j] = fmt.Sprint(i+1, " ", j+1, " ", by), true
				}
			}
		}
	}
	for i := range pairs {
		if pairs[i] == "" {
			pairs[i] = fmt.Sprint(i+1, " -")
		}
	}
	for j := range b {
		if !taken[j] {
			pairs = append(pairs, fmt.Sprint("- ", j+1))
		}
	}
	return pairs
}

func TestCompareStops(t *testing.T) {
	a, b := open(t), open(t)
	mustImport(t, a, "x", "y")
	mustImport(t, b, "x", "z")
	c, err := Compare(ctx, a, b, conversation)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // and may be read again
		for range c.Pairs(ctx) {
			break
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	names, err := os.ReadDir(filepath.Dir(a.Path()))
	if err != nil || len(slices.DeleteFunc(names, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "prompts.batch.db") })) > 0 {
		t.Error(names, err)
	}
}
