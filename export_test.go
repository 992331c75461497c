package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
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

// The first signal ends what waits for a reader who takes nothing, and nothing stays behind of the files in the making.
func TestSlowReaderInterrupted(t *testing.T) {
	_, other := answeredFile(t, goodAnswer)
	long := strings.Replace(goodAnswer, `"a"`, `"`+strings.Repeat("a", 1<<20)+`"`, 1)
	_, path := answeredFile(t, goodAnswer[:30], long) // the first is a row of the errors
	before := namesBeside(t, path)
	for _, end := range []struct {
		sig  os.Signal
		code int
		said string
	}{{os.Interrupt, exitInterrupted, "batch: error: interrupted\n"}, {syscall.SIGTERM, exitTerminated, "batch: error: terminated\n"}} {
		for _, c := range []struct {
			args   []string
			making int
		}{
			{[]string{"export", path, "-o", "-"}, 1},
			{[]string{"report", path}, 0},
			{[]string{"compare", path, other}, 0},
		} {
			signals := make(chan os.Signal)
			var said strings.Builder
			cmd := command{args: append([]string{"batch"}, c.args...), stdin: strings.NewReader(""), signals: signals, term: newTerminal(&said)}
			cmd.stdout = writerFunc(func(p []byte) (int, error) {
				if making := len(namesBeside(t, path)) - len(before); making != c.making {
					t.Errorf("%q: %d files in the making", c.args, making)
				}
				select {
				case signals <- end.sig:
				case <-time.After(5 * time.Second):
					t.Error("nobody takes the signal")
				}
				<-t.Context().Done()
				return 0, t.Context().Err()
			})
			ended := make(chan int)
			go func() { ended <- cmd.run() }()
			select {
			case code := <-ended:
				if code != end.code || said.String() != end.said {
					t.Errorf("%q: exit %d: %s", c.args, code, &said)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("%q still waits after %v", c.args, end.sig)
			}
			if after := namesBeside(t, path); !slices.Equal(before, after) {
				t.Errorf("%q: %q stand where %q stood", c.args, after, before)
			}
		}
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
