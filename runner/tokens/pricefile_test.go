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
 "sees": {"input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06, "input_cost_per_image_token": 3e-07},
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

func TestPriceFileIsRefused(t *testing.T) {
	for file, want := range map[string]string{
		`{"gpt-4o":{"input_cost_per_token":-1}}`:                                     "p.json: gpt-4o: input_cost_per_token: -1 is negative",
		`{"gpt-4o":{"output_cost_per_token":"1e-6"}}`:                                `p.json: gpt-4o: output_cost_per_token: "1e-6" is not a number`,
		`{"gpt-4o":{"cache_read_input_token_cost":true}}`:                            "p.json: gpt-4o: cache_read_input_token_cost: true is not a number",
		`{"gpt-4o":{"input_cost_per_token":NaN}}`:                                    "p.json:1: is not valid JSON",
		`{"gpt-4o":{"input_cost_per_token":2.5}}`:                                    "p.json: gpt-4o: input_cost_per_token: 2.5 is more than a dollar for one token",
		`{"gpt-4o":{"input_cost_per_token":1e999999999999}}`:                         "p.json: gpt-4o: input_cost_per_token: 1e999999999999 is too large",
		`{"gpt-4o":{"input_cost_per_token_above_200k_tokens":-1e-6}}`:                "p.json: gpt-4o: input_cost_per_token_above_200k_tokens: -1e-6 is negative",
		`{"gpt-4o":{"input_cost_per_token":1e-6,"input_cost_per_token":2e-6}}`:       "p.json: gpt-4o: input_cost_per_token: stands twice",
		`{"gpt-4o":{"max_output_tokens":"many"}}`:                                    `p.json: gpt-4o: max_output_tokens: "many" is not a number`,
		`{"gpt-4o":{"max_tokens":-5}}`:                                               "p.json: gpt-4o: max_tokens: -5 is negative",
		`{"gpt-4o":{"max_tokens":0.5}}`:                                              "p.json: gpt-4o: max_tokens: 0.5 is no number of tokens",
		`{"gpt-4o":{"tiered_pricing":[{"range":[0,5],"output_cost_per_token":-1}]}}`: "p.json: gpt-4o: tiered_pricing: output_cost_per_token: -1 is negative",
		`{"gpt-4o":{"tiered_pricing":7}}`:                                            "p.json: gpt-4o: tiered_pricing: is no list",
		`{"gpt-4o":5}`:                                                               "p.json: gpt-4o: is no object with prices",
		`{"gpt-4o":{},"gpt-4o":{}}`:                                                  "p.json: gpt-4o: stands twice",
		`{"gpt-4o":{}`:                                                               "p.json:1: is not valid JSON, or ends too early",
		"{\n\"gpt-4o\":{},\n":                                                        "p.json:2: is not valid JSON, or ends too early",
		`{"gpt-4o":{}}{}`:                                                            "p.json:1: is not valid JSON",
		`[]`:                                                                         "p.json: is no JSON object",
		``:                                                                           "p.json: is no JSON object",
		`model,input,output`:                                                         "p.json: is no JSON object",
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
		for model, p := range file.models {
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
