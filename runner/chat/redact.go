package chat

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	redacted = "[redacted key]"
	// A shorter secret would turn every other word of a message into a redaction, and protects nothing.
	minSecret = 6
	// Answers are the user's: a stand-in for a key, as in "ollama" or "not-needed", is a word that they may hold.
	minSecretInAnswer = 12
)

// redactor takes secrets out of what a server sent back: some echo the key that they refuse.
type redactor struct {
	patterns [][]byte // longest first, so that no shorter form leaves the rest of a longer one behind
}

func newRedactor(secrets ...string) *redactor {
	r := &redactor{}
	add := func(pattern string) {
		if len(pattern) < minSecret {
			return
		}
		if p := []byte(pattern); !slices.ContainsFunc(r.patterns, func(q []byte) bool { return bytes.Equal(p, q) }) {
			r.patterns = append(r.patterns, p)
		}
	}
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		add(secret)
		if quoted, err := jsontext.AppendQuote(nil, secret); err == nil {
			add(string(quoted[1 : len(quoted)-1]))
		}
		for _, escaped := range []string{url.QueryEscape(secret), url.PathEscape(secret)} {
			add(escaped)
			add(lowerHex(escaped))
		}
		for shift := range 3 {
			inner := base64Inner(secret, shift)
			add(inner)
			add(strings.NewReplacer("+", "-", "/", "_").Replace(inner))
		}
	}
	slices.SortStableFunc(r.patterns, func(a, b []byte) int { return len(b) - len(a) })
	return r
}

func longSecrets(secrets []string) (long []string) {
	for _, secret := range secrets {
		if len(secret) >= minSecretInAnswer {
			long = append(long, secret)
		}
	}
	return long
}

// longest says how far a secret may reach over a cut.
func (r *redactor) longest() int {
	if len(r.patterns) == 0 {
		return 0
	}
	return len(r.patterns[0])
}

// bytes returns b itself when there is nothing to take out.
func (r *redactor) bytes(b []byte) []byte {
	for _, p := range r.patterns {
		if bytes.Contains(b, p) {
			b = bytes.ReplaceAll(b, p, []byte(redacted))
		}
	}
	return b
}

// text leaves nothing of a text that hides a secret behind escapes.
func (r *redactor) text(s string) string {
	b := r.bytes([]byte(s))
	if r.hidden(b) {
		return redacted
	}
	return string(b)
}

// body is the part of a body that is kept of an outcome that is not Done: nothing where a secret hides behind escapes.
func (r *redactor) body(raw []byte) []byte {
	cut := len(raw) > maxFailureBody
	long := len(raw) > maxErrorBody
	raw = r.bytes(raw[:min(len(raw), maxFailureBody)])
	if r.hidden(raw) {
		return nil
	}
	if !long {
		return raw
	}
	if cut {
		raw = raw[:max(0, len(raw)-r.longest())] // a secret may have been cut in two
	}
	return bytes.Clone(raw[:min(len(raw), maxErrorBody)])
}

// printable redacts before and after the cleaning: a key with a zero-width space in it is whole again once that is gone.
func (r *redactor) printable(s string, max int) string {
	if len(s) > 2*maxErrorBody {
		s = s[:2*maxErrorBody]
	}
	return printable(r.text(printable(r.text(s), len(s)*3+max)), max)
}

// base64Inner is the part of the base64 text that depends on the secret alone when shift bytes stand before it, as in
// the user:key of Basic authentication.
func base64Inner(secret string, shift int) string {
	text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), secret...))
	if shift > 0 {
		text = text[shift+1:] // these characters hold bits of what stands before
	}
	if (shift+len(secret))%3 != 0 {
		text = text[:len(text)-1] // and this one of what follows
	}
	return text
}

// lowerHex writes %2F as %2f.
func lowerHex(escaped string) string {
	b := []byte(escaped)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}
