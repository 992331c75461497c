package tokens

import (
	"bytes"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Estimate guesses the prompt tokens of a chat completions request by the rule above: 2 for the conversation, and for
// each message 4, those of its content (of a content array those of its text parts), and where it has a name those of
// the name and 1 more. Tools and the calls of a message count as the text that they are. Text is counted in bytes of
// UTF-8, however it is escaped, so a letter outside of ASCII weighs two to four times an English one, as it roughly
// does in the tokenizers too. Images and other parts are not counted; of a body that is not JSON, what could be read is.
func Estimate(body []byte) int64 {
	r := readers.Get().(*reader)
	defer r.done()
	r.start(body)
	return PerConversation + r.request()
}

func (r *reader) request() int64 {
	total := int64(0)
	for name := range r.members {
		switch string(name) {
		case `"messages"`:
			for range r.elements {
				n := r.message()
				total += n
				if r.each != nil {
					r.each(n)
				}
			}
		case `"tools"`, `"functions"`:
			total += r.raw()
		default:
			r.skip()
		}
	}
	return total
}

func (r *reader) message() int64 {
	total := int64(PerMessage)
	for name := range r.members {
		switch string(name) {
		case `"content"`:
			total += r.content()
		case `"name"`:
			total += r.tokens(r.text()) + PerName
		case `"tool_calls"`, `"function_call"`:
			total += r.raw()
		default:
			r.skip()
		}
	}
	return total
}

// content counts the text of a message: the parts of an array are counted together, as one text.
func (r *reader) content() int64 {
	if r.dec.PeekKind() != '[' {
		return r.tokens(r.text())
	}
	n := int64(0)
	for range r.elements {
		for name := range r.members {
			if string(name) == `"text"` {
				n += r.text()
			} else {
				r.skip()
			}
		}
	}
	return r.tokens(n)
}

// reader steps through one body in place; see jsontext.NewDecoder for what it gives to a bytes.Buffer.
type reader struct {
	dec *jsontext.Decoder
	buf bytes.Buffer
	bad bool

	each  func(tokens int64) // is told of every message; may be nil
	enc   *encoding          // what counts text; nil for the rule of bytes
	left  int                // bytes of text that enc may still count; what is beyond them the rule of bytes counts
	plain []byte             // the text of a string with escapes
}

// keepPlain bounds what a rare long text leaves behind.
const keepPlain = 1 << 20

var readers = sync.Pool{New: func() any {
	r := new(reader)
	r.dec = jsontext.NewDecoder(&r.buf)
	return r
}}

func (r *reader) start(body []byte) {
	r.buf, r.bad = *bytes.NewBuffer(body), false
	r.dec.Reset(&r.buf, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// done gives the reader back without a hold on the body.
func (r *reader) done() {
	r.buf, r.enc, r.each = bytes.Buffer{}, nil, nil
	r.dec.Reset(&r.buf)
	if cap(r.plain) > keepPlain {
		r.plain = nil
	}
	readers.Put(r)
}

func (r *reader) skip() { r.value() }

func (r *reader) value() jsontext.Value {
	v, err := r.dec.ReadValue()
	r.bad = r.bad || err != nil
	return v
}

// text reads the next value and measures it, a string, in what tokens makes tokens of; 0 when it is no string.
func (r *reader) text() int64 {
	v := r.value()
	switch {
	case len(v) < 2 || v[0] != '"':
		return 0
	case r.enc == nil:
		return int64(decodedLen(v[1 : len(v)-1]))
	case bytes.IndexByte(v, '\\') < 0:
		return r.enc.countUpTo(&r.left, v[1:len(v)-1])
	}
	r.plain, _ = jsontext.AppendUnquote(r.plain[:0], v) // half a surrogate pair is U+FFFD
	return r.enc.countUpTo(&r.left, r.plain)
}

// raw reads the next value and counts it as the JSON text that it is.
func (r *reader) raw() int64 {
	v := r.value()
	switch {
	case v.Kind() == 'n':
		return 0
	case r.enc == nil:
		return Text(len(v))
	}
	return r.enc.countUpTo(&r.left, v)
}

// tokens is what was measured in tokens: the rule of bytes adds up bytes, so that the parts of a message are one text.
func (r *reader) tokens(n int64) int64 {
	if r.enc == nil {
		return Text(int(n))
	}
	return n
}

// members yields the names of the next value, quotes included; the loop's body reads each value. Anything but an
// object is skipped.
func (r *reader) members(yield func(name jsontext.Value) bool) {
	r.inside('{', func() bool {
		name := r.value()
		return !r.bad && yield(name)
	})
}

// elements stops before each element of the next value for the loop's body to read it. Anything but an array is skipped.
func (r *reader) elements(yield func() bool) {
	r.inside('[', yield)
}

func (r *reader) inside(open jsontext.Kind, each func() bool) {
	if r.bad || r.dec.PeekKind() != open {
		r.skip()
		return
	}
	r.dec.ReadToken()
	for !r.bad {
		if k := r.dec.PeekKind(); k == '}' || k == ']' {
			_, err := r.dec.ReadToken()
			r.bad = err != nil
			return
		}
		if !each() {
			return
		}
	}
}

// decodedLen is the length in UTF-8 of what stands between the quotes of a valid JSON string. The two halves of a
// surrogate pair count 2 bytes each, 4 together as the character does.
func decodedLen(s []byte) int {
	n := len(s)
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 || i+1 >= len(s) {
			return n
		}
		if s[i+1] != 'u' || i+6 > len(s) {
			n--
			s = s[i+2:]
			continue
		}
		n -= 6 - runeLen(s[i+2:i+6])
		s = s[i+6:]
	}
}

// runeLen is the length in UTF-8 of the character with these four hexadecimal digits.
func runeLen(digits []byte) int {
	switch {
	case digits[0] == '0' && digits[1] == '0' && digits[2] < '8':
		return 1
	case digits[0] == '0' && digits[1] < '8':
		return 2
	case (digits[0] == 'd' || digits[0] == 'D') && digits[1] >= '8':
		return 2
	}
	return 3
}
