package input

import (
	"slices"
	"testing"
)

// Keys that bear a secret by mistake are known by their names, wherever in a line they stand; the words of every day are none.
func TestI17_Secrets(t *testing.T) {
	text := `{"prompt":"x","model":"m","api_key":"k","tokens":1,"key":2,"secretary":3,"max_tokens":4,"stream":true,"n":1}
{"prompt":"x","model":"m","params":{"X-API-Key":"k","top_k":1},"tokenizer":"t"}
{"custom_id":"r","body":{"model":"own","messages":[{"role":"user","content":"api_key"}],"clientSecret":"k","n":2},"db password":"k","author":"a"}
{"prompt":"x","model":"m","api_key":"k","OPENAI_API_KEY":"k"}`
	good, bad, stats := readAll(t, text, Options{})
	if want := []string{"api_key", "X-API-Key", "clientSecret", "db password", "OPENAI_API_KEY"}; len(bad) > 0 || !slices.Equal(sorted(stats.Secrets), sorted(want)) {
		t.Errorf("%q, want %q; bad lines %v", stats.Secrets, want, bad)
	}
	const body = `{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":4,"stream":true,"n":1}`
	if string(good[0].Body) != body || string(good[1].Carried) != `{"tokenizer":"t"}` || good[2].Model != "own" {
		t.Errorf("%s, %s, %s", good[0].Body, good[1].Carried, good[2].Model)
	}
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}
