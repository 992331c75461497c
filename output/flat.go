package output

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"batch/store"
)

// shaper turns the rows of a job file into records of one shape.
type shaper interface {
	// answer fills rec with a done row, failure with a failed or skipped one. What they add may point into the row.
	answer(rec *record, row *store.Row) error
	failure(rec *record, row *store.Row) error
}

// several is a shaper that may make more than one record of an answer: after answer, next makes another from the same row, or says that
// there is none.
type several interface {
	shaper
	next(rec *record) bool
}

// The columns that every row of a file has, and those that some have. A key of the author's that bears one of these
// names is renamed, also on rows without that column: a program that reads the file meets one meaning a name.
var (
	resultColumns = []string{"line", "custom_id", "prompt", "content", "finish_reason", "requested_model", "model",
		"prompt_tokens", "completion_tokens", "total_tokens", "usage_source", "cost", "attempts", "latency_ms",
		"request_id", "created"}
	errorColumns = []string{"line", "custom_id", "prompt", "status", "type", "code", "message", "request_id", "attempts",
		"possibly_paid"}

	resultNames = set(resultColumns, "file", "sample", "trimmed_turns", "simulated", "choices", "message")
	errorNames  = set(errorColumns, "file", "sample", "trimmed_turns", "simulated")

	// A question is asked of results and errors alike, so that a name of either is never a key of the author's in it.
	questionNames = set(errorColumns, append([]string{"state", "class", "file", "sample", "trimmed_turns", "simulated", "choices"}, resultColumns...)...)
)

func set(names []string, more ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range append(more, names...) {
		m[n] = true
	}
	return m
}

// flat is the default shape.
type flat struct {
	*picker
	opt     Options
	prices  Prices
	extract *extractor // nil without fields to extract
	asked   bool       // the record is for a question: own keys are renamed as questionNames say, on every row alike
}

func (s *flat) answer(rec *record, row *store.Row) error {
	req, err := s.request(row.Body)
	if err != nil {
		return damaged(row, "request", err)
	}
	ans, err := s.picker.answer(row.Response)
	if err != nil {
		return damagedAnswer(row, err)
	}
	if err := s.head(rec, row, req); err != nil {
		return err
	}
	content, err := s.text(&rec.scratch, ans.first.message.content)
	if err != nil {
		return damagedAnswer(row, err)
	}
	rec.raw("content", content)
	rec.raw("finish_reason", ans.first.finish)
	rec.text("requested_model", row.Model)
	rec.raw("model", ans.model)
	s.usage(rec, row)
	rec.int("attempts", int64(row.Attempts))
	rec.int("latency_ms", row.Latency.Milliseconds())
	rec.text("request_id", row.RequestID)
	rec.raw("created", seconds(ans.created))
	names := resultNames
	if s.extract != nil {
		names = s.extract.names
		s.extract.add(rec, content)
	}
	if s.asked {
		names = questionNames
	}
	s.trimmed(rec, row)
	s.simulated(rec, row)
	if err := s.carried(rec, row, names); err != nil {
		return err
	}
	if ans.n > 1 || len(ans.first.logprobs) > 0 && !empty(ans.first.logprobs) {
		rec.raw("choices", ans.choices)
	}
	if ans.first.message.more {
		rec.raw("message", ans.first.message.whole)
	}
	return nil
}

func (s *flat) failure(rec *record, row *store.Row) error {
	var req request
	if !row.Skipped {
		var err error
		if req, err = s.request(row.Body); err != nil {
			return damaged(row, "request", err)
		}
	}
	if err := s.head(rec, row, req); err != nil {
		return err
	}
	if row.Status == 0 {
		rec.add("status", null)
	} else {
		rec.int("status", int64(row.Status))
	}
	if row.Skipped {
		rec.text("type", invalidLine)
	} else {
		rec.text("type", row.Type)
	}
	rec.text("code", row.Code)
	rec.text("message", row.Message)
	rec.text("request_id", row.RequestID)
	rec.int("attempts", int64(row.Attempts))
	rec.bool("possibly_paid", row.PossiblyPaid)
	s.trimmed(rec, row)
	s.simulated(rec, row)
	names := errorNames
	if s.asked {
		names = questionNames
	}
	return s.carried(rec, row, names)
}

// invalidLine is the type, and in the openai shape the code, of a line that was skipped.
const invalidLine = "invalid_line"

