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
	models    map[string]*Price // nil for one that is named without a price that we can charge
	providers map[string]string
}

// ParsePriceFile reads a price file. name is its base name, for errors and for where a price is from. The error is a *PriceError
// that names the model and the field: who budgets by a file wants to know of its mistakes, in any entry.
func ParsePriceFile(name string, data []byte) (*PriceFile, error) {
	const hint = `the file holds one JSON object, a model's name to its prices in dollars a token, as in ` +
		`{"gpt-4o": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05}}`
	f := &PriceFile{models: map[string]*Price{}, providers: map[string]string{}}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	d := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return nil, &PriceError{name + ": is no JSON object", hint}
	}
	err := members(d, func(model string, value jsontext.Value) error {
		if model == "sample_spec" { // LiteLLM's own file documents its fields there
			return nil
		}
		if _, twice := f.models[model]; twice {
			return &PriceError{name + ": " + model + ": stands twice", "leave one of the two"}
		}
		if value.Kind() != '{' {
			return &PriceError{name + ": " + model + ": is no object with prices", hint}
		}
		e := entry{model: model}
		if err := e.read(value); err != nil {
			return &PriceError{name + ": " + model + ": " + err.Error(), "prices are numbers: the dollars for one token, as in 2.5e-06"}
		}
		f.models[model] = e.price(name)
		f.providers[model] = e.provider
		return nil
	})
	var refused *PriceError
	if errors.As(err, &refused) {
		return nil, refused
	}
	if _, end := d.ReadToken(); err == nil && end != io.EOF {
		err = errors.New("more follows the object")
	}
	if err != nil {
		line := 1 + bytes.Count(data[:min(int(d.InputOffset()), len(data))], []byte("\n"))
		return nil, &PriceError{fmt.Sprintf("%s:%d: is not valid JSON, or ends too early", name, line), hint}
	}
	return f, nil
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

// Of is the price of a model, nil when the file does not know it. LiteLLM's names begin with a provider: when no entry has the
// very name, and none is that provider's without it, those count that have the name behind a provider, then those that have
// it without its own. They count only when all of them have the same price.
func (f *PriceFile) Of(model string) *Price {
	p, named := f.models[model]
	provider, rest, prefixed := strings.Cut(model, "/")
	if !named && prefixed && f.providers[rest] == provider {
		p, named = f.models[rest]
	}
	if named || isTuned(model) {
		return p
	}
	for rest = model; rest != ""; _, rest, _ = strings.Cut(rest, "/") {
		if p, named := f.only(rest); named {
			return p
		}
	}
	return nil
}

// only is the one price of the entries with that name, behind whatever provider; nil when they differ or one has none.
func (f *PriceFile) only(name string) (only *Price, named bool) {
	for _, key := range slices.Sorted(maps.Keys(f.models)) {
		p := f.models[key]
		switch {
		case key != name && !strings.HasSuffix(key, "/"+name):
		case p == nil || only != nil && !slices.Equal(p.Rates, only.Rates):
			return nil, true
		case only == nil || p.Largest > only.Largest:
			only, named = p, true
		}
	}
	return only, named
}
