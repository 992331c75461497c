package tokens

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// priceFields are the fields of an entry that are rates, by the place of the rate in rateSet.
var priceFields = map[string]int{
	"input_cost_per_token":            inputRate,
	"output_cost_per_token":           outputRate,
	"cache_read_input_token_cost":     cachedRate,
	"input_cost_per_token_cache_hit":  cachedRate, // its older name
	"cache_creation_input_token_cost": writeRate,
	"output_cost_per_reasoning_token": thoughtRate,
}

// entry is what a price file says of a model.
type entry struct {
	model, provider string
	rates           rateSet
	above           map[int64]*rateSet
	largest         int64
	perSearch       bool      // it has a price for a search
	apart           bool      // calls cost more than their tokens
	picture         [2]amount // what a token of an image costs, in and out
}

// read takes the members of an entry in. Those that say nothing of a chat completion's price are passed over.
func (e *entry) read(object jsontext.Value) error {
	var seen []string
	d := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return members(d, func(field string, value jsontext.Value) error {
		if value.Kind() == 'n' {
			return nil
		}
		stem, above, tier := strings.Cut(field, "_above_")
		if rate, known := priceFields[stem]; known {
			set := &e.rates
			if tier {
				thousands, whole := strings.CutSuffix(above, "k_tokens")
				n, err := strconv.ParseInt(thousands, 10, 32)
				if !whole || err != nil {
					return nil // what a cache holds for an hour, what is served first, ...
				}
				set = e.tier(n * 1000)
			}
			if slices.Contains(seen, field) {
				return fmt.Errorf("%s: stands twice", field)
			}
			seen = append(seen, field)
			return set.read(rate, field, value)
		}
		switch field {
		case "litellm_provider":
			if text, err := jsontext.AppendUnquote(nil, value); err == nil {
				e.provider = string(text)
			}
		case "max_output_tokens":
			return readTokens(field, value, &e.largest)
		case "max_tokens": // its older name
			if e.largest == 0 {
				return readTokens(field, value, &e.largest)
			}
		case "tiered_pricing":
			return e.readTiers(value)
		case "search_context_cost_per_query":
			e.perSearch = true
		case "input_cost_per_request", "citation_cost_per_token", "output_cost_per_video_token":
			m, err := readRate(field, value)
			e.apart = e.apart || m > 0
			return err
		case "input_cost_per_image_token", "output_cost_per_image_token":
			m, err := readRate(field, value)
			e.picture[strings.IndexByte("io", field[0])] = amount{m, true}
			return err
		}
		return nil
	})
}

// readTiers reads [{"range": [0, 256000], "input_cost_per_token": ...}, ...].
func (e *entry) readTiers(value jsontext.Value) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '[' {
		return fmt.Errorf("tiered_pricing: is no list")
	}
	for d.PeekKind() == '{' {
		var set rateSet
		from := int64(-1)
		if err := members(d, func(field string, value jsontext.Value) error {
			if rate, known := priceFields[field]; known && value.Kind() != 'n' {
				return set.read(rate, "tiered_pricing: "+field, value)
			}
			if field == "range" && value.Kind() == '[' {
				first, _, _ := strings.Cut(strings.Trim(string(value), "[] \t\r\n"), ",")
				return readTokens("tiered_pricing: range", jsontext.Value(strings.TrimSpace(first)), &from)
			}
			return nil
		}); err != nil {
			return err
		}
		switch {
		case from < 0: // tiers by something else
			e.apart = true
		case from == 0:
			e.rates.fill(set)
		default:
			e.tier(from).fill(set)
		}
	}
	return nil
}

func (e *entry) tier(above int64) *rateSet {
	if e.above == nil {
		e.above = map[int64]*rateSet{}
	}
	if e.above[above] == nil {
		e.above[above] = &rateSet{}
	}
	return e.above[above]
}

// price is the price of the entry, nil when its calls have none or cost more than their tokens.
func (e *entry) price(file string) *Price {
	in, out := e.rates[inputRate], e.rates[outputRate]
	switch {
	case !in.known || !out.known || e.apart || paidBySearch(e.model) || e.perSearch && e.provider == "perplexity":
		return nil
	case e.picture[0].known && e.picture[0].m != in.m || e.picture[1].known && e.picture[1].m != out.m:
		return nil
	}
	return &Price{Rates: ladder(e.rates, e.above), Largest: e.largest, Source: file + ", " + e.model}
}

func readRate(field string, value jsontext.Value) (Money, error) {
	if value.Kind() != '0' {
		return 0, fmt.Errorf("%s: %s is not a number", field, value)
	}
	n, _, err := decimal(string(value), decimals)
	if err != nil {
		return 0, fmt.Errorf("%s: %s %w", field, value, err)
	}
	if Money(n) > mostForAToken {
		return 0, fmt.Errorf("%s: %s is more than a dollar for one token", field, value)
	}
	return Money(n), nil
}

func readTokens(field string, value jsontext.Value, n *int64) error {
	if value.Kind() != '0' {
		return fmt.Errorf("%s: %s is not a number", field, value)
	}
	tokens, whole, err := decimal(string(value), 0)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %s %w", field, value, err)
	case !whole || tokens > math.MaxInt32:
		return fmt.Errorf("%s: %s is no number of tokens", field, value)
	}
	*n = tokens
	return nil
}
