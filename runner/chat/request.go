package chat

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// The fields of the reference page: these are checked.
var pageFields = []string{
	"model", "messages", "stream", "max_tokens", "temperature", "top_p", "stop",
	"presence_penalty", "frequency_penalty", "user",
}

// Further request fields of OpenAI's chat completions API: sent as written, whatever they hold.
var otherFields = []string{
	"n", "seed", "response_format", "tools", "tool_choice", "parallel_tool_calls", "max_completion_tokens",
	"stream_options", "logprobs", "top_logprobs", "logit_bias", "reasoning_effort", "modalities", "service_tier",
	"store",
}

// maxInteger bounds every integer of a request: the largest that survives a reader which knows only doubles.
const maxInteger = 1 << 53

// maxStop is the number of stop sequences that the API takes.
const maxStop = 4

// FieldError says which field of a request is wrong, as in messages[0].role, and what is wrong with it. Problem is
// printable and shows at most a few characters of a value, never the text of a message.
type FieldError struct {
	Field, Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// IsField reports whether the reference page has a request field of this name, so that CheckField judges it.
func IsField(name string) bool {
	return slices.Contains(pageFields, name)
}

// IsRequestField reports whether name belongs into a request: a field of the reference page, or one of the others
// that are sent as written.
func IsRequestField(name string) bool {
	return slices.Contains(pageFields, name) || slices.Contains(otherFields, name)
}

// CheckField judges the value of a request field by the type and range of the reference page; nil is good. A field
// that the page does not have is good whatever it holds. The value is one JSON value. null is no value of any field:
// the page gives every field one type, so a field without a value is left out.
func CheckField(name string, value jsontext.Value) *FieldError {
	value = bytes.Trim(value, " \t\r\n")
	switch name {
	case "model":
		if value.Kind() == '"' && len(value) == len(`""`) {
			return &FieldError{name, "is empty"}
		}
		return checkString(name, value)
	case "user":
		return checkString(name, value)
	case "messages":
		return CheckMessages(value)
	case "stream":
		if k := value.Kind(); k != 't' && k != 'f' {
			return &FieldError{name, found(value) + " is not true or false"}
		}
	case "max_tokens":
		return checkInteger(name, value)
	case "temperature":
		return checkNumber(name, value, 0, 2)
	case "top_p":
		return checkNumber(name, value, 0, 1)
	case "presence_penalty", "frequency_penalty":
		return checkNumber(name, value, -2, 2)
	case "stop":
		return checkStop(value)
	}
	return nil
}

func checkString(field string, value jsontext.Value) *FieldError {
	if value.Kind() != '"' {
		return &FieldError{field, found(value) + " is not a string"}
	}
	return nil
}

func checkNumber(field string, value jsontext.Value, lo, hi float64) *FieldError {
	if value.Kind() != '0' {
		return &FieldError{field, found(value) + " is not a number"}
	}
	// 1e400 comes back as +Inf with an error; the range refuses it all the same.
	f, _ := strconv.ParseFloat(string(value), 64)
	if !(f >= lo && f <= hi) {
		return &FieldError{field, fmt.Sprintf("%s is not between %g and %g", found(value), lo, hi)}
	}
	return nil
}

// checkInteger wants the digits of a positive integer. 20.0 and 2e1 are integers to some readers only, and the
// server's is not known, so they are refused before they cost anything.
func checkInteger(field string, value jsontext.Value) *FieldError {
	if value.Kind() != '0' || bytes.ContainsAny(value, ".eE") {
		return &FieldError{field, found(value) + " is not an integer"}
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil && value[0] != '-' {
		n = math.MaxInt64
	}
	switch {
	case n < 1:
		return &FieldError{field, found(value) + " is not at least 1"}
	case n > maxInteger:
		return &FieldError{field, found(value) + " is too large"}
	}
	return nil
}

func checkStop(value jsontext.Value) *FieldError {
	switch value.Kind() {
	case '"':
		return nil
	case '[':
	default:
		return &FieldError{"stop", found(value) + " is not a string or an array of strings"}
	}
	w := walk(value)
	defer w.done()
	n := 0
	for v := range w.elements() {
		if v.Kind() != '"' {
			return &FieldError{fmt.Sprintf("stop[%d]", n), found(v) + " is not a string"}
		}
		n++
	}
	if w.err != nil {
		return &FieldError{"stop", notJSON}
	}
	if n > maxStop {
		return &FieldError{"stop", fmt.Sprintf("%d sequences are more than %d", n, maxStop)}
	}
	return nil
}

const notJSON = "is not valid JSON"

// found names a value in a few printable characters.
func found(value jsontext.Value) string {
	const most = 24
	switch value.Kind() {
	case '"':
		s := []rune(string(unquoted(value)))
		if len(s) > most {
			return strconv.Quote(string(s[:most])) + "..."
		}
		return strconv.Quote(string(s))
	case '0':
		if len(value) > most {
			return string(value[:most]) + "..."
		}
		return string(value)
	}
	return kind(value)
}

// kind names a value by its type alone, where its text could be a prompt's.
func kind(value jsontext.Value) string {
	switch value.Kind() {
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 'n', 't', 'f':
		return value.Kind().String()
	}
	return "no JSON"
}

// unquoted gives the characters of a JSON string: as they stand where nothing is escaped, decoded otherwise (a lone
// surrogate becomes U+FFFD: for comparing and showing, not for sending). Of another value it is nil.
func unquoted(value jsontext.Value) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1]
	}
	b, _ := jsontext.AppendUnquote(nil, value)
	return b
}
