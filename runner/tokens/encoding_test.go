package tokens

import (
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What npm's tiktoken 1.0.22, the original's core, counts.
var golden = []struct {
	text          string
	cl100k, o200k int64
}{
	{"", 0, 0},
	{"a", 1, 1},
	{"Hello", 1, 1},
	{"Hello, world!", 4, 4},
	{"The quick brown fox", 4, 4},
	{"What is the meaning of life?", 7, 7},
	{"  leading", 2, 2},
	{"trailing   ", 3, 3},
	{"a\u000a\u000a  b\u000d\u000a\u0009c", 6, 6},
	{"\u000d\u000a\u000d\u000a \u000a x", 3, 3},
	{"   \u000a   ", 2, 2},
	{"1234567890", 4, 4},
	{"3.14159 and 1,000,000", 11, 11},
	{"it's I'LL we've they'RE he'd I'm 'tis 'Sure", 18, 13},
	{"don\u2019t \u201cquote\u201d", 5, 5},
	{"ALLCAPS CamelCaseWord snake_case HTTPServer", 10, 10},
	{"na\u00efve caf\u00e9 e\u0301te\u0301", 8, 8},
	{"\u6771\u4eac\u90fd\u306b\u884c\u304d\u307e\u3059\u3002", 9, 6},
	{"\u65e5\u672c\u8a9eABC\u65e5\u672c", 7, 4},
	{"\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", 7, 5},
	{"\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", 10, 4},
	{"\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", 13, 5},
	{"\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1eb\U0001f1f7", 21, 13},
	{"<|endoftext|> is text", 9, 9},
	{"if (x != null) {\u000a\u0009return x->y[0];\u000a}\u000a", 15, 15},
	{"https://example.com/a/b/c?d=e&f=%20g#h", 17, 17},
	{"//////\u000a\u000a///", 3, 3},
	{"----==== ****", 3, 3},
	{"\u00a0\u2003\u3000x\u0085y", 8, 7},
	{"\u0000\u0007\u001b[2J", 5, 6},
	{"\u01c5\u02b0\u00aa\u2160\u00bd\u0661\u0662\u0663\u0664", 16, 11},
	{"\u017f's \u2019\u017f '\u017fx", 10, 7},
	{"aGVsbG8gd29ybGQhIGJhc2U2NA==", 19, 19},
	{strings.Repeat("x", 1000), 125, 125},
	{strings.Repeat("ab ", 500), 501, 501},
	{"\ufffd\ufeff\u200b", 3, 3},
	{"\u007f", 1, 1},
	{"a\u007fb", 3, 3},
	{"\u007f\u007f!\u007f\u000d\u000a", 5, 5},
	{"x \u007f!", 4, 4},
	{"\u007fabc's", 3, 3},
}

func TestCountsAreThoseOfTheOriginal(t *testing.T) {
	for _, g := range golden {
		for model, want := range map[string]int64{"gpt-4": g.cl100k, "gpt-4o": g.o200k} {
			for range 2 { // anew, and remembered
				if got := CountText(model, g.text); got != want {
					t.Errorf("%s: %d tokens of %.60q, want %d", model, got, g.text, want)
				}
			}
		}
	}
}

// Text is taken apart as the tokenizer does it, whatever it is made of.
func TestSplitIsTheTokenizers(t *testing.T) {
	parts := []string{"a", "Z", "ab", "AB", "'", "'s", "'LL", "'Re", "'\u017f", "s", " ", "  ", "\t", "\n", "\r", "\r\n", "\u00a0", "\u3000", "\u0085", "/", "-", "!",
		"1", "123", "\u0663", "\u00bd", "\u00e9", "\u0301", "\u0903", "\u01c5", "\u02b0", "\u6771", "\u0e01", "\u0e31", "\u200d", "\U0001f600", "\ufeff", "\ufffd", "\U00010400", "\U00010428", "The", " quick"}
	for name, e := range map[string]*encoding{"cl100k_base": cl100k, "o200k_base": o200k} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				text := strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(parts), rapid.StringN(1, 3, -1)), 0, 40).Draw(rt, "parts"), "")
				want, err := e.codec().Count(safe(text))
				if got := e.count([]byte(text)); got != int64(want) || err != nil {
					rt.Fatalf("%d tokens of %q, the tokenizer counts %d (%v)", got, text, want, err)
				}
			})
		})
	}
}

// safe is a text of as many tokens without the character that the tokenizer loses.
func safe(text string) string { return strings.ReplaceAll(text, "\x7f", "\x02") }

