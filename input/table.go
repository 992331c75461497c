package input

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"batch/runner/chat"

	"github.com/go-json-experiment/json/jsontext"
)

// table is a CSV file as RFC 4180 has it. Within a cell, CRLF is read as a line feed.
type table struct {
	src     *source
	limit   *budget
	ahead   int64 // what may be read before the row is given
	csv     *csv.Reader
	max     int
	at      *place
	columns []column
	results bool // its cells are guarded
	row     []byte
}

// column is how its cells are written into a row.
type column struct {
	name string
	key  []byte // as in "name":
	kind cellKind
}

type cellKind int

const (
	ownCell      cellKind = iota // a string, also when it is empty
	textCell                     // a string, absent when it is empty
	valueCell                    // JSON where it is that, else a string; absent when it is empty
	listOrText                   // JSON where it is an array, else a string
	objectOrText                 // JSON where it is an object, else a string
)

func newTable(src *source, delimiter rune, limit int, at *place, data bool) (*table, error) {
	if bytes.HasPrefix(src.head, []byte(bom)) {
		io.CopyN(io.Discard, src, int64(len(bom)))
	}
	const buffer = 64 << 10
	b := &budget{r: src, most: int64(limit) + buffer}
	t := &table{src: src, limit: b, ahead: b.most, csv: csv.NewReader(bufio.NewReaderSize(b, buffer)), max: limit, at: at}
	t.csv.Comma = delimiter
	t.csv.ReuseRecord = true
	if text := bytes.TrimLeft(bytes.TrimPrefix(src.head, []byte(bom)), space); bytes.HasPrefix(text, []byte("{")) {
		return nil, &FileError{Problem: "the file is read as CSV, but looks like JSON lines", Hint: "--input-format jsonl reads it as that"}
	}
	header, err := t.csv.Read()
	var row *LineError
	switch err = t.blame(err); {
	case err == io.EOF:
		return t, nil
	case errors.As(err, &row): // without its header the file cannot be read
		return nil, &FileError{Line: 1, Problem: row.Problem, Hint: row.Hint}
	case err != nil:
		return nil, err
	}
	at.number = 1
	if err := t.readHeader(header, data); err != nil {
		err.Line = 1
		return nil, err
	}
	return t, nil
}

// guessDelimiter takes what the header has most of outside its quotes: spreadsheets write semicolons where the comma is in the
// numbers. Of as many, and of none, the first.
func guessDelimiter(head []byte) rune {
	const candidates = ",;\t"
	var counts [len(candidates)]int
	quoted := false
	for _, c := range head {
		if c == '"' {
			quoted = !quoted
		}
		if quoted {
			continue
		}
		if c == '\n' || c == '\r' {
			break
		}
		if i := strings.IndexByte(candidates, c); i >= 0 {
			counts[i]++
		}
	}
	best := 0
	for i, n := range counts {
		if n > counts[best] {
			best = i
		}
	}
	return rune(candidates[best])
}

func (t *table) readHeader(header []string, data bool) *FileError {
	if t.results = isResultHeader(header); t.results {
		for i := range header {
			header[i] = unguarded(header[i])
		}
	}
	for i, name := range header {
		switch {
		case name == "":
			return &FileError{Problem: fmt.Sprintf("column %d has no name", i+1), Hint: "the first row names the columns; of a column of row numbers, pandas writes none with index=False"}
		case slices.Contains(header[:i], name):
			return &FileError{Problem: fmt.Sprintf("two columns are named %s", shownKey(name)), Hint: "rename one of them"}
		case invalidAt([]byte(name)) >= 0:
			return &FileError{Problem: fmt.Sprintf("the name of column %d is not UTF-8", i+1), Hint: "convert the file to UTF-8 first"}
		}
	}
	if len(header) > maxMembers {
		return &FileError{Problem: fmt.Sprintf("more than %d columns", maxMembers)}
	}
	if !data && !asks(header) {
		return &FileError{Problem: noPrompt(header), Hint: noPromptHint + "; --delimiter says what is between the cells"}
	}
	for _, name := range header {
		c := column{name: strings.Clone(name), kind: ownCell}
		if !data {
			c.kind = kindOf(name, header)
		} else if name == "custom_id" {
			c.kind = textCell
		}
		c.key, _ = jsontext.AppendQuote(nil, name)
		c.key = append(c.key, ':')
		t.columns = append(t.columns, c)
	}
	return nil
}

