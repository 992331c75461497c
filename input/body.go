package input

import (
	"slices"

	"batch/runner/chat"

	"github.com/go-json-experiment/json/jsontext"
)

// assemble judges the keys of a line and builds its request in r.body.
func (r *Reader) assemble(text []byte) *LineError {
	l := &r.line
	prompt, messages, body := find(l.top, "prompt"), find(l.top, "messages"), find(l.top, "body")
	l.batch = body != nil && prompt == nil && messages == nil
	for i := range l.top {
		m := &l.top[i]
		m.key = r.known(m.name)
		own, bad := m.judge(l.batch)
		if bad != nil {
			return bad
		}
		if own {
			l.carried = append(l.carried, i)
		}
	}
	switch {
	case l.batch:
		if r.images != nil {
			return &LineError{Field: "body", Problem: "cannot have the image of a column put into it", Hint: "--image-column goes with prompt, or with a template"}
		}
		return r.batchBody(text, body)
	case prompt != nil && messages != nil:
		return &LineError{Field: "prompt", Problem: "stands beside messages", Hint: "keep one of the two"}
	case prompt == nil && messages == nil:
		return &LineError{Problem: "the " + r.unit + " has no prompt, messages or body", Hint: promptHint}
	}
	return r.promptBody(prompt, messages)
}

// promptBody builds the request of a prompt or messages line: model, messages, then the line's fields in their order,
// the fill-ins, and what params holds.
func (r *Reader) promptBody(prompt, messages *member) *LineError {
	l := &r.line
	b := append(r.body[:0], `{"model":`...)
	model := l.value("model")
	if model == nil {
		model = r.fillIn("model")
	}
	if model == nil {
		return &LineError{Field: "model", Problem: "is missing", Hint: modelHint}
	}
	r.setModel(model)
	b = append(b, model...)
	b = append(b, `,"messages":`...)
	system := []byte(l.value("system"))
	if prompt != nil {
		if system == nil {
			system = r.fill.takeSystem()
		}
		b = append(b, '[')
		if system != nil {
			b = append(appendMessage(b, "system", system), ',')
		}
		content, bad := r.images.content(prompt.value, l.top)
		if bad != nil {
			return bad
		}
		b = append(appendMessage(b, "user", content), ']')
	} else {
		if r.images != nil {
			return &LineError{Field: "messages", Problem: "cannot have the image of a column put into them", Hint: "--image-column goes with prompt, or with a template"}
		}
		if system != nil && chat.HasSystem(messages.value) {
			return &LineError{Field: "system", Problem: "stands beside a system message", Hint: "keep one of the two"}
		}
		if system == nil && r.fill.system != nil && !chat.HasSystem(messages.value) {
			system = r.fill.takeSystem()
		}
		b = appendMessages(b, messages.value, system)
	}
	for _, m := range l.top {
		if (m.key.kind == pageField || m.key.kind == otherField) && m.key.name != "model" {
			b = append(b, ',', '"')
			b = append(b, m.key.name...)
			b = append(b, '"', ':')
			b = append(b, m.value...)
		}
	}
	b = r.appendFillIns(b, l.top, "model")
	for _, m := range l.params {
		if bad := checkParam(l, m); bad != nil {
			return bad
		}
		r.suspect(string(m.name))
		b = append(b, ',')
		b = append(b, m.raw...)
		b = append(b, ':')
		b = append(b, m.value...)
	}
	r.body = append(b, '}')
	return nil
}

// batchBody takes the request that an author wrote whole, and puts in what it lacks: a system message behind the
// bracket of messages, fields before the last brace. With nothing missing its bytes are the author's. Only what is read
// here or on the wire is checked; the rest is between the author and the API: OpenAI's own files say "temperature": null.
func (r *Reader) batchBody(text []byte, body *member) *LineError {
	if r.line.value("custom_id") == nil {
		return &LineError{Field: "custom_id", Problem: "is missing", Hint: "a line with a body needs one"}
	}
	var model, messages *member
	for i := range r.line.body {
		m := &r.line.body[i]
		m.key = r.known(m.name)
		switch m.key.name {
		case "model":
			model = m
		case "messages":
			messages = m
		case "stream":
			if m.value.Kind() == 'n' {
				continue
			}
		default:
			continue
		}
		if bad := m.check("body."); bad != nil {
			return bad
		}
	}
	if messages == nil {
		return &LineError{Field: "body.messages", Problem: "is missing"}
	}
	b := r.body[:0]
	start := body.end - len(body.value)
	if r.fill.system != nil && !chat.HasSystem(messages.value) {
		b = append(b, text[start:messages.end-len(messages.value)]...)
		b = appendMessages(b, messages.value, r.fill.takeSystem())
		b = append(b, text[messages.end:body.end-1]...)
	} else {
		b = append(b, text[start:body.end-1]...)
	}
	switch {
	case model != nil:
		r.setModel(model.value)
	case r.fillIn("model") == nil:
		return &LineError{Field: "body.model", Problem: "is missing", Hint: modelHint}
	default:
		r.setModel(r.fillIn("model"))
	}
	r.body = append(r.appendFillIns(b, r.line.body, ""), '}')
	return nil
}

// appendMessages copies messages, with a system message of this text in front, if any.
func appendMessages(b []byte, messages jsontext.Value, system []byte) []byte {
	if system == nil {
		return append(b, messages...)
	}
	b = append(appendMessage(append(b, '['), "system", system), ',')
	return append(b, messages[1:]...)
}

func appendMessage(b []byte, role string, content []byte) []byte {
	b = append(b, `{"role":"`...)
	b = append(b, role...)
	b = append(b, `","content":`...)
	b = append(b, content...)
	return append(b, '}')
}

// fillIn takes the fill-in for a field; nil without one.
func (r *Reader) fillIn(name string) jsontext.Value {
	i := slices.IndexFunc(r.fill.fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return r.fill.take(i)
}

// appendFillIns adds the fields that members lack, but for one that was put elsewhere.
func (r *Reader) appendFillIns(b []byte, members []member, except string) []byte {
	for i, f := range r.fill.fields {
		if f.Name == except || slices.ContainsFunc(members, func(m member) bool { return supplants(m.key.name, f.Name) }) {
			continue
		}
		b = append(b, ',', '"')
		b = append(b, f.Name...)
		b = append(b, '"', ':')
		if f.Name == seedField {
			r.seedAt = len(b)
		}
		b = append(b, r.fill.take(i)...)
	}
	return b
}

// setModel notes the requested model. Nearly every line names the one before it, whose string is used again.
func (r *Reader) setModel(value jsontext.Value) {
	if name := decoded(value); string(name) != r.model {
		r.model = string(name)
	}
}

// carry writes the author's own keys as one object, names and values as they stand in the line.
func (r *Reader) carry() []byte {
	l := &r.line
	if len(l.carried) == 0 {
		return nil
	}
	n := len("{}")
	for _, i := range l.carried {
		n += len(l.top[i].raw) + len(l.top[i].value) + len(":,")
	}
	b := append(make([]byte, 0, n), '{')
	for _, i := range l.carried {
		m := &l.top[i]
		r.list(m.key)
		b = append(b, m.raw...)
		b = append(b, ':')
		b = append(b, m.value...)
		b = append(b, ',')
	}
	b[len(b)-1] = '}'
	return b
}
