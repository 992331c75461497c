package output

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Compression is how a file is packed, as the ending of its name says.
type Compression string

// The compressions; "" is none.
const (
	Gzip Compression = "gz"
	Zstd Compression = "zst"
)

// CompressionOf goes by the ending of a name.
func CompressionOf(path string) Compression {
	for _, c := range []Compression{Gzip, Zstd} {
		if strings.HasSuffix(strings.ToLower(path), "."+string(c)) {
			return c
		}
	}
	return ""
}

// compress packs what is written to w. Neither a name nor a time gets into the file, and one goroutine packs it: the same rows give the
// same bytes. Close ends the packed stream and leaves w open.
func compress(w io.Writer, how Compression) (io.WriteCloser, error) {
	switch how {
	case Gzip:
		return gzip.NewWriter(w), nil
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	}
	return nopCloser{w}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// unpacked reads what a file says, packed or not: another version of a packer may spell the same in other bytes. It goes by the content,
// as the name may have been changed.
func unpacked(r io.Reader) (io.Reader, error) {
	buf := bufio.NewReaderSize(r, 64<<10)
	head, err := buf.Peek(4)
	switch {
	case err != nil && err != io.EOF:
		return nil, err
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(buf)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(buf, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return buf, nil
}
