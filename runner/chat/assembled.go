package chat

import (
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// encode writes the completion that a call without streaming would have given.
func (s *assembly) encode() []byte {
	b := []byte(`{`)
	for _, name := range []string{"id", "object", "created", "model"} {
		if name == "object" {
			b = append(appendName(b, name), `"chat.completion"`...)
		} else if p := s.top.members[name]; p != nil {
			b = p.append(appendName(b, name))
		}
	}
	for _, name := range s.top.names {
		if name != "id" && name != "created" && name != "model" {
			b = s.top.members[name].append(appendName(b, name))
		}
	}
	b = append(appendName(b, "choices"), '[')
	for i, index := range slices.Sorted(maps.Keys(s.choices)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.choices[index].append(b, index)
	}
	b = append(b, ']')
	if s.usage != nil {
		b = append(appendName(b, "usage"), s.usage...)
	}
	return append(b, '}')
}

// append writes the choice. One that ended and said nothing at all has given an empty answer.
func (c *choice) append(b []byte, index int64) []byte {
	b = strconv.AppendInt(append(b, `{"index":`...), index, 10)
	message := []byte(`{`)
	if c.message.members["role"] == nil {
		message = append(message, `"role":"assistant"`...)
	}
	bare := len(message)
	message = append(c.message.append(message), '}')
	content := c.message.members["content"]
	unsaid := content == nil || string(content.raw) == "null"
	if unsaid && c.finished() && string(c.fields.members["finish_reason"].raw) != `"error"` && !answers(message) {
		if content == nil {
			message = append(appendName(message[:len(message)-1], "content"), `""}`...)
		} else {
			content.set([]byte(`""`))
			message = append(c.message.append(message[:bare]), '}')
		}
	}
	b = append(appendName(b, "message"), message...)
	b = c.fields.append(b)
	if c.fields.members["finish_reason"] == nil {
		b = append(b, `,"finish_reason":null`...)
	}
	return append(b, '}')
}

func (o *object) append(b []byte) []byte {
	for _, name := range o.names {
		b = o.members[name].append(appendName(b, name))
	}
	return b
}

// appendName begins a member, with a comma unless it is the first.
func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b, _ = jsontext.AppendQuote(b, name)
	return append(b, ':')
}

func (p *part) append(b []byte) []byte {
	switch p.kind {
	case '"':
		return append(append(append(b, '"'), p.raw...), '"')
	case '{':
		return append(p.object.append(append(b, '{')), '}')
	case '[':
		return append(append(append(b, '['), p.raw...), ']')
	case '#':
		b = append(b, '[')
		for i, index := range slices.Sorted(maps.Keys(p.indexed)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = p.indexed[index].append(b)
		}
		return append(b, ']')
	case '=':
		return append(b, p.raw...)
	}
	return append(b, "null"...)
}
