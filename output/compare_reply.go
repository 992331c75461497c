package output

import "batch/store"

// reply is what an answer says, as far as two answers are compared.
type reply struct {
	there   bool   // the job is answered, and the answer can be read
	content []byte // the text of the first choice, as a JSON string
	finish  []byte
	said    []byte // that text, then its refusal and its calls of tools without their ids, which are others each time
}

// replyReader reads one reply after the other. A reply is good until the next one.
type replyReader struct {
	*picker
	scratch, said []byte
}

func (s *replyReader) read(row *store.Row) (r reply) {
	if row == nil || row.State != store.Done {
		return r
	}
	ans, err := s.answer(row.Response)
	if err != nil {
		return r
	}
	s.scratch, s.said = s.scratch[:0], s.said[:0]
	m := &ans.first.message
	content, err := s.text(&s.scratch, m.content)
	if err != nil {
		return r
	}
	s.tell("", content)
	s.tell("refusal: ", m.refusal)
	if len(m.functionCall) > 0 && m.functionCall[0] == '{' {
		s.reset(m.functionCall)
		if err := s.call(); err != nil {
			return r
		}
	}
	if len(m.toolCalls) > 0 && m.toolCalls[0] == '[' {
		s.reset(m.toolCalls)
		if _, _, err := s.array(func(int) error {
			_, err := s.object(func(name []byte) error {
				switch string(name) {
				case "function", "custom":
					return s.call()
				}
				return s.dec.SkipValue()
			})
			return err
		}); err != nil {
			return r
		}
	}
	return reply{there: true, content: content, finish: ans.first.finish, said: s.said}
}

// call tells a call of a tool: its name and what it is called with.
func (s *replyReader) call() error {
	var called, with []byte
	if _, err := s.object(func(name []byte) (err error) {
		switch string(name) {
		case "name":
			called, err = s.value()
		case "arguments", "input":
			with, err = s.value()
		default:
			err = s.dec.SkipValue()
		}
		return err
	}); err != nil {
		return err
	}
	s.said = append(s.newLine(), "call: "...)
	s.tell("", called)
	s.said = append(s.said, '(')
	s.tell("", with)
	s.said = append(s.said, ')')
	return nil
}

// tell adds what a JSON value says; null and none say nothing.
func (s *replyReader) tell(before string, value []byte) {
	switch {
	case len(value) == 0 || value[0] == 'n':
		return
	case before != "":
		s.said = append(s.newLine(), before...)
	}
	if value[0] == '"' {
		s.said = appendText(s.said, value)
	} else {
		s.said = append(s.said, value...)
	}
}

// newLine ends the line that was begun.
func (s *replyReader) newLine() []byte {
	if len(s.said) > 0 {
		s.said = append(s.said, '\n')
	}
	return s.said
}
