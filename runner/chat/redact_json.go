package chat

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// answer takes secrets out of a Done result. Nearly none holds one, so looking for it is all that most cost.
func (r *redactor) answer(result *Result) {
	if len(r.patterns) == 0 {
		return
	}
	if r.shows(result.Body) {
		result.Body = r.strings(result.Body)
		result.Answer = readReply(result.Body, result.Status).answer // a short field may hold the half of a secret
	}
	a := &result.Answer
	a.ID = printable(r.text(a.ID), maxName)
	a.Model = printable(r.text(a.Model), maxName)
	a.FinishReason = printable(r.text(a.FinishReason), maxName)
	if a.Text != "" {
		a.Text = r.text(a.Text)
	}
}

// strings redacts within the strings of valid JSON, so that it stays valid. What is around them is copied byte for byte.
func (r *redactor) strings(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(redacted))
	for i := 0; i < len(text); {
		if text[i] != '"' {
			out = append(out, text[i])
			i++
			continue
		}
		end := skipString(text, i)
		if r.shows(text[i:end]) {
			out, _ = jsontext.AppendQuote(out, r.text(string(unquote(text[i:end]))))
		} else {
			out = append(out, text[i:end]...)
		}
		i = end
	}
	return out
}

// shows says whether a secret stands in b, as it is or behind escapes.
func (r *redactor) shows(b []byte) bool {
	return r.in(b) || r.hidden(b)
}

func (r *redactor) in(b []byte) bool {
	for _, p := range r.patterns {
		if bytes.Contains(b, p) {
			return true
		}
	}
	return false
}

// hidden says whether a secret stands in b once the escapes of JSON are undone, up to a string in a string in a string.
// It asks for no grammar: b may be cut, or a stream. A secret is ASCII, so only these escapes can hide one.
func (r *redactor) hidden(b []byte) bool {
	for range 3 {
		if !bytes.Contains(b, []byte(`\u00`)) && !bytes.Contains(b, []byte(`\/`)) {
			return false
		}
		if b = unescape(b); r.in(b) {
			return true
		}
	}
	return false
}

// unescape undoes escapes wherever they stand; what is no escape, or one of a character beyond Latin-1, stays.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		switch i++; b[i] {
		case '/', '\\', '"':
			out = append(out, b[i])
		case 'u':
			if i+4 < len(b) && b[i+1] == '0' && b[i+2] == '0' && isHex(b[i+3]) && isHex(b[i+4]) {
				c, _ := hex4(b[i+1:])
				out = append(out, byte(c))
				i += 4
				continue
			}
			fallthrough
		default:
			out = append(out, '\\', b[i])
		}
	}
	return out
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}
