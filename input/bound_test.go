package input

import "testing"

func TestMaxTokens(t *testing.T) {
	for fields, want := range map[string]int64{
		``:                            0,
		`,"max_tokens":20`:            20,
		`,"max_completion_tokens":30`: 30,
		`,"max_tokens":20,"max_completion_tokens":30`:     30,
		`,"max_tokens":20,"n":3`:                          60,
		`,"max_tokens":20,"n":1`:                          20,
		`,"max_completion_tokens":30,"n":2`:               60,
		`,"n":3`:                                          0,
		`,"max_tokens":20,"n":null`:                       20,
		`,"max_tokens":20,"n":0`:                          0,
		`,"max_tokens":20,"n":"3"`:                        0,
		`,"max_tokens":20,"n":2.0`:                        0,
		`,"max_tokens":20,"max_completion_tokens":null`:   20,
		`,"max_tokens":20,"max_completion_tokens":"30"`:   0,
		`,"max_completion_tokens":30.0`:                   0,
		`,"max_completion_tokens":-30`:                    0,
		`,"max_completion_tokens":9007199254740992`:       1 << 53,
		`,"max_completion_tokens":9007199254740993`:       0,
		`,"max_completion_tokens":9007199254740992,"n":2`: 0,
		`,"max_completion_tokens":1e3`:                    0,
		`,"max_completion_tokens":99999999999999999999`:   0,
		`,"max\u005ftokens":20`:                           20,
	} {
		for form, line := range map[string]string{
			"prompt":   `{"prompt":"x","model":"m"` + fields + `}`,
			"messages": `{"model":"m","messages":[{"role":"user","content":"x"}]` + fields + `}`,
			"body":     `{"custom_id":"r","body":{"model":"m","messages":[{"role":"user","content":"x"}]` + fields + `}}`,
		} {
			good, bad, _ := readAll(t, line, Options{})
			if len(good) != 1 || good[0].MaxTokens != want {
				t.Errorf("%s line with %s: %+v, want %d (%v)", form, fields, good, want, bad)
			}
		}
	}
	// What the API refuses in a line of ours is the API's business in a body.
	for fields, want := range map[string]int64{`,"max_tokens":null`: 0, `,"max_tokens":0`: 0, `,"max_tokens":20.0`: 0, `,"max_tokens":null,"max_completion_tokens":7`: 7} {
		line := `{"custom_id":"r","body":{"model":"m","messages":[{"role":"user","content":"x"}]` + fields + `}}`
		if good, bad, _ := readAll(t, line, Options{}); len(good) != 1 || good[0].MaxTokens != want {
			t.Errorf("%s: %+v, want %d (%v)", fields, good, want, bad)
		}
	}
}

func TestMaxTokensOfAFillIn(t *testing.T) {
	text := `{"prompt":"x","model":"m"}
{"prompt":"x","model":"m","max_tokens":20}
{"prompt":"x","model":"m","max_completion_tokens":30,"n":2}
{"prompt":"x","model":"m","n":2}
{"custom_id":"r","body":{"model":"m","messages":[{"role":"user","content":"x"}]}}
{"custom_id":"s","body":{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":20}}`
	good, bad, _ := readAll(t, text, fill("", "max_tokens", "5"))
	want := []int64{5, 20, 60, 10, 5, 20}
	for i, p := range good {
		if p.MaxTokens != want[i] {
			t.Errorf("line %d: %d, want %d", p.Line, p.MaxTokens, want[i])
		}
	}
	if len(good) != len(want) {
		t.Errorf("%d prompts, bad %v", len(good), bad)
	}
}
