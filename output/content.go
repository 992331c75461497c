package output

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// Content is the text of an answer, of its first choice, as the column of that name tells it. text is nil when it has none.
func Content(response []byte) (text []byte, err error) {
	p := newPicker()
	ans, err := p.answer(response)
	if err != nil {
		return nil, err
	}
	var scratch []byte
	quoted, err := p.text(&scratch, ans.first.message.content)
	if err != nil || quoted == nil {
		return nil, err
	}
	return appendText(make([]byte, 0, len(quoted)), quoted), nil
}

// Document is the JSON in a text that consists of nothing else. Models like to put a fence around it, ```json before and ``` after, which
// is taken off; with a word beside it, it is no document. Its syntax is not looked at.
func Document(text []byte) []byte {
	text = bytes.TrimSpace(text)
	const fence = "```"
	inner, ok := bytes.CutPrefix(text, []byte(fence))
	if !ok {
		return text
	}
	if inner, ok = bytes.CutSuffix(inner, []byte(fence)); !ok {
		return text
	}
	lang, rest, ok := bytes.Cut(inner, []byte("\n"))
	if lang = bytes.TrimSpace(lang); !ok || len(lang) > 0 && !bytes.EqualFold(lang, []byte("json")) {
		return text
	}
	return bytes.TrimSpace(rest)
}

// IsDocument says that it is one JSON value. As in all that models write, the last of two equal names counts.
func IsDocument(doc []byte) bool {
	return jsontext.Value(doc).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}
