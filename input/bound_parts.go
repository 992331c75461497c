package input

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// textParts are the types of content parts that are text. The tokens of others are not counted: an image or a recording may be any
// number of them.
var textParts = []string{"text", "input_text", "output_text", "refusal"}

// textOnly says that messages are all text; a prompt, without messages, is.
func (d *decoder) textOnly(messages jsontext.Value) bool {
	if !holdsObjects(messages) && !bytes.Contains(messages, []byte(`"audio"`)) {
		return true
	}
	d.begin(messages)
	d.dec.ReadToken()
	for d.dec.PeekKind() == '{' {
		for name := range d.names {
			switch {
			case string(name) == "content" && d.dec.PeekKind() == '[':
				d.dec.ReadToken()
				for d.dec.PeekKind() == '{' {
					if !d.textPart() {
						return false
					}
				}
				d.dec.ReadToken()
			case string(name) == "audio" && d.dec.PeekKind() != 'n': // what an earlier answer said aloud
				return false
			default:
				d.dec.SkipValue()
			}
		}
	}
	return true
}

// textPart says that the next content part is text: by its type, or, where that is not known, by having a text and nothing else.
func (d *decoder) textPart() bool {
	known, only := false, true
	for name := range d.names {
		value, err := d.dec.ReadValue()
		switch {
		case err != nil:
			return false
		case string(name) == "type":
			known = slices.Contains(textParts, string(decoded(value)))
		case string(name) == "text" && value.Kind() == '"', string(name) == "cache_control", value.Kind() == 'n':
		default:
			only = false
		}
	}
	return known || only
}

// names yields the names of the next value, an object that is known to be one; the loop's body reads each value.
func (d *decoder) names(yield func(name []byte) bool) {
	d.dec.ReadToken()
	for d.dec.PeekKind() == '"' {
		if raw, err := d.dec.ReadValue(); err != nil || !yield(decoded(raw)) {
			return
		}
	}
	d.dec.ReadToken()
}

// holdsObjects says that an array of objects stands somewhere within the value, as parts do: few messages need a closer look.
func holdsObjects(value jsontext.Value) bool {
	for rest := []byte(value); len(rest) > 0; {
		i := bytes.IndexByte(rest[1:], '[')
		if i < 0 {
			return false
		}
		rest = rest[1+i:]
		if next := bytes.TrimLeft(rest[1:], space); len(next) > 0 && next[0] == '{' {
			return true
		}
	}
	return false
}

// onlyText says that an answer in these modalities is text. Spoken, it has tokens of another price, or ones that no field bounds.
func onlyText(modalities jsontext.Value) bool {
	if modalities == nil {
		return true
	}
	var names []string
	return json.Unmarshal(modalities, &names) == nil && !slices.ContainsFunc(names, func(name string) bool { return name != "text" })
}
