package input

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"batch/runner/tokens"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A Counter changes the tokens and nothing else: the same prompts and errors in the same order, and the same end.
func TestCounter(t *testing.T) {
	var text strings.Builder
	for i := range 3 * groupLines {
		switch i % 7 {
		case 3:
			fmt.Fprintf(&text, `{"prompt":7,"model":"m","custom_id":"bad-%d"}`+"\n", i)
		case 4:
			text.WriteString("\n")
		default:
			fmt.Fprintf(&text, `{"prompt":"internationalization %d","model":%q,"label":%d}`+"\n", i, []string{"llama-3.1-8b", "gpt-4o"}[i%2], i)
		}
	}
	cheap, cheapBad, cheapStats := readAll(t, text.String(), Options{})
	counter := tokens.NewCounter(false)
	exact, exactBad, exactStats := readAll(t, text.String(), Options{Counter: counter})
	var sum int64
	for i := range exact {
		p := &exact[i]
		if want := tokens.Count(p.Model, p.Body); p.Tokens != want {
			t.Fatalf("line %d: %d tokens, want %d", p.Line, p.Tokens, want)
		}
		sum += p.Tokens
		p.Tokens = tokens.Estimate(p.Body)
	}
	if d := cmp.Diff(cheap, exact, cmpopts.IgnoreUnexported(Prompt{})); d != "" {
		t.Errorf("prompts (-without +with a counter)\n%s", d)
	}
	if d := cmp.Diff(cheapBad, exactBad); d != "" {
		t.Errorf("bad lines (-without +with a counter)\n%s", d)
	}
	if d := cmp.Diff(cheapStats, exactStats); d != "" {
		t.Errorf("stats (-without +with a counter)\n%s", d)
	}
	counted, lines := counter.Counted()
	if _, likely, _ := counter.Interval(); counted != int64(len(exact)) || lines != counted || likely != sum {
		t.Errorf("counted %d of %d lines, %d tokens, want %d and %d", counted, lines, likely, len(exact), sum)
	}
}

func TestEndOfAFileWithACounter(t *testing.T) {
	broken := errors.New("broken")
	for name, end := range map[string]error{"end": io.EOF, "failure": broken} {
		line := `{"prompt":"x","model":"m"}` + "\n"
		src := io.MultiReader(strings.NewReader(line+line), iotest.ErrReader(end))
		r := NewReader("p.jsonl", src, Options{Counter: tokens.NewCounter(false)})
		for range 2 {
			if p, err := r.Next(); err != nil || p.Tokens != tokens.Count("m", p.Body) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for range 3 {
			if _, err := r.Next(); !errors.Is(err, end) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
