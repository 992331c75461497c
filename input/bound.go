package input

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxBound is the largest number that survives a reader which knows only doubles; a bound beyond it is none.
const maxBound = 1 << 53

// bound is MaxTokens of the request that was put together last.
func (r *Reader) bound() (most int64, boundless bool) {
	if r.images.shown() {
		return 0, true // they stand in messages that are no field of the line
	}
	return bound(&r.dec, r.sent)
}

// MaxTokens is what a request says of how much its call can use: the most tokens of its answer, 0 for nothing said, which leaves the
// largest answer of the model; or that there is no worst case at all. sent gives a field of it, nil for one that it has not, or that is
// null.
func MaxTokens(sent func(name string) jsontext.Value) (most int64, boundless bool) {
	d := newDecoder()
	return bound(&d, sent)
}

func bound(d *decoder, sent func(name string) jsontext.Value) (most int64, boundless bool) {
	most, choices := longest(sent), int64(1)
	if n := sent("n"); n != nil {
		choices = positive(n) // 0 for what is no number of choices: nobody knows what a server makes of it
	}
	switch {
	case choices == 0, choices > 1 && (most == 0 || most > maxBound/choices):
		return 0, true // the largest answer of a model bounds one choice only
	case !onlyText(sent("modalities")), !d.textOnly(sent("messages")):
		return 0, true
	}
	return most * choices, false
}

// longest is the most tokens of one choice, 0 for no bound. Some APIs know only one of the two fields, and the longer answer is
// then the one to be expected; one that is no number of tokens may be no limit to them (-1).
func longest(sent func(name string) jsontext.Value) int64 {
	longest := int64(0)
	for _, name := range []string{"max_completion_tokens", "max_tokens"} {
		limit := sent(name)
		if limit == nil {
			continue
		}
		n := positive(limit)
		if n == 0 {
			return 0
		}
		longest = max(longest, n)
	}
	return longest
}

// boundField names the field that longest goes by.
func boundField(sent func(name string) jsontext.Value) string {
	if positive(sent("max_completion_tokens")) == longest(sent) && sent("max_completion_tokens") != nil {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

// sent gives the value of a field of the request that was put together last, of the line or a fill-in that it took; nil without
// one, and for null, which says as much.
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
	} else if i := slices.IndexFunc(r.fill.fields, func(f Field) bool { return f.Name == name }); i >= 0 && r.fill.line[i] {
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