// head adds what results and errors begin with.
func (s *flat) head(rec *record, row *store.Row, req request) error {
	if s.opt.ShowFile {
		rec.quoted("file", row.File)
	}
	rec.int("line", int64(row.Line))
	if row.HasCustomID {
		rec.quoted("custom_id", row.CustomID)
	} else {
		rec.add("custom_id", null)
	}
	if row.Sample > 0 {
		rec.int("sample", int64(row.Sample))
	}
	prompt, err := s.text(&rec.scratch, req.lastUser)
	if err != nil {
		return damaged(row, "request", err)
	}
	rec.raw("prompt", prompt)
	return nil
}

// trimmed says that a conversation was sent without its oldest turns, and how many they were.
func (s *flat) trimmed(rec *record, row *store.Row) {
	if row.Trimmed > 0 {
		rec.int("trimmed_turns", int64(row.Trimmed))
	}
}

func (s *flat) simulated(rec *record, row *store.Row) {
	if row.Simulated || s.opt.Simulated {
		rec.bool("simulated", true)
	}
}

// usage adds the tokens of an answer and what they cost.
func (s *flat) usage(rec *record, row *store.Row) {
	source, u, cost, known := s.prices.spent(row)
	for _, c := range []struct {
		name string
		n    int64
	}{{"prompt_tokens", u.Prompt}, {"completion_tokens", u.Completion}, {"total_tokens", u.Total}} {
		if u.Known {
			rec.int(c.name, c.n)
		} else {
			rec.add(c.name, null)
		}
	}
	rec.text("usage_source", source)
	rec.money("cost", cost, known)
}

// carried adds the author's own keys as they were spelled, apart from those whose names are taken.
func (s *flat) carried(rec *record, row *store.Row, names map[string]bool) error {
	if len(row.Carried) == 0 {
		return nil
	}
	first := len(rec.fields)
	renamed := false
	err := s.document(row.Carried, func(name []byte) error {
		renamed = renamed || names[string(name)]
		key := s.key
		value, err := s.value()
		if err != nil {
			return err
		}
		rec.fields = append(rec.fields, field{key: rec.clean(key), value: rec.clean(value)})
		return nil
	})
	if err != nil {
		return damaged(row, "own keys", err)
	}
	if renamed {
		rename(rec.fields[first:], names)
	}
	return nil
}

// rename puts input_ before keys that bear a column's name, again where the author has a key of that name too.
func rename(own []field, names map[string]bool) {
	taken := map[string]bool{}
	for _, f := range own {
		taken[string(appendText(nil, f.key))] = true
	}
	for i, f := range own {
		name := string(appendText(nil, f.key))
		if !names[name] {
			continue
		}
		key := f.key
		for names[name] || taken[name] {
			name = "input_" + name
			key = append([]byte(`"input_`), key[1:]...)
		}
		taken[name] = true
		own[i].key = key
	}
}

// seconds judges a time from the wire: an integer of seconds that every reader can hold (53 bits), else unknown. A fraction
// or an exponent is not made an integer here: what stands in the file was spelled by the server.
func seconds(created []byte) []byte {
	const most = "9007199254740992"
	if bytes.ContainsAny(created, "-.eE") || len(created) > len(most) {
		return nil
	}
	if len(created) == len(most) && string(created) > most {
		return nil
	}
	return created
}

// An answer that cannot be read any more is one row's misfortune: these are the type, code and message of its row of
// errors.
const (
	ownError       = "batch_error"
	damagedCode    = "damaged_answer"
	damagedMessage = "the stored answer is damaged; it is in the job file as it came"
)

// damagedAnswerError keeps a damaged answer apart from other damage, which ends the writing.
type damagedAnswerError struct{ error }

func (e damagedAnswerError) Unwrap() error { return e.error }

func damagedAnswer(row *store.Row, err error) error {
	return damagedAnswerError{damaged(row, "answer", err)}
}

// damaged says that what the job file keeps for a row is not what was put there. It names the place, not the text.
func damaged(row *store.Row, what string, err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%s:%d: stored %s is damaged at byte %d", Printable(row.File), row.Line, what, syntax.ByteOffset)
	}
	return fmt.Errorf("%s:%d: stored %s is damaged: %w", Printable(row.File), row.Line, what, err)
}
