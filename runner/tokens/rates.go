package tokens

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The rates of a rateSet.
const (
	inputRate = iota
	outputRate
	cachedRate
	writeRate
	thoughtRate
)

// amount is a rate that a source of prices may leave out.
type amount struct {
	m     Money
	known bool
}

// rateSet is what a source says of one tier of a model.
type rateSet [thoughtRate + 1]amount

func (s *rateSet) read(rate int, field string, value jsontext.Value) error {
	m, err := readRate(field, value)
	s[rate] = amount{m, true}
	return err
}

// fill takes over what is not known yet.
func (s *rateSet) fill(from rateSet) {
	for i := range s {
		if !s[i].known {
			s[i] = from[i]
		}
	}
}

// ladder is the rates of a model by tier. What a tier leaves out is as in the first; a cache without a price of its own costs
// what the prompt costs, and thought what the completion costs.
func ladder(base rateSet, above map[int64]*rateSet) []Rates {
	rates := []Rates{base.rates(0)}
	for _, from := range slices.Sorted(maps.Keys(above)) {
		set := *above[from]
		if base[thoughtRate] == base[outputRate] && !set[thoughtRate].known { // thought is output, said twice
			set[thoughtRate] = set[outputRate]
		}
		set.fill(base)
		rates = append(rates, set.rates(from))
	}
	return rates
}

func (s rateSet) rates(above int64) Rates {
	either := func(a, b amount) Money {
		if a.known {
			return a.m
		}
		return b.m
	}
	return Rates{
		Above: above, Input: s[inputRate].m, Output: s[outputRate].m,
		Cached:     either(s[cachedRate], s[inputRate]),
		CacheWrite: either(s[writeRate], s[inputRate]),
		Reasoning:  either(s[thoughtRate], s[outputRate]),
	}
}

// isTuned says that a model is somebody's own: what it costs is not what its base model costs.
func isTuned(model string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(model)), "ft:")
}

// paidBySearch says that a model searches in every call and is paid for that beside its tokens, whatever a table says of them.
func paidBySearch(model string) bool {
	name := strings.ToLower(model)
	for _, part := range []string{"search-preview", "search-api", "pro-search", "deep-research", "sonar"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
