package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"batch/runner/chat/sim"
	"batch/runner/tokens"

	"pgregory.net/rapid"
)

// Whatever ends an answer, its usage is what the delivered text counts, and never more than was asked for.
func TestUsageIsThatOfTheDeliveredText(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		opt := sim.Options{Seed: rapid.Uint64().Draw(rt, "seed")}
		if rapid.Bool().Draw(rt, "filter") {
			opt.Faults = sim.Faults{{Kind: "filter", Share: 1}}
		}
		model := rapid.SampledFrom([]string{"llama-3.1-8b", "gpt-4o", "m"}).Draw(rt, "model")
		n := rapid.IntRange(1, 3).Draw(rt, "n")
		fields := fmt.Sprintf(`,"n":%d`, n)
		fields += rapid.SampledFrom([]string{"", `,"stop":"e"`, `,"stop":[", "," s","\u6771"]`, `,"response_format":{"type":"json_object"}`}).Draw(rt, "field")
		most := rapid.IntRange(0, 60).Draw(rt, "max_tokens")
		if most > 0 {
			fields += fmt.Sprintf(`,"max_tokens":%d`, most)
		}
		body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}]%s}`, model, rapid.String().Draw(rt, "prompt"), fields)
		s, err := sim.New(opt)
		if err != nil {
			rt.Fatal(err)
		}
		for range 2 { // the second is a replay
			c := decode(t, post(s, body, "Idempotency-Key", "k").body)
			if c.Usage == nil {
				rt.Skip("no valid JSON") // Go quotes some characters as JSON does not
			}
			var sum int64
			for _, ch := range c.Choices {
				delivered := tokens.CountText(model, ch.Message.Content)
				if most > 0 && delivered > int64(most) {
					rt.Errorf("%d tokens of at most %d: %q", delivered, most, ch.Message.Content)
				}
				sum += delivered
			}
			if prompt := tokens.Count(model, []byte(body)); c.Usage.Completion != sum || c.Usage.Prompt != prompt || c.Usage.Total != prompt+sum {
				rt.Errorf("usage %+v, counted %d and %d", *c.Usage, prompt, sum)
			}
			if st := s.Stats(); st.PromptTokens != c.Usage.Prompt || st.CompletionTokens != sum {
				rt.Errorf("billed %d and %d, reported %+v", st.PromptTokens, st.CompletionTokens, *c.Usage)
			}
		}
	})
}

func TestHugePromptsAreNotCountedToTheEnd(t *testing.T) {
	s := newServer(t, sim.Options{})
	post(s, hello) // loads the vocabulary
	body := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("東京 ", 1<<20) + `"}]}`
	begin := time.Now()
	c := decode(t, post(s, body).body)
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("an answer to 7 MB took %v", d)
	}
	if want := tokens.CountUpTo("m", []byte(body), 64<<10); c.Usage.Prompt != want {
		t.Errorf("%d prompt tokens, want %d", c.Usage.Prompt, want)
	}
}
