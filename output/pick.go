package output

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// picker reads from stored JSON what a row needs, in one pass and without decoding. What it gives are slices of the
// source. It accepts all that the API may have sent and the job file keeps: names that occur twice (the last counts),
// lone surrogates, bytes that are not UTF-8.
type picker struct {
	dec  jsontext.Decoder
	buf  bytes.Buffer
	src  []byte
	key  []byte // the member's name as it was spelled
	name []byte // and what it says, when there are escapes in it
	all  []choice
	opts []jsontext.Options
}

func newPicker() *picker {
	return &picker{opts: []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}}
}

var errNotObject = errors.New("not a JSON object")

// request is what a row needs of a request body.
type request struct {
	messages []byte // the array
	lastUser []byte // content of the last user message

	tools, functions, parallel []byte // parallel_tool_calls
}

// answer is what a row needs of a completion. The first choice is the one with index 0 where the choices bear an index,
// else the first of the array: a server may list them in the order in which they were done. Fields of the first choice are nil when it has none or another type.
type answer struct {
	model   []byte
	created []byte

	choices []byte // the array
	n       int    // its length
	first   choice
	all     []choice // in the array's order, valid until the picker reads the next answer
}

// choice is one of an answer's.
type choice struct {
	index, finish, logprobs []byte

	message message
}

// message is a choice's.
type message struct {
	whole, role, content, refusal, toolCalls, functionCall []byte

	more bool // it says more than a role and a text
}

func (p *picker) request(body []byte) (req request, err error) {
	err = p.document(body, func(name []byte) error {
		switch string(name) {
		case "messages":
			req.lastUser = nil
			req.messages, _, err = p.array(func(int) error {
				var role, content []byte
				if _, err := p.object(func(name []byte) (err error) {
					switch string(name) {
					case "role":
						role, err = p.value()
					case "content":
						content, err = p.value()
					default:
						err = p.dec.SkipValue()
					}
					return err
				}); err != nil {
					return err
				}
				if string(role) == `"user"` {
					req.lastUser = content
				}
				return nil
			})
		case "tools":
			req.tools, err = p.value()
		case "functions":
			req.functions, err = p.value()
		case "parallel_tool_calls":
			req.parallel, err = p.value()
		default:
			err = p.dec.SkipValue()
		}
		return err
	})
	return req, err
}

func (p *picker) answer(response []byte) (ans answer, err error) {
	p.all = p.all[:0]
	err = p.document(response, func(name []byte) error {
		switch string(name) {
		case "model":
			ans.model, err = p.kind('"')
		case "created":
			ans.created, err = p.kind('0')
		case "choices":
			ans.first, p.all = choice{}, p.all[:0]
			ans.choices, ans.n, err = p.array(func(i int) error {
				c, err := p.choice()
				p.all = append(p.all, c)
				if i == 0 || string(c.index) == "0" && string(ans.first.index) != "0" {
					ans.first = c
				}
				return err
			})
		default:
			err = p.dec.SkipValue()
		}
		return err
	})
	ans.all = p.all
	return ans, err
}

func (p *picker) choice() (c choice, err error) {
	_, err = p.object(func(name []byte) (err error) {
		switch string(name) {
		case "index":
			c.index, err = p.value()
		case "finish_reason":
			c.finish, err = p.kind('"')
		case "logprobs":
			c.logprobs, err = p.value()
		case "message":
			c.message, err = p.message()
		default:
			err = p.dec.SkipValue()
		}
		return err
	})
	return c, err
}

func (p *picker) message() (m message, err error) {
	m.whole, err = p.object(func(name []byte) error {
		v, err := p.value()
		if err != nil {
			return err
		}
		switch string(name) {
		case "role":
			m.role = v
			return nil
		case "content":
			m.content = v
			return nil
		case "refusal":
			m.refusal = v
		case "tool_calls":
			m.toolCalls = v
		case "function_call":
			m.functionCall = v
		}
		m.more = m.more || !empty(v)
		return nil
	})
	if len(m.content) > 0 && m.content[0] != '"' && m.content[0] != 'n' {
		m.more = true
	}
	return m, err
}

