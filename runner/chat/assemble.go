package chat

import "bytes"

const (
	// maxParts bounds the memory of an assembly: members and indexed elements cost more than their bytes.
	maxParts = 100_000
	// maxMergeDepth is far beyond what deltas hold; what is deeper is kept as the last chunk wrote it.
	maxMergeDepth = 16
)

// assembly puts the chunks of a stream together. Strings are joined as they are written, escapes and all: decoding
// each by itself would break a character whose halves are in two chunks.
type assembly struct {
	top     object
	choices map[int64]*choice
	usage   []byte
	parts   int
	ended   int // choices that have their finish reason
	pieces  int // of choices that have come
}

type choice struct {
	fields  object // all but index and delta
	message object
}

// object is a JSON object under construction, its members in order of appearance.
type object struct {
	names   []string
	members map[string]*part
}

// part is a value under construction: a string's inner bytes, an object, elements by index, or raw bytes.
// A raw array is kept without its brackets, so that elements can be appended.
type part struct {
	kind    byte // '"', '{', '[', '#' for elements by index, '=' for raw, 0 for nothing yet
	raw     []byte
	object  object
	indexed map[int64]*part
}

// merge takes a valid chunk in. It says no when the stream has too many parts.
func (s *assembly) merge(chunk []byte) bool {
	for name, value := range eachMember(chunk) {
		switch string(name) {
		case "choices":
			for element := range eachElement(value) {
				s.mergeChoice(element)
			}
		case "usage":
			if kindOf(value) == '{' {
				s.usage = bytes.Clone(value)
			}
		case "object", "obfuscation": // the latter is padding
		case "id", "created", "model": // some servers begin with a chunk that has empty ones
			p := s.member(&s.top, string(name))
			switch string(p.raw) {
			case "", `""`, "0", "null":
				p.set(value)
			}
		default:
			if kindOf(value) != 'n' {
				s.member(&s.top, string(name)).set(value)
			}
		}
	}
	return s.parts <= maxParts
}

func (s *assembly) mergeChoice(element []byte) {
	index := max(indexOf(element), 0)
	c := s.choices[index]
	if c == nil {
		if s.full() {
			return
		}
		c = &choice{}
		if s.choices == nil {
			s.choices = map[int64]*choice{}
		}
		s.choices[index] = c
	}
	if c.finished() {
		s.ended--
	}
	s.mergeInto(c, element)
	if c.finished() {
		s.ended++
	}
	s.pieces++
}

func (s *assembly) mergeInto(c *choice, element []byte) {
	for name, value := range eachMember(element) {
		switch string(name) {
		case "index":
		case "message":
			// The whole completion as one event is understood; one that repeats the deltas would double them.
			if len(c.message.names) == 0 {
				s.mergeDelta(c, value)
			}
		case "delta":
			s.mergeDelta(c, value)
		default:
			s.mergeValue(s.member(&c.fields, string(name)), string(name), value, false, 0)
		}
	}
}

func (s *assembly) mergeDelta(c *choice, delta []byte) {
	for name, value := range eachMember(delta) {
		s.mergeValue(s.member(&c.message, string(name)), string(name), value, true, 0)
	}
}

// full counts one more part and says whether that is too many; merge says so once the chunk is through.
func (s *assembly) full() bool {
	s.parts++
	return s.parts > maxParts
}

// member is the part of that name, made when it is new.
func (s *assembly) member(o *object, name string) *part {
	p := o.members[name]
	if p != nil {
		return p
	}
	p = &part{}
	if s.full() {
		return p
	}
	if o.members == nil {
		o.members = map[string]*part{}
	}
	o.members[name] = p
	o.names = append(o.names, name)
	return p
}

// mergeValue takes a fragment of the value called name in. In a delta strings are joined; elsewhere the last one counts.
func (s *assembly) mergeValue(p *part, name string, value []byte, delta bool, depth int) {
	switch kind := kindOf(value); {
	case kind == 'n' && p.kind != 0: // null takes nothing back
	case kind == '"' && delta && !isLabel(name):
		inner := value[1 : len(value)-1]
		if p.kind != '"' {
			p.kind, p.raw = '"', nil
		}
		if name != "name" || !bytes.Equal(p.raw, inner) { // some servers repeat a function's name
			p.raw = append(p.raw, inner...)
		}
	case string(value) == `""` && p.kind == '=' && kindOf(p.raw) == '"': // nor does an empty label
	case kind == '{' && depth < maxMergeDepth:
		if p.kind != '{' {
			*p = part{kind: '{'}
		}
		for inner, value := range eachMember(value) {
			if string(inner) == "index" && name == "tool_calls" {
				continue // only chunks number them
			}
			s.mergeValue(s.member(&p.object, string(inner)), string(inner), value, delta, depth+1)
		}
	case kind == '[' && depth < maxMergeDepth:
		s.mergeArray(p, name, value, delta, depth)
	default:
		p.set(value)
	}
}

// mergeArray joins elements that have an index with those of the same one, and appends all others.
func (s *assembly) mergeArray(p *part, name string, array []byte, delta bool, depth int) {
	for element := range eachElement(array) {
		index := indexOf(element)
		if index < 0 {
			if p.kind != '[' {
				*p = part{kind: '['}
			}
			if len(p.raw) > 0 {
				p.raw = append(p.raw, ',')
			}
			p.raw = append(p.raw, element...)
			continue
		}
		if p.kind != '#' {
			*p = part{kind: '#', indexed: map[int64]*part{}}
		}
		if p.indexed[index] == nil {
			if s.full() {
				return
			}
			p.indexed[index] = &part{}
		}
		s.mergeValue(p.indexed[index], name, element, delta, depth+1)
	}
	if p.kind == 0 {
		p.kind = '['
	}
}

func (p *part) set(value []byte) { *p = part{kind: '=', raw: bytes.Clone(value)} }

// isLabel names the strings of a delta that are said whole, and by some servers in every chunk.
func isLabel(name string) bool {
	switch name {
	case "role", "id", "type", "object", "model", "format", "finish_reason":
		return true
	}
	return false
}

// indexOf is the index of an element, -1 without a usable one.
func indexOf(element []byte) int64 {
	if n, ok := wholeNumber(valueOf(element, "index")); ok {
		return n
	}
	return -1
}

// valueOf is the value of an object's member, nil without one.
func valueOf(object []byte, want string) (last []byte) {
	for name, value := range eachMember(object) {
		if string(name) == want {
			last = value
		}
	}
	return last
}

// finished says whether every choice has its finish reason, and as many have come as were asked for.
func (s *assembly) finished(n int64) bool {
	return s.ended == len(s.choices) && int64(s.ended) >= max(n, 1)
}

func (c *choice) finished() bool {
	reason := c.fields.members["finish_reason"]
	return reason != nil && kindOf(reason.raw) == '"' && len(reason.raw) > len(`""`)
}
