package output

import "batch/store"

// pairs writes what was asked and what was answered, and nothing else: the text of the last user message and of a choice, under the
// names that readers of such files know. Every choice with a text has a row. Its failures are flat.
type pairs struct {
	flat
	prompt      []byte
	completions [][]byte // of the row
	at          int      // the next of them
	row         *store.Row
	texts       []byte
}

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
	s.row, s.texts, s.completions, s.at = row, s.texts[:0], s.completions[:0], 0
	if s.prompt, err = s.text(&s.texts, req.lastUser); err != nil {
		return damaged(row, "request", err)
	}
	for _, c := range ans.all {
		completion, err := s.text(&s.texts, c.message.content)
		if err != nil {
			return damagedAnswer(row, err)
		}
		if completion != nil { // else a call of tools or a refusal
			s.completions = append(s.completions, completion)
		}
	}
	if s.prompt == nil || !s.next(rec) { // an image alone
		return errUnfit
	}
	return nil
}

func (s *pairs) next(rec *record) bool {
	if s.at == len(s.completions) {
		return false
	}
	rec.raw("prompt", s.prompt)
	rec.raw("completion", s.completions[s.at])
	s.simulated(rec, s.row)
	s.at++
	return true
}
