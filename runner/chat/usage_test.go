package chat

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func TestQ6_PartsOfUsage(t *testing.T) {
	known := func(u Usage) Usage { // of 100 prompt and 20 completion tokens, and 10 that only the total has
		u.Known, u.Prompt, u.Completion, u.Total = true, 100, 20, 130
		return u
	}
	for fields, want := range map[string]Usage{
		``: {},
		`"prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0}`:                       {Cached: 64},
		`"prompt_tokens_details":{"cached_tokens":64,"cache_write_tokens":36}`:                {Cached: 64, CacheWrite: 36},
		`"prompt_tokens_details":{"cached_tokens":64,"cache_creation_tokens":30}`:             {Cached: 64, CacheWrite: 30},
		`"prompt_tokens_details":{"cache_creation_input_tokens":30,"cache_type":"ephemeral"}`: {CacheWrite: 30},
		`"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36`:                          {Cached: 64},
		`"prompt_cache_hit_tokens":64,"prompt_tokens_details":{"cached_tokens":64}`:           {Cached: 64},
		`"cached_tokens":64,"prompt_tokens_details":{"cached_tokens":0}`:                      {Cached: 64},
		`"cache_read_input_tokens":64,"cache_creation_input_tokens":36`:                       {Cached: 64, CacheWrite: 36},
		`"completion_tokens_details":{"reasoning_tokens":15}`:                                 {Reasoning: 15},
		`"completion_tokens_details":{"reasoning_tokens":30}`:                                 {Reasoning: 30},
		`"reasoning_tokens":15`: {Reasoning: 15},
		`"prompt_tokens_details":{"audio_tokens":7},"completion_tokens_details":{"audio_tokens":5}`:             {Audio: 12},
		`"input_tokens_details":{"cached_tokens":64},"output_tokens_details":{"reasoning_tokens":4}`:            {Cached: 64, Reasoning: 4},
		`"prompt_tokens_details":{"cached_tokens":64.0},"completion_tokens_details":{"reasoning_tokens":1.5e1}`: {Cached: 64, Reasoning: 15},
		`"prompt_audio_seconds":3`:    {Audio: 10},
		`"prompt_audio_seconds":null`: {},
		`"prompt_audio_seconds":{}`:   {},

		// What makes no sense is charged as the plain tokens that it stands among.
		`"prompt_tokens_details":null,"completion_tokens_details":null`:                                {},
		`"prompt_tokens_details":[],"completion_tokens_details":"none"`:                                {},
		`"prompt_tokens_details":{"cached_tokens":null}`:                                               {},
		`"prompt_tokens_details":{"cached_tokens":"64"}`:                                               {},
		`"prompt_tokens_details":{"cached_tokens":-64}`:                                                {},
		`"prompt_tokens_details":{"cached_tokens":64.5}`:                                               {},
		`"prompt_tokens_details":{"cached_tokens":101}`:                                                {},
		`"prompt_tokens_details":{"cached_tokens":1e300}`:                                              {},
		`"prompt_tokens_details":{"cached_tokens":true}`:                                               {},
		`"cache_read_input_tokens":5000`:                                                               {},
		`"cache_read_input_tokens":80,"cache_creation_input_tokens":30`:                                {CacheWrite: 30},
		`"cache_read_input_tokens":80,"cache_creation_input_tokens":101`:                               {Cached: 80},
		`"completion_tokens_details":{"reasoning_tokens":31}`:                                          {},
		`"prompt_tokens_details":{"audio_tokens":101},"completion_tokens_details":{"audio_tokens":31}`: {},
		`"Prompt_Tokens_Details":{"cached_tokens":64},"audio_tokens":5`:                                {},
		`"prompt_tokens_details":{"Cached_Tokens":64,"cached_tokens_details":{"cached_tokens":5}}`:     {},
	} {
		usage := `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":130`
		if fields != "" {
			usage += "," + fields
		}
		if got := readUsage([]byte(usage + "}")); got != known(want) {
			t.Errorf("%s: %+v, want %+v", fields, got, known(want))
		}
	}
}

// The parts never make unknown usage known, nor exceed their wholes, whatever a server writes.
func FuzzUsage(f *testing.F) {
	f.Add([]byte(`{"prompt_tokens":100,"completion_tokens":20,"total_tokens":130,"cached_tokens":5,"reasoning_tokens":25}`))
	f.Add([]byte(`{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":9,"cache_write_tokens":9,"audio_tokens":9}}`))
	f.Fuzz(func(t *testing.T, usage []byte) {
		if !validJSON(usage) {
			return
		}
		u := readUsage(usage)
		if !u.Known && u != (Usage{}) {
			t.Fatalf("%s: %+v", usage, u)
		}
		if min(u.Cached, u.CacheWrite, u.Reasoning, u.Audio) < 0 || u.Cached+u.CacheWrite > u.Prompt || u.Reasoning > u.Total-u.Prompt || u.Audio > u.Total {
			t.Fatalf("%s: %+v", usage, u)
		}
		var said struct {
			Prompt     float64 `json:"prompt_tokens"`
			Completion float64 `json:"completion_tokens"`
			Total      float64 `json:"total_tokens"`
		}
		if u.Known && json.Unmarshal(usage, &said, jsontext.AllowInvalidUTF8(true)) == nil && // no name twice
			(float64(u.Prompt) != said.Prompt || float64(u.Completion) != said.Completion || said.Total != 0 && float64(u.Total) != said.Total) {
			t.Fatalf("%s: %+v", usage, u)
		}
	})
}

// Moonshot's streams say in the last chunk's choice what was used.
func TestUsageInTheChoice(t *testing.T) {
	usage := `"usage":{"prompt_tokens":19,"completion_tokens":13,"total_tokens":32,"cached_tokens":10}`
	want := Usage{Known: true, Prompt: 19, Completion: 13, Total: 32, Cached: 10}
	choice := `{"message":{"content":"hi"},"finish_reason":"stop",` + usage + `}`
	for completion, want := range map[string]Usage{
		`{"choices":[` + choice + `]}`:                                       want,
		`{"choices":[` + choice + `],"usage":null}`:                          want,
		`{"choices":[` + choice + `,` + choice + `]}`:                        {}, // of one of them
		`{"choices":[{"message":{"content":"hi"}}]}`:                         {},
		`{` + usage + `,"choices":[{"usage":7,"message":{"content":"hi"}}]}`: want,
	} {
		r := readReply([]byte(completion), 200)
		if r.answer.Usage != want || !r.done || (r.answer.Text == "") != want.Known {
			t.Errorf("%s: %+v, want %+v", completion, r.answer, want)
		}
	}
	body := `data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}` + "\n\n" +
		`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop",` + usage + `}]}` + "\n\ndata: [DONE]\n\n"
	if r := stream(t, body); r.Class != Done || r.Answer.Usage != want {
		t.Errorf("%+v", r)
	}
}

func BenchmarkReadUsage(b *testing.B) {
	usage := []byte(`{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,` +
		`"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0}}`)
	b.ReportAllocs()
	for b.Loop() {
		if !readUsage(usage).Known {
			b.Fatal("unknown")
		}
	}
}
