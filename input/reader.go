package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
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
	MaxLine  int      // bytes of a line, its end apart, or of a row; 0 for DefaultMaxLine
	Layout   Layout   // how bytes become rows
	// Prompt makes the prompt of a row, which is then data: none of its keys is a request field. System makes its system message,
	// and goes with Prompt alone. nil for rows that are requests themselves.
	Prompt, System *Template
	// ImageColumn names the field with the path or URL of an image, which is put beside the prompt; "" for none.
	ImageColumn string
	// Context bounds the length of conversations.
	Context Context
	// Samples is how many prompts are made of each line, one after the other. Each bears its number; a seed that is filled in counts up.
	// 0 and 1 leave lines as they are.
	Samples int
	// Counter counts the prompts' tokens, on all processors; nil for the cheap rule of tokens.Estimate. Files that are read one after
	// another may share one.
	Counter *tokens.Counter
}

// Reader reads one prompt file in one pass. Its memory is bounded by the longest row, and with a Counter by a group of
// rows. It is for one goroutine; the prompts that it gives share no memory with it, only samples with each other.
type Reader struct {
	name    string
	src     io.Reader
	layout  Layout
	maxLine int
	fill    *filler
	prompt  *rendering // nil for rows that are requests themselves
	system  *rendering
	images  *images
	context Context
	each    []int64 // tokens of the messages of a line
	row     object  // the row as templates see it

	rows rows   // nil until the first is asked for
	unit string // what errors call a row
	at   place
	end  error // what reading ended with

	rowHint string // of the format

	line  line    // the one being read; its slices are used again for the next
	dec   decoder // of the line
	body  []byte  // the request of the line, under construction
	model string  // of the last prompt: most lines name the same one

	keys    map[string]*known
	group   group
	samples sampler
	seedAt  int // of the line: place in body of the seed that was filled in

	prompts, bad, batch int
	trimmed, turns      int // prompts that lost turns, and how many
	carried             []string
	moreCarried         bool
	secrets             []string
}

// NewReader reads r, which errors and prompts call name. Parquet is read in place where r is an InPlace, too.
func NewReader(name string, r io.Reader, opt Options) *Reader {
	if opt.MaxLine <= 0 {
		opt.MaxLine = DefaultMaxLine
	}
	reader := &Reader{
		name:    name,
		src:     r,
		layout:  opt.Layout,
		maxLine: opt.MaxLine,
		fill:    newFiller(opt.Defaults),
		prompt:  newRendering(opt.Prompt),
		system:  newRendering(opt.System),
		context: opt.Context,
		row:     object{},
		unit:    "line",
		keys:    make(map[string]*known),
		dec:     newDecoder(),
		group:   group{counter: opt.Counter},
		samples: newSampler(opt.Samples, opt.Defaults),
	}
	if opt.ImageColumn != "" {
		reader.images = &images{column: opt.ImageColumn, dir: filepath.Dir(name)}
	}
	return reader
}

// Close lets go of what reading the file took. It does not close the reader that was given.
func (r *Reader) Close() {
	if r.rows != nil {
		r.rows.close()
		r.rows = nil
	}
	if r.end == nil {
		r.end = io.EOF
	}
}

// Next gives the next good line. The error is a *LineError for a bad line, after which Next goes on with the next
// one; io.EOF at the end; and of anything else, a failure to read that names the file.
func (r *Reader) Next() (Prompt, error) {
	if r.samples.left > 0 {
		return r.samples.next(), nil
	}
	p, err := r.counted()
	if err == nil {
		p = r.samples.of(p)
	}
	return p, err
}

// counted gives the prompt of the next line.
func (r *Reader) counted() (Prompt, error) {
	if r.group.counter != nil {
		return r.group.next(r.read)
	}
	p, err := r.read()
	if err == nil && !p.counted {
		p.Tokens = tokens.Estimate(p.Body)
	}
	return p, err
}

// read gives the next prompt without its tokens.
func (r *Reader) read() (Prompt, error) {
	if r.end != nil {
		return Prompt{}, r.end
	}
	if r.rows == nil {
		if err := r.open(); err != nil {
			return r.stop(err)
		}
	}
	text, err := r.rows.next()
	if err != nil {
		return r.stop(err)
	}
	p, bad := r.parse(text)
	if r.prompts+r.bad == 0 && r.prompt == nil && r.line.isResult() {
		return r.stop(&FileError{Problem: "the file holds the results of an earlier run: its prompts would be asked again", Hint: resultHint})
	}
	if bad != nil {
		return r.refuse(bad)
	}
	r.prompts++
	return p, nil
}

// stop gives a bad row, or what no row can be read after.
func (r *Reader) stop(err error) (Prompt, error) {
	var bad *LineError
	if errors.As(err, &bad) {
		return r.refuse(bad)
	}
	var file *FileError
	switch {
	case err == io.EOF:
		r.end = io.EOF
	case errors.As(err, &file):
		file.File = r.name
		r.end = file
	default:
		r.end = fmt.Errorf("read %s: %w", printable(r.name), cause(err))
	}
	return Prompt{}, r.end
}

func (r *Reader) refuse(bad *LineError) (Prompt, error) {
	r.bad++
	bad.File, bad.Line = r.name, r.at.number
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
	r.seedAt = 0
	bad := r.scan(text)
	switch {
	case bad != nil:
	case r.prompt != nil:
		bad = r.assembleData()
	default:
		bad = r.assemble(text)
	}
	var fit fitted
	if bad == nil {
		fit, bad = r.fit()
	}
	if bad != nil {
		if id := r.line.value("custom_id"); id.Kind() == '"' {
			bad.CustomID = string(decoded(id))
		}
		return Prompt{}, bad
	}
	p := Prompt{File: r.name, Line: r.at.number, Batch: r.line.batch, Body: bytes.Clone(r.body), Model: r.model, seedAt: r.seedAt}
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
	p.Tokens, p.counted, p.Trimmed = fit.tokens, fit.known, fit.turns
	if p.Trimmed > 0 {
		r.trimmed++
		r.turns += p.Trimmed
	}
	r.fill.keep()
	if p.Batch {
		r.batch++
	}
	return p, nil
}

// scan takes the line apart: its syntax, its keys, and the members of the objects that matter.
func (r *Reader) scan(text []byte) *LineError {
	if !utf8.Valid(text) {
		return &LineError{Problem: fmt.Sprintf("byte %d of the %s is not UTF-8", r.at.lead+invalidByte(text)+1, r.unit), Hint: "convert the file to UTF-8 first"}
	}
	if text[0] != '{' {
		bad := &LineError{Problem: "the " + r.unit + " is not a JSON object", Hint: oneObject}
		switch {
		case r.at.table:
			bad.Hint = csvHint
		case r.unit == "row":
			bad.Hint = oneElement
		}
		return bad
	}
	r.dec.begin(text)
	if err := r.dec.scanLine(&r.line, text); err != nil {
		return syntaxError(err, r.at.lead)
	}
	if !r.dec.atEnd() {
		return &LineError{Problem: "something follows the object", Hint: oneObject}
	}
	return nil
}
