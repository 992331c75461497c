package tokens

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What stands here was read in the source's JSON by eye, in dollars for a million tokens.
func TestQ7_BuiltinPrices(t *testing.T) {
	type dollars struct{ above, input, output, cached, written float64 }
	for name, want := range map[string]struct {
		largest int64
		source  string
		tiers   []dollars
	}{
		"openai gpt-4o":                            {128_000, "openai gpt-4o", []dollars{{0, 2.5, 10, 1.25, 2.5}}},
		"openai GPT-4o-2024-11-20 ":                {128_000, "openai gpt-4o", []dollars{{0, 2.5, 10, 1.25, 2.5}}},
		"openai gpt-4o-mini":                       {128_000, "openai gpt-4o-mini", []dollars{{0, 0.15, 0.6, 0.075, 0.15}}},
		"openai gpt-4o-mini-20240718":              {128_000, "openai gpt-4o-mini", []dollars{{0, 0.15, 0.6, 0.075, 0.15}}},
		"openai gpt-4.1":                           {1_000_000, "openai gpt-4.1", []dollars{{0, 2, 8, 0.5, 2}}},
		"openai gpt-5-mini":                        {400_000, "openai gpt-5-mini", []dollars{{0, 0.25, 2, 0.025, 0.25}}},
		"openai gpt-3.5-turbo":                     {16_385, "openai gpt-3.5-turbo", []dollars{{0, 0.5, 1.5, 0.5, 0.5}}},
		"openai o3":                                {200_000, "openai o3", []dollars{{0, 2, 8, 0.5, 2}}}, // since 2025-06-10
		"openai gpt-5.6-sol-2026-09-01":            {1_050_000, "openai gpt-5.6-sol", []dollars{{0, 4, 20, 0.4, 5}, {271_999, 8, 30, 0.8, 10}}},
		"anthropic claude-haiku-4-5":               {200_000, "anthropic claude-haiku-4-5", []dollars{{0, 1, 5, 0.1, 1.25}}},
		"anthropic claude-sonnet-4-5":              {200_000, "anthropic claude-sonnet-4-5", []dollars{{0, 3, 15, 0.3, 3.75}, {200_000, 6, 22.5, 0.6, 7.5}}},
		"anthropic claude-opus-4-6":                {1_000_000, "anthropic claude-opus-4-6", []dollars{{0, 5, 25, 0.5, 6.25}}}, // the tier ended 2026-03-13
		"google gemini-2.5-pro":                    {0, "google gemini-2.5-pro", []dollars{{0, 1.25, 10, 0.125, 1.25}, {200_000, 2.5, 15, 0.25, 2.5}}},
		"google gemini-2.5-flash":                  {1_048_576, "google gemini-2.5-flash", []dollars{{0, 0.3, 2.5, 0.03, 0.3}}},
		"google gemini-3.6-flash":                  {1_000_000, "google gemini-3.6-flash, until 2027-01-01", []dollars{{0, 0.75, 3.75, 0.075, 0.75}}},
		"deepseek deepseek-chat":                   {64_000, "deepseek deepseek-chat, at its dearest hours", []dollars{{0, 0.27, 1.1, 0.07, 0.27}}},
		"deepseek deepseek-v4-pro":                 {1_000_000, "deepseek deepseek-v4-pro, at its dearest hours", []dollars{{0, 1.32, 3.96, 0.044, 1.32}}},
		"x-ai grok-4":                              {256_000, "x-ai grok-4-0709", []dollars{{0, 3, 15, 0.75, 3}}},
		"groq llama-3.1-8b-instant":                {0, "groq llama-3.1-8b-instant", []dollars{{0, 0.05, 0.08, 0.05, 0.05}}},
		"openrouter openai/gpt-4o":                 {128_000, "openrouter openai/gpt-4o", []dollars{{0, 2.5, 10, 2.5, 2.5}}},
		"moonshotai kimi-k3":                       {1_048_576, "moonshotai kimi-k3", []dollars{{0, 3, 15, 0.3, 3}}},
		"azure gpt-4o":                             {128_000, "openai gpt-4o", []dollars{{0, 2.5, 10, 1.25, 2.5}}},
		"azure claude-haiku-4-5":                   {200_000, "anthropic claude-haiku-4-5", []dollars{{0, 1, 5, 0.1, 1.25}}},
		"google claude-sonnet-4@20250514":          {200_000, "google claude-4-sonnet", []dollars{{0, 3, 15, 0.3, 3.75}}},
		"openrouter x-ai/grok-4-fast":              {2_000_000, "openrouter x-ai/grok-4-fast", []dollars{{0, 0.2, 0.5, 0.05, 0.2}, {128_000, 0.4, 1, 0.05, 0.4}}},
		"openrouter google/gemini-3-flash-preview": {1_048_576, "openrouter google/gemini-3-flash-preview", []dollars{{0, 0.5, 3, 0.05, 0.083333}}},
	} {
		provider, model, _ := strings.Cut(name, " ")
		p := Builtin(provider, model)
		if p == nil || p.Largest != want.largest || p.Source != "genai-prices 0.1.8 of 2026-09-23, "+want.source || len(p.Rates) != len(want.tiers) {
			t.Errorf("%s: %+v, want %+v", name, p, want)
			continue
		}
		for i, d := range want.tiers {
			pico := func(dollars float64) Money { return Money(dollars*1e6 + 0.5) }
			if r := (Rates{int64(d.above), pico(d.input), pico(d.output), pico(d.cached), pico(d.written), pico(d.output)}); p.Rates[i] != r {
				t.Errorf("%s: %+v, want %+v", name, p.Rates[i], r)
			}
		}
	}
}

