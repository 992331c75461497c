package output

import (
	"bytes"
	"errors"

	"batch/store"
)

// chat writes the conversation with its answer, ready for fine-tuning; one for each choice that says something. Its failures are flat.
type chat struct {
	flat
	row   *store.Row
	req   request
	turns []message // of the row, those that say something
	at    int       // the next of them
}

var chatColumns = []string{"messages"}

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
	s.row, s.req, s.turns, s.at = row, req, s.turns[:0], 0
	for _, c := range ans.all {
		if c.message.says() {
			s.turns = append(s.turns, c.message)
		}
	}
	if !s.next(rec) {
		return errUnfit
	}
	return nil
}

func (s *chat) next(rec *record) bool {
	if s.at == len(s.turns) {
		return false
	}
	req, turn := s.req, &s.turns[s.at]
	s.at++
	start := len(rec.scratch)
	b := append(rec.scratch, '[')
	if asked := bytes.TrimSpace(req.messages[1 : len(req.messages)-1]); len(asked) > 0 {
		b = append(append(b, asked...), ',')
	}
	rec.scratch = append(turn.appendTurn(b), ']')
	rec.raw("messages", rec.scratch[start:])
	for _, also := range []struct {
		name  string
		value []byte
	}{{"tools", req.tools}, {"functions", req.functions}, {"parallel_tool_calls", req.parallel}} {
		if also.value != nil {
			rec.raw(also.name, also.value)
		}
	}
	s.simulated(rec, s.row)
	return true
}

// says tells whether there is an answer in the message: a content, if only "", a call of tools, or a refusal. Without any of these the
// conversation would end in nothing, which readers of such files refuse.
func (m *message) says() bool {
	return len(m.content) > 0 && m.content[0] != 'n' ||
		len(m.toolCalls) > 0 && !empty(m.toolCalls) || len(m.functionCall) > 0 && !empty(m.functionCall) || len(m.refusal) > 0 && !empty(m.refusal)
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
