package input

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// stepFunction is called by what is put into every loop.
const stepFunction = "_step"

// functions are those of a template besides Go's own and, or and not. What is worked on comes last, so that
// it can be piped in. None of them reaches out of the row.
func (r *rendering) functions() template.FuncMap {
	return template.FuncMap{
		stepFunction: r.step,
		"lookup":     lookupIn,
		"index":      indexIn,
		"default":    defaultTo,
		"json":       func(v any) (string, error) { return r.bounded(toJSON(v), nil) },
		"trim":       func(v any) (string, error) { return r.each(v, strings.TrimSpace) },
		"lower":      func(v any) (string, error) { return r.each(v, strings.ToLower) },
		"upper":      func(v any) (string, error) { return r.each(v, strings.ToUpper) },
		"truncate":   func(n int, v any) (string, error) { return r.each(v, func(s string) string { return truncate(n, s) }) },
		"join":       r.join,
		"replace":    r.replace,
		"contains":   func(part, v any) (bool, error) { return compare(part, v, strings.Contains) },
		"startsWith": func(part, v any) (bool, error) { return compare(part, v, strings.HasPrefix) },
		"number":     number,
		"eq":         equal,
		"ne":         func(a, b any) (bool, error) { same, err := equal(a, b); return !same && err == nil, err },
		"lt":         func(a, b any) (bool, error) { n, err := ordered(a, b); return n < 0 && err == nil, err },
		"le":         func(a, b any) (bool, error) { n, err := ordered(a, b); return n <= 0 && err == nil, err },
		"gt":         func(a, b any) (bool, error) { n, err := ordered(a, b); return n > 0 && err == nil, err },
		"ge":         func(a, b any) (bool, error) { n, err := ordered(a, b); return n >= 0 && err == nil, err },
		"len":        length,
		"slice":      cutOut,

		"print":   func(all ...any) (string, error) { return r.printed(fmt.Sprint, all) },
		"println": func(all ...any) (string, error) { return r.printed(fmt.Sprintln, all) },
		"printf": func(f string, all ...any) (string, error) {
			if err := allTexts(all); err != nil {
				return "", err
			}
			return r.bounded(printf(f, all))
		},
		"html":     func(all ...any) (string, error) { return r.printed(template.HTMLEscaper, all) },
		"js":       func(all ...any) (string, error) { return r.printed(template.JSEscaper, all) },
		"urlquery": func(all ...any) (string, error) { return r.printed(template.URLQueryEscaper, all) },
	}
}

func (r *rendering) step() (string, error) {
	if r.steps++; r.steps > maxSteps {
		return "", errSteps
	}
	return "", nil
}

// bounded refuses a text that a loop could let grow until the memory is full.
func (r *rendering) bounded(s string, err error) (string, error) {
	if r.made += len(s); err == nil && (len(s) > maxRendered || r.made > maxMade) {
		return "", errRendered
	}
	return s, err
}

func (r *rendering) each(v any, change func(string) string) (string, error) {
	s, err := toText(v)
	if err != nil {
		return "", err
	}
	return r.bounded(change(s), nil)
}

func (r *rendering) printed(print func(...any) string, all []any) (string, error) {
	if err := allTexts(all); err != nil {
		return "", err
	}
	return r.bounded(print(all...), nil)
}

// allTexts says why one of the values cannot be printed.
func allTexts(all []any) error {
	for _, v := range all {
		switch v.(type) {
		case nil, null:
			return errNull
		case torn:
			return errTorn
		}
	}
	return nil
}

func (r *rendering) join(separator string, v any) (string, error) {
	l, ok := v.(list)
	if !ok {
		return toText(v)
	}
	if len(l) > 0 && len(separator) > maxRendered/len(l) {
		return "", errRendered
	}
	all := make([]string, len(l))
	for i := range l {
		var err error
		if all[i], err = toText(l[i]); err != nil {
			return "", err
		}
	}
	return r.bounded(strings.Join(all, separator), nil)
}

