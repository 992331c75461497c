// Reduce makes builtin.json of the data of npm's @pydantic/genai-prices: what a chat completion's tokens cost, a model a line.
// Its arguments are the file to write and the data, an array of providers as JSON, gzip'd.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log"
	"math/big"
	"os"
	"slices"
	"strings"
)

const (
	version = "0.1.8"
	date    = "2026-09-23"
)

type provider struct {
	ID       string   `json:"id"`
	API      string   `json:"api_pattern"`
	Fallback []string `json:"fallback_model_providers"`
	Models   []struct {
		ID      string          `json:"id"`
		Match   json.RawMessage `json:"match"`
		Context int64           `json:"context_window"`
		Prices  json.RawMessage `json:"prices"`
	} `json:"models"`
}

// model is a line of the result. Without rates its price is unknown; it stays, so that no looser pattern behind it prices it.
type model struct {
	ID      string          `json:"id"`
	Match   json.RawMessage `json:"match,omitempty"` // the very id when left out
	Context int64           `json:"context,omitempty"`
	Note    string          `json:"note,omitempty"`
	Rates   []rates         `json:"rates,omitempty"`
}

type rates struct {
	Above      int64       `json:"above,omitempty"`
	Input      json.Number `json:"input,omitempty"`
	Output     json.Number `json:"output,omitempty"`
	Cached     json.Number `json:"cached,omitempty"`
	CacheWrite json.Number `json:"cache_write,omitempty"`
	Reasoning  json.Number `json:"reasoning,omitempty"`
}

type price struct {
	base  json.Number
	tiers map[int64]json.Number
}

func (p *price) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		return json.Unmarshal(data, &p.base)
	}
	var tiered struct {
		Base  json.Number `json:"base"`
		Tiers []struct {
			Start int64       `json:"start"`
			Price json.Number `json:"price"`
		} `json:"tiers"`
	}
	err := json.Unmarshal(data, &tiered)
	p.base, p.tiers = tiered.Base, map[int64]json.Number{}
	for _, t := range tiered.Tiers {
		p.tiers[t.Start] = t.Price
	}
	return err
}

