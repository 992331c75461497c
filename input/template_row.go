package input

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// A row as a template sees it. Numbers that Go would print in another way than they are written are texts.
type (
	object map[string]any
	list   []any
	digits string
	// null can be tested and given a default; to print it is an error, as the library prints no channel.
	null chan struct{}
	// torn is a text with half of a surrogate pair, as it is written: no character stands for it. To print it is an error, too.
	torn func() jsontext.Value
)

// String writes the JSON of it.
func (o object) String() string { return toJSON(o) }
func (l list) String() string   { return toJSON(l) }

// toRow takes the members of a row apart.
func toRow(row object, members []member) {
	clear(row)
	for i := range members {
		row[string(members[i].name)] = toValue(members[i].value)
	}
}

// toValue reads a valid JSON value.
func toValue(v jsontext.Value) any {
	switch v.Kind() {
	case '{', '[':
		d := jsontext.NewDecoder(bytes.NewBuffer(v), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
		return nested(d)
	}
	return scalar(v)
}

func nested(d *jsontext.Decoder) any {
	switch d.PeekKind() {
	case '{':
		d.ReadToken()
		o := object{}
		for d.PeekKind() != '}' && d.PeekKind() != 0 {
			name, err := d.ReadValue()
			if err != nil {
				break
			}
			key := string(decoded(name))
			o[key] = nested(d)
		}
		d.ReadToken()
		return o
	case '[':
		d.ReadToken()
		l := list{}
		for d.PeekKind() != ']' && d.PeekKind() != 0 {
			l = append(l, nested(d))
		}
		d.ReadToken()
		return l
	}
	v, err := d.ReadValue()
	if err != nil {
		return null(nil)
	}
	return scalar(v)
}

func scalar(v jsontext.Value) any {
	switch v.Kind() {
	case '"':
		text, err := decodedStrictly(v)
		if err != nil {
			v = v.Clone()
			return torn(func() jsontext.Value { return v })
		}
		return text
	case 't':
		return true
	case 'f':
		return false
	case '0':
		text := string(v)
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) == text {
			return n
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil && fmt.Sprint(f) == text {
			return f
		}
		return digits(text)
	}
	return null(nil)
}

func decodedStrictly(v jsontext.Value) (string, error) {
	if bytes.IndexByte(v, '\\') < 0 {
		return string(decoded(v)), nil
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err
}

// toJSON writes a value as JSON, the keys of an object in alphabetical order.
func toJSON(v any) string { return string(appendValue(nil, v)) }

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		b = append(b, '{')
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b, _ = jsontext.AppendQuote(b, k)
			b = appendValue(append(b, ':'), v[k])
		}
		return append(b, '}')
	case list:
		b = append(b, '[')
		for i := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, v[i])
		}
		return append(b, ']')
	case string:
		b, _ = jsontext.AppendQuote(b, v)
		return b
	case nil, null:
		return append(b, "null"...)
	case torn:
		return append(b, v()...)
	}
	return fmt.Append(b, v)
}
