package tokens

import "math"

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
