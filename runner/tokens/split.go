package tokens

import (
	"unicode"
	"unicode/utf8"
)

// class is what kind of character splitting distinguishes.
type class uint8

const (
	symbol  class = 1 << iota // none of the others
	upper                     // also titlecase
	lower                     //
	letter                    // without case
	mark                      //
	number                    //
	space                     // but for line ends
	lineEnd                   // \r and \n

	letters = upper | lower | letter
	begins  = upper | letter | mark // what a word of o200k begins with
	goesOn  = lower | letter | mark // what it goes on with
	blank   = space | lineEnd
	others  = symbol | mark // what is no letter, number or blank
)

// classes are those of the Latin letters, which are looked up too often to be searched for.
var classes = func() (table [0x250]class) {
	for r := range rune(len(table)) {
		table[r] = classOf(r)
	}
	return
}()

func classOf(r rune) class {
	switch {
	case r == '\r' || r == '\n':
		return lineEnd
	case unicode.IsSpace(r):
		return space
	case unicode.Is(unicode.Lo, r):
		return letter
	case unicode.Is(unicode.Ll, r):
		return lower
	case unicode.In(r, unicode.Lu, unicode.Lt):
		return upper
	case unicode.Is(unicode.M, r):
		return mark
	case unicode.Is(unicode.Lm, r):
		return letter
	case unicode.Is(unicode.N, r):
		return number
	}
	return symbol
}

// at is the class of the character at i and its length; 0 at the end.
func at(text []byte, i int) (class, int) {
	if i >= len(text) {
		return 0, 0
	}
	if b := text[i]; b < utf8.RuneSelf {
		return classes[b], 1
	}
	r, n := utf8.DecodeRune(text[i:])
	if int(r) < len(classes) {
		return classes[r], n
	}
	return classOf(r), n
}

// run is where the characters of these classes end that begin at i.
func run(text []byte, i int, of class) int {
	for {
		c, n := at(text, i)
		if c&of == 0 {
			return i
		}
		i += n
	}
}

// splitCl100k is the first match of
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func splitCl100k(text []byte) int {
	if n := contraction(text); n > 0 {
		return n
	}
	c, n := at(text, 0)
	if c&(others|space) == 0 {
		n = 0
	}
	if c, _ := at(text, n); c&letters != 0 {
		return run(text, n, letters)
	}
	return splitRest(text, false)
}

// splitO200k is the first match of
//
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|
//	\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
func splitO200k(text []byte) int {
	c, n := at(text, 0)
	if c&(symbol|space) == 0 { // a mark leads a word as well as it begins one
		n = 0
	}
	end := word(text, n)
	if end == n {
		return splitRest(text, true)
	}
	return end + contraction(text[end:])
}

// word is where the word of o200k that begins at i ends: behind its small letters, if there are any; else behind its last letter
// without case, so that capitals which follow those are another word; else behind its capitals.
func word(text []byte, i int) int {
	end := i // of the capitals and letters without case
	caseless := -1
	for {
		c, n := at(text, end)
		if c&begins == 0 {
			if c == lower {
				return run(text, end, goesOn)
			}
			break
		}
		end += n
		if c != upper {
			caseless = end
		}
	}
	if caseless >= 0 {
		return caseless
	}
	return end
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd that text begins with, in any case.
func contraction(text []byte) int {
	if len(text) < 2 || text[0] != '\'' {
		return 0
	}
	switch text[1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if len(text) > 2 && text[2]|0x20 == 'e' {
			return 3
		}
	case 'l':
		if len(text) > 2 && text[2]|0x20 == 'l' {
			return 3
		}
	}
	const longS = "\u017f" // the one letter that equals one of these but for its case
	if len(text) > len(longS) && string(text[1:1+len(longS)]) == longS {
		return 1 + len(longS)
	}
	return 0
}

// splitRest splits what is no word. Line ends belong to the symbols that they follow, slashes behind those too where slash says so.
func splitRest(text []byte, slash bool) int {
	c, n := at(text, 0)
	if c == number {
		for range 2 {
			c, m := at(text, n)
			if c != number {
				break
			}
			n += m
		}
		return n
	}
	if text[0] != ' ' {
		n = 0
	}
	if c, _ := at(text, n); c&others != 0 {
		n = run(text, n, others)
		for n < len(text) && (text[n] == '\r' || text[n] == '\n' || slash && text[n] == '/') {
			n++
		}
		return n
	}
	return blanks(text)
}

// blanks goes to the last line end among the blanks that text begins with; without one it leaves the last blank to the word that
// follows, if there is another before it.
func blanks(text []byte) int {
	end, last, ended := 0, 0, 0
	for {
		c, n := at(text, end)
		if c&blank == 0 {
			break
		}
		last, end = end, end+n
		if c == lineEnd {
			ended = end
		}
	}
	switch {
	case ended > 0:
		return ended
	case end == len(text) || last == 0:
		return end
	}
	return last
}
