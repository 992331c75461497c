package chat

import (
	"bytes"
	"iter"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lenient takes what servers really send: duplicate names, and strings that are not UTF-8 (jsontext counts lone
// surrogate escapes among them).
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

var utf8BOM = []byte("\xef\xbb\xbf")

// trimJSON takes off what may stand around a JSON text.
func trimJSON(b []byte) []byte {
	return bytes.Trim(bytes.TrimPrefix(b, utf8BOM), " \t\r\n")
}

// validJSON says whether b is exactly one JSON value. The functions below may only be used on such bytes: they trust
// the grammar, and are many times cheaper than a decoder for it.
func validJSON(b []byte) bool {
	return len(b) > 0 && jsontext.Value(b).IsValid(lenient)
}

// eachMember yields the members of a valid JSON object in order, names decoded, values as written.
// For any other value it yields nothing.
func eachMember(v []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if kindOf(v) != '{' {
			return
		}
		for i := skipSpace(v, 1); v[i] != '}'; {
			end := skipValue(v, i)
			name := v[i+1 : end-1]
			if bytes.IndexByte(name, '\\') >= 0 {
				name = unquote(v[i:end])
			}
			i = skipSpace(v, skipSpace(v, end)+1)
			end = skipValue(v, i)
			if !yield(name, v[i:end:end]) {
				return
			}
			if i = skipSpace(v, end); v[i] == ',' {
				i = skipSpace(v, i+1)
			}
		}
	}
}

// eachElement yields the elements of a valid JSON array as written; for any other value nothing.
func eachElement(v []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		if kindOf(v) != '[' {
			return
		}
		for i := skipSpace(v, 1); v[i] != ']'; {
			end := skipValue(v, i)
			if !yield(v[i:end:end]) {
				return
			}
			if i = skipSpace(v, end); v[i] == ',' {
				i = skipSpace(v, i+1)
			}
		}
	}
}

// kindOf is the first byte of a JSON value, 0 for none.
func kindOf(v []byte) byte {
	if len(v) == 0 {
		return 0
	}
	return v[0]
}

// textOf decodes a JSON string; for any other value it is "".
func textOf(v []byte) string {
	if kindOf(v) != '"' {
		return ""
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	return string(unquote(v))
}

// unquote never fails on a valid string: bad UTF-8 and lone surrogates become U+FFFD.
func unquote(v []byte) []byte {
	out, _ := jsontext.AppendUnquote(nil, v)
	return out
}

func skipSpace(v []byte, i int) int {
	for v[i] == ' ' || v[i] == '\t' || v[i] == '\n' || v[i] == '\r' {
		i++
	}
	return i
}

// skipValue gives the index after the value that begins at i.
func skipValue(v []byte, i int) int {
	switch v[i] {
	case '"':
		return skipString(v, i)
	case '{', '[':
		for depth := 0; ; {
			switch v[i] {
			case '"':
				i = skipString(v, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for i < len(v) {
		switch v[i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
	return i
}

func skipString(v []byte, i int) int {
	for {
		i += 1 + bytes.IndexByte(v[i+1:], '"')
		slashes := 0
		for v[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i + 1
		}
	}
}
