package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"batch/input"
	"batch/runner/chat"
	"batch/runner/tokens"
	"batch/store"
)

// fieldChange is what one --set does to requests.
type fieldChange struct {
	name   string
	value  jsontext.Value // nil takes the field out, or multiplies it
	factor *big.Rat       // of a number that is there
	words  string         // as in: max_tokens doubled
}

type fieldChanges []fieldChange

var factorForm = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?|\.[0-9]+)x$`)

func readFieldChanges(sets []string) (fieldChanges, error) {
	var all fieldChanges
	for _, set := range sets {
		name, value, ok := strings.Cut(set, "=")
		if !ok || name == "" || value == "" {
			return nil, usage(fmt.Errorf("--set %s: it is no field=value", printable(set)), "as in --set temperature=0.2, --set max_tokens=2x, or --set max_tokens=none to take it out")
		}
		if slices.ContainsFunc(all, func(c fieldChange) bool { return c.name == name }) {
			return nil, usage(fmt.Errorf("--set %s is given twice", printable(name)), "give it once")
		}
		c, err := readFieldChange(name, value)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func readFieldChange(name, value string) (fieldChange, error) {
	c := fieldChange{name: name}
	text := name == "model" || name == "user"
	switch near, miss := chat.NearField(name); {
	case name == "messages", name == "prompt", name == "system":
		return c, usage(fmt.Errorf("--set %s: what is asked comes from the input alone", name), "edit the prompt file and run again: a changed line is sent again")
	case !chat.IsRequestField(name) && miss && name != "top_k": // top_k is a field of its own elsewhere
		return c, usage(fmt.Errorf("--set %s: no request field is called that", printable(name)), "did you mean %s?", near)
	case value == "none" && name == "model":
		return c, usage(errors.New("--set model=none: a request needs its model"), "name another: --set model=NAME")
	case value == "none":
		c.words = "without " + name
		return c, nil
	case !text && factorForm.MatchString(value):
		c.factor, _ = new(big.Rat).SetString(strings.TrimSuffix(value, "x"))
		if c.factor.Sign() == 0 {
			return c, usage(fmt.Errorf("--set %s=%s: nothing would be left of it", name, value), "to take it out: --set %s=none", name)
		}
		c.words = name + " " + value
		if value == "2x" {
			c.words = name + " doubled"
		}
		return c, nil
	case text && !strings.HasPrefix(value, `"`):
		c.value = jsontext.Value(quote(value))
	default:
		if c.value = jsontext.Value(value); !c.value.IsValid() {
			c.value = jsontext.Value(quote(value))
		}
	}
	if bad := chat.CheckField(name, c.value); bad != nil {
		return c, usage(fmt.Errorf("--set %s: %s", name, bad.Problem), "the API reference has the range of each field")
	}
	c.words = name + " " + value
	return c, nil
}

func (all fieldChanges) String() string {
	var words []string
	for _, c := range all {
		words = append(words, c.words)
	}
	text := strings.Join(words, ", ")
	switch {
	case text == "":
		return ""
	case !strings.HasPrefix(text, "without "):
		text = "with " + text
	}
	return " " + printable(text)
}

// apply makes the request that goes out instead of a row's; nil when it is the same.
func (all fieldChanges) apply(row *store.Row, counter *tokens.Counter) (*store.Changed, error) {
	changed := store.Changed{Model: row.Model, Body: row.Body}
	for _, c := range all {
		var err error
		if changed.Body, err = c.apply(changed.Body); err != nil {
			return nil, usage(fmt.Errorf("%s:%d: %w; nothing was changed", printable(row.File), row.Line, err),
				"give a number in place of the factor, or leave such prompts out with --where")
		}
		if c.name == "model" {
			b, err := jsontext.AppendUnquote(nil, c.value)
			if err != nil {
				return nil, err
			}
			changed.Model = string(b)
		}
	}
	if bytes.Equal(changed.Body, row.Body) {
		return nil, nil
	}
	var err error
	if changed.Key, err = chat.Key(changed.Body); err != nil {
		return nil, err
	}
	changed.Tokens = counter.Count(changed.Model, changed.Body) // another model has other tokens, and tools are some
	changed.MaxTokens, changed.Boundless = input.MaxTokens(sentIn(changed.Body))
	return &changed, nil
}

