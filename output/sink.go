package output

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"syscall"

	"batch/store"
)

// The kinds of files, as the ledger names them.
const (
	kindResults = "results"
	kindErrors  = "errors"
	KindUsage   = "usage"
)

// sink is one of the files. It is opened with its first row, so that an errors file without rows never exists.
type sink struct {
	kind, path string
	cols       *columns
	opt        *Options

	file  *file
	buf   *bufio.Writer
	bytes counter
	pack  io.WriteCloser // into bytes
	enc   encoder
	rows  int64
	id    store.Identity
	gone  error // the reader of standard output went away; from then on its rows are dropped
}

func (s *sink) open() error {
	if s.path == Stdout {
		s.buf = bufio.NewWriterSize(s.opt.Stdout, bufferSize)
	} else {
		var err error
		if s.file, err = create(s.opt.on(), s.path); err != nil {
			return s.failed(err)
		}
		s.buf = s.file.w
	}
	s.bytes.w = s.buf
	var err error
	if s.pack, err = compress(&s.bytes, s.opt.Compression); err != nil {
		return s.failed(err)
	}
	switch s.opt.Format {
	case CSV:
		s.cols.settle()
		table := newCSV(s.pack, s.cols, s.opt.CSVRaw)
		s.enc = table
		return s.failed(table.header())
	case Parquet:
		s.cols.settle()
		s.enc = newParquet(s.pack, s.cols, max(1, len(s.opt.Split)))
	default:
		s.enc = &jsonl{w: s.pack}
	}
	return nil
}

func (s *sink) write(rec *record) error {
	if s.enc == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	s.rows++
	return s.failed(s.enc.encode(rec))
}

// failed names the file in an error of writing to it. A reader of standard output who has seen enough is no reason to
// withhold the other files: that error is kept until they stand.
func (s *sink) failed(err error) error {
	if err == nil {
		return nil
	}
	if s.path != Stdout {
		return fmt.Errorf("write %s: %w", Printable(s.path), cause(err))
	}
	err = fmt.Errorf("write standard output: %w", cause(err))
	if errors.Is(err, syscall.EPIPE) {
		s.gone, s.bytes.w = err, io.Discard
		return nil
	}
	return err
}

func (s *sink) finish() (err error) {
	if err := s.failed(s.enc.Close()); err != nil {
		return err
	}
	if err := s.failed(s.pack.Close()); err != nil {
		return err
	}
	if s.file == nil && s.gone != nil {
		return nil
	}
	if s.file == nil {
		return s.failed(s.buf.Flush())
	}
	s.id, err = s.file.finish()
	return err
}
