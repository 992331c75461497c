package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"batch/output"
	"batch/runner/tokens"
)

// What was not reported is no cost of nothing, and what is no longer in the input was paid for all the same.
func TestCostText(t *testing.T) {
	dollar := output.Amount{Money: tokens.Money(1e12)}
	unknown := output.Amount{Unknown: 3}
	for _, test := range []struct {
		name string
		cost output.Cost
		want string
	}{
		{"nothing was charged for", output.Cost{}, "cost $0.00"},
		{"all is reported", output.Cost{Done: dollar, Wasted: dollar}, "cost $2.00, $1.00 of it for attempts and answers that are not in the results"},
		{"no price", output.Cost{Done: unknown}, "cost unknown"},
		{"no price, nothing reported", output.Cost{Estimated: unknown}, "cost unknown"},
		{"no price, what is gone not reported", output.Cost{GoneEstimated: unknown}, "cost unknown"},
		{"nothing reported", output.Cost{Estimated: dollar}, "cost about $1.00, which was not reported"},
		{"one model has a price", output.Cost{Done: unknown, Estimated: dollar}, "cost at least about $1.00, which was not reported"},
		{"some is not reported, nor is its price known", output.Cost{Done: dollar, Estimated: unknown}, "cost at least $1.00"},
		{"some is not reported", output.Cost{Done: dollar, Estimated: dollar, GoneEstimated: dollar}, "cost $1.00, and about $2.00 that was not reported"},
		{"lost", output.Cost{Estimated: dollar, Lost: dollar}, "cost about $1.00, which was not reported, and up to $1.00 for calls with an unknown outcome"},
		{"no price, and lost", output.Cost{Done: unknown, Lost: dollar}, "cost unknown, and up to $1.00 for calls with an unknown outcome"},
		{"lost without a bound", output.Cost{Done: dollar, Lost: unknown}, "cost $1.00, and possibly more for calls with an unknown outcome"},
	} {
		if got := costText(test.cost); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// An export that is interrupted ends at once, and leaves nothing behind of the files that it was making.
func TestExportInterrupted(t *testing.T) {
	long := strings.Replace(goodAnswer, `"a"`, `"`+strings.Repeat("a", 1<<20)+`"`, 1)
	_, path := answeredFile(t, long, long, long, long)
	before := namesBeside(t, path)
	ctrlC := make(chan os.Signal)
	var said strings.Builder
	c := command{args: []string{"batch", "export", path, "-o", "-"}, stdin: strings.NewReader(""), signals: ctrlC, term: newTerminal(&said)}
	c.stdout = writerFunc(func(p []byte) (int, error) {
		for range 2 { // the second is taken when the first has had its effect
			select {
			case ctrlC <- os.Interrupt:
			case <-time.After(5 * time.Second):
				t.Error("nobody takes the signal")
			}
		}
		return len(p), nil
	})
	if code := c.run(); code != exitInterrupted || !strings.Contains(said.String(), "error: interrupted") {
		t.Errorf("exit %d: %s", code, &said)
	}
	if after := namesBeside(t, path); !slices.Equal(before, after) {
		t.Errorf("%q stand where %q stood", after, before)
	}
}

// writerFunc is a writer that is a function.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// namesBeside lists the folder of a file.
func namesBeside(t *testing.T, path string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}
