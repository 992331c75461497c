package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonRows are the elements of a JSON array, or JSON values one after another as jq prints them.
type jsonRows struct {
	src    *source
	limit  *budget
	dec    *jsontext.Decoder
	max    int
	at     *place
	array  bool
	begun  bool
	narrow []byte // an element that was written over several lines, on one
}

func newJSONRows(src *source, limit int, at *place) *jsonRows {
	b := &budget{r: src, most: int64(limit) + bufferSize}
	if bytes.HasPrefix(src.head, []byte(bom)) {
		io.CopyN(io.Discard, src, int64(len(bom)))
	}
	// Names that come twice, and what is no UTF-8, are bad in one row only: its own reading finds them.
	dec := jsontext.NewDecoder(b, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	return &jsonRows{src: src, limit: b, dec: dec, max: limit, at: at}
}

func (j *jsonRows) close() { j.src.close() }

func (j *jsonRows) next() ([]byte, error) {
	if !j.begun {
		j.begun = true
		if j.dec.PeekKind() == '[' {
			j.dec.ReadToken()
			j.array = true
		}
	}
	j.limit.most = j.dec.InputOffset() + int64(j.max) + bufferSize
	if j.array && j.dec.PeekKind() == ']' {
		j.dec.ReadToken()
		if _, err := j.dec.ReadToken(); err != io.EOF {
			return nil, j.blame(err, "something follows the array")
		}
		return nil, io.EOF
	}
	j.at.number++
	row, err := j.dec.ReadValue()
	if err == io.EOF && !j.array {
		j.at.number--
		return nil, io.EOF
	}
	if err != nil {
		return nil, j.blame(err, "")
	}
	if len(row) > j.max {
		return nil, tooLong(errTooLong, "row", j.max)
	}
	if bytes.IndexByte(row, '\n') < 0 && bytes.IndexByte(row, '\r') < 0 {
		return row, nil
	}
	// Results are written a line each, and carry values as they were written.
	j.narrow, err = jsontext.AppendFormat(j.narrow[:0], row, jsontext.PreserveRawStrings(true), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		return nil, j.blame(err, "")
	}
	return j.narrow, nil
}

// blame says why no more rows can be read; where a JSON text is broken nobody knows where the next row begins.
func (j *jsonRows) blame(err error, problem string) error {
	bad := &FileError{Line: j.at.number, Problem: problem, Hint: jsonHint}
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errTooLong):
		bad.Problem, bad.Hint = "the row is longer than "+size(j.max), ""
	case j.limit.err != nil:
		return j.limit.err
	case problem != "":
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		bad.Problem = "the file ends before its JSON does"
	case errors.As(err, &syntax):
		bad.Problem = fmt.Sprintf("not valid JSON at byte %d of the file: %s", syntax.ByteOffset+1, printable(syntax.Err.Error()))
	default:
		return err
	}
	return bad
}
