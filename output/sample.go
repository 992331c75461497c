package output

import "batch/store"

// Sample gives the texts of an answered row for people to look at: the last user message, and the content of the first choice.
// What is not text, or cannot be read, is "".
func Sample(row *store.Row) (prompt, content string) {
	p := newPicker()
	text := func(value []byte) string {
		var scratch []byte
		quoted, err := p.text(&scratch, value)
		if err != nil || quoted == nil {
			return ""
		}
		return string(appendText(nil, quoted))
	}
	if req, err := p.request(row.Body); err == nil {
		prompt = text(req.lastUser)
	}
	if ans, err := p.answer(row.Response); err == nil {
		content = text(ans.first.message.content)
	}
	return prompt, content
}