func FuzzSplit(f *testing.F) {
	for _, g := range golden {
		f.Add(g.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "\ufffd")
		for _, e := range []*encoding{cl100k, o200k} {
			if want, _ := e.codec().Count(safe(text)); e.count([]byte(text)) != int64(want) {
				t.Errorf("%s: %d tokens of %q, the tokenizer counts %d", e.codec().GetName(), e.count([]byte(text)), text, want)
			}
		}
	})
}

func TestEncodingOfAModel(t *testing.T) {
	for want, models := range map[*scheme]string{
		ownScheme: "llama-3.1-8b llama-3.3-70b mistral-7b assisters-chat-v1 meta-llama/Llama-3.1-8B-Instruct",
		oldScheme: "gpt-4 gpt-4-0613 gpt-4-32k gpt-4-turbo gpt-4-turbo-2024-04-09 gpt-3.5-turbo gpt-35-turbo text-embedding-3-small " +
			"ft:gpt-3.5-turbo:acme::x1 ft:gpt-4:acme::x1 ft:gpt-4-0613:acme::x1 openai/gpt-4-turbo openai/gpt-4:beta",
		openaiScheme: "gpt-4o gpt-4o-mini-2024-07-18 GPT-4o gpt-4.1-nano gpt-4.5-preview gpt-5 gpt-5.1 gpt-5-mini-2025-08-07 gpt-6-sol " +
			"o1 o1-mini o3-pro o4-mini chatgpt-4o-latest gpt-oss-120b openai/gpt-oss-20b codex-mini-latest " +
			"ft:gpt-4o-mini:acme::x1 ft:gpt-4.1-2025-04-14:acme:a/b:x openai/ft:gpt-4o:acme::x1 openai/gpt-4o:extended openrouter/openai/o3",
		otherScheme: "claude-opus-4 qwen3-32b anthropic/claude-sonnet-4 gemini-2.5-pro deepseek-chat m mixtral-8x7b",
	} {
		for model := range strings.FieldsSeq(models) {
			if got := schemeOf(model); got != want {
				t.Errorf("%s is counted by %s, %d a conversation", model, got.enc.codec().GetName(), got.perConversation)
			}
		}
	}
}

func TestLongPiecesTakeNoLongTime(t *testing.T) {
	for _, text := range []string{strings.Repeat("a", 100_000), strings.Repeat("\n", 100_000), strings.Repeat(" ", 100_000), strings.Repeat("A", 100_000), strings.Repeat("=", 100_000), strings.Repeat("\u6771", 33_000), strings.Repeat("e\u0301", 33_000), strings.Repeat("'", 100_000)} {
		for _, e := range []*encoding{cl100k, o200k} {
			begin := time.Now()
			n := e.count([]byte(text))
			if d := time.Since(begin); d > 5*time.Second || n < 100 {
				t.Errorf("%s: %d tokens of %d times %.3q in %v", e.codec().GetName(), n, len(text), text, d)
			}
		}
	}
}

func TestNotUTF8(t *testing.T) {
	if got, want := CountText("gpt-4o", "a\xffb"), CountText("gpt-4o", "a\ufffdb"); got != want {
		t.Errorf("%d tokens, want %d", got, want)
	}
}

// Goroutines share codecs and what is remembered.
func TestCountingAtTheSameTime(t *testing.T) {
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			for range 20 {
				for _, row := range golden[:30] {
					if a, b := cl100k.count([]byte(row.text)), o200k.count([]byte(row.text)); a != row.cl100k || b != row.o200k {
						t.Errorf("%d and %d tokens of %q, want %d and %d", a, b, row.text, row.cl100k, row.o200k)
						return
					}
				}
			}
		})
	}
	g.Wait()
}

func BenchmarkCount(b *testing.B) {
	prose := strings.Repeat("Name a river in France that ends in the Atlantic, and the largest city on its banks. ", 12)
	var blob strings.Builder
	for i := range 300 {
		blob.WriteString(strings.Repeat(string(rune('\u4e00'+i*7%5000)), 1+i%3) + string(rune('a'+i*i%26)) + string(rune('A'+i*3%26)))
	}
	for name, text := range map[string]string{"prose": prose, "short": prose[:70], "mixed": blob.String()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				cl100k.count([]byte(text))
			}
		})
		b.Run(name+"/tokenizer", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				cl100k.codec().Count(text)
			}
		})
	}
}
