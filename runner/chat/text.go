package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxMessage   = 1000
	maxRequestID = 128
	maxName      = 200 // a type, code, model, id
)

// printable makes text from outside fit for a terminal, a log and a row: white space becomes one blank, control and
// format characters (bidi, zero width) go, bytes that are not UTF-8 become U+FFFD, and it is at most max bytes long.
func printable(s string, max int) string {
	if plain(s) && len(s) <= max {
		return s
	}
	var b strings.Builder
	blank := true // none at the start
	for _, r := range s {
		switch {
		case r == ' ' || unicode.IsSpace(r):
			if !blank {
				b.WriteByte(' ')
			}
			blank = true
		case unicode.IsPrint(r):
			b.WriteRune(r)
			blank = false
		}
		if b.Len() > max+utf8.UTFMax {
			break
		}
	}
	return shorten(strings.TrimSuffix(b.String(), " "), max)
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// shorten cuts s to at most max bytes, between runes, and shows that it did.
func shorten(s string, max int) string {
	const mark = "..."
	if len(s) <= max {
		return s
	}
	if max <= len(mark) {
		return mark[:max]
	}
	cut := max - len(mark)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}
