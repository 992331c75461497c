package chat

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	errNotRequest = errors.New("request key: body is not a JSON object")
	errNoMessages = errors.New("request key: body has no messages")
)

// Key is what a request is known by: the SHA-256 of its canonical form. Two bodies have the same key when they ask
// for the same, however they are written:
//
//   - white space outside of strings is left out;
//   - every string, names included, is taken by its decoded value, at any depth;
//   - the members of the body, and of each object in its messages, are sorted by name;
//   - numbers, and the order of members in deeper objects, are kept as written: 1 and 1.0 are two requests;
//   - stream and stream_options of the body are left out: they say how an answer comes, not what is asked.
//
// A lone surrogate, which no decoded string can hold, keeps a form of its own, so that two bodies which differ only
// there differ. The body is one that was checked before (valid UTF-8, no name twice); what is not a JSON object is
// an error.
func Key(body []byte) ([32]byte, error) {
	c := canonicals.Get().(*canonical)
	defer c.done()
	w := walk(body)
	defer w.done()
	if !c.object(w, true) || !w.end() {
		return [32]byte{}, errNotRequest
	}
	return sha256.Sum256(c.out), nil
}

// ConversationKey is what the messages of a request are known by, whichever model is asked and with whatever parameters: the SHA-256
// of their canonical form. A body without messages has no conversation, which is an error, as is what is not a JSON object.
func ConversationKey(body []byte) ([32]byte, error) {
	c := canonicals.Get().(*canonical)
	defer c.done()
	w := walk(body)
	defer w.done()
	if !w.open('{') {
		return [32]byte{}, errNotRequest
	}
	found := false
	for w.more() {
		c.text(w.value())
		messages := string(c.out) == `"messages"`
		c.out = c.out[:0]
		if !messages {
			w.value()
			continue
		}
		c.messages(w)
		found = true
		break
	}
	sum := sha256.Sum256(c.out)
	for w.more() {
		w.value()
	}
	if !w.end() {
		return [32]byte{}, errNotRequest
	}
	if !found {
		return [32]byte{}, errNoMessages
	}
	return sum, nil
}

// keepCanonical bounds the buffers that wait in the pool for the next body.
const keepCanonical = 1 << 20

// canonical builds the canonical form of one body in out.
type canonical struct {
	out, spare []byte
	spans      []span // of the objects being written, the innermost last
}

// span is a member in out: from its name's opening quote to the end of its value.
type span struct{ start, nameEnd, end int }

var canonicals = sync.Pool{New: func() any { return new(canonical) }}

// done gives the buffers back, but for ones that a long body has grown.
func (c *canonical) done() {
	c.out, c.spare, c.spans = c.out[:0], c.spare[:0], c.spans[:0]
	if cap(c.out)+cap(c.spare)+cap(c.spans) > keepCanonical {
		*c = canonical{}
	}
	canonicals.Put(c)
}

// object writes the next value, an object, with its members sorted; body says that it is the request itself.
func (c *canonical) object(w *walker, body bool) bool {
	if !w.open('{') {
		return false
	}
	first := len(c.spans)
	start := len(c.out)
	for w.more() {
		s := span{start: len(c.out)}
		c.text(w.value())
		s.nameEnd = len(c.out)
		switch name := c.out[s.start:s.nameEnd]; {
		case body && (string(name) == `"stream"` || string(name) == `"stream_options"`):
			w.value()
			c.out = c.out[:s.start]
			continue
		case body && string(name) == `"messages"`:
			c.messages(w)
		default:
			c.value(w.value())
		}
		s.end = len(c.out)
		c.spans = append(c.spans, s)
	}
	c.sorted(start, c.spans[first:])
	c.spans = c.spans[:first]
	return w.err == nil
}

// sorted puts the members in the order of their names. Like messages it writes a comma after the last one, too: what
// stands at a place is always written by the same method, so that cannot make two bodies one.
func (c *canonical) sorted(start int, members []span) {
	slices.SortStableFunc(members, func(a, b span) int {
		return bytes.Compare(c.out[a.start:a.nameEnd], c.out[b.start:b.nameEnd])
	})
	c.spare = append(c.spare[:0], c.out[start:]...)
	c.out = append(c.out[:start], '{')
	for _, m := range members {
		c.out = append(c.out, c.spare[m.start-start:m.nameEnd-start]...)
		c.out = append(c.out, ':')
		c.out = append(c.out, c.spare[m.nameEnd-start:m.end-start]...)
		c.out = append(c.out, ',')
	}
	c.out = append(c.out, '}')
}

// messages writes the next value; where it is an array, the objects in it with their members sorted.
func (c *canonical) messages(w *walker) {
	if !w.open('[') {
		c.value(w.value())
		return
	}
	c.out = append(c.out, '[')
	for w.more() {
		if w.dec.PeekKind() == '{' {
			c.object(w, false)
		} else {
			c.value(w.value())
		}
		c.out = append(c.out, ',')
	}
	c.out = append(c.out, ']')
}

// value writes a value that keeps its order: only white space goes and strings change.
func (c *canonical) value(v jsontext.Value) {
	for len(v) > 0 {
		switch v[0] {
		case ' ', '\t', '\r', '\n':
			v = v[1:]
		case '"':
			n := stringEnd(v)
			c.text(v[:n])
			v = v[n:]
		default:
			n := 1
			for n < len(v) && v[n] != '"' && v[n] > ' ' {
				n++
			}
			c.out = append(c.out, v[:n]...)
			v = v[n:]
		}
	}
}

// stringEnd is the length of the string that v, valid JSON, begins with.
func stringEnd(v []byte) int {
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(v)
}

// text writes a string by its decoded value, in quotes. Of all escapes only those of the quote and the backslash are
// kept, so every value has one spelling. A lone surrogate becomes the three bytes that UTF-8 forbids for it.
func (c *canonical) text(v jsontext.Value) {
	for len(v) > 0 {
		i := bytes.IndexByte(v, '\\')
		if i < 0 || i+1 >= len(v) {
			break
		}
		c.out = append(c.out, v[:i]...)
		e := v[i+1]
		v = v[i+2:]
		switch e {
		case '"', '\\':
			c.out = append(c.out, '\\', e)
		case 'b':
			c.out = append(c.out, '\b')
		case 'f':
			c.out = append(c.out, '\f')
		case 'n':
			c.out = append(c.out, '\n')
		case 'r':
			c.out = append(c.out, '\r')
		case 't':
			c.out = append(c.out, '\t')
		case 'u':
			v = c.escaped(v)
		default: // the slash
			c.out = append(c.out, e)
		}
	}
	c.out = append(c.out, v...)
}

// escaped writes the character whose \u escape has its digits at the front of v, and returns what follows.
func (c *canonical) escaped(v []byte) []byte {
	r, rest := hex4(v)
	switch {
	case r == '"' || r == '\\':
		c.out = append(c.out, '\\', byte(r))
	case utf16.IsSurrogate(r):
		if len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
			low, after := hex4(rest[2:])
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				c.out = utf8.AppendRune(c.out, both)
				return after
			}
		}
		c.out = append(c.out, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
	default:
		c.out = utf8.AppendRune(c.out, r)
	}
	return rest
}

// hex4 reads the four digits of an escape.
func hex4(v []byte) (rune, []byte) {
	var r rune
	for i := range 4 {
		d := rune(v[i])
		switch {
		case d >= 'a':
			d += 10 - 'a'
		case d >= 'A':
			d += 10 - 'A'
		default:
			d -= '0'
		}
		r = r<<4 | d
	}
	return r, v[4:]
}
