package tokens

import (
	"errors"
	"strings"
	"testing"
)

const someFile = `{
 "sample_spec": {"max_tokens": "LEGACY parameter", "input_cost_per_token": "documentation"},
 "gpt-4o": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 0.00001, "cache_read_input_token_cost": 1.25E-6,
   "max_tokens": 4096, "max_output_tokens": 16384, "litellm_provider": "openai", "mode": "chat", "supports_vision": true},
 "azure/gpt-4o": {"input_cost_per_token": 2.75e-06, "output_cost_per_token": 1.1e-05, "litellm_provider": "azure"},
 "openrouter/openai/gpt-4o": {"input_cost_per_token": 2.6e-06, "output_cost_per_token": 1e-05},
 "groq/llama": {"input_cost_per_token": 5e-08, "output_cost_per_token": 8e-08, "max_tokens": 8192.0},
 "cloud/llama": {"input_cost_per_token": 0.00000005, "output_cost_per_token": 80e-9, "max_tokens": 9000},
 "a/mixed": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
 "b/mixed": {"input_cost_per_token": 2e-06, "output_cost_per_token": 1e-06},
 "a/half": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
 "b/half": {"input_cost_per_token": 1e-06},
 "gemini-2.5-pro": {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05, "output_cost_per_reasoning_token": 1e-05,
   "cache_read_input_token_cost": 1.25e-07, "input_cost_per_token_above_200k_tokens": 2.5e-06,
   "output_cost_per_token_above_200k_tokens": 1.5e-05, "cache_read_input_token_cost_above_200k_tokens": 2.5e-07,
   "input_cost_per_token_above_200k_tokens_priority": 9e-06, "cache_creation_input_token_cost_above_1hr": 7},
 "qwen": {"litellm_provider": "dashscope", "tiered_pricing": [
   {"range": [0, 256000.0], "input_cost_per_token": 5e-08, "output_cost_per_token": 4e-07},
   {"range": [256000.0, 1000000.0], "input_cost_per_token": 2.5e-07, "output_cost_per_token": 2e-06}]},
 "claude": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "cache_creation_input_token_cost": 3.75e-06,
   "output_cost_per_reasoning_token": 2e-05},
 "free": {"input_cost_per_token": 0, "output_cost_per_token": 0.0},
 "fine": {"input_cost_per_token": 1.12497e-06, "output_cost_per_token": 3.3333333333333333e-7},
 "empty": {}, "null": {"input_cost_per_token": null, "output_cost_per_token": null},
 "picture": {"output_cost_per_image": 0.06}, "seconds": {"input_cost_per_second": 0.0001, "output_cost_per_second": 0},
 "request": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "input_cost_per_request": 0.005},
 "no-request": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "input_cost_per_request": 0},
 "paints": {"input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06, "output_cost_per_image_token": 3e-05},
 "sees": {"input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06, "input_cost_per_image_token": 5e-07, "input_cost_per_image": 0.001,
   "input_cost_per_audio_token": 1e-06, "input_cost_per_video_per_second": 0.002, "output_cost_per_image_token": 2.5e-06, "output_cost_per_image": 0.04},
 "perplexity/pplx": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "litellm_provider": "perplexity",
   "search_context_cost_per_query": {"search_context_size_low": 0.005}},
 "may-search": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "search_context_cost_per_query": {"search_context_size_low": 0.005}},
 "ft:gpt-4o": {"input_cost_per_token": 3.75e-06, "output_cost_per_token": 1.5e-05},
 "x/ft:other": {"input_cost_per_token": 3.75e-06, "output_cost_per_token": 1.5e-05}
}`

