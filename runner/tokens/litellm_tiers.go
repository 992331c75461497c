package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// cacheTime begins what a cache costs that holds for so long, as in cache_creation_input_token_cost_above_1hr.
var cacheTime = regexp.MustCompile(`^[0-9]+(hr|min|sec)(_|$)`)

// tierAbove reads what follows above in the name of a rate, as in 200k_tokens: from how many tokens of a prompt on the rate
// applies. It is not ours when it applies to something else: to a cache that holds for longer, or to calls that are served
// first or later (200k_tokens_priority).
func tierAbove(spelled string) (from int64, ours bool, err error) {
	if cacheTime.MatchString(spelled) {
		return 0, false, nil
	}
	number, service, ends := strings.Cut(spelled, "_tokens")
	if ends && strings.HasPrefix(service, "_") {
		return 0, false, nil
	}
	places := 0
	switch digits := strings.TrimRight(number, "kKmM"); number[len(digits):] {
	case "k", "K":
		number, places = digits, 3
	case "m", "M":
		number, places = digits, 6
	}
	n, whole, err := decimal(number, places)
	if !ends || service != "" || err != nil || !whole || n == 0 || n > math.MaxInt32 {
		return 0, false, errors.New("is above no whole number of tokens, as in above_200k_tokens")
	}
	return n, true, nil
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

// readTiers reads [{"range": [0, 256000], "input_cost_per_token": ...}, ...].
func (e *entry) readTiers(value jsontext.Value) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(value), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '[' {
		return errors.New("tiered_pricing: is no list")
	}
	begun := map[int64]bool{}
	for i := 0; d.PeekKind() != ']'; i++ {
		if d.PeekKind() != '{' {
			return fmt.Errorf("tiered_pricing[%d]: is no object with prices", i)
		}
		set, from, err := e.readTier(d, fmt.Sprintf("tiered_pricing[%d]", i))
		switch {
		case err != nil:
			return err
		case from < 0: // tiers by something else
			if e.apart == "" {
				e.apart = "tiered_pricing without a range of tokens"
			}
		case begun[from]:
			return fmt.Errorf("tiered_pricing[%d]: range: begins where another one does", i)
		case from == 0:
			e.rates.fill(set)
		default:
			e.tier(from).fill(set)
		}
		begun[from] = from >= 0
	}
	return nil
}

// readTier reads the next tier of a list, and from how many tokens on it applies; -1 when it does not say.
func (e *entry) readTier(d *jsontext.Decoder, where string) (set rateSet, from int64, err error) {
	from = -1
	err = members(d, func(field string, value jsontext.Value) error {
		if _, known := priceFields[field]; known && value.Kind() != 'n' {
			return e.rate(&set, where, field, where+": "+field, value)
		}
		if field == "range" && value.Kind() == '[' {
			first, _, _ := strings.Cut(strings.Trim(string(value), "[] \t\r\n"), ",")
			return readTokens(where+": range", jsontext.Value(strings.TrimSpace(first)), &from)
		}
		return nil
	})
	return set, from, err
}
