package input

import (
	"slices"
	"unicode/utf8"

	"batch/runner/chat"

	"github.com/go-json-experiment/json/jsontext"
)

// Defaults fill in what a line does not say itself, for a whole file.
type Defaults struct {
	// System is the text of a system message, put in front of the messages of a line that has no system and no
	// developer message; nil for none.
	System *string
	// Fields are request fields, in the order in which they are put into a body.
	Fields []Field
}

// Field is a request field and its value as JSON.
type Field struct {
	Name  string
	Value jsontext.Value
}

// Check judges the fill-ins by the rules that hold for a line's own fields; its error is a *chat.FieldError.
func (d Defaults) Check() error {
	if d.System != nil {
		if *d.System == "" {
			return &chat.FieldError{Field: "system", Problem: "is empty"}
		}
		if !utf8.ValidString(*d.System) {
			return &chat.FieldError{Field: "system", Problem: "is not valid UTF-8"}
		}
	}
	for i, f := range d.Fields {
		same := func(o Field) bool { return o.Name == f.Name }
		switch {
		case !chat.IsField(f.Name) && f.Name != seedField && f.Name != "response_format" || f.Name == "messages":
			return &chat.FieldError{Field: shownKey(f.Name), Problem: "is not a field that can be filled in"}
		case slices.ContainsFunc(d.Fields[:i], same):
			return &chat.FieldError{Field: f.Name, Problem: "is given twice"}
		case !f.Value.IsValid():
			return &chat.FieldError{Field: f.Name, Problem: "is not valid JSON"}
		}
		bad := chat.CheckField(f.Name, f.Value)
		if f.Name == seedField {
			bad = checkSeed(f.Value)
		}
		if bad != nil {
			return bad
		}
	}
	return nil
}

// filler holds the fill-ins as they are written into a body, and how many good lines used each of them.
type filler struct {
	system []byte // a JSON string; nil for none
	fields []Field
	used   []int // by field; the last one is system's
	line   []bool
}

func newFiller(d Defaults) *filler {
	f := &filler{fields: d.Fields, used: make([]int, len(d.Fields)+1), line: make([]bool, len(d.Fields)+1)}
	if d.System != nil {
		// What Check refuses is quoted with U+FFFD; the quoted text is usable either way.
		f.system, _ = jsontext.AppendQuote(nil, *d.System)
	}
	return f
}

// takeSystem gives the system message's text to a line that has none.
func (f *filler) takeSystem() []byte {
	if f.system != nil {
		f.line[len(f.fields)] = true
	}
	return f.system
}

// take gives the value of a field by its place in the list.
func (f *filler) take(i int) jsontext.Value {
	f.line[i] = true
	return f.fields[i].Value
}

// begin forgets what the last line took; keep counts it, for a line that turned out good.
func (f *filler) begin() { clear(f.line) }

func (f *filler) keep() {
	for i, used := range f.line {
		if used {
			f.used[i]++
		}
	}
}

// supplants reports whether a line that has the field key does not lack the field name: a line that bounds its answer
// by max_completion_tokens is not also given max_tokens, as the API refuses the two together.
func supplants(key, name string) bool {
	return key == name || key == "max_completion_tokens" && name == "max_tokens"
}
