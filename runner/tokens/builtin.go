package tokens

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// builtin.json is reduced from the data of npm's @pydantic/genai-prices 0.1.8, as of 2026-09-23, which is under the MIT
// licence (builtin.LICENSE). To make it again, set GENAI_PRICES to the package's data as gzip'd JSON.
//
//go:generate go run ./testdata/reduce builtin.json $GENAI_PRICES
//go:embed builtin.json
var builtinJSON []byte

// table is the prices that are built in, by provider.
type table struct {
	Source, Version, Date string
	Providers             []*provider
	byID                  map[string]*provider
}

type provider struct {
	ID       string
	API      string   // a pattern that base URLs begin with
	Fallback []string // providers whose models it serves too
	Models   []pricedModel

	api *regexp.Regexp
}

type pricedModel struct {
	ID      string
	Match   *match // nil for the very ID
	Context int64
	Note    string
	Rates   []perMillionTokens // none for an unknown price
}

// perMillionTokens is a tier as it stands in the table, in dollars.
type perMillionTokens struct {
	Above                 int64
	Input, Output, Cached json.Number
	CacheWrite            json.Number `json:"cache_write"`
	Reasoning             json.Number
}

// match is a condition on a model's name in lower case.
type match struct {
	Equals, Contains, Regex string
	StartsWith              string `json:"starts_with"`
	EndsWith                string `json:"ends_with"`
	Or, And                 []match
	Not                     *match
}

// builtin reads the table at its first use: most commands need no price.
var builtin = sync.OnceValue(func() *table {
	t := &table{byID: map[string]*provider{}}
	if err := json.Unmarshal(builtinJSON, t); err != nil {
		panic(fmt.Sprintf("the built-in prices: %v", err)) // a test reads them
	}
	for _, p := range t.Providers {
		p.api = regexp.MustCompile("^(?:" + p.API + ")")
		t.byID[p.ID] = p
	}
	return t
})

// Providers are the providers that the built-in table knows, by name.
func Providers() []string { return slices.Sorted(maps.Keys(builtin().byID)) }

// ProviderOf is the provider whose API a base URL belongs to, "" for none that the built-in table knows.
func ProviderOf(baseURL string) string {
	u, err := url.Parse(strings.TrimSpace(baseURL))
	if err != nil || u.Host == "" {
		return ""
	}
	address := strings.ToLower(u.Scheme) + "://" + strings.TrimSuffix(strings.ToLower(u.Hostname()), ".") + u.EscapedPath()
	for _, p := range builtin().Providers {
		if end := p.api.FindStringIndex(address); end != nil && endsName(address[:end[1]], address[end[1]:]) {
			return p.ID
		}
	}
	return ""
}

// endsName says that what a pattern matched ends with a name of the URL, not within one: api.openai.com.example is not OpenAI's.
// A pattern that ends with a dot leaves the top-level domain open.
func endsName(matched, rest string) bool {
	if strings.HasSuffix(matched, ".") {
		rest = strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz")
	}
	return rest == "" || rest[0] == '/' || strings.HasSuffix(matched, "/")
}

// Builtin is what a provider's model costs, nil when that is not known. Nobody's table knows a fine-tuned model.
//
// The data know of no largest answer, but of the context that prompt and answer share: it bounds the answer too.
func Builtin(provider, model string) *Price {
	t := builtin()
	owner, m := t.model(provider, model)
	if m == nil || len(m.Rates) == 0 || paidBySearch(model) {
		return nil
	}
	return t.price(owner, m)
}

// Largest is the most tokens of an answer of a provider's model, whatever it costs; 0 when that is not known. One that searches may
// ask itself many times for an answer.
func Largest(provider, model string) int64 {
	if _, m := builtin().model(provider, model); m != nil && !paidBySearch(model) {
		return m.Context
	}
	return 0
}

// model is a provider's model by the name that it is asked for.
func (t *table) model(id, name string) (*provider, *pricedModel) {
	p := t.byID[id]
	name = strings.ToLower(strings.TrimSpace(name))
	if p == nil || isTuned(name) {
		return nil, nil
	}
	owner, m := t.find(p, name)
	if m == nil {
		if dated := spellDate(name); dated != name {
			return t.find(p, dated)
		}
	}
	return owner, m
}

// find is the first model that matches, of the provider or else of those whose models it serves too.
func (t *table) find(p *provider, name string) (*provider, *pricedModel) {
	for i := range p.Models {
		m := &p.Models[i]
		if m.Match == nil && name == strings.ToLower(m.ID) || m.Match != nil && m.Match.holds(name) {
			return p, m
		}
	}
	for _, id := range p.Fallback {
		if other := t.byID[id]; other != nil && other != p {
			if owner, m := t.find(other, name); m != nil {
				return owner, m
			}
		}
	}
	return nil, nil
}

func (t *table) price(p *provider, m *pricedModel) *Price {
	rate := func(n json.Number) amount {
		v, _, err := decimal(string(n), perMillion)
		return amount{Money(v), n != "" && err == nil}
	}
	price := &Price{Largest: m.Context, Source: fmt.Sprintf("%s %s of %s, %s %s", t.Source, t.Version, t.Date, p.ID, m.ID)}
	if m.Note != "" {
		price.Source += ", " + m.Note
	}
	for _, r := range m.Rates {
		set := rateSet{
			inputRate: rate(r.Input), outputRate: rate(r.Output), cachedRate: rate(r.Cached),
			writeRate: rate(r.CacheWrite), thoughtRate: rate(r.Reasoning),
		}
		price.Rates = append(price.Rates, set.rates(r.Above))
	}
	return price
}

func (m *match) holds(name string) bool {
	holds := func(m match) bool { return m.holds(name) }
	switch {
	case m.Equals != "":
		return name == strings.ToLower(m.Equals)
	case m.StartsWith != "":
		return strings.HasPrefix(name, strings.ToLower(m.StartsWith))
	case m.EndsWith != "":
		return strings.HasSuffix(name, strings.ToLower(m.EndsWith))
	case m.Contains != "":
		return strings.Contains(name, strings.ToLower(m.Contains))
	case m.Regex != "":
		found, err := regexp.MatchString(m.Regex, name)
		return found && err == nil
	case m.Not != nil:
		return !m.Not.holds(name)
	case m.And != nil:
		return !slices.ContainsFunc(m.And, func(m match) bool { return !m.holds(name) })
	}
	return slices.ContainsFunc(m.Or, holds)
}

var runDate = regexp.MustCompile(`-(20\d{6})(-|:|$)`)

// spellDate writes the date in a model's name as 2025-08-07 where it is 20250807: some that serve a model do.
func spellDate(name string) string {
	return runDate.ReplaceAllStringFunc(name, func(found string) string {
		day, err := time.Parse("20060102", found[1:9])
		if err != nil {
			return found
		}
		return "-" + day.Format(time.DateOnly) + found[9:]
	})
}
