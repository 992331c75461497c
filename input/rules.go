package input

import (
	"bytes"
	"slices"
	"strings"

	"batch/runner/chat"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	modelHint  = "name a model in the line, or one for all lines with --model"
	promptHint = `the text to be answered goes into "prompt", or a conversation into "messages"`
	quoteHint  = "write it in quotes"
	urlHint    = "where requests go is said by --base-url; write /v1/chat/completions or leave url out"
	nullHint   = "leave the key out"
	ownHint    = "to carry it as your own, rename it"
)

// judge says what is wrong with a member of the line, and whether it is the author's own, to be carried.
func (m *member) judge(batch bool) (own bool, bad *LineError) {
	name := m.key.name
	switch m.key.kind {
	case ownKey:
		if m.key.near == "" {
			return true, nil
		}
		return false, &LineError{Field: shownKey(name), Problem: "is no key that is sent", Hint: nearHint(name, m.key.near, batch)}
	case pageField, otherField:
		if batch {
			return false, &LineError{Field: name, Problem: "stands beside body, so it would not be sent", Hint: "put it into body"}
		}
		return false, m.check("")
	}
	switch v := m.value; name {
	case "custom_id":
		return false, checkCustomID(v)
	case "prompt":
		return false, checkPrompt(v)
	case "messages":
		return false, m.check("")
	case "system", "params":
		want := map[string]jsontext.Kind{"system": '"', "params": '{'}[name]
		switch {
		case batch:
			return false, &LineError{Field: name, Problem: "stands beside body, so it would not be sent", Hint: "put it into body"}
		case v.Kind() != want:
			return false, mistyped(name, v, jsontext.Value{byte(want)})
		}
	case "body":
		switch {
		case batch && v.Kind() != '{':
			return false, mistyped(name, v, jsontext.Value("{"))
		case !batch && v.Kind() == '{':
			return false, &LineError{Field: name, Problem: "stands beside prompt or messages", Hint: "keep one of the two"}
		}
		return !batch, nil
	case "method":
		if batch && string(decoded(v)) != "POST" {
			return false, &LineError{Field: name, Problem: `is not "POST"`}
		}
		return !batch, nil
	case "url":
		if batch && !chatPath(string(decoded(v))) {
			return false, &LineError{Field: name, Problem: "is not a path that ends in /chat/completions",
				Hint: urlHint}
		}
		return !batch, nil
	}
	return false, nil
}

// foreign are fields of other providers' APIs that look like a slip for one of ours.
var foreign = []string{"top_k", "top_a", "models"}

// nearHint says what to do about an unknown key that is near another one: it may be meant as it stands.
func nearHint(name, near string, batch bool) string {
	hint := "did you mean " + near + "? "
	switch {
	case slices.Contains(foreign, name):
		hint = ""
	case slices.Contains(lineKeys, near) && near != "messages":
		return hint + ownHint
	}
	if batch {
		return hint + "to send it, put it into body; " + ownHint
	}
	return hint + "to send it as it is, put it into params; " + ownHint
}

// check judges a request field; parent is what its name is put behind.
func (m *member) check(parent string) *LineError {
	bad := chat.CheckField(m.key.name, m.value)
	if bad == nil {
		return nil
	}
	e := &LineError{Field: parent + bad.Field, Problem: bad.Problem}
	if m.value.Kind() == 'n' {
		e.Hint = nullHint
	}
	return e
}

func mistyped(field string, v, want jsontext.Value) *LineError {
	e := &LineError{Field: field, Problem: kind(v) + " is not " + kind(want)}
	if v.Kind() == 'n' {
		e.Hint = nullHint
	}
	return e
}

func checkPrompt(v jsontext.Value) *LineError {
	switch v.Kind() {
	case '"':
		if len(v) == len(`""`) {
			return &LineError{Field: "prompt", Problem: "is empty"}
		}
		return nil
	case '[':
		return &LineError{Field: "prompt", Problem: "an array is not a string", Hint: `a conversation goes into "messages"`}
	}
	return mistyped("prompt", v, jsontext.Value(`""`))
}

// checkCustomID takes any string that has a Unicode form: one with half a surrogate pair could not be told from
// another once it stands in a table.
func checkCustomID(v jsontext.Value) *LineError {
	if v.Kind() != '"' {
		bad := mistyped("custom_id", v, jsontext.Value(`""`))
		if v.Kind() == '0' {
			bad.Hint = quoteHint
		}
		return bad
	}
	if bytes.IndexByte(v, '\\') >= 0 {
		if _, err := jsontext.AppendUnquote(nil, v); err != nil {
			return &LineError{Field: "custom_id", Problem: "half of a surrogate pair is no character"}
		}
	}
	return nil
}

// chatPath tells the path of the chat completions API from everything that could name another place.
func chatPath(url string) bool {
	return strings.HasPrefix(url, "/") && !strings.HasPrefix(url, "//") && strings.HasSuffix(url, "/chat/completions") &&
		!strings.ContainsAny(url, "?#\\@: ")
}

func checkParam(l *line, m member) *LineError {
	name := string(m.name)
	switch {
	case chat.IsRequestField(name):
		return &LineError{Field: "params." + name, Problem: "is a request field", Hint: "put it into the line itself"}
	case find(l.top, name) != nil:
		return &LineError{Field: "params." + shownKey(name), Problem: "is a key of the line, too", Hint: "keep one of the two"}
	}
	return nil
}
