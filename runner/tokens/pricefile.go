package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// PriceFile holds the prices of a file in the form that LiteLLM's model_prices_and_context_window.json has made common.
type PriceFile struct {
	name   string
	models map[string]*listed
}

// listed is a model of a price file: its price, or why there is none that can be charged.
type listed struct {
	price    *Price
	problem  *PriceError
	provider string
}

const (
	fileHint = `the file holds one JSON object, a model's name to its prices in dollars a token, as in ` +
		`{"gpt-4o": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05}}`
	entryHint = "its input_cost_per_token and output_cost_per_token are the dollars for one token, as in 2.5e-06; " +
		"or give one price for all models with --price IN,OUT"
)

// ParsePriceFile reads a price file. name is its base name, for errors and for where a price is from. The error is a *PriceError, of
// a file that cannot be read. What is wrong with one model is a matter of those who use it: Problem tells.
func ParsePriceFile(name string, data []byte) (*PriceFile, error) {
	f := &PriceFile{name: name, models: map[string]*listed{}}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	d := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return nil, &PriceError{name + ": is no JSON object", fileHint}
	}
	err := members(d, func(model string, value jsontext.Value) error {
		if model != "sample_spec" { // LiteLLM's own file documents its fields there
			f.add(model, value)
		}
		return nil
	})
	if _, end := d.ReadToken(); err == nil && end != io.EOF {
		err = errors.New("more follows the object")
	}
	if err != nil {
		line := 1 + bytes.Count(data[:min(int(d.InputOffset()), len(data))], []byte("\n"))
		return nil, &PriceError{fmt.Sprintf("%s:%d: is not valid JSON, or ends too early", name, line), fileHint}
	}
	return f, nil
}

func (f *PriceFile) add(model string, value jsontext.Value) {
	if before, twice := f.models[model]; twice {
		before.price, before.problem = nil, f.problem(model, "stands twice", "leave one of the two")
		return
	}
	if value.Kind() != '{' {
		f.models[model] = &listed{problem: f.problem(model, "is no object with prices", fileHint)}
		return
	}
	e := entry{model: model}
	e.take(value)
	m := &listed{provider: e.provider}
	price, problem := e.price()
	if price == nil {
		m.problem = f.problem(model, problem, entryHint)
	} else {
		price.Source = f.name + ", " + model
		m.price = price
	}
	f.models[model] = m
}

func (f *PriceFile) problem(model, text, hint string) *PriceError {
	return &PriceError{f.name + ": " + shown(model) + ": " + text, hint}
}

// members calls yield for each member of the object that the decoder stands at.
func members(d *jsontext.Decoder, yield func(name string, value jsontext.Value) error) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		if err := yield(name, value); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

// Of is the price of a model, nil when the file does not know it, or has none for it that can be charged. LiteLLM's names begin
// with a provider: when no entry has the very name, and none is that provider's without it, those count that have the name behind
// a provider, then those that have it without its own. They count only when all of them have the same price.
func (f *PriceFile) Of(model string) *Price {
	if m := f.find(model); m != nil {
		return m.price
	}
	return nil
}

// Has says that the file names a model, with a price or without: no other price is meant for it then.
func (f *PriceFile) Has(model string) bool { return f.find(model) != nil }

// Problem is why a model that the file has gets no price from it, a *PriceError; nil when it gets one, and when the file does
// not have it.
func (f *PriceFile) Problem(model string) error {
	if m := f.find(model); m != nil && m.problem != nil {
		return m.problem
	}
	return nil
}

func (f *PriceFile) find(model string) *listed {
	m := f.models[model]
	provider, rest, prefixed := strings.Cut(model, "/")
	if other := f.models[rest]; m == nil && prefixed && other != nil && other.provider == provider {
		m = other
	}
	if m != nil || isTuned(model) {
		return m
	}
	for rest = model; rest != "" && m == nil; _, rest, _ = strings.Cut(rest, "/") {
		m = f.only(rest)
	}
	return m
}

// only is what the entries with that name, behind whatever provider, have in common; nil without any.
func (f *PriceFile) only(name string) *listed {
	var only *listed
	var first string
	for _, key := range slices.Sorted(maps.Keys(f.models)) {
		m := f.models[key]
		switch {
		case key != name && !strings.HasSuffix(key, "/"+name):
		case m.price == nil:
			return m
		case only == nil:
			only, first = m, key
		case !slices.Equal(m.price.Rates, only.price.Rates):
			return &listed{problem: f.problem(name, shown(first)+" and "+shown(key)+" have different prices",
				"add an entry of the very name with the price that is meant")}
		case m.price.Largest > only.price.Largest:
			only = m
		}
	}
	return only
}