// text gives the text of a message's content as a JSON string: a string is its own, of an array the text parts are
// joined by a line break in dst. Content without text is nil.
func (p *picker) text(dst *[]byte, content []byte) ([]byte, error) {
	if len(content) == 0 {
		return nil, nil
	}
	switch content[0] {
	case '"':
		return content, nil
	case '[':
	default:
		return nil, nil
	}
	start := len(*dst)
	out, parts := append(*dst, '"'), 0
	p.reset(content)
	_, _, err := p.array(func(int) error {
		var kind, text []byte
		if _, err := p.object(func(name []byte) (err error) {
			switch string(name) {
			case "type":
				kind, err = p.kind('"')
			case "text":
				text, err = p.kind('"')
			default:
				err = p.dec.SkipValue()
			}
			return err
		}); err != nil {
			return err
		}
		if string(kind) != `"text"` || text == nil {
			return nil
		}
		if parts++; parts > 1 {
			out = append(out, `\n`...)
		}
		out = append(out, text[1:len(text)-1]...)
		return nil
	})
	*dst = append(out, '"')
	if err != nil || parts == 0 {
		return nil, err
	}
	return (*dst)[start:], nil
}

func (p *picker) skip([]byte) error { return p.dec.SkipValue() }

func (p *picker) reset(src []byte) {
	p.src = src
	p.buf = *bytes.NewBuffer(src)
	p.dec.Reset(&p.buf, p.opts...)
}

// trim takes off what may stand around a JSON text. The API may begin it with a byte order mark, and the job file keeps
// what came.
func trim(b []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\uFEFF")))
}

// document reads a whole JSON object; do consumes each member's value.
func (p *picker) document(src []byte, do func(name []byte) error) error {
	p.reset(trim(src))
	if p.dec.PeekKind() != '{' {
		return errNotObject
	}
	if _, err := p.object(do); err != nil {
		return err
	}
	return p.atEOF()
}

func (p *picker) atEOF() error {
	if _, err := p.dec.ReadToken(); err != io.EOF {
		return errors.New("more than one JSON value")
	}
	return nil
}

// object reads the next value; of an object do consumes each member's value, anything else is passed over as nil.
func (p *picker) object(do func(name []byte) error) ([]byte, error) {
	if p.dec.PeekKind() != '{' {
		return nil, p.dec.SkipValue()
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, err
	}
	start := p.dec.InputOffset() - 1
	for p.dec.PeekKind() != '}' {
		key, err := p.dec.ReadValue()
		if err != nil {
			return nil, err
		}
		p.key = key
		name := key[1 : len(key)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			p.name = appendText(p.name[:0], key)
			name = p.name
		}
		if err := do(name); err != nil {
			return nil, err
		}
	}
	return p.close(start)
}

// array reads the next value; of an array do consumes each element, anything else is passed over as nil.
func (p *picker) array(do func(i int) error) (whole []byte, n int, err error) {
	if p.dec.PeekKind() != '[' {
		return nil, 0, p.dec.SkipValue()
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, 0, err
	}
	start := p.dec.InputOffset() - 1
	for ; p.dec.PeekKind() != ']'; n++ {
		if err := do(n); err != nil {
			return nil, n, err
		}
	}
	whole, err = p.close(start)
	return whole, n, err
}

func (p *picker) close(start int64) ([]byte, error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, err
	}
	end := p.dec.InputOffset()
	return p.src[start:end:end], nil
}

func (p *picker) value() ([]byte, error) {
	v, err := p.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	end := p.dec.InputOffset()
	return p.src[end-int64(len(v)) : end : end], nil
}

// kind reads the next value, and gives it back when it is of this kind.
func (p *picker) kind(k jsontext.Kind) ([]byte, error) {
	if p.dec.PeekKind() != k {
		return nil, p.dec.SkipValue()
	}
	return p.value()
}

// empty says that a value holds nothing: null, "", [] or {}.
func empty(v []byte) bool {
	switch v[0] {
	case 'n':
		return true
	case '"', '[', '{':
		return len(bytes.TrimSpace(v[1:len(v)-1])) == 0 && (v[0] != '"' || len(v) == 2)
	}
	return false
}
