package input

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// lineKeys are the keys that say what a line is.
var lineKeys = []string{"prompt", "messages", "system", "params", "custom_id", "body", "method", "url"}

// line is what scan found: parts of the text of one line.
type line struct {
	top    []member
	body   []member // of the value of body, where that is an object
	params []member // of the value of params, likewise

	batch   bool
	carried []int // places in top of the author's own keys
}

// maxMembers bounds the keys of the objects that are taken apart, so that a line of nothing but keys costs no more
// memory than another.
const maxMembers = 4096

var errTooManyKeys = errors.New("too many keys")

// member is one name and value of an object.
type member struct {
	raw   []byte // the name with its quotes, as written
	name  []byte // the name decoded
	value jsontext.Value
	end   int    // of the value, in the text of the line
	key   *known // nil outside of top and body
}

func (l *line) reset() {
	clear(l.top) // so that no long line is held on to
	clear(l.body)
	clear(l.params)
	*l = line{top: l.top[:0], body: l.body[:0], params: l.params[:0], carried: l.carried[:0]}
}

// find gives the member of that name, nil without one.
func find(members []member, name string) *member {
	for i := range members {
		if string(members[i].name) == name {
			return &members[i]
		}
	}
	return nil
}

// isResult says that the line was written by a run: it has columns that belong to no prompt.
func (l *line) isResult() bool {
	for _, name := range resultColumns {
		if find(l.top, name) == nil {
			return false
		}
	}
	return true
}

// value gives a value of the line itself, nil without one.
func (l *line) value(name string) jsontext.Value {
	if m := find(l.top, name); m != nil {
		return m.value
	}
	return nil
}

// decoder parses lines where they lie: a jsontext.Decoder on a bytes.Buffer copies nothing, so what it gives are
// parts of the line. It refuses a name that comes twice in an object, at any depth.
type decoder struct {
	dec *jsontext.Decoder
	buf *bytes.Buffer
}

func newDecoder() decoder {
	buf := new(bytes.Buffer)
	return decoder{jsontext.NewDecoder(buf), buf}
}

// begin starts with a line. Lone surrogate escapes, which jsontext would refuse as invalid UTF-8, reach the API as
// they are; that the bytes themselves are UTF-8 is checked before.
func (d *decoder) begin(text []byte) {
	*d.buf = *bytes.NewBuffer(text)
	d.dec.Reset(d.buf, jsontext.AllowInvalidUTF8(true))
}

// atEnd reports whether nothing but white space follows.
func (d *decoder) atEnd() bool {
	_, err := d.dec.ReadToken()
	return err == io.EOF
}

// scanLine reads the object of a line into l, as far as it goes.
func (d *decoder) scanLine(l *line, text []byte) error {
	return d.object(text, &l.top, func(name []byte) *[]member {
		switch string(name) {
		case "body":
			return &l.body
		case "params":
			return &l.params
		}
		return nil
	})
}

// object reads the members of the next value, an object, into dst; inside says for which of them the members of
// their own object are wanted too, and where.
func (d *decoder) object(text []byte, dst *[]member, inside func(name []byte) *[]member) error {
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	for d.dec.PeekKind() != '}' {
		raw, err := d.dec.ReadValue()
		if err != nil {
			return err
		}
		m := member{raw: raw, name: decoded(raw)}
		var into *[]member
		if inside != nil {
			into = inside(m.name)
		}
		if k := d.dec.PeekKind(); into != nil && k == '{' {
			start := len(text) - len(bytes.TrimLeft(d.dec.UnreadBuffer(), ":"+space))
			err = d.object(text, into, nil)
			m.end = int(d.dec.InputOffset())
			m.value = text[start:m.end]
		} else {
			m.value, err = d.dec.ReadValue()
			m.end = int(d.dec.InputOffset())
		}
		if err != nil {
			return err
		}
		if len(*dst) == maxMembers {
			return errTooManyKeys
		}
		*dst = append(*dst, m)
	}
	_, err := d.dec.ReadToken()
	return err
}

// decoded gives the characters of a JSON string, as they stand where nothing in it is escaped. A lone surrogate
// becomes U+FFFD.
func decoded(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	b, _ := jsontext.AppendUnquote(nil, raw)
	return b
}