func TestQ7_BuiltinKnowsWhatItDoesNotKnow(t *testing.T) {
	for _, name := range []string{
		"openai ft:gpt-4o-mini-2024-07-18:me::1", "openai FT:gpt-4-0613:me", "openai gpt-9", "openai ", "openai gpt-4o-my-copy",
		"nobody gpt-4o", " gpt-4o", "groq gpt-4o",
		"github-copilot gpt-4o",                                                             // {} is no price, and must not fall through to another
		"openrouter openai/gpt-oss-20b:free-x",                                              // nor does a name that is longer
		"perplexity sonar", "perplexity sonar-deep-research", "openrouter perplexity/sonar", // so much a request or search
		"openai gpt-4o-mini-search-preview", "openai gpt-image-1", "google gemini-2.5-flash-image",
		"openai whisper-1", "openai text-embedding-3-small", "mistral mistral-ocr-latest",
		"google gemini-2.5-pro-exp-tts-1", // the pattern of gemini-2.5-pro excludes it
	} {
		provider, model, _ := strings.Cut(name, " ")
		if p := Builtin(provider, model); p != nil {
			t.Errorf("%s: %+v, want an unknown price", name, p)
		}
	}
}

func TestLargest(t *testing.T) {
	for name, want := range map[string]int64{
		"openai gpt-4o":                128_000,
		"openai GPT-4o-mini-20240718 ": 128_000,
		"azure claude-haiku-4-5":       200_000,
		"openrouter perplexity/sonar":  0, // who knows how often it asks itself
		"google gemini-2.5-pro":        0, // nobody says
		"openai ft:gpt-4o-mini:me::1":  0,
		"openai gpt-9":                 0,
		"nobody gpt-4o":                0,
		" gpt-4o":                      0,
	} {
		provider, model, _ := strings.Cut(name, " ")
		if got := Largest(provider, model); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
		if p := Builtin(provider, model); p != nil && p.Largest != want {
			t.Errorf("%s: its price says %d, want %d", name, p.Largest, want)
		}
	}
}

// An entry that another one hides would never be used, or give the other's price.
func TestQ7_EveryModelIsFoundByItsNames(t *testing.T) {
	known := 0
	for _, p := range builtin().Providers {
		for i := range p.Models {
			m := &p.Models[i]
			names := []string{m.ID}
			if m.Match != nil {
				names = namesOf(m.Match)
			}
			found := false
			for _, name := range names {
				owner, other := builtin().find(p, strings.ToLower(name))
				found = found || owner == p && (other == m || slices.Equal(other.Rates, m.Rates))
			}
			if !found {
				t.Errorf("%s %s is not found by any of %q", p.ID, m.ID, names)
			}
			if len(m.Rates) > 0 {
				known++
			}
		}
	}
	if known < 1400 {
		t.Errorf("only %d models have a price", known)
	}
}

// namesOf are names that a condition holds for, unless another part of it says no.
func namesOf(m *match) []string {
	names := []string{m.Equals + m.StartsWith + m.EndsWith + m.Contains}
	for i := range m.Or {
		names = append(names, namesOf(&m.Or[i])...)
	}
	for i := range m.And {
		names = append(names, namesOf(&m.And[i])...)
	}
	return names
}

