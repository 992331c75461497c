package output

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// earlier is a story that came before: other rows, other totals.
func earlier() *source {
	src := story()
	src.rows, src.totals = src.rows[4:], src.totals[:1]
	return src
}

// blameless is a story in which nothing failed: the errors file of the one before has to go.
func blameless() *source {
	src := story()
	src.rows, src.totals = src.rows[:1], src.totals[:1]
	return src
}

// Whichever operation fails, whether it did nothing, half or all of its work, once or from then on: each file is the old one or the new
// one, whole; nothing is changed before all are ready; no temporary file is taken for anything; and what stands is still ours, so that
// the next Write makes all of it right, to the byte.
func TestO3_EveryFault(t *testing.T) {
	t.Parallel()
	operations := 0
	formats := []Format{JSONL, Parquet}
	if testing.Short() {
		formats = formats[:1]
	}
	for name, src := range map[string]func() *source{"errors": story, "none": blameless} {
		for _, format := range formats {
			_, now := write(t, src(), Options{Format: format})
			for _, ever := range []bool{false, true} {
				for _, extent := range []extent{nothing, half, everything} {
					f := faultyWrite{t: t, src: src, now: now, format: format}
					for n := 1; ; n++ {
						d := &faultyDisk{n: n, ever: ever, extent: extent, err: []error{syscall.ENOSPC, syscall.EIO}[n%2]}
						f.name = fmt.Sprintf("%s, %s, %s done, ever=%v, operation %d", name, format, extent, ever, n)
						if !f.run(d) {
							operations += n - 1
							break
						}
					}
				}
			}
		}
	}
	if operations < 225*len(formats) {
		t.Errorf("only %d operations failed", operations)
	}
	t.Logf("%d operations failed in turn", operations)
}

type faultyWrite struct {
	t      *testing.T
	src    func() *source
	now    [3]string
	format Format
	name   string
}

// run writes once on a disk that fails; false means that it never came to fail.
func (f *faultyWrite) run(d *faultyDisk) bool {
	t := f.t
	_, files, opt := setup(t)
	opt.Format, opt.disk = f.format, hastyDisk{}
	led := &ledger{}
	if _, err := Write(t.Context(), earlier(), led, files, opt); err != nil {
		t.Fatal(err)
	}
	old := texts(t, files)
	faulty := opt
	faulty.disk = d
	_, err := Write(t.Context(), f.src(), faultyLedger{led, d}, files, faulty)
	if d.calls < d.n {
		if err != nil || d.n < 15 || texts(t, files) != f.now {
			t.Fatalf("%s: after %d operations, none of which failed: %v", f.name, d.calls, err)
		}
		return false
	}
	f.checkError(d, err)
	got := texts(t, files)
	for i := range got {
		if got[i] != old[i] && got[i] != f.now[i] {
			t.Errorf("%s (%s) left a file that is neither old nor new:\n%s", f.name, d.op, got[i])
		}
	}
	if err == nil && got != f.now {
		t.Errorf("%s (%s): no error, and yet not all is new", f.name, d.op)
	}
	if !d.renamed && got != old {
		t.Errorf("%s (%s) changed a file before all were ready", f.name, d.op)
	}
	dir := filepath.Dir(files.Usage)
	if left := temporaries(dir); len(left) > 0 && !d.ever && d.op != "remove" && !(d.op == "create" && d.extent == everything) {
		t.Errorf("%s (%s): %q were left behind", f.name, d.op, left)
	}
	if _, err := Write(t.Context(), f.src(), led, files, opt); err != nil {
		t.Errorf("after %s (%s): %v", f.name, d.op, err)
	}
	if diff := cmp.Diff(f.now, texts(t, files)); diff != "" {
		t.Errorf("after %s (%s), written again:\n%s", f.name, d.op, diff)
	}
	if left := temporaries(dir); len(left) > 0 {
		t.Errorf("after %s (%s), written again: %q", f.name, d.op, left)
	}
	return true
}

// checkError: every failure is told, but for those that do no harm.
func (f *faultyWrite) checkError(d *faultyDisk, err error) {
	var refused *RefusedError // by the probe
	switch {
	case errors.Is(err, d.err), errors.As(err, &refused):
	case err != nil:
		f.t.Errorf("%s (%s): %v", f.name, d.op, err)
	case d.op != "close" && d.op != "close folder" && d.op != "remove":
		f.t.Errorf("%s: %s failed, and nobody was told", f.name, d.op)
	case d.ever && d.op != "close folder" && d.op != "close":
		f.t.Errorf("%s: everything failed from %s on, and nobody was told", f.name, d.op)
	}
}