type conditional struct {
	Constraint struct {
		Type  string `json:"type"`
		Start string `json:"start_date"`
	} `json:"constraint"`
	Prices map[string]*price `json:"prices"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: reduce builtin.json genai_prices.json.gz")
	}
	file, err := os.Open(os.Args[2])
	check(err)
	plain, err := gzip.NewReader(file)
	check(err)
	var providers []provider
	check(json.NewDecoder(plain).Decode(&providers))

	var b bytes.Buffer
	fmt.Fprintf(&b, `{"source": "genai-prices", "version": %q, "date": %q,`+"\n", version, date)
	b.WriteString(`"licence": "MIT, Copyright (c) Pydantic Services Inc. 2025 to present", "unit": "US dollars for a million tokens",` + "\n")
	b.WriteString(`"providers": [`)
	between := "\n"
	for _, p := range providers {
		var lines []string
		priced := false
		for _, m := range p.Models {
			if strings.HasPrefix(m.ID, "ft:") {
				continue // what a fine-tuned model costs is between its owner and the provider
			}
			line := model{ID: m.ID, Match: rewrite(m.Match, m.ID), Context: m.Context}
			set, note := choose(p.ID+" "+m.ID, m.Prices)
			if line.Rates = ladder(set); line.Rates != nil {
				line.Note, priced = note, true
			} else {
				line.Context = 0
			}
			lines = append(lines, "  "+encode(line))
		}
		if !priced && p.Fallback == nil {
			continue
		}
		head := encode(struct {
			ID       string   `json:"id"`
			API      string   `json:"api"`
			Fallback []string `json:"fallback,omitempty"`
		}{p.ID, hostOnly(p.API), p.Fallback})
		fmt.Fprintf(&b, "%s%s, \"models\": [\n%s\n]}", between, strings.TrimSuffix(head, "}"), strings.Join(lines, ",\n"))
		between = ",\n"
	}
	b.WriteString("\n]}\n")
	check(os.WriteFile(os.Args[1], b.Bytes(), 0o644))
}

// choose is the prices in force at the date of the data: the last whose constraint holds. Where they change with the hour of the
// day, those of the dearest hour.
func choose(name string, raw json.RawMessage) (map[string]*price, string) {
	var list []conditional
	if raw[0] == '{' {
		list = make([]conditional, 1)
		check(json.Unmarshal(raw, &list[0].Prices))
	} else {
		check(json.Unmarshal(raw, &list))
	}
	var dearest map[string]*price
	note := ""
	for _, c := range slices.Backward(list) {
		switch {
		case c.Constraint.Start > date:
			note = "until " + c.Constraint.Start
			continue
		case dearest == nil || dearer(name, c.Prices, dearest):
			dearest = c.Prices
		}
		if c.Constraint.Type != "time_of_date" {
			break
		}
		note = "at its dearest hours"
	}
	return dearest, note
}

func dearer(name string, a, b map[string]*price) bool {
	more, less := false, false
	for key := range a {
		if b[key] == nil || a[key].tiers != nil || b[key].tiers != nil {
			log.Fatalf("%s: prices by the hour that cannot be compared", name)
		}
		switch rat(a[key].base).Cmp(rat(b[key].base)) {
		case 1:
			more = true
		case -1:
			less = true
		}
	}
	if more && less {
		log.Fatalf("%s: neither hour is the dearer one", name)
	}
	return more
}

// ladder is the rates by tier, nil when calls have no price for their tokens, or cost more than these: so much a request, other
// prices for the tokens of images, films and citations. (Sound is counted apart in the usage itself.)
func ladder(set map[string]*price) []rates {
	for key := range set {
		switch key {
		case "input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "output_reasoning_mtok":
		case "cache_write_1h_mtok", "input_audio_mtok", "output_audio_mtok", "cache_audio_read_mtok":
		case "web_searches_kcount", "storage_searches_kcount": // tools that a call may ask for
		default:
			return nil
		}
	}
	if set["input_mtok"] == nil || set["output_mtok"] == nil {
		return nil
	}
	starts := []int64{0}
	for _, p := range set {
		for start := range p.tiers {
			if !slices.Contains(starts, start) {
				starts = append(starts, start)
			}
		}
	}
	slices.Sort(starts)
	var all []rates
	for _, start := range starts {
		at := func(key string) json.Number {
			p := set[key]
			if p == nil {
				return ""
			}
			found, from := p.base, int64(-1)
			for tier, value := range p.tiers {
				if tier <= start && tier > from {
					found, from = value, tier
				}
			}
			return short(found)
		}
		all = append(all, rates{
			Above: start, Input: at("input_mtok"), Output: at("output_mtok"),
			Cached: at("cache_read_mtok"), CacheWrite: at("cache_write_mtok"), Reasoning: at("output_reasoning_mtok"),
		})
	}
	return all
}

// short rounds to six decimals, a picodollar a token; floats have left 0.18000000000000002 in the data.
func short(n json.Number) json.Number {
	text := rat(n).FloatString(6)
	return json.Number(strings.TrimSuffix(strings.TrimRight(text, "0"), "."))
}

func rat(n json.Number) *big.Rat {
	r, ok := new(big.Rat).SetString(string(n))
	if !ok || r.Sign() < 0 {
		log.Fatalf("%s is no price", n)
	}
	return r
}

// rewrite replaces the one regular expression that Go's package has no syntax for, and leaves out what only says the id.
func rewrite(match json.RawMessage, id string) json.RawMessage {
	if string(match) == encode(map[string]string{"equals": id}) {
		return nil
	}
	const notTTS = `{"regex":"^(?!.*-[tT][tT][sS](?:$|-))"}`
	return json.RawMessage(strings.ReplaceAll(string(match), notTTS, `{"not":{"or":[{"ends_with":"-tts"},{"contains":"-tts-"}]}}`))
}

// hostOnly keeps a pattern for a host from reaching into the path of a URL.
func hostOnly(pattern string) string {
	return strings.NewReplacer(`.*`, `[^/]*`, `[^.]*`, `[^./]*`).Replace(pattern)
}

func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	check(e.Encode(v))
	return strings.TrimSpace(b.String())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
