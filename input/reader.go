package input

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"

	"batch/runner/chat"
	"batch/runner/tokens"
)

// DefaultMaxLine is the longest line that is read when Options do not say otherwise.
const DefaultMaxLine = 16 << 20

// space is what JSON takes for white space.
const space = " \t\r\n"

// Options say how a file is read. The zero value is good.
type Options struct {
	Defaults Defaults // what lines do not say themselves; check them first
	MaxLine  int      // bytes of a line, its end apart; 0 for DefaultMaxLine
	// Counter counts the prompts' tokens, on all processors; nil for the cheap rule of tokens.Estimate. Files that are read one after
	// another may share one.
	Counter *tokens.Counter
}

// Reader reads one prompt file in one pass. Its memory is bounded by the longest line, and with a Counter by a group of
// lines. It is for one goroutine; the prompts that it gives share no memory with it.
type Reader struct {
	name  string
	lines lines
	fill  *filler
	ended bool // by a file that is no UTF-8 text at all
	table bool // the first line looks like that of a CSV file

	lead  int     // bytes of the line in front of its object, which errors count too
	line  line    // the one being read; its slices are used again for the next
	dec   decoder // of the line
	body  []byte  // the request of the line, under construction
	model string  // of the last prompt: most lines name the same one

	keys  map[string]*known
	group group

	prompts, bad, batch int
	carried             []string
	moreCarried         bool
}

// NewReader reads r, which errors and prompts call name.
func NewReader(name string, r io.Reader, opt Options) *Reader {
	if opt.MaxLine <= 0 {
		opt.MaxLine = DefaultMaxLine
	}
	return &Reader{
		name:  name,
		lines: lines{r: r, max: opt.MaxLine},
		fill:  newFiller(opt.Defaults),
		keys:  make(map[string]*known),
		dec:   newDecoder(),
		group: group{counter: opt.Counter},
	}
}

// Next gives the next good line. The error is a *LineError for a bad line, after which Next goes on with the next
// one; io.EOF at the end; and of anything else, a failure to read that names the file.
func (r *Reader) Next() (Prompt, error) {
	if r.group.counter != nil {
		return r.group.next(r.read)
	}
	p, err := r.read()
	if err == nil {
		p.Tokens = tokens.Estimate(p.Body)
	}
	return p, err
}

// read gives the next line without its tokens.
func (r *Reader) read() (Prompt, error) {
	for !r.ended {
		line, err := r.lines.next()
		switch {
		case err == errTooLong:
			return r.refuse(&LineError{
				Problem: fmt.Sprintf("the line is longer than %s", size(r.lines.max)),
				Hint:    "a prompt file has one JSON object a line",
			})
		case err == io.EOF:
			return Prompt{}, io.EOF
		case err != nil:
			return Prompt{}, fmt.Errorf("read %s: %w", printable(r.name), cause(err))
		}
		text := line
		if r.lines.number == 1 {
			if format := binary(line); format != "" {
				r.ended = true
				return r.refuse(&LineError{Problem: "the file is " + format + ", not UTF-8 text", Hint: "convert it to UTF-8 first"})
			}
			text = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		text = bytes.TrimLeft(text, space)
		r.lead = len(line) - len(text)
		text = bytes.TrimRight(text, space)
		if len(text) == 0 {
			continue
		}
		if r.lines.number == 1 {
			r.table = table(text)
		}
		p, bad := r.parse(text)
		if bad != nil {
			return r.refuse(bad)
		}
		r.prompts++
		return p, nil
	}
	return Prompt{}, io.EOF
}

func (r *Reader) refuse(bad *LineError) (Prompt, error) {
	r.bad++
	bad.File, bad.Line = r.name, r.lines.number
	return Prompt{}, bad
}

// parse makes a prompt of a line. Of what it returns nothing is a part of line.
func (r *Reader) parse(text []byte) (Prompt, *LineError) {
	if len(text) > 4*bufferSize {
		// What a decoder notes of the names in a long line, it would keep: six times the line, at worst.
		defer func() { r.dec, r.body, r.line = newDecoder(), nil, line{} }()
	}
	r.line.reset()
	r.fill.begin()
	bad := r.scan(text)
	if bad == nil {
		bad = r.assemble(text)
	}
	if bad != nil {
		if id := r.line.value("custom_id"); id.Kind() == '"' {
			bad.CustomID = string(decoded(id))
		}
		return Prompt{}, bad
	}
	p := Prompt{File: r.name, Line: r.lines.number, Batch: r.line.batch, Body: bytes.Clone(r.body), Model: r.model}
	if id := r.line.value("custom_id"); id != nil {
		p.CustomID, p.HasCustomID = string(decoded(id)), true
	}
	p.Carried = r.carry()
	key, err := chat.Key(p.Body)
	if err != nil {
		return Prompt{}, &LineError{Problem: err.Error()}
	}
	p.Key = key
	p.MaxTokens, p.Boundless = r.bound()
	r.fill.keep()
	if p.Batch {
		r.batch++
	}
	return p, nil
}

// scan takes the line apart: its syntax, its keys, and the members of the objects that matter.
func (r *Reader) scan(text []byte) *LineError {
	if !utf8.Valid(text) {
		return &LineError{Problem: fmt.Sprintf("byte %d of the line is not UTF-8", r.lead+invalidByte(text)+1), Hint: "convert the file to UTF-8 first"}
	}
	if text[0] != '{' {
		bad := &LineError{Problem: "the line is not a JSON object", Hint: oneObject}
		if r.table {
			bad.Hint = csvHint
		}
		return bad
	}
	r.dec.begin(text)
	if err := r.dec.scanLine(&r.line, text); err != nil {
		return syntaxError(err, r.lead)
	}
	if !r.dec.atEnd() {
		return &LineError{Problem: "something follows the object", Hint: oneObject}
	}
	return nil
}
