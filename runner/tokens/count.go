package tokens

import (
	"math"
	"sort"
)

// Count is the prompt tokens of a chat completions request, counted as Estimate guesses them but with the vocabulary of the model:
// of strings what they spell, of tools and calls the JSON text as it stands.
func Count(model string, body []byte) int64 {
	return CountUpTo(model, body, math.MaxInt)
}

// CountUpTo is Count for a server that may not spend long on a request: of its text so many bytes are counted, and what follows them
// is estimated by the rule of bytes.
func CountUpTo(model string, body []byte, most int) int64 {
	return schemeOf(model).count(body, most)
}

func (s *scheme) count(body []byte, most int) int64 {
	r := readers.Get().(*reader)
	defer r.done()
	r.start(body)
	r.enc, r.left = s.enc, most
	return s.perConversation + r.request()
}

// CountEach is Count taken apart: the tokens of each message, appended to each, and those of all else. Their sum is Count's.
func CountEach(model string, body []byte, each []int64) (messages []int64, rest int64) {
	s := schemeOf(model)
	r := readers.Get().(*reader)
	defer r.done()
	r.start(body)
	r.enc, r.left = s.enc, math.MaxInt
	r.each = func(n int64) { each = append(each, n); rest -= n }
	rest += s.perConversation
	total := r.request()
	return each, rest + total
}

// CountText is the tokens of a text by the vocabulary of the model.
func CountText(model, text string) int64 {
	return schemeOf(model).enc.count([]byte(text))
}

// countUpTo counts no more of text than is left.
func (e *encoding) countUpTo(left *int, text []byte) int64 {
	n := min(*left, len(text))
	*left -= n
	return e.count(text[:n]) + Text(len(text)-n)
}

// CutText is the beginning of a text that has at most so many tokens, cut between words, or inside the first one that is too much;
// and how many it has.
func CutText(model, text string, most int64) (string, int64) {
	e := schemeOf(model).enc
	total := int64(0)
	for rest := []byte(text); len(rest) > 0; {
		word := rest[:e.split(rest)]
		n := e.piece(word)
		if total+n > most {
			text = text[:len(text)-len(rest)+e.cut(word, most-total)]
			return text, e.count([]byte(text)) // blanks that no word follows any more count for fewer
		}
		total += n
		rest = rest[len(word):]
	}
	return text, total
}

// cut is how many bytes of a piece, that has more tokens, can be had for so many; none of its characters is cut.
func (e *encoding) cut(piece []byte, most int64) int {
	var starts []int
	for i := range string(piece) {
		starts = append(starts, i)
	}
	first := sort.Search(len(starts), func(k int) bool { return e.piece(piece[:starts[k]]) > most })
	return starts[max(0, first-1)]
}
