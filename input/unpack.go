package input

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the most that a zstd frame may ask to be kept of what was unpacked; the zstd program packs with no more unless it is
// told to.
const maxWindow = 128 << 20

// source is where the bytes of a file come from: a stream whose beginning can be looked at.
type source struct {
	io.Reader
	head   []byte // what the stream begins with; it is read again
	packed bool
	close  func()
}

// headSize is how much of a file is looked at to tell what it is.
const headSize = 4096

// unpack looks at the beginning of r, and takes gzip or zstd off. It goes by the content: a name may lie, and standard input has none.
func unpack(r io.Reader) (*source, error) {
	raw := &noting{r: r}
	s := &source{close: func() {}}
	var err error
	if s.Reader, s.head, err = peek(raw); err != nil {
		return nil, err
	}
	switch kind := packing(s.head); kind {
	case "gzip":
		zr, err := gzip.NewReader(bufio.NewReaderSize(s.Reader, 64<<10))
		if err != nil {
			return nil, raw.blame(kind, err)
		}
		s.Reader = &unpacking{zr, kind, raw}
	case "zstd":
		zr, err := zstd.NewReader(s.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, raw.blame(kind, err)
		}
		s.Reader, s.close = &unpacking{zr, kind, raw}, zr.Close
	default:
		return s, nil
	}
	s.packed = true
	if s.Reader, s.head, err = peek(s.Reader); err != nil {
		s.close()
		return nil, err
	}
	if kind := packing(s.head); kind != "" {
		s.close()
		return nil, &FileError{Problem: "the file is packed twice, the second time with " + kind, Hint: "unpack it once"}
	}
	return s, nil
}

// packing names the compression of what begins so; "" for none.
func packing(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return "gzip"
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")), // a frame, or one to be skipped
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte("\x2a\x4d\x18")):
		return "zstd"
	}
	return ""
}

// peek reads the beginning of r and gives a reader that begins with it again. A failure that comes later is left for that reader.
func peek(r io.Reader) (io.Reader, []byte, error) {
	head := make([]byte, headSize)
	n := 0
	for empty := 0; n < len(head); {
		m, err := r.Read(head[n:])
		n += m
		if m > 0 {
			empty = 0
		} else if empty++; empty > maxEmptyReads && err == nil {
			err = io.ErrNoProgress
		}
		if err == io.EOF {
			return bytes.NewReader(head[:n]), head[:n], nil
		}
		if err != nil && n == 0 {
			return nil, nil, err
		}
		if err != nil {
			return io.MultiReader(bytes.NewReader(head[:n]), broken{err}), head[:n], nil
		}
	}
	return io.MultiReader(bytes.NewReader(head), r), head, nil
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// noting remembers why a read failed, to tell a bad disk or an interrupt from bad data.
type noting struct {
	r   io.Reader
	err error
}

func (n *noting) Read(p []byte) (int, error) {
	m, err := n.r.Read(p)
	if err != nil && err != io.EOF {
		n.err = err
	}
	return m, err
}

// blame says why packed data could not be read.
func (n *noting) blame(kind string, err error) error {
	switch {
	case n.err != nil:
		return n.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &FileError{Problem: "the " + kind + " data ends too early", Hint: "the file is cut: get or pack it again"}
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return &FileError{Problem: "the zstd data needs a window of more than " + size(maxWindow), Hint: "pack it without --ultra or --long"}
	}
	return &FileError{Problem: fmt.Sprintf("the %s data is damaged: %s", kind, printable(err.Error())), Hint: "get or pack the file again"}
}

// unpacking reads packed data.
type unpacking struct {
	r    io.Reader
	kind string
	raw  *noting
}

func (u *unpacking) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err != nil && err != io.EOF {
		err = u.raw.blame(u.kind, err)
	}
	return n, err
}