func TestTheTableIsWhole(t *testing.T) {
	var check func(where string, m *match)
	check = func(where string, m *match) {
		said := 0
		for _, text := range []string{m.Equals, m.StartsWith, m.EndsWith, m.Contains, m.Regex} {
			if text != "" {
				said++
			}
		}
		if len(m.Or) > 0 || len(m.And) > 0 || m.Not != nil {
			said++
		}
		if said != 1 {
			t.Errorf("%s: a condition says %d things", where, said)
		}
		if _, err := regexp.Compile(m.Regex); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		for i := range m.Or {
			check(where, &m.Or[i])
		}
		for i := range m.And {
			check(where, &m.And[i])
		}
		if m.Not != nil {
			check(where, m.Not)
		}
	}
	for _, p := range builtin().Providers {
		for _, id := range p.Fallback {
			if builtin().byID[id] == nil {
				t.Errorf("%s falls back on %s, which is not there", p.ID, id)
			}
		}
		for i, m := range p.Models {
			where := p.ID + " " + m.ID
			if m.Match != nil {
				check(where, m.Match)
			}
			for i, r := range m.Rates {
				for _, n := range []json.Number{r.Input, r.Output, r.Cached, r.CacheWrite, r.Reasoning} {
					if _, exact, err := decimal(string(n), perMillion); n != "" && (err != nil || !exact) {
						t.Errorf("%s: %s: %v", where, n, err)
					}
				}
				if r.Input == "" || r.Output == "" || i == 0 && r.Above != 0 || i > 0 && r.Above <= m.Rates[i-1].Above {
					t.Errorf("%s: %+v", where, r)
				}
			}
			if slices.ContainsFunc(p.Models[:i], func(o pricedModel) bool { return o.ID == m.ID && len(o.Rates) != len(m.Rates) }) {
				t.Errorf("%s stands twice", where)
			}
		}
	}
}

func TestProviderOf(t *testing.T) {
	for url, want := range map[string]string{
		"https://api.openai.com/v1":                                   "openai",
		"https://API.openai.com.:443/v1/":                             "openai",
		"https://api.openai.com":                                      "openai",
		"https://me.openai.azure.com/openai/v1":                       "azure",
		"https://me.services.ai.azure.com/models":                     "azure",
		"https://generativelanguage.googleapis.com/v1beta/openai":     "google",
		"https://us-central1-aiplatform.googleapis.com/v1/projects/p": "google",
		"https://api.groq.com/openai/v1":                              "groq",
		"https://api.moonshot.ai/v1":                                  "moonshotai",
		"https://api.moonshot.cn/v1":                                  "moonshotai",
		"https://openrouter.ai/api/v1":                                "openrouter",
		"https://router.huggingface.co/together/v1":                   "huggingface_together",
		"https://router.huggingface.co/v1":                            "",
		"https://api.cloudflare.com/client/v4/accounts/0123/ai/v1":    "cloudflare",
		"https://api.cloudflare.com/client/v4/accounts/0123/other":    "",
		"https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1":   "aws",
		"https://api.cohere.ai/compatibility/v1":                      "cohere",
		"https://api.deepseek.com":                                    "deepseek",
		"https://api.mistral.ai/v1":                                   "mistral",
		"https://api.x.ai/v1":                                         "x-ai",
		"https://api.together.xyz/v1":                                 "together",
		"https://api.assisters.dev/v1":                                "",
		"http://127.0.0.1:8080/v1":                                    "",
		"http://localhost/v1":                                         "",
		"https://api.openai.com.example/v1":                           "",
		"https://api.moonshot.example.com/v1":                         "",
		"https://proxy.example/https://api.openai.com/v1":             "",
		"https://proxy.example/x.googleapis.com/v1":                   "",
		"https://proxy.example/me.openai.azure.com/v1":                "",
		"":               "",
		"api.openai.com": "",
		"https://":       "",
		"%":              "",
	} {
		if got := ProviderOf(url); got != want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
	for _, p := range []string{"openai", "anthropic", "google", "openrouter"} {
		if !slices.Contains(Providers(), p) {
			t.Errorf("%s is not among %v", p, Providers())
		}
	}
}

func BenchmarkBuiltin(b *testing.B) {
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if err := json.Unmarshal(builtinJSON, &table{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			Builtin("openrouter", "nobody/nothing-20250101")
		}
	})
}
