package input

import (
	"github.com/go-json-experiment/json/jsontext"
)

// assembleData builds the request of a row that is data for a template: none of its keys is a request field. custom_id still names
// the row; all others are carried.
func (r *Reader) assembleData() *LineError {
	l := &r.line
	for i := range l.top {
		m := &l.top[i]
		m.key = r.known(m.name)
		if m.key.name != "custom_id" {
			l.carried = append(l.carried, i)
			continue
		}
		switch m.value.Kind() {
		case '0': // as a database numbers its rows
			m.value = jsontext.Value(`"` + string(m.value) + `"`)
		case 'n':
			m.value = nil
		}
		if m.value != nil {
			if bad := checkCustomID(m.value); bad != nil {
				return bad
			}
		}
	}
	toRow(r.row, l.top)
	model := r.fillIn("model")
	if model == nil {
		return &LineError{Field: "model", Problem: "is missing", Hint: "name one with --model; beside a template, the keys of a row are no request fields"}
	}
	r.setModel(model)
	b := append(append(r.body[:0], `{"model":`...), model...)
	b = append(b, `,"messages":[`...)
	if r.system != nil {
		text, bad := r.system.render(r.row)
		if bad != nil {
			return bad
		}
		if len(text) > 0 {
			b = append(appendMessage(b, "system", quoted(text)), ',')
		}
	}
	text, bad := r.prompt.render(r.row)
	switch {
	case bad != nil:
		return bad
	case len(text) == 0:
		return &LineError{Problem: "the template makes an empty prompt of the row"}
	}
	content, bad := r.images.content(quoted(text), l.top)
	if bad != nil {
		return bad
	}
	b = append(appendMessage(b, "user", content), ']')
	r.body = append(r.appendFillIns(b, nil, "model"), '}')
	return nil
}

// quoted writes a text, which is UTF-8, as a JSON string.
func quoted(text []byte) []byte {
	b, _ := appendQuoted(make([]byte, 0, len(text)+len(text)/8+2), text)
	return b
}