// asks says that one of the columns can hold what is asked.
func asks(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return n == "prompt" || n == "messages" || n == "body" || near(n) == "prompt" || near(n) == "messages"
	})
}

// noPrompt says which columns a table has instead.
func noPrompt(header []string) string {
	return "no column is named prompt, messages or body, only " + few(header)
}

// kindOf says what a cell of a column is where rows are read as lines are.
func kindOf(name string, header []string) cellKind {
	switch name {
	case "prompt":
		if !slices.Contains(header, "messages") && !slices.Contains(header, "body") {
			return ownCell // an empty prompt is an empty prompt
		}
		return textCell
	case "custom_id", "system", "model", "user", "method", "url":
		return textCell
	case "stop":
		return listOrText
	case "body":
		return objectOrText
	case "messages", "params":
		return valueCell
	}
	if chat.IsRequestField(name) {
		return valueCell
	}
	return ownCell
}

func (t *table) close() { t.src.close() }

func (t *table) next() ([]byte, error) {
	if t.columns == nil {
		return nil, io.EOF
	}
	t.limit.most = t.csv.InputOffset() + t.ahead
	record, err := t.csv.Read()
	if err != nil {
		return nil, t.blame(err)
	}
	t.at.number, _ = t.csv.FieldPos(0)
	b := append(t.row[:0], '{')
	for i, cell := range record {
		c := &t.columns[i]
		if t.results {
			cell = unguarded(cell)
		}
		if cell == "" && c.kind != ownCell {
			continue
		}
		b = append(b, c.key...)
		var valid bool
		if b, valid = c.append(b, cell); !valid {
			return nil, &LineError{Field: shownKey(c.name), Problem: "is not UTF-8", Hint: "convert the file to UTF-8 first; spreadsheets save it as CSV UTF-8"}
		}
		b = append(b, ',')
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	t.row = append(b, '}')
	if len(t.row) > 4*bufferSize {
		defer func() { t.row = nil }() // not to be held for the sake of one long row
	}
	return t.row, nil
}

// append writes a cell; false says that it is not UTF-8.
func (c *column) append(b []byte, cell string) ([]byte, bool) {
	switch {
	case c.kind == ownCell, c.kind == textCell,
		c.kind == listOrText && !strings.HasPrefix(cell, "["),
		c.kind == objectOrText && !strings.HasPrefix(cell, "{"):
		return appendQuoted(b, cell)
	}
	if value, ok := appendJSON(b, []byte(cell)); ok {
		return value, true
	}
	return appendQuoted(b, cell)
}

// appendJSON puts in a JSON value as it is written, but for the ends of lines between its parts: a row is one line in the results.
func appendJSON(b []byte, value jsontext.Value) ([]byte, bool) {
	if !utf8.Valid(value) || !value.IsValid(jsontext.AllowInvalidUTF8(true)) { // of which only half a surrogate pair is left
		return b, false
	}
	if !bytes.ContainsAny(value, "\r\n") {
		return append(b, value...), true
	}
	out, err := jsontext.AppendFormat(b, value, jsontext.PreserveRawStrings(true), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	return out, err == nil
}

// blame says what is wrong with a row, or with the file from here on.
func (t *table) blame(err error) error {
	if err == io.EOF || err == nil {
		return err
	}
	var syntax *csv.ParseError
	if errors.Is(err, errTooLong) {
		line := t.at.number + 1
		return &FileError{Line: line, Problem: "a row of more than " + size(t.max), Hint: "is there a quote that never ends?"}
	}
	if !errors.As(err, &syntax) {
		return err
	}
	t.at.number = syntax.StartLine
	switch {
	case errors.Is(err, csv.ErrFieldCount):
		n := t.csv.FieldsPerRecord
		return &LineError{Problem: fmt.Sprintf("the row has not %d cells as the header has", n), Hint: "a cell with a delimiter or a line break in it stands in quotes"}
	case errors.Is(err, csv.ErrBareQuote):
		return &LineError{Problem: fmt.Sprintf(`a quote within a cell that does not begin with one, at byte %d of line %d`, syntax.Column, syntax.Line), Hint: `a quote within quotes is written twice: "say ""hi"""`}
	}
	// Where a quote is missing, what follows is read the wrong way round.
	return &FileError{Line: syntax.StartLine, Problem: fmt.Sprintf("a quoted cell does not end as it should, as seen at line %d", syntax.Line),
		Hint: `a quote within quotes is written twice: "say ""hi"""`}
}
