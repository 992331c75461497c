package chat

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var roles = []string{"system", "developer", "user", "assistant", "tool", "function"}

// CheckMessages judges the messages of a request; nil is good. They are a non-empty array of objects, each with a
// role and a content: a string, an array of parts with a type, or null (or nothing) beside tool_calls or
// function_call. A user's content is not the empty string: that is a template without its value, and would be paid
// for. What else a message holds is the API's business.
func CheckMessages(value jsontext.Value) *FieldError {
	if value.Kind() != '[' {
		return &FieldError{"messages", kind(value) + " is not an array of messages"}
	}
	w := walk(value)
	defer w.done()
	w.open('[')
	n := 0
	for ; w.more(); n++ {
		if bad := w.message(); bad != nil {
			field := "messages[" + strconv.Itoa(n) + "]"
			if bad.Field != "" {
				field += "." + bad.Field
			}
			return &FieldError{field, bad.Problem}
		}
	}
	if w.err != nil || !w.end() {
		return &FieldError{"messages", notJSON}
	}
	if n == 0 {
		return &FieldError{"messages", "is empty"}
	}
	return nil
}

// message judges the next element; the Field of what it returns is relative to it.
func (w *walker) message() *FieldError {
	if k := w.dec.PeekKind(); k != '{' {
		v := w.value()
		if w.err != nil {
			return &FieldError{"", notJSON}
		}
		return &FieldError{"", kind(v) + " is not a message object"}
	}
	w.open('{')
	var role, content, name jsontext.Value
	calls := false
	for w.more() {
		key := w.value()
		v := w.value()
		switch string(unquoted(key)) {
		case "role":
			role = v
		case "content":
			content = v
		case "name":
			name = v
		case "tool_calls", "function_call":
			calls = calls || v.Kind() != 'n'
		}
	}
	if w.err != nil {
		return &FieldError{"", notJSON}
	}
	if bad := checkRole(role); bad != nil {
		return bad
	}
	if name != nil && name.Kind() != '"' {
		return &FieldError{"name", found(name) + " is not a string"}
	}
	return checkContent(content, string(unquoted(role)) == "user", calls)
}

func checkRole(role jsontext.Value) *FieldError {
	switch {
	case role == nil:
		return &FieldError{"role", "is missing"}
	case role.Kind() != '"':
		return &FieldError{"role", found(role) + " is not a string"}
	case !slices.Contains(roles, string(unquoted(role))):
		return &FieldError{"role", found(role) + " is not one of " + strings.Join(roles, ", ")}
	}
	return nil
}

func checkContent(content jsontext.Value, user, calls bool) *FieldError {
	switch {
	case content == nil && calls:
	case content == nil:
		return &FieldError{"content", "is missing"}
	case content.Kind() == '"':
		if user && len(content) == len(`""`) {
			return &FieldError{"content", "is empty"}
		}
	case content.Kind() == '[':
		return checkParts(content)
	case content.Kind() == 'n':
		if !calls {
			return &FieldError{"content", "null stands only beside tool_calls or function_call"}
		}
	default:
		return &FieldError{"content", kind(content) + " is not a string or an array of parts"}
	}
	return nil
}

func checkParts(content jsontext.Value) *FieldError {
	w := walk(content)
	defer w.done()
	w.open('[')
	n := 0
	for ; w.more(); n++ {
		field := "content[" + strconv.Itoa(n) + "]"
		if w.dec.PeekKind() != '{' {
			return &FieldError{field, kind(w.value()) + " is not an object with a type"}
		}
		w.open('{')
		var typ jsontext.Value
		for w.more() {
			key := w.value()
			if v := w.value(); string(unquoted(key)) == "type" {
				typ = v
			}
		}
		switch {
		case w.err != nil:
			return &FieldError{field, notJSON}
		case typ == nil:
			return &FieldError{field + ".type", "is missing"}
		case typ.Kind() != '"':
			return &FieldError{field + ".type", found(typ) + " is not a string"}
		}
	}
	if w.err != nil {
		return &FieldError{"content", notJSON}
	}
	if n == 0 {
		return &FieldError{"content", "is empty"}
	}
	return nil
}

// HasSystem reports whether one of the messages speaks for the operator: a system or a developer message.
func HasSystem(messages jsontext.Value) bool {
	w := walk(messages)
	defer w.done()
	if !w.open('[') {
		return false
	}
	for w.more() {
		if !w.open('{') {
			w.value()
			continue
		}
		for w.more() {
			key := w.value()
			v := w.value()
			if string(unquoted(key)) == "role" {
				if r := string(unquoted(v)); r == "system" || r == "developer" {
					return true
				}
			}
		}
	}
	return false
}
