package output

import "batch/store"

// pairs writes what was asked and what was answered, and nothing else: the text of the last user message and of the first choice, under the
// names that readers of such files know. Its failures are flat.
type pairs struct{ flat }

var pairColumns = []string{"prompt", "completion"}

func (s *pairs) answer(rec *record, row *store.Row) error {
	req, err := s.request(row.Body)
	if err != nil {
		return damaged(row, "request", err)
	}
	ans, err := s.picker.answer(row.Response)
	if err != nil {
		return damagedAnswer(row, err)
	}
	prompt, err := s.text(&rec.scratch, req.lastUser)
	if err != nil {
		return damaged(row, "request", err)
	}
	completion, err := s.text(&rec.scratch, ans.first.message.content)
	if err != nil {
		return damagedAnswer(row, err)
	}
	if prompt == nil || completion == nil { // an image alone, a call of tools, a refusal
		return errUnfit
	}
	rec.raw("prompt", prompt)
	rec.raw("completion", completion)
	s.simulated(rec, row)
	return nil
}