func (r *rendering) replace(old, new string, v any) (string, error) {
	s, err := toText(v)
	if err != nil {
		return "", err
	}
	if n := strings.Count(s, old); n > 0 && len(new) > maxRendered/n {
		return "", errRendered
	}
	return r.bounded(strings.ReplaceAll(s, old, new), nil)
}

// lacksError names a field that a row does not have.
type lacksError struct{ key string }

func (e *lacksError) Error() string { return "no entry for key " + strconv.Quote(e.key) }

var (
	errNull = errors.New("is null")
	errTorn = errors.New("holds half of a surrogate pair, which is no character")
)

// indexIn is Go's index, but for a key that is not there, which it would pass over.
func indexIn(v any, keys ...any) (any, error) {
	for _, key := range keys {
		switch of := v.(type) {
		case object:
			name, ok := key.(string)
			if !ok {
				return nil, errors.New("a field is named by a string")
			}
			if v, ok = of[name]; !ok {
				return nil, &lacksError{name}
			}
		case list:
			i, ok := integer(key)
			if !ok || i < 0 || i >= int64(len(of)) {
				return nil, fmt.Errorf("no element of that place among %d", len(of))
			}
			v = of[i]
		case null:
			return nil, errNull
		default:
			return nil, errors.New("it has no fields and no elements")
		}
	}
	return v, nil
}

func integer(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	}
	return 0, false
}

// lookupIn is index for what may be missing, which is nil.
func lookupIn(v any, keys ...any) any {
	v, err := indexIn(v, keys...)
	if err != nil {
		return nil
	}
	return v
}

// defaultTo gives v, or instead where v is missing, null or an empty string.
func defaultTo(instead any, v any) any {
	if v == nil || v == any("") {
		return instead
	}
	if _, is := v.(null); is {
		return instead
	}
	return v
}

// toText is a value as it would be printed.
func toText(v any) (string, error) {
	switch v := v.(type) {
	case nil, null:
		return "", errNull
	case torn:
		return "", errTorn
	case string:
		return v, nil
	}
	return fmt.Sprint(v), nil
}

func truncate(n int, s string) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// length counts the characters of a text, where Go counts bytes.
func length(v any) (int, error) {
	switch v := v.(type) {
	case object:
		return len(v), nil
	case list:
		return len(v), nil
	}
	s, err := toText(v)
	return utf8.RuneCountInString(s), err
}

// cutOut is Go's slice, but that it counts the characters of a text, which it cannot cut in two.
func cutOut(v any, places ...any) (any, error) {
	n, err := length(v)
	if err != nil {
		return nil, err
	}
	from, to := int64(0), int64(n)
	if len(places) > 2 {
		return nil, errors.New("slice takes two places at most")
	}
	for i, place := range places {
		at, ok := integer(place)
		if !ok || at < 0 || at > int64(n) {
			return nil, fmt.Errorf("no such place among %d", n)
		}
		if i == 0 {
			from = at
		} else if to = at; to < from {
			return nil, errors.New("it ends before it begins")
		}
	}
	switch v := v.(type) {
	case object:
		return nil, errors.New("the fields of an object have no order")
	case list:
		return v[from:to], nil
	}
	s, _ := toText(v)
	s = truncate(int(to), s)
	return s[len(truncate(int(from), s)):], nil
}

func compare(part, v any, by func(s, part string) bool) (bool, error) {
	p, err := toText(part)
	if err != nil {
		return false, err
	}
	s, err := toText(v)
	return err == nil && by(s, p), err
}

// number is for comparing: the cells of a CSV file are texts.
func number(v any) (any, error) {
	if text, is := v.(string); is {
		if text, is = numeral(text); !is {
			return nil, errors.New("is no number")
		}
		if value := jsontext.Value(text); value.IsValid() {
			return scalar(value), nil
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil { // +5 and 007
			return n, nil
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, errors.New("is no number")
		}
		return f, nil
	}
	if err := allTexts([]any{v}); err != nil {
		return nil, err
	}
	if _, is := numeral(v); !is {
		return nil, errors.New("is no number")
	}
	return v, nil
}
