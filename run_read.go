package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"batch/input"
	"batch/output"
	"batch/store"
)

func hashFile(ctx context.Context, name string) (sum [32]byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, readError(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, cancellable{ctx, f}); err != nil {
		return sum, readError(err)
	}
	h.Sum(sum[:0])
	return sum, nil
}

// cancellable ends a long read when ctx does.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func readError(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var file *input.FileError
	if errors.As(err, &file) {
		return usage(err, "%s", file.Hint)
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", shellQuote(p.Path), p.Err)
	}
	return usage(err, "check the name of the prompt file")
}

// importer reads prompt files in one goroutine and puts them into the table in another.
type importer struct {
	reading  input.Options
	skipBad  bool
	stdin    io.Reader
	settings map[string]string // gets the shape, which the lines decide
	shaped   bool

	stats    []input.Stats
	bad      []badLine // the first of them
	badCount int
	twice    int      // good lines but for a custom_id that is used before
	edited   []string // files that somebody wrote to meanwhile
}

// prompts is the number of good lines.
func (imp *importer) prompts() int {
	n := -imp.twice
	for _, s := range imp.stats {
		n += s.Prompts
	}
	return n
}

// line is a good or a bad one.
type line struct {
	prompt input.Prompt
	bad    *input.LineError
}

// Lines cross from the reader to the table in groups: so many, or so many bytes.
const (
	lineGroup  = 256
	groupBytes = 1 << 20
)

func (imp *importer) load(ctx context.Context, names []string, table *store.Importer) error {
	for _, name := range names {
		if err := imp.loadFile(ctx, name, table); err != nil {
			return err
		}
	}
	if err := imp.checkDuplicates(table); err != nil {
		return err
	}
	if imp.badCount > 0 && !imp.skipBad {
		return imp.refuse()
	}
	batch := true
	for _, s := range imp.stats {
		batch = batch && (s.AllBatch || s.Prompts == 0)
	}
	if imp.prompts() == 0 {
		where := strings.Join(names, ", ")
		if where == "-" {
			where = "standard input"
		}
		return usage(fmt.Errorf("no prompts in %s", printable(where)), "%s", imp.stats[0].RowHint)
	}
	if !imp.shaped {
		imp.settings[settingShape] = string(output.Flat)
		if batch {
			imp.settings[settingShape] = string(output.OpenAI)
		}
	}
	return nil
}

func (imp *importer) loadFile(ctx context.Context, name string, table *store.Importer) error {
	src, err := imp.open(ctx, name)
	if err != nil {
		return err
	}
	defer src.Close()
	same := unchanged(src)
	sum := &summing{r: cancellable{ctx, src}, h: sha256.New()}
	reader := input.NewReader(name, sum.placed(ctx, src), imp.reading)
	defer reader.Close()
	groups := make(chan []line, 1)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(groups)
		return readLines(gctx, reader, groups)
	})
	rows := 0
	g.Go(func() error {
		table.File(name)
		for group := range groups {
			rows += len(group)
			for i := range group {
				if err := imp.add(&group[i], name, table); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, sum); err != nil { // what was read in place was not summed
		return readError(err)
	}
	if !same() {
		imp.edited = append(imp.edited, name)
	}
	imp.stats = append(imp.stats, reader.Stats())
	place, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	in := store.Input{Path: name, Place: place, Size: sum.n, Rows: rows}
	sum.h.Sum(in.SHA256[:0])
	return table.EndFile(in)
}

func (imp *importer) open(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == "-" {
		return lettingGo(ctx, imp.stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, readError(err)
	}
	info, err := f.Stat()
	if err := noFolder(name, info, err); err != nil {
		f.Close()
		return nil, readError(err)
	}
	return f, nil
}

// noFolder is the error of a file that cannot be read, which a folder cannot either.
func noFolder(name string, info fs.FileInfo, err error) error {
	if err == nil && info.IsDir() {
		return &fs.PathError{Op: "read", Path: name, Err: errors.New("is a folder")}
	}
	return err
}

// unchanged gives what says whether a file is still as it is now.
func unchanged(src io.Reader) func() bool {
	f, ok := src.(*os.File)
	if !ok {
		return func() bool { return true }
	}
	before, err := f.Stat()
	return func() bool {
		after, again := f.Stat()
		return err != nil || again != nil || !before.Mode().IsRegular() || before.Size() == after.Size() && before.ModTime().Equal(after.ModTime())
	}
}

// lettingGo reads r until ctx ends, also while a read waits for somebody to type. Nothing ends such a read but the process, so the
// goroutine that is in it is left to that.
func lettingGo(ctx context.Context, r io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	go func() {
		defer stop()
		_, err := io.CopyBuffer(in, r, make([]byte, 256<<10))
		in.CloseWithError(err)
	}()
	return out
}

// summing hashes and counts what is read through it.
type summing struct {
	r io.Reader
	h hash.Hash
	n int64
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	s.n += int64(n)
	return n, err
}

// placed is the reader with the file's places, where src is a file.
func (s *summing) placed(ctx context.Context, src io.Reader) io.Reader {
	f, ok := src.(*os.File)
	if !ok {
		return s
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return s
	}
	return &placedFile{s, ctx, f, info.Size()}
}

// placedFile is a file that can be read at any place, too.
type placedFile struct {
	*summing
	ctx  context.Context
	f    *os.File
	size int64
}

func (p *placedFile) Size() int64 { return p.size }

func (p *placedFile) ReadAt(b []byte, off int64) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.f.ReadAt(b, off)
}

func readLines(ctx context.Context, r *input.Reader, groups chan<- []line) error {
	for {
		group := make([]line, 0, lineGroup)
		var err error
		for bytes := 0; len(group) < lineGroup && bytes < groupBytes && err == nil; {
			var l line
			if l.prompt, err = r.Next(); errors.As(err, &l.bad) {
				err = nil
			}
			if err == nil {
				group = append(group, l)
				bytes += len(l.prompt.Body) + len(l.prompt.Carried)
			}
		}
		select {
		case groups <- group:
		case <-ctx.Done():
			return ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return readError(err)
		}
	}
}

// add turns a prompt into a job.
func (imp *importer) add(l *line, name string, table *store.Importer) error {
	if l.bad == nil {
		p := &l.prompt
		return table.Add(store.Job{Line: p.Line, CustomID: p.CustomID, HasCustomID: p.HasCustomID, Sample: p.Sample, Model: p.Model,
			Key: p.Key, Body: p.Body, Carried: p.Carried, Tokens: p.Tokens, MaxTokens: p.MaxTokens, Boundless: p.Boundless, Trimmed: p.Trimmed})
	}
	imp.note(badLine{File: name, Line: l.bad.Line, Field: l.bad.Field, Problem: l.bad.Problem, Hint: l.bad.Hint})
	if !imp.skipBad {
		return nil
	}
	message := l.bad.Problem
	if l.bad.Field != "" {
		message = l.bad.Field + ": " + message
	}
	return table.Skip(store.Skipped{Line: l.bad.Line, CustomID: l.bad.CustomID, Message: message})
}
