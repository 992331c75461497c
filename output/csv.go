package output

import (
	"bytes"
	"encoding/csv"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// csvEncoder writes a table. Its columns must be known before the first row.
type csvEncoder struct {
	out   io.Writer
	w     *csv.Writer // writes a record into line
	line  bytes.Buffer
	cols  *columns
	guard bool // against formulas and NUL

	text  []byte // the cells' texts back to back, made into one string a row
	name  []byte
	ends  [][2]int // by column: where its text stands
	cells []string
	rest  []byte
}

func newCSV(w io.Writer, cols *columns, raw bool) *csvEncoder {
	e := &csvEncoder{out: w, cols: cols, guard: !raw}
	e.w = csv.NewWriter(&e.line)
	return e
}

func (e *csvEncoder) header() error {
	e.begin()
	for i, name := range e.cols.names {
		start := len(e.text)
		e.text = append(e.text, name...)
		e.end(i, start)
	}
	return e.flush()
}

func (e *csvEncoder) encode(rec *record) error {
	e.begin()
	for i := range rec.fields {
		f := &rec.fields[i]
		col, ok := e.cols.of(f, &e.name)
		if !ok {
			e.rest = append(append(append(append(e.rest, ','), f.key...), ':'), f.value...)
			continue
		}
		start := len(e.text)
		switch f.value[0] {
		case 'n':
		case '"':
			e.text = appendText(e.text, f.value)
		default:
			e.text = append(e.text, f.value...)
		}
		e.end(col, start)
	}
	if len(e.rest) > 0 {
		e.rest[0] = '{'
		start := len(e.text)
		e.text = append(append(e.text, e.rest...), '}')
		e.end(e.cols.rest, start)
	}
	return e.flush()
}

func (e *csvEncoder) begin() {
	e.text, e.rest = e.text[:0], e.rest[:0]
	if e.ends == nil {
		e.ends = make([][2]int, len(e.cols.names))
		e.cells = make([]string, len(e.cols.names))
	}
	clear(e.ends)
}

// end makes the text from start on the cell of a column.
func (e *csvEncoder) end(col, start int) {
	if e.guard {
		e.text = append(e.text[:start], guard(e.text[start:])...)
	}
	e.ends[col] = [2]int{start, len(e.text)}
}

// flush writes the record with CRLF after it, as RFC 4180 says. The csv package could do so too, but would then also make
// CRLF of the line breaks inside the cells.
func (e *csvEncoder) flush() error {
	text := string(e.text)
	for i, at := range e.ends {
		e.cells[i] = text[at[0]:at[1]]
	}
	e.line.Reset()
	if err := e.w.Write(e.cells); err != nil {
		return err
	}
	if e.w.Flush(); e.w.Error() != nil {
		return e.w.Error()
	}
	e.line.Truncate(e.line.Len() - 1)
	e.line.WriteString("\r\n")
	_, err := e.out.Write(e.line.Bytes())
	return err
}

func (e *csvEncoder) Close() error { return nil }

// guard makes a cell that no spreadsheet takes for a formula.
func guard(cell []byte) []byte {
	if bytes.IndexByte(cell, 0) >= 0 {
		cell = bytes.ReplaceAll(cell, []byte{0}, []byte("\uFFFD"))
	}
	if formula(bytes.TrimLeft(cell, "'")) { // behind apostrophes of its own too, so that a reader may take one off
		return append([]byte{'\''}, cell...)
	}
	return cell
}

// GuardFormula writes a text as a cell that no spreadsheet takes for a formula.
func GuardFormula(text string) string { return string(guard([]byte(text))) }

// formula says whether a spreadsheet could run a cell: it begins, after what a spreadsheet passes over, with a sign
// that starts a formula, and is more than a number. A tab or a carriage return in front is itself such a sign.
func formula(cell []byte) bool {
	if len(cell) == 0 {
		return false
	}
	if cell[0] == '\t' || cell[0] == '\r' {
		return true
	}
	for i := 0; i < len(cell); {
		r, n := utf8.DecodeRune(cell[i:])
		if strings.ContainsRune("=+-@＝＋－＠", r) {
			return !number(cell[i:])
		}
		if !unicode.IsSpace(r) && !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) {
			return false
		}
		i += n
	}
	return false
}

// number says whether a text is a plain number such as -1, +1.5 or -2e-7.
func number(s []byte) bool {
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	mantissa, exponent, e := s, []byte(nil), bytes.IndexAny(s, "eE")
	if e >= 0 {
		mantissa, exponent = s[:e], s[e+1:]
		if len(exponent) > 0 && (exponent[0] == '+' || exponent[0] == '-') {
			exponent = exponent[1:]
		}
		if !digits(exponent) {
			return false
		}
	}
	whole, fraction, dot := bytes.Cut(mantissa, []byte{'.'})
	return digits(whole) && (!dot || digits(fraction)) || len(whole) == 0 && dot && digits(fraction)
}

func digits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) > 0
}
