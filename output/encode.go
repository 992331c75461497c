package output

import "io"

// encoder writes records in one encoding. Close writes what it still holds, and does not close the writer below.
type encoder interface {
	encode(rec *record) error
	Close() error
}

// jsonl writes a JSON object a line.
type jsonl struct {
	w    io.Writer
	line []byte
}

func (e *jsonl) encode(rec *record) error {
	b := append(e.line[:0], '{')
	for i := range rec.fields {
		f := &rec.fields[i]
		if i > 0 {
			b = append(b, ',')
		}
		if f.key != nil {
			b = append(b, f.key...)
		} else {
			b = append(append(append(b, '"'), f.name...), '"')
		}
		b = append(append(b, ':'), f.value...)
	}
	e.line = append(b, '}', '\n')
	_, err := e.w.Write(e.line)
	return err
}

func (e *jsonl) Close() error { return nil }