func TestPriceFile(t *testing.T) {
	f, err := ParsePriceFile("prices.json", []byte("\xef\xbb\xbf"+someFile+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	flat := func(in, out Money) []Rates { return []Rates{{0, in, out, in, in, out}} }
	gpt := []Rates{{0, 2_500_000, 10_000_000, 1_250_000, 2_500_000, 10_000_000}}
	for model, want := range map[string]struct {
		rates   []Rates
		largest int64
		source  string
	}{
		"gpt-4o":                   {gpt, 16384, "gpt-4o"},
		"openai/gpt-4o":            {gpt, 16384, "gpt-4o"},
		"router/openai/gpt-4o":     {flat(2_600_000, 10_000_000), 0, "openrouter/openai/gpt-4o"},
		"azure/gpt-4o":             {flat(2_750_000, 11_000_000), 0, "azure/gpt-4o"},
		"llama":                    {flat(50_000, 80_000), 9000, "cloud/llama"},
		"router/llama":             {flat(50_000, 80_000), 9000, "cloud/llama"},
		"far/away/llama":           {flat(50_000, 80_000), 9000, "cloud/llama"},
		"mixed":                    {}, // two prices
		"half":                     {}, // one of the two is unknown
		"other/gpt-4o":             {}, // whose?
		"router/dashscope/qwen":    {[]Rates{flat(50_000, 400_000)[0], {256_000, 250_000, 2_000_000, 250_000, 250_000, 2_000_000}}, 0, "qwen"},
		"gemini-2.5-pro":           {[]Rates{{0, 1_250_000, 10_000_000, 125_000, 1_250_000, 10_000_000}, {200_000, 2_500_000, 15_000_000, 250_000, 2_500_000, 15_000_000}}, 0, "gemini-2.5-pro"},
		"claude":                   {[]Rates{{0, 3_000_000, 15_000_000, 3_000_000, 3_750_000, 20_000_000}}, 0, "claude"},
		"free":                     {flat(0, 0), 0, "free"},
		"fine":                     {flat(1_124_970, 333_333), 0, "fine"},
		"no-request":               {flat(1_000_000, 1_000_000), 0, "no-request"},
		"sees":                     {flat(300_000, 2_500_000), 0, "sees"},
		"may-search":               {flat(1_000_000, 1_000_000), 0, "may-search"},
		"ft:gpt-4o":                {flat(3_750_000, 15_000_000), 0, "ft:gpt-4o"},
		"ft:gpt-4o:me::1":          {},
		"ft:other":                 {},
		"gpt-4":                    {},
		"sample_spec":              {},
		"":                         {},
		"empty":                    {},
		"null":                     {},
		"picture":                  {},
		"seconds":                  {},
		"request":                  {},
		"paints":                   {},
		"perplexity/pplx":          {},
		"pplx":                     {},
		"GPT-4o":                   {},
		"openrouter/openai/gpt-4o": {flat(2_600_000, 10_000_000), 0, "openrouter/openai/gpt-4o"},
	} {
		got := f.Of(model)
		if want.rates == nil {
			if got != nil {
				t.Errorf("%s: %+v, want an unknown price", model, got)
			}
			continue
		}
		if got == nil || !equalRates(got.Rates, want.rates) || got.Largest != want.largest || got.Source != "prices.json, "+want.source {
			t.Errorf("%s: %+v, want %+v", model, got, want)
		}
	}
}

func equalRates(a, b []Rates) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// A mistake in a model that nobody asks for is nobody's matter.
func TestPriceFileTellsOfProblems(t *testing.T) {
	for entry, want := range map[string]string{
		`{"input_cost_per_token":-1}`:                               "input_cost_per_token: -1 is negative",
		`{"output_cost_per_token":"1e-6"}`:                          `output_cost_per_token: "1e-6" is not a number`,
		`{"cache_read_input_token_cost":true}`:                      "cache_read_input_token_cost: true is not a number",
		`{"input_cost_per_token":2.5}`:                              "input_cost_per_token: 2.5 is more than a dollar for one token",
		`{"input_cost_per_token":1e999999999999}`:                   "input_cost_per_token: 1e999999999999 is too large",
		`{"input_cost_per_token":4e-13}`:                            "input_cost_per_token: 4e-13 has more than 12 decimals, and would count as 0",
		`{"output_cost_per_token":1e-99}`:                           "output_cost_per_token: 1e-99 has more than 12 decimals, and would count as 0",
		`{"input_cost_per_token_above_200k_tokens":-1e-6}`:          "input_cost_per_token_above_200k_tokens: -1e-6 is negative",
		`{"input_cost_per_token":1e-6,"input_cost_per_token":2e-6}`: "input_cost_per_token: stands twice",
		`{"input_cost_per_token_above_128k_tokens":1e-6,"input_cost_per_token_above_128000_tokens":2e-6}`:             "input_cost_per_token_above_128000_tokens: stands twice",
		`{"input_cost_per_token_above_0.0005k_tokens":1e-6}`:                                                          "input_cost_per_token_above_0.0005k_tokens: is above no whole number of tokens",
		`{"input_cost_per_token_above_0k_tokens":1e-6}`:                                                               "input_cost_per_token_above_0k_tokens: is above no whole number of tokens",
		`{"input_cost_per_token_above_-5_tokens":1e-6}`:                                                               "input_cost_per_token_above_-5_tokens: is above no whole number of tokens",
		`{"input_cost_per_token_above_many_tokens":1e-6}`:                                                             "input_cost_per_token_above_many_tokens: is above no whole number of tokens",
		`{"input_cost_per_token_above_128k":1e-6}`:                                                                    "input_cost_per_token_above_128k: is above no whole number of tokens",
		`{"input_cost_per_token_above_1kk_tokens":1e-6}`:                                                              "input_cost_per_token_above_1kk_tokens: is above no whole number of tokens",
		`{"input_cost_per_token_above_9999999999_tokens":1}`:                                                          "input_cost_per_token_above_9999999999_tokens: is above no whole number of tokens",
		`{"max_output_tokens":"many"}`:                                                                                `max_output_tokens: "many" is not a number`,
		`{"max_tokens":-5}`:                                                                                           "max_tokens: -5 is negative",
		`{"max_tokens":0.5}`:                                                                                          "max_tokens: 0.5 is no number of tokens",
		`{"tiered_pricing":[{"range":[0,5],"output_cost_per_token":-1}]}`:                                             "tiered_pricing[0]: output_cost_per_token: -1 is negative",
		`{"tiered_pricing":[{"range":[0,5]},{"range":[0.5,7]}]}`:                                                      "tiered_pricing[1]: range: 0.5 is no number of tokens",
		`{"tiered_pricing":[{"range":[0,5]},{"range":[0,7]}]}`:                                                        "tiered_pricing[1]: range: begins where another one does",
		`{"tiered_pricing":[{"range":[0,5]},7]}`:                                                                      "tiered_pricing[1]: is no object with prices",
		`{"tiered_pricing":[{"range":[0,5],"input_cost_per_token":1e-6,"input_cost_per_token":2e-6}]}`:                "tiered_pricing[0]: input_cost_per_token: stands twice",
		`{"tiered_pricing":7}`:                                                                                        "tiered_pricing: is no list",
		`{"input_cost_per_token":1e-6,"output_cost_per_token":1e-6,"tiered_pricing":[{"input_cost_per_token":2e-6}]}`: "tiered_pricing without a range of tokens is charged beside the tokens",
		`5`:                             "is no object with prices",
		`null`:                          "is no object with prices",
		`{}`:                            "input_cost_per_token and output_cost_per_token are missing",
		`{"input_cost_per_token":1e-6}`: "output_cost_per_token is missing",
		`{"output_cost_per_token":1e-6,"input_cost_per_token":null}`:                                                                    "input_cost_per_token is missing",
		`{"output_cost_per_image":0.06}`:                                                                                                "input_cost_per_token and output_cost_per_token are missing, and output_cost_per_image is no price of a token",
		`{"input_cost_per_second":1e-4,"output_cost_per_second":0}`:                                                                     "input_cost_per_token and output_cost_per_token are missing, and input_cost_per_second is no price of a token",
		`{"input_cost_per_pixel":2e-8,"output_cost_per_token":0}`:                                                                       "input_cost_per_token is missing, and input_cost_per_pixel is no price of a token",
		`{"input_cost_per_token":0,"output_cost_per_token":0,"input_cost_per_query":0.002}`:                                             "input_cost_per_query is charged beside the tokens, and not known of a call",
		`{"input_cost_per_token":1e-6,"output_cost_per_token":1e-6,"input_cost_per_request":5}`:                                         "input_cost_per_request is charged beside the tokens, and not known of a call",
		`{"input_cost_per_token":1e-6,"output_cost_per_token":1e-6,"output_cost_per_image_token":3e-5}`:                                 "output_cost_per_image_token is another price than output_cost_per_token",
		`{"input_cost_per_token":1e-6,"output_cost_per_token":1e-6,"output_cost_per_image":0.04}`:                                       "output_cost_per_image is charged beside the tokens",
		`{"litellm_provider":"perplexity","input_cost_per_token":1e-6,"output_cost_per_token":1e-6,"search_context_cost_per_query":{}}`: "its searches are charged beside the tokens",
	} {
		f, err := ParsePriceFile("p.json", []byte(`{"gpt-4o":`+entry+`,"fine":{"input_cost_per_token":1e-6,"output_cost_per_token":1e-6}}`))
		if err != nil {
			t.Errorf("%s: %v", entry, err)
			continue
		}
		var problem *PriceError
		if err := f.Problem("gpt-4o"); !errors.As(err, &problem) || !strings.HasPrefix(err.Error(), "p.json: gpt-4o: "+want) || problem.Hint == "" {
			t.Errorf("%s: %v, want %q and a hint", entry, err, want)
		}
		if f.Of("gpt-4o") != nil || !f.Has("gpt-4o") {
			t.Errorf("%s: has a price, or is not there", entry)
		}
		if f.Of("fine") == nil || !f.Has("fine") || f.Problem("fine") != nil {
			t.Errorf("%s: its neighbour has no price: %v", entry, f.Problem("fine"))
		}
		if f.Of("other") != nil || f.Has("other") || f.Problem("other") != nil {
			t.Errorf("%s: a model that is not there has something", entry)
		}
	}
}

func TestPriceFileTellsWhoseEntryItIs(t *testing.T) {
	const price = `{"input_cost_per_token":1e-6,"output_cost_per_token":1e-6}`
	f, err := ParsePriceFile("p.json", []byte(`{"twice":`+price+`,"twice":`+price+`,"a/half":`+price+`,"b/half":{"input_cost_per_token":1e-6},
		"a/mixed":`+price+`,"b/mixed":`+strings.Replace(price, "1e", "2e", 1)+`,
		"own":{"output_cost_per_token":[],"litellm_provider":"me"},"up\u001b[2J":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]string{
		"twice":     "p.json: twice: stands twice",
		"half":      "p.json: b/half: output_cost_per_token is missing",
		"mixed":     "p.json: mixed: a/mixed and b/mixed have different prices",
		"x/mixed":   "p.json: mixed: a/mixed and b/mixed have different prices",
		"b/half":    "p.json: b/half: output_cost_per_token is missing",
		"me/own":    "p.json: own: output_cost_per_token: [] is not a number",
		"up\x1b[2J": `p.json: "up\x1b[2J": input_cost_per_token and output_cost_per_token are missing`,
	} {
		if err := f.Problem(model); err == nil || err.Error() != want || f.Of(model) != nil || !f.Has(model) {
			t.Errorf("%s: %v, want %q", model, err, want)
		}
	}
	if f.Of("a/mixed") == nil || f.Of("a/half") == nil {
		t.Error("an entry of the very name has no price")
	}
}

func TestPriceFileReadsTiers(t *testing.T) {
	for field, want := range map[string]int64{
		"above_128k_tokens": 128_000, "above_128K_tokens": 128_000, "above_128000_tokens": 128_000, "above_0.5k_tokens": 500,
		"above_1m_tokens": 1_000_000, "above_1.5M_tokens": 1_500_000, "above_2e3_tokens": 2000,
		"above_1hr": 0, "above_1hr_above_200k_tokens": 0, "above_200k_tokens_priority": 0, "above_30min": 0,
	} {
		f, err := ParsePriceFile("p.json", []byte(`{"m":{"input_cost_per_token":1e-6,"output_cost_per_token":1e-6,"input_cost_per_token_`+field+`":2e-6}}`))
		if err != nil {
			t.Fatal(err)
		}
		p := f.Of("m")
		switch {
		case p == nil:
			t.Errorf("%s: %v", field, f.Problem("m"))
		case want == 0 && len(p.Rates) != 1, want > 0 && (len(p.Rates) != 2 || p.Rates[1].Above != want || p.Rates[1].Input != 2_000_000):
			t.Errorf("%s: %+v, want a tier above %d", field, p.Rates, want)
		}
	}
}

func TestPriceFilePrefersTheNewerName(t *testing.T) {
	const older, newer = `"input_cost_per_token_cache_hit":3e-7`, `"cache_read_input_token_cost":1e-7`
	for fields, want := range map[string]Money{older: 300_000, newer: 100_000, older + "," + newer: 100_000, newer + "," + older: 100_000} {
		f, err := ParsePriceFile("p.json", []byte(`{"m":{"input_cost_per_token":1e-6,"output_cost_per_token":1e-6,`+fields+`}}`))
		if err != nil || f.Of("m") == nil || f.Of("m").Rates[0].Cached != want {
			t.Errorf("%s: %+v, want %d (%v)", fields, f.Of("m"), want, err)
		}
	}
}

func TestPriceFileIsRefused(t *testing.T) {
	for file, want := range map[string]string{
		`{"gpt-4o":{"input_cost_per_token":NaN}}`: "p.json:1: is not valid JSON",
		`{"gpt-4o":{}`:        "p.json:1: is not valid JSON, or ends too early",
		"{\n\"gpt-4o\":{},\n": "p.json:2: is not valid JSON, or ends too early",
		`{"gpt-4o":{}}{}`:     "p.json:1: is not valid JSON",
		`[]`:                  "p.json: is no JSON object",
		``:                    "p.json: is no JSON object",
		`model,input,output`:  "p.json: is no JSON object",
	} {
		_, err := ParsePriceFile("p.json", []byte(file))
		var refused *PriceError
		if !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), want) || refused.Hint == "" {
			t.Errorf("%s: %v, want %q and a hint", file, err, want)
		}
	}
}

func FuzzPriceFile(f *testing.F) {
	f.Add([]byte(someFile))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ParsePriceFile("p.json", data)
		if (file == nil) == (err == nil) {
			t.Fatal("neither prices nor an error")
		}
		if err != nil {
			return
		}
		for model, m := range file.models {
			p := m.price
			if (p == nil) == (m.problem == nil) {
				t.Fatalf("%s: neither a price nor a problem, or both", model)
			}
			if p == nil {
				continue
			}
			for i, r := range p.Rates {
				if min(r.Input, r.Output, r.Cached, r.CacheWrite, r.Reasoning) < 0 || i > 0 && r.Above <= p.Rates[i-1].Above || i == 0 && r.Above != 0 {
					t.Fatalf("%s: %+v", model, p.Rates)
				}
			}
		}
	})
}
