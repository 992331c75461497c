package output

import (
	"bytes"
	"errors"

	"batch/store"
)

// chat writes the conversation with its answer, ready for fine-tuning. Its failures are flat.
type chat struct{ flat }

func (s *chat) answer(rec *record, row *store.Row) error {
	req, err := s.request(row.Body)
	if err == nil && req.messages == nil {
		err = errors.New("no messages")
	}
	if err != nil {
		return damaged(row, "request", err)
	}
	ans, err := s.picker.answer(row.Response)
	if err != nil {
		return damagedAnswer(row, err)
	}
	start := len(rec.scratch)
	b := append(rec.scratch, '[')
	if asked := bytes.TrimSpace(req.messages[1 : len(req.messages)-1]); len(asked) > 0 {
		b = append(append(b, asked...), ',')
	}
	rec.scratch = append(ans.first.message.appendTurn(b), ']')
	rec.raw("messages", rec.scratch[start:])
	if req.tools != nil {
		rec.raw("tools", req.tools)
	}
	s.simulated(rec, row)
	return nil
}

// appendTurn appends the message as a turn of a conversation: without what only an answer has, such as annotations.
func (m *message) appendTurn(b []byte) []byte {
	role := m.role
	if len(role) == 0 || role[0] != '"' {
		role = []byte(`"assistant"`)
	}
	content := m.content
	if content == nil {
		content = null
	}
	b = append(append(b, `{"role":`...), role...)
	b = append(append(b, `,"content":`...), content...)
	for _, more := range []struct {
		name  string
		value []byte
	}{{`,"refusal":`, m.refusal}, {`,"tool_calls":`, m.toolCalls}, {`,"function_call":`, m.functionCall}} {
		if len(more.value) > 0 && !empty(more.value) {
			b = append(append(b, more.name...), more.value...)
		}
	}
	return append(b, '}')
}
