package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"batch/store"
)

// typist is a terminal at which nobody types.
type typist struct{ waited chan struct{} }

func (t typist) Read([]byte) (int, error) {
	close(t.waited)
	select {}
}

func TestStandardInput(t *testing.T) {
	t.Run("a wait for it can be interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		terminal := typist{make(chan struct{})}
		src, err := (&importer{stdin: terminal}).open(ctx, "-")
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		go func() {
			<-terminal.waited
			cancel()
		}()
		if _, err := src.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("read: %v, want the interrupt", err)
		}
	})
	t.Run("it is read to its end", func(t *testing.T) {
		text := strings.Repeat("x", 1<<20)
		src, err := (&importer{stdin: strings.NewReader(text)}).open(t.Context(), "-")
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		if got, err := io.ReadAll(src); string(got) != text || err != nil {
			t.Errorf("read %d bytes: %v", len(got), err)
		}
	})
}

// meddling is a context of a reader whose file somebody writes to, at its third read.
type meddling struct {
	context.Context
	reads  *int
	meddle func()
}

func (m meddling) Err() error {
	if *m.reads++; *m.reads == 3 {
		m.meddle()
	}
	return m.Context.Err()
}

func TestI18_EditedWhileItIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.jsonl")
	text := strings.Repeat(`{"prompt":"Name a river.","model":"m"}`+"\n", 50_000)
	write := func(text string) func() {
		return func() {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	for name, c := range map[string]struct {
		meddle func()
		edited []string
	}{
		"nobody":     {func() {}, nil},
		"grown":      {write(text + text), []string{path}},
		"cut":        {write(text[:len(text)/2]), []string{path}},
		"other text": {write(strings.ReplaceAll(text, "river", "ocean")), []string{path}},
	} {
		t.Run(name, func(t *testing.T) {
			write(text)()
			st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "p"+jobSuffix), true)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			var said bytes.Buffer
			d := &drain{command: &command{term: newTerminal(&said)}}
			imp := &importer{settings: map[string]string{}}
			if _, err := st.Import(t.Context(), store.ImportOptions{DryRun: true}, func(table *store.Importer) error {
				return imp.loadFile(meddling{t.Context(), new(int), c.meddle}, path, table)
			}); err != nil {
				t.Fatal(err)
			}
			d.sayImport(store.Changes{}, imp)
			if !slices.Equal(imp.edited, c.edited) || strings.Contains(said.String(), "warning: "+path+" changed while it was read") != (c.edited != nil) {
				t.Errorf("%q\n%s", imp.edited, &said)
			}
		})
	}
}
