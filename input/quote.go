package input

import "unicode/utf8"

// appendQuoted writes a text as a JSON string, the way that jsontext.AppendQuote does but faster: tables are nothing but texts. False
// says that it is not UTF-8.
func appendQuoted[T string | []byte](b []byte, s T) ([]byte, bool) {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	begin, i := 0, 0 // of what is not written yet
	for {
		for ; i+8 <= len(s); i += 8 {
			w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
				uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
			if special(w) {
				break
			}
		}
		if i >= len(s) {
			return append(append(b, s[begin:]...), '"'), true
		}
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			n := runeLength(s[i:])
			if n == 0 {
				return b, false
			}
			i += n
			continue
		case c >= ' ' && c != '"' && c != '\\':
			i++
			continue
		}
		b = append(b, s[begin:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		begin = i
	}
}

// special finds, among eight bytes at once, control characters, quotes, backslashes, and what is not ASCII. It may take a byte beside
// such a one for another.
func special(w uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^('"'*ones), w^('\\'*ones)
	return (w|(w-' '*ones)|(quote-ones)|(slash-ones))&tops != 0
}

// runeLength is the length of the character at the beginning of s, 0 when it is none.
func runeLength[T string | []byte](s T) int {
	var buf [utf8.UTFMax]byte
	r, n := utf8.DecodeRune(buf[:copy(buf[:], s)])
	if r == utf8.RuneError && n == 1 {
		return 0
	}
	return n
}
