package tokens

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// olderCached is the older name of what a cached token costs; entries of some models have both.
const olderCached = "input_cost_per_token_cache_hit"

// priceFields are the fields of an entry that are rates, by the place of the rate in rateSet.
var priceFields = map[string]int{
	"input_cost_per_token":            inputRate,
	"output_cost_per_token":           outputRate,
	"cache_read_input_token_cost":     cachedRate,
	olderCached:                       cachedRate,
	"cache_creation_input_token_cost": writeRate,
	"output_cost_per_reasoning_token": thoughtRate,
}

// entry is what a price file says of a model.
type entry struct {
	model, provider string
	rates           rateSet
	above           map[int64]*rateSet
	largest         int64
	read            []string // the rates that were read, by field and tier

	apart     string    // what its calls are charged for beside their tokens, "" for nothing
	other     string    // a price that is not one of tokens
	perSearch bool      // it has a price for a search
	painted   [2]amount // what a token of an image in an answer costs, and an image
	bad       error     // the first member that makes no sense
}

// take takes the members of an entry in. Those that say nothing of a chat completion's price are passed over.
func (e *entry) take(object jsontext.Value) {
	d := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := members(d, func(field string, value jsontext.Value) error {
		if err := e.member(field, value); err != nil && e.bad == nil {
			e.bad = err
		}
		return nil
	}); err != nil && e.bad == nil {
		e.bad = err
	}
}

func (e *entry) member(field string, value jsontext.Value) error {
	if value.Kind() == 'n' {
		return nil
	}
	stem, above, tier := strings.Cut(field, "_above_")
	if _, known := priceFields[stem]; known {
		if !tier {
			return e.rate(&e.rates, "", stem, field, value)
		}
		from, ours, err := tierAbove(above)
		if err != nil {
			return fmt.Errorf("%s: %w", shown(field), err)
		}
		if !ours {
			return nil
		}
		return e.rate(e.tier(from), fmt.Sprint("above ", from), stem, field, value)
	}
	if strings.Contains(field, "_cost_per_") && !strings.Contains(field, "_token") && e.other == "" && charges(value) {
		e.other = field
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
	case "input_cost_per_request", "input_cost_per_query", "input_cost_per_second", "output_cost_per_second",
		"citation_cost_per_token", "output_cost_per_video_token":
		if e.apart == "" && charges(value) {
			e.apart = field
		}
	case "output_cost_per_image_token":
		m, err := readRate(field, value)
		e.painted[0] = amount{m, true}
		return err
	case "output_cost_per_image":
		e.painted[1].known = charges(value)
	}
	return nil
}

// rate reads one of the rates of a tier, which where names.
func (e *entry) rate(set *rateSet, where, stem, field string, value jsontext.Value) error {
	place := stem + " " + where
	if slices.Contains(e.read, place) {
		return fmt.Errorf("%s: stands twice", shown(field))
	}
	e.read = append(e.read, place)
	before := set[priceFields[stem]]
	err := set.read(priceFields[stem], field, value)
	if stem == olderCached && before.known {
		set[cachedRate] = before
	}
	return err
}

// price is the price of the entry, or why it has none that can be charged.
//
// Images and sound in a prompt have prices of their own in many entries; the price of a token stands beside them. Such jobs have no
// worst case anyway, most providers count an image in the prompt's tokens at their price, and who reports tokens of sound
// is not charged for at all. Images in an answer are another matter: a prompt of nothing but text may get them, at ten times
// the price of its words.
func (e *entry) price() (price *Price, problem string) {
	in, out := e.rates[inputRate], e.rates[outputRate]
	switch {
	case e.bad != nil:
		return nil, e.bad.Error()
	case !in.known || !out.known:
		return nil, e.missing(in, out)
	case e.apart != "":
		return nil, e.apart + " is charged beside the tokens, and not known of a call"
	case paidBySearch(e.model) || e.perSearch && e.provider == "perplexity":
		return nil, "its searches are charged beside the tokens, and not known of a call"
	case e.painted[0].known && e.painted[0].m != out.m:
		return nil, "output_cost_per_image_token is another price than output_cost_per_token, and images are not told from text"
	case e.painted[1].known && !e.painted[0].known:
		return nil, "output_cost_per_image is charged beside the tokens, and not known of a call"
	}
	return &Price{Rates: ladder(e.rates, e.above), Largest: e.largest}, ""
}

func (e *entry) missing(in, out amount) string {
	text := "input_cost_per_token and output_cost_per_token are missing"
	switch {
	case in.known:
		text = "output_cost_per_token is missing"
	case out.known:
		text = "input_cost_per_token is missing"
	}
	if e.other != "" {
		text += ", and " + e.other + " is no price of a token"
	}
	return text
}

// charges says that a price, of whatever thing, is not 0.
func charges(value jsontext.Value) bool {
	n, exact, err := decimal(string(value), decimals)
	return err != nil || n != 0 || !exact
}

func readRate(field string, value jsontext.Value) (Money, error) {
	if value.Kind() != '0' {
		return 0, fmt.Errorf("%s: %s is not a number", field, shown(value))
	}
	n, exact, err := decimal(string(value), decimals)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %s %w", field, shown(value), err)
	case Money(n) > mostForAToken:
		return 0, fmt.Errorf("%s: %s is more than a dollar for one token", field, shown(value))
	case n == 0 && !exact:
		return 0, fmt.Errorf("%s: %s has more than 12 decimals, and would count as 0", field, shown(value))
	}
	return Money(n), nil
}

func readTokens(field string, value jsontext.Value, n *int64) error {
	if value.Kind() != '0' {
		return fmt.Errorf("%s: %s is not a number", field, shown(value))
	}
	tokens, whole, err := decimal(string(value), 0)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %s %w", field, shown(value), err)
	case !whole || tokens > math.MaxInt32:
		return fmt.Errorf("%s: %s is no number of tokens", field, shown(value))
	}
	*n = tokens
	return nil
}
