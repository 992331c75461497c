package tokens

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCount(t *testing.T) {
	for _, c := range []struct {
		name, model, body string
		want              int64
	}{
		{"the guide's rule", "llama-3.1-8b", `{"messages":[{"role":"user","content":"Hello, world!"}]}`, 2 + 4 + 4},
		{"the cookbook's", "gpt-4o", `{"messages":[{"role":"user","content":"Hello, world!"}]}`, 3 + 4 + 4},
		{"its names", "gpt-4", `{"messages":[{"role":"system","name":"a","content":"Hello"},{"role":"user","content":"a"}]}`, 3 + 4 + 1 + 1 + 1 + 4 + 1},
		{"the vocabulary of the model", "gpt-4", `{"messages":[{"role":"user","content":"東京都に行きます。"}]}`, 3 + 4 + 9},
		{"the vocabulary of another", "gpt-4o", `{"messages":[{"role":"user","content":"東京都に行きます。"}]}`, 3 + 4 + 6},
		{"escapes are what they spell", "gpt-4o", `{"messages":[{"role":"user","content":"\u6771\u4eac\u90FD\u306b\u884c\u304d\u307e\u3059\u3002"}]}`, 3 + 4 + 6},
		{"line ends too", "gpt-4o", `{"messages":[{"role":"user","content":"a\n\n  b\r\n\tc"}]}`, 3 + 4 + 6},
		{"half a character", "gpt-4o", `{"messages":[{"role":"user","content":"\ud800\ufeff\u200b"}]}`, 3 + 4 + 3},
		{"parts, each for itself", "m", `{"messages":[{"role":"user","content":[{"type":"text","text":"Hello"},{"type":"image_url","image_url":{"url":"data:x"}},{"text":"a"}]}]}`, 2 + 4 + 1 + 1},
		{"tools and calls as written", "m", `{"tools":[{"a":1}],"messages":[{"role":"assistant","content":null,"tool_calls":[{"b":2}]},{"role":"user","content":"a"}]}`, 2 + text("m", `[{"a":1}]`) + 4 + text("m", `[{"b":2}]`) + 4 + 1},
		{"nothing", "m", `{}`, 2},
		{"no JSON", "m", `nonsense`, 2},
		{"cut", "m", `{"messages":[{"role":"user","content":"Hello"},{"role":"us`, 2 + 4 + 1 + 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Count(c.model, []byte(c.body)); got != c.want {
				t.Errorf("Count(%s) = %d, want %d", c.body, got, c.want)
			}
			each, sum := CountEach(c.model, []byte(c.body), nil)
			for _, n := range each {
				sum += n
			}
			if sum != c.want {
				t.Errorf("message by message %v, together %d, want %d", each, sum, c.want)
			}
		})
	}
}

func text(model, s string) int64 { return CountText(model, s) }

func TestCountUpTo(t *testing.T) {
	body := func(s string) []byte { return []byte(`{"messages":[{"role":"user","content":"` + s + `"}]}`) }
	words := strings.Repeat("river ", 1000)
	if got, want := CountUpTo("m", body(words), 6000), Count("m", body(words)); got != want {
		t.Errorf("%d tokens of a text that fits, want %d", got, want)
	}
	if got, want := CountUpTo("m", body(words), 600), Count("m", body(words[:600]))+Text(5400); got != want {
		t.Errorf("%d tokens of a text that does not, want %d", got, want)
	}
	// What is counted is bounded for the request, not for each of its texts.
	two := []byte(`{"messages":[{"role":"user","content":"` + words + `"},{"role":"user","content":"` + words + `"}]}`)
	if got, want := CountUpTo("m", two, 6600), Count("m", body(words))+4+CountText("m", words[:600])+Text(5400); got != want {
		t.Errorf("%d tokens of two texts, want %d", got, want)
	}
}

func TestCutText(t *testing.T) {
	for _, row := range golden {
		for _, model := range []string{"gpt-4", "gpt-4o"} {
			whole := CountText(model, row.text)
			for most := int64(0); most <= min(whole, 30); most++ {
				cut, n := CutText(model, row.text, most)
				if n > most || n != CountText(model, cut) || !strings.HasPrefix(row.text, cut) || utf8.ValidString(row.text) && !utf8.ValidString(cut) {
					t.Errorf("%s: %q of %.60q has %d tokens, want at most %d", model, cut, row.text, n, most)
				}
				if most == whole && cut != row.text {
					t.Errorf("%s: %.60q is cut to %.60q, though it has %d tokens", model, row.text, cut, whole)
				}
			}
		}
	}
	if got, n := CutText("llama", "The quick brown fox", 2); got != "The quick" || n != 2 {
		t.Errorf("cut to %q, %d tokens", got, n)
	}
}

func FuzzCount(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"text":"\ud83d\u`))
	f.Add([]byte(`{"tools":{},"messages":[{"name":"\u00zz","content":"\`))
	f.Fuzz(func(t *testing.T, body []byte) {
		most := int64(PerConversation) + int64(len(body))*(PerMessage+PerName+1)
		n := Count("llama", body)
		if n < PerConversation || n > most {
			t.Errorf("Count(%q) = %d", body, n)
		}
		each, sum := CountEach("llama", body, nil)
		for _, m := range each {
			sum += m
		}
		if sum != n {
			t.Errorf("CountEach(%q) = %v, together %d, want %d", body, each, sum, n)
		}
	})
}
