package input

import (
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain text of more than eight", "\x00\x1f\x7f\b\f\n\r\t\"\\/<>&", "größe 😀\u2028", "\xff", "12345678\xe2\x82", "1234567\"", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := appendQuoted([]byte("x"), s)
		want, _ := jsontext.AppendQuote([]byte("x"), s)
		same, _ := appendQuoted([]byte("x"), []byte(s))
		if ok != utf8.ValidString(s) || ok && (string(got) != string(want) || string(same) != string(want)) {
			t.Errorf("%q: %s, %v, want %s", s, got, ok, want)
		}
	})
}
