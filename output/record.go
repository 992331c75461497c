package output

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"batch/runner/tokens"
)

// record is one row on its way out: its columns in order, each with a JSON value that stands on one line. It is used
// again for the next row, so that a file of any length is written with the memory of its longest row.
type record struct {
	fields  []field
	scratch []byte // values that stand nowhere else; a grown one leaves the older slices valid
}

// field is a column and its value. A column of ours has a name (plain, without escapes), one of the author's has the
// key as it was spelled, a JSON string.
type field struct {
	name  string
	key   []byte
	value []byte
}

var (
	null = []byte("null")
	yes  = []byte("true")
	no   = []byte("false")
)

func (r *record) reset() {
	r.fields = r.fields[:0]
	r.scratch = r.scratch[:0]
}

func (r *record) add(name string, value []byte) {
	r.fields = append(r.fields, field{name: name, value: value})
}

// raw adds a JSON value as it was spelled; none is null.
func (r *record) raw(name string, value []byte) {
	if value == nil {
		value = null
	}
	r.add(name, r.clean(value))
}

// text adds a string of ours; "" is null.
func (r *record) text(name, s string) {
	if s == "" {
		r.add(name, null)
		return
	}
	r.quoted(name, s)
}

// quoted adds a string, "" too.
func (r *record) quoted(name, s string) {
	start := len(r.scratch)
	r.scratch = appendString(r.scratch, s)
	r.add(name, r.scratch[start:])
}

func (r *record) int(name string, n int64) {
	start := len(r.scratch)
	r.scratch = strconv.AppendInt(r.scratch, n, 10)
	r.add(name, r.scratch[start:])
}

// money adds an exact amount of dollars, or null where it is not known.
func (r *record) money(name string, m tokens.Money, known bool) {
	if !known {
		r.add(name, null)
		return
	}
	start := len(r.scratch)
	r.scratch = m.Append(r.scratch)
	r.add(name, r.scratch[start:])
}

func (r *record) bool(name string, b bool) {
	if b {
		r.add(name, yes)
	} else {
		r.add(name, no)
	}
}

// clean makes a JSON value fit for a line of a UTF-8 file. Nearly always that is the value itself.
func (r *record) clean(v []byte) []byte {
	if isLine(v) && utf8.Valid(v) {
		return v
	}
	start := len(r.scratch)
	r.scratch = appendLine(r.scratch, v)
	return r.scratch[start:]
}

func isLine(v []byte) bool {
	return bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0
}

// appendLine appends a valid JSON value on one line and in UTF-8, its strings and numbers as they were spelled. White
// space outside strings goes only when some of it is a line break.
func appendLine(dst, v []byte) []byte {
	tight := !isLine(v)
	inString := false
	for i := 0; i < len(v); {
		c, n := v[i], 1
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			if r, n = utf8.DecodeRune(v[i:]); r == utf8.RuneError && n == 1 {
				dst = append(dst, "\uFFFD"...)
				i++
				continue
			}
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			n = min(2, len(v)-i)
		case !inString && tight && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			i++
			continue
		}
		dst = append(dst, v[i:i+n]...)
		i += n
	}
	return dst
}

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD, which is all the error could say.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// appendText appends what a JSON string says. A lone surrogate has no UTF-8 and becomes U+FFFD.
func appendText(dst, quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return append(dst, quoted[1:len(quoted)-1]...)
	}
	dst, _ = jsontext.AppendUnquote(dst, quoted)
	return dst
}
