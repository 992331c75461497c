package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
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
