package sim_test

import (
	"strings"
	"testing"

	"batch/runner/chat/sim"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzBody wants of any body whatever an answer, an error or a stream in the API's shape, and the same again.
func FuzzBody(f *testing.F) {
	for _, body := range pageRequests {
		f.Add(body)
	}
	f.Add(with(1, `,"stream":true,"n":2,"stop":["a"],"max_tokens":9`))
	f.Add(with(1, `,"response_format":{"type":"json_object"},"max_completion_tokens":1`))
	f.Add(`{"model":"\ud800","messages":[{"role":"user","content":"\ud800"}],"n":1,"n":2}`)
	f.Fuzz(func(t *testing.T, body string) {
		s, err := sim.New(sim.Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		r := post(s, body, "Idempotency-Key", "k")
		if again := post(s, body, "Idempotency-Key", "k"); again.status != r.status || again.body != r.body {
			t.Errorf("%d %q, then %d %q", r.status, r.body, again.status, again.body)
		}
		if r.status != 200 && r.status != 400 {
			t.Errorf("status %d", r.status)
		}
		parts := []string{r.body}
		if strings.HasPrefix(r.body, "data: ") {
			parts = events(t, r.body)
			if last := len(parts) - 1; parts[last] == "[DONE]" {
				parts = parts[:last]
			} else {
				t.Error("a stream without its end")
			}
		}
		for _, part := range parts {
			if !jsontext.Value(part).IsValid(jsontext.AllowInvalidUTF8(true)) {
				t.Errorf("not JSON: %q", part)
			}
		}
	})
}
