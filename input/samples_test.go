package input

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"batch/runner/chat"
	"batch/runner/tokens"
)

// Samples are the prompts that the lines make without them, each several times: only the number, the custom_id and a seed that was
// filled in are others, and keys differ exactly where bodies do.
func TestSamples(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var text strings.Builder
		for i := range rapid.IntRange(1, 6).Draw(rt, "lines") {
			fmt.Fprintln(&text, rapid.SampledFrom([]string{
				`{"prompt":"41"}`, `{"prompt":"a","seed":41}`, `{"prompt":"a","model":"own","label":41}`, `not a line`, ``,
				fmt.Sprintf(`{"custom_id":"b%d","prompt":"b"}`, i),
				fmt.Sprintf(`{"custom_id":"c%d","body":{"messages":[{"role":"user","content":"c"}],"seed": 7 }}`, i),
				fmt.Sprintf(`{"custom_id":"d%d#1","body": {"messages" : [{"role":"user","content":"41"}] } }`, i),
			}).Draw(rt, "line"))
		}
		n := rapid.IntRange(0, 5).Draw(rt, "samples")
		seed := rapid.SampledFrom([]int64{0, 9, 41, -3, mostSeed - MaxSamples, -mostSeed}).Draw(rt, "seed")
		opt := fill("s", "model", `"m"`, "seed", strconv.FormatInt(seed, 10), "stream", "true")
		if err := opt.Defaults.Check(); err != nil {
			rt.Fatal(err)
		}
		plain, plainBad, plainStats := readAll(t, text.String(), opt)
		opt.Samples = n
		if rapid.Bool().Draw(rt, "counter") {
			opt.Counter = tokens.NewCounter(false)
		}
		got, bad, stats := readAll(t, text.String(), opt)
		if len(bad) != len(plainBad) || stats.Prompts != plainStats.Prompts || len(got) != len(plain)*max(n, 1) {
			rt.Fatalf("%d prompts and %d bad lines (%d counted) of %d and %d", len(got), len(bad), stats.Prompts, len(plain), len(plainBad))
		}
		for i, p := range got {
			of := plain[i/max(n, 1)]
			if n <= 1 {
				if p.Sample != 0 || p.CustomID != of.CustomID || p.Key != of.Key {
					rt.Fatalf("%+v, want %+v", p, of)
				}
				continue
			}
			k := i%n + 1
			filled := []byte(fmt.Sprintf(`"seed":%d,`, seed))
			want := bytes.Replace(of.Body, filled, []byte(fmt.Sprintf(`"seed":%d,`, seed+int64(k)-1)), 1)
			if own := strings.Count(string(of.Body), `"seed"`) == 1 && of.seedAt == 0; own {
				want = of.Body
			}
			id := of.CustomID
			if of.HasCustomID {
				id = fmt.Sprintf("%s#%d", id, k)
			}
			if p.Sample != k || p.CustomID != id || p.HasCustomID != of.HasCustomID || p.Line != of.Line || p.Model != of.Model ||
				string(p.Body) != string(want) || string(p.Carried) != string(of.Carried) {
				rt.Fatalf("sample %d of %+v is %+v", k, of, p)
			}
			if key, err := chat.Key(p.Body); err != nil || key != p.Key {
				rt.Fatalf("the key of %s is another: %v", p.Body, err)
			}
			if same := p.Key == of.Key; same != bytes.Equal(p.Body, of.Body) {
				rt.Fatalf("keys of %s and %s are equal: %v", p.Body, of.Body, same)
			}
		}
	})
}

// What a sample shares with the next one is its bytes alone: a long file of many samples takes no more memory than its longest line.
func TestSamplesStream(t *testing.T) {
	r := NewReader("p.jsonl", strings.NewReader(`{"custom_id":"a","prompt":"`+strings.Repeat("x", 1<<20)+`"}`), Options{
		Defaults: fill("", "model", `"m"`).Defaults, Samples: 100_000})
	defer r.Close()
	for k := 1; ; k++ {
		p, err := r.Next()
		if err == io.EOF {
			if k != 100_001 {
				t.Errorf("%d samples", k-1)
			}
			return
		}
		if err != nil || p.Sample != k {
			t.Fatalf("sample %d: %d, %v", k, p.Sample, err)
		}
	}
}
