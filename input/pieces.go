package input

import (
	"bytes"
	"fmt"
	"io"
)

// pieces are the rows of a text: its lines, or what stands between separators. Blank ones are none.
type pieces struct {
	lines
	src       *source
	separator []byte
	field     string
	at        *place
	row       []byte
}

// newPieces reads a text whose rows are the prompts themselves, or for a template rows with the one field text.
func newPieces(src *source, separator string, limit int, at *place, data bool) *pieces {
	p := &pieces{lines: lines{r: src, max: limit}, src: src, separator: []byte(separator), field: `{"prompt":`, at: at}
	if data {
		p.field = `{"text":`
	}
	if bytes.HasPrefix(src.head, []byte(bom)) {
		io.CopyN(io.Discard, src, int64(len(bom)))
	}
	return p
}

func (p *pieces) close() { p.src.close() }

func (p *pieces) next() ([]byte, error) {
	for {
		text, err := p.piece()
		if err != nil {
			return nil, tooLong(err, "text", p.max)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		row, ok := appendQuoted(append(p.row[:0], p.field...), text)
		if !ok {
			return nil, &LineError{Problem: fmt.Sprintf("byte %d of the text is not UTF-8", invalidByte(text)+1), Hint: "convert the file to UTF-8 first"}
		}
		p.row = append(row, '}')
		return p.row, nil
	}
}

// piece gives the next line, or what stands before the next separator, without the ends of lines around it.
func (p *pieces) piece() ([]byte, error) {
	if len(p.separator) == 0 {
		text, err := p.lines.next()
		p.at.number = p.lines.number
		return bytes.TrimSuffix(text, []byte("\r")), err
	}
	searched := 0
	for {
		window := p.buf[p.start:p.end]
		i := bytes.Index(window[min(searched, len(window)):], p.separator)
		end := i + searched + len(p.separator)
		switch {
		case i >= 0:
			i += searched
		case p.err == io.EOF && len(window) > 0:
			i, end = len(window), len(window)
		case p.err != nil:
			return nil, p.err
		case len(window) > p.max+len(p.separator):
			return nil, &FileError{Line: p.number + 1, Problem: "the text is longer than " + size(p.max), Hint: "is --separator what stands between the prompts?"}
		default:
			searched = max(len(window)-len(p.separator)+1, 0)
			p.fill()
			continue
		}
		text := bytes.TrimLeft(window[:i], "\r\n")
		// number counts the lines that ended before; the piece begins behind the ends of lines in front of it.
		p.at.number = p.number + 1 + bytes.Count(window[:i-len(text)], []byte("\n"))
		p.number += bytes.Count(window[:end], []byte("\n"))
		p.start += end
		if len(text) > p.max {
			return nil, errTooLong
		}
		return bytes.TrimRight(text, "\r\n"), nil
	}
}
