package input

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
)

// parquetMagic begins and ends a Parquet file.
const parquetMagic = "PAR1"

// InPlace is a file that can be read at any place, which Parquet needs: its description stands at its end. Any other reader of a
// Parquet file is copied to a temporary file first.
type InPlace interface {
	io.ReaderAt
	Size() int64
}

// parquetRows are the rows of a Parquet file.
type parquetRows struct {
	src    *source
	temp   *os.File // what standard input or a packed file is copied to; nil without
	groups []parquet.RowGroup
	open   parquet.Rows // of the group being read
	buffer []parquet.Row
	rows   []parquet.Row // of the buffer, not given yet
	end    error         // what the group ended with
	writer rowWriter
	max    int
	at     *place
}

// rowsAtOnce are asked of the library in one call.
const rowsAtOnce = 64

func openParquet(src *source, whole io.Reader, limit int, at *place, data bool) (*parquetRows, error) {
	p := &parquetRows{src: src, buffer: make([]parquet.Row, rowsAtOnce), max: limit, at: at}
	if err := p.prepare(whole, data); err != nil {
		p.closeTemp()
		return nil, err
	}
	return p, nil
}

func (p *parquetRows) prepare(whole io.Reader, data bool) error {
	file, inPlace := whole.(InPlace)
	if !inPlace || p.src.packed {
		var err error
		if p.temp, err = spool(p.src); err != nil {
			return err
		}
		info, err := p.temp.Stat()
		if err != nil {
			return err
		}
		file = io.NewSectionReader(p.temp, 0, info.Size())
	}
	f, err := openPlaced(file)
	if err != nil {
		return err
	}
	p.groups = f.RowGroups()
	var names []string
	for _, c := range f.Root().Columns() {
		names = append(names, c.Name())
	}
	if !data && !asks(names) {
		return &FileError{Problem: noPrompt(names), Hint: noPromptHint}
	}
	p.writer.prepare(f.Root(), data)
	return nil
}

// openPlaced reads a file's description. The library trusts the length that the file's end says.
func openPlaced(file InPlace) (f *parquet.File, err error) {
	defer damaged(&err)
	var end [8]byte
	if size := file.Size(); size < 12 {
		return nil, cutParquet()
	} else if _, err := file.ReadAt(end[:], size-8); err != nil && err != io.EOF {
		return nil, err
	} else if !bytes.Equal(end[4:], []byte(parquetMagic)) || int64(binary.LittleEndian.Uint32(end[:]))+12 > size {
		return nil, cutParquet()
	}
	f, err = parquet.OpenFile(file, file.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(64<<10))
	if err != nil {
		return nil, blameParquet(err)
	}
	return f, nil
}

func cutParquet() error {
	return &FileError{Problem: "the Parquet file has no end", Hint: "the file is cut: get or write it again"}
}

func blameParquet(err error) error {
	var p *os.PathError
	if errors.Is(err, context.Canceled) || errors.As(err, &p) {
		return err
	}
	return &FileError{Problem: "the Parquet file cannot be read: " + printable(err.Error()), Hint: "get or write the file again"}
}

// damaged turns a panic of the library, which bytes that make no sense can lead to, into an error.
func damaged(err *error) {
	if what := recover(); what != nil {
		*err = blameParquet(fmt.Errorf("%v", what))
	}
}

// spool copies a stream to a temporary file that has no name any more.
func spool(r io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "batch-parquet-*")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name())
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (p *parquetRows) close() {
	p.closeGroup()
	p.closeTemp()
	p.src.close()
}

func (p *parquetRows) closeTemp() {
	if p.temp != nil {
		p.temp.Close()
	}
}

func (p *parquetRows) closeGroup() {
	if p.open != nil {
		p.open.Close()
		p.open = nil
	}
}

func (p *parquetRows) next() (row []byte, err error) {
	for len(p.rows) == 0 {
		if err := p.fill(); err != nil {
			var bad *FileError
			if errors.As(err, &bad) {
				bad.Line = p.at.number + 1
			}
			return nil, err
		}
	}
	p.at.number++
	row, bad := p.writer.write(p.rows[0])
	p.rows = p.rows[1:]
	if bad != nil {
		return nil, bad
	}
	if len(row) > p.max {
		return nil, tooLong(errTooLong, "row", p.max)
	}
	return row, nil
}

// fill reads the next rows; they are good until it is called again.
func (p *parquetRows) fill() (err error) {
	defer damaged(&err)
	if p.open == nil {
		if len(p.groups) == 0 {
			return io.EOF
		}
		p.open, p.groups, p.end = p.groups[0].Rows(), p.groups[1:], nil
	}
	if p.end != nil {
		p.closeGroup()
		return nil
	}
	n, err := p.open.ReadRows(p.buffer)
	p.rows = p.buffer[:n]
	switch {
	case err == io.EOF || err == nil && n == 0:
		p.end = io.EOF
	case err != nil:
		return blameParquet(err)
	}
	return nil
}
