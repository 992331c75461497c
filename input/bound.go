package input

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxBound is the largest number that survives a reader which knows only doubles; a bound beyond it is none.
const maxBound = 1 << 53

// maxTokens is the bound that the request of the line sets for its answer, 0 for none.
func (r *Reader) maxTokens() int64 { return MaxTokens(r.sent) }

// MaxTokens is the bound that a request sets for its answer, 0 for none. sent gives a field of it, nil for one that it has not, or that
// is null.
func MaxTokens(sent func(name string) jsontext.Value) int64 {
	bound, choices := perChoice(sent), int64(1)
	if n := sent("n"); n != nil {
		choices = positive(n) // of an n that is no number of choices nobody knows what a server makes: no bound
	}
	if choices > 0 && bound > maxBound/choices {
		return 0
	}
	return bound * choices
}

// perChoice is the bound of a single choice, which is what must find room behind the prompt; 0 for none.
func perChoice(sent func(name string) jsontext.Value) int64 {
	limit := sent("max_completion_tokens")
	if limit == nil {
		limit = sent("max_tokens")
	}
	return positive(limit)
}

// boundField names the field that bounds the answer.
func boundField(sent func(name string) jsontext.Value) string {
	if sent("max_completion_tokens") != nil {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

// sent gives the value of a field of the request that was put together last, of the line or a fill-in; nil without one, and for
// null, which says as much.
func (r *Reader) sent(name string) jsontext.Value {
	members := r.line.top
	switch {
	case r.prompt != nil:
		members = nil // its keys are no request fields
	case r.line.batch:
		members = r.line.body
	}
	value := jsontext.Value(nil)
	if m := find(members, name); m != nil {
		value = m.value
	} else if i := slices.IndexFunc(r.fill.fields, func(f Field) bool { return f.Name == name }); i >= 0 {
		value = r.fill.fields[i].Value
	}
	if value.Kind() == 'n' {
		return nil
	}
	return value
}

// positive is a positive integer, 0 for anything else.
func positive(value jsontext.Value) int64 {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 0 || n > maxBound {
		return 0
	}
	return n
}
