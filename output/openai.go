package output

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"batch/store"
)

// openai writes the lines of an OpenAI Batch: a result or an error, with the response as it came.
type openai struct {
	*picker
	opt Options
	id  [12]byte
}

func (s *openai) answer(rec *record, row *store.Row) error {
	if err := s.document(row.Response, s.skip); err != nil {
		return damagedAnswer(row, err)
	}
	s.head(rec, row)
	s.response(rec, row, row.Response)
	rec.add("error", null)
	s.simulated(rec, row)
	return nil
}

// failure follows the rule of readers that a line succeeded when error is null and the status is 2xx: a 2xx that is no
// completion must not look like one, so it counts as a call without a response.
func (s *openai) failure(rec *record, row *store.Row) error {
	s.head(rec, row)
	if !row.Skipped && row.Status != 0 && (row.Status < 200 || row.Status > 299) {
		body := row.ErrorBody
		if s.document(body, s.skip) != nil { // cut off, or a gateway's page: what we know of it, in the API's form
			body = errorBody(row)
		}
		s.response(rec, row, body)
		rec.add("error", null)
	} else {
		code := cmp.Or(row.Code, row.Type, "request_failed")
		if row.Skipped {
			code = invalidLine
		}
		rec.add("response", null)
		rec.add("error", failureObject(code, row.Message))
	}
	s.simulated(rec, row)
	return nil
}

// head adds id and custom_id. The id is made from what stays the same, so that writing twice gives the same bytes.
func (s *openai) head(rec *record, row *store.Row) {
	id := binary.BigEndian.AppendUint64(s.id[:0], uint64(row.ID))
	if row.Skipped || row.Shared { // it has no job; longer, so that it cannot be the id of one
		place := fmt.Appendf(nil, "%s\x00%d", row.File, row.Line)
		if row.Sample > 0 {
			place = fmt.Appendf(place, "\x00%d", row.Sample)
		}
		sum := sha256.Sum256(place)
		id = append(s.id[:0], sum[:12]...)
	}
	start := len(rec.scratch)
	b := append(rec.scratch, `"batch_req_`...)
	rec.scratch = append(hex.AppendEncode(b, id), '"')
	rec.add("id", rec.scratch[start:])
	place := "line-" + strconv.Itoa(row.Line)
	if s.opt.ShowFile {
		place = row.File + ":" + strconv.Itoa(row.Line)
	}
	if row.Sample > 0 {
		place += "#" + strconv.Itoa(row.Sample)
	}
	if row.HasCustomID {
		place = row.CustomID
	}
	rec.quoted("custom_id", place)
}

func (s *openai) response(rec *record, row *store.Row, body []byte) {
	body = rec.clean(trim(body))
	start := len(rec.scratch)
	b := append(rec.scratch, `{"status_code":`...)
	b = strconv.AppendInt(b, int64(row.Status), 10)
	b = append(b, `,"request_id":`...)
	b = appendString(b, row.RequestID)
	b = append(b, `,"body":`...)
	b = append(b, body...)
	rec.scratch = append(b, '}')
	rec.add("response", rec.scratch[start:])
}

func (s *openai) simulated(rec *record, row *store.Row) {
	if row.Simulated || s.opt.Simulated {
		rec.bool("simulated", true)
	}
}

// errorBody is an API error made of what the job file knows, for a response whose body is no JSON object.
func errorBody(row *store.Row) []byte {
	b := appendString([]byte(`{"error":{"message":`), row.Message)
	b = append(b, `,"type":`...)
	b = appendOrNull(b, row.Type)
	b = append(b, `,"param":null,"code":`...)
	b = appendOrNull(b, row.Code)
	return append(b, `}}`...)
}

func failureObject(code, message string) []byte {
	b := appendString([]byte(`{"code":`), code)
	b = append(b, `,"message":`...)
	return append(appendString(b, message), '}')
}

func appendOrNull(b []byte, s string) []byte {
	if s == "" {
		return append(b, null...)
	}
	return appendString(b, s)
}