// sentIn gives the fields of a request, nil for one that it has not, or that is null.
func sentIn(body []byte) func(name string) jsontext.Value {
	return func(name string) jsontext.Value {
		m, _ := findMember(body, name)
		if m.value.Kind() == 'n' {
			return nil
		}
		return m.value
	}
}

// apply changes a body at one place; every other byte stays.
func (c fieldChange) apply(body []byte) ([]byte, error) {
	name := c.name
	m, err := findMember(body, name)
	if other := sameBound[name]; err == nil && m.value == nil && other != "" { // no API takes both
		if also, err := findMember(body, other); err != nil {
			return nil, err
		} else if also.value != nil {
			m, name = also, other
		}
	}
	value := c.value
	switch {
	case err != nil:
		return nil, err
	case c.factor != nil:
		if value, err = times(name, m.value, c.factor); err != nil {
			return nil, err
		}
	case value == nil && m.value == nil:
		return body, nil
	case value == nil && m.next > 0:
		return slices.Concat(body[:m.start], body[m.next:]), nil
	case value == nil:
		return slices.Concat(body[:m.before], body[m.end:]), nil
	}
	if m.value != nil {
		return slices.Concat(body[:m.end-len(m.value)], value, body[m.end:]), nil
	}
	comma := ","
	if m.empty {
		comma = ""
	}
	quoted, err := jsontext.AppendQuote(nil, name)
	return slices.Concat(body[:m.before], []byte(comma), quoted, []byte(":"), value, body[m.before:]), err
}

// sameBound are two names of one thing.
var sameBound = map[string]string{"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

// times multiplies a number: an integer, rounded up, stays one.
func times(name string, value jsontext.Value, factor *big.Rat) (jsontext.Value, error) {
	if value.Kind() != '0' || len(value) > 40 {
		return nil, fmt.Errorf("the request has no %s to multiply", name)
	}
	n, ok := new(big.Rat).SetString(string(value))
	if !ok {
		return nil, fmt.Errorf("the request has no %s to multiply", name)
	}
	n.Mul(n, factor)
	product := jsontext.Value(n.FloatString(6))
	if !bytes.ContainsAny(value, ".eE") {
		up := new(big.Int).Add(n.Num(), new(big.Int).Sub(n.Denom(), big.NewInt(1)))
		product = jsontext.Value(up.Div(up, n.Denom()).String())
	} else {
		product = bytes.TrimRight(bytes.TrimRight(product, "0"), ".")
	}
	if bad := chat.CheckField(name, product); bad != nil {
		return nil, fmt.Errorf("%s times %s: %s", name, factor.FloatString(2), bad.Problem)
	}
	return product, nil
}

// found is a member of a body, or, without a value, where a new last one goes.
type found struct {
	value              jsontext.Value
	before, start, end int // of the member before it, of its name, of its value
	next               int // where the next name starts, 0 without one
	empty              bool
}

func findMember(body []byte, name string) (m found, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return m, err
	}
	m.empty, m.before = true, int(dec.InputOffset())
	for dec.PeekKind() == '"' {
		key, err := dec.ReadValue()
		if err != nil {
			return m, err
		}
		start := int(dec.InputOffset()) - len(key)
		if m.value != nil {
			m.next = start
			return m, nil
		}
		is, _ := jsontext.AppendUnquote(nil, key)
		value, err := dec.ReadValue()
		if err != nil {
			return m, err
		}
		end := int(dec.InputOffset())
		m.empty = false
		if string(is) == name {
			m.value, m.start, m.end = body[end-len(value):end], start, end
			continue
		}
		m.before = end
	}
	return m, nil
}
