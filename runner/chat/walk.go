package chat

import (
	"bytes"
	"io"
	"iter"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// walker reads one value through a Decoder that is used again for the next one. A jsontext.Decoder on a bytes.Buffer
// parses in place, so what it yields are parts of the bytes that it was given, and cost no copy.
type walker struct {
	dec *jsontext.Decoder
	buf bytes.Buffer
	err error // the first one met; what was yielded before it stands
}

var walkers = sync.Pool{New: func() any {
	w := new(walker)
	w.dec = jsontext.NewDecoder(&w.buf)
	return w
}}

// walk starts at value. Duplicate names and lone surrogates pass: they are judged by who reads the line.
func walk(value []byte) *walker {
	w := walkers.Get().(*walker)
	w.buf, w.err = *bytes.NewBuffer(value), nil
	w.dec.Reset(&w.buf, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return w
}

// done gives the walker back without a hold on the value.
func (w *walker) done() {
	w.buf = bytes.Buffer{}
	w.dec.Reset(&w.buf)
	walkers.Put(w)
}

// open steps over the { or [ that the next value begins with, and reports whether it is the one asked for.
func (w *walker) open(k jsontext.Kind) bool {
	if w.err == nil && w.dec.PeekKind() == k {
		_, w.err = w.dec.ReadToken()
		return w.err == nil
	}
	return false
}

// more reports whether another member or element follows; after the last one it steps over the closing bracket.
func (w *walker) more() bool {
	if w.err != nil {
		return false
	}
	if k := w.dec.PeekKind(); k == '}' || k == ']' {
		_, w.err = w.dec.ReadToken()
		return false
	}
	return true
}

// value reads the next value, or the next name with its quotes.
func (w *walker) value() jsontext.Value {
	v, err := w.dec.ReadValue()
	if err != nil {
		w.err = err
	}
	return v
}

// elements yields the elements of an array.
func (w *walker) elements() iter.Seq[jsontext.Value] {
	return func(yield func(jsontext.Value) bool) {
		if !w.open('[') {
			return
		}
		for w.more() {
			if v := w.value(); w.err != nil || !yield(v) {
				return
			}
		}
	}
}

// end reports whether nothing but white space is left.
func (w *walker) end() bool {
	if w.err != nil {
		return false
	}
	_, w.err = w.dec.ReadToken()
	if w.err == io.EOF {
		w.err = nil
		return true
	}
	return false
}
