package tokens

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// The tokenizer spends its time on taking text apart by a regular expression. Here text is taken apart by hand, the same way, and
// the tokens of pieces that come again are remembered: ten times as fast on prose. What is new is counted by the tokenizer itself.

// longestKnown bounds the pieces that are remembered, in bytes: words, not blobs.
const longestKnown = 32

// cache remembers pieces in as many slots as a large English vocabulary has words. A newer piece takes the slot of an older one, so
// it does not grow; it holds 3 MB at most.
type cache [1 << 15]atomic.Pointer[piece]

type piece struct {
	text   string
	tokens int64
}

var seed = maphash.MakeSeed()

// count is the number of tokens of a text in UTF-8. Names of special tokens in it are text like any other.
func (e *encoding) count(text []byte) int64 {
	if !utf8.Valid(text) {
		text = []byte(strings.ToValidUTF8(string(text), "\ufffd"))
	}
	total := int64(0)
	for len(text) > 0 {
		n := e.split(text)
		total += e.piece(text[:n])
		text = text[n:]
	}
	return total
}

func (e *encoding) piece(text []byte) int64 {
	if len(text) == 1 {
		return 1 // every byte is a token
	}
	if len(text) > longestKnown {
		return e.encode(string(text))
	}
	slot := &e.known[maphash.Bytes(seed, text)%uint64(len(e.known))]
	if p := slot.Load(); p != nil && p.text == string(text) {
		return p.tokens
	}
	p := &piece{text: string(text)}
	p.tokens = e.encode(p.text)
	slot.Store(p)
	return p.tokens
}

// encode leaves a piece to the tokenizer. Of a piece with U+007F the tokenizer (v0.10.0) loses that character; U+0002 counts for it,
// as both are symbols that no vocabulary joins with anything.
func (e *encoding) encode(text string) int64 {
	n, err := e.codec().Count(strings.ReplaceAll(text, "\x7f", "\x02"))
	if err != nil {
		return Text(len(text)) // a time limit of its regular expression, which has none
	}
	return int64(n)
}
