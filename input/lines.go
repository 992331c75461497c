package input

import (
	"bytes"
	"errors"
	"io"
)

// bufferSize is read at once; the buffer grows only for a line that is longer.
const bufferSize = 256 << 10

// maxEmptyReads is how often a reader may return nothing and no error before it counts as stuck.
const maxEmptyReads = 100

// noLines is how many times as long as it may be a line can get before the stream counts as one that has no lines.
const noLines = 64

var errTooLong = errors.New("line too long")

// lines cuts a stream into lines. Its memory is bounded by the longest line that it may give.
type lines struct {
	r      io.Reader
	max    int // bytes of a line, its end apart
	buf    []byte
	start  int   // of what no line has been given of
	end    int   // of what was read
	err    error // what the reader ended with
	number int   // of the line given last
	eol    byte  // what ends a line: \n, or \r in a file whose first line ends with a bare \r; 0 until one was seen
}

// next gives the next line without its end, good until the next call; errTooLong (the line is skipped, the next call
// goes on behind it), a FileError for a stream that has no lines, io.EOF, or the reader's error. A last line needs no end.
// A line cut short by an error is not given.
func (l *lines) next() ([]byte, error) {
	searched, skipped, long := 0, 0, false
	for {
		window := l.buf[l.start:l.end]
		i := l.lineEnd(window, searched)
		if i < 0 && l.err == io.EOF && len(window) > 0 {
			i = len(window)
		}
		if i >= 0 {
			l.start = min(l.start+i+1, l.end)
			l.number++
			if long || i > l.max && len(bytes.TrimSuffix(window[:i], []byte("\r"))) > l.max {
				return nil, errTooLong
			}
			return window[:i], nil
		}
		if l.err != nil {
			return nil, l.err
		}
		// The last byte may be a \r that waits for its \n; one more than max may be it, too.
		searched = max(len(window)-1, 0)
		if len(window) > l.max+1 {
			long = true
			if skipped += len(window) - 1; skipped/noLines > l.max {
				return nil, &FileError{Line: l.number + 1, Problem: "no line ends within " + size(noLines*l.max), Hint: "is that a file of lines?"}
			}
			l.start, searched = l.end-1, 0
		}
		l.fill()
	}
}

// lineEnd finds the end of the line that window begins with, looking from searched on; -1 when it is not there yet.
func (l *lines) lineEnd(window []byte, searched int) int {
	rest := window[searched:]
	if l.eol == 0 {
		lf := bytes.IndexByte(rest, '\n')
		before := rest
		if lf >= 0 {
			before = rest[:lf]
		}
		switch cr := bytes.IndexByte(before, '\r'); {
		case cr >= 0 && cr+1 == len(rest) && l.err == nil:
			return -1
		case cr >= 0 && cr+1 != lf:
			l.eol = '\r'
		case lf >= 0:
			l.eol = '\n'
		default:
			return -1
		}
	}
	if i := bytes.IndexByte(rest, l.eol); i >= 0 {
		return searched + i
	}
	return -1
}

// fill reads more behind what is there.
func (l *lines) fill() {
	if l.start > 0 {
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
	if l.end == len(l.buf) {
		bigger := make([]byte, min(max(2*len(l.buf), bufferSize), max(l.max+2, bufferSize)+bufferSize))
		copy(bigger, l.buf[:l.end])
		l.buf = bigger
	}
	for range maxEmptyReads {
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		l.err = err
		if n > 0 || err != nil {
			return
		}
	}
	l.err = io.ErrNoProgress
}
