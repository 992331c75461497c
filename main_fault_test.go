package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	faultStride = flag.Int("fault-stride", 40, "TestS2_S4_S5_Faults fails every n-th write, and ten times as many of the other calls; 1 is every one")
	faultSeed   = flag.Uint64("fault-seed", 1, "with which of them it begins")
)

// TestS2_S4_S5_Faults fails the n-th call that SQLite makes of the disk under a real run, for one n after the other until a run passes
// untouched: each kind of call, in each way, once and from then on. The run ends with code 5, or, where it does no harm, with 0; and then a run on a
// disk that is well again has every answer, and no call is made twice: also those are kept that came while nothing could be written.
//
//	go test -run TestS2_S4_S5_Faults . -fault-stride 1 -timeout 60m     every n
func TestS2_S4_S5_Faults(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a hundred processes")
	}
	t.Parallel()
	s := buildShim(t)
	var sum faultTally
	t.Cleanup(func() {
		t.Logf("%d faults, %d of them did no harm; %d times answers were set aside, %d runs were healed", sum.faults, sum.harmless, sum.aside, sum.healed)
		if !t.Failed() && (sum.faults < 30 || sum.aside == 0 || sum.healed == 0) {
			t.Error("too few faults were met")
		}
	})
	for i, series := range []struct{ id, kind, what string }{
		{"S4", "write", "EIO"}, {"S2", "write", "ENOSPC"}, {"S2", "write", "half-ENOSPC"}, {"S5", "sync", "EIO"}, {"S2", "sync", "ENOSPC"},
		{"S4", "truncate", "EIO"}, {"S2", "truncate", "ENOSPC"}, {"S4", "open", "EIO"}, {"S2", "open", "ENOSPC"}, {"S4", "unlink", "EIO"},
	} {
		for _, ever := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s_%s_%s_ever=%v", series.id, series.kind, series.what, ever), func(t *testing.T) {
				t.Parallel()
				stride := *faultStride
				if series.kind != "write" { // there are fewer of them
					stride = (stride + 9) / 10
				}
				r := rand.New(rand.NewPCG(*faultSeed, uint64(i)))
				form := "%s:%d:%s"
				if ever {
					form = "%s:%d-:%s"
				}
				fail := func(n int) (met bool) { return sum.fail(t, s, fmt.Sprintf(form, series.kind, n, series.what)) }
				n := 1 + r.IntN(stride)
				if !fail(n) {
					if n == 1 || !fail(1) {
						t.Error("there was no call to fail")
					}
					return
				}
				for n += stride; fail(n); n += stride {
				}
			})
		}
	}
}

type faultTally struct {
	mu                              sync.Mutex
	faults, harmless, aside, healed int
}

// fail runs batch with a fault, and then without; it says whether there was one.
func (f *faultTally) fail(t *testing.T, s shim, fault string) bool {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	p := newPatient(t, dir, 12, time.Millisecond)
	p.flags = []string{"-c", "3", "--grace", "400ms"}
	code, said := p.run(append(s.env(p.jobFile(), "SHIM_COUNT="+p.path("counts"), "SHIM_FAULT="+fault), "GOMAXPROCS=2"))
	met := readShimCounts(t, p.path("counts")).Faults > 0
	if code != exitOK && (code != exitStorage || !met) {
		t.Errorf("%s: exit %d\n%s", fault, code, said)
	}
	healed := strings.Contains(said, "batch: warning: stopped: ") && !strings.Contains(fault, "-:")
	if healed && strings.Contains(statusOf(t, p), "not ended") {
		t.Errorf("%s: the run was healed, and is on record as one that died", fault)
	}
	p.cure(code != exitOK && !healed)
	if t.Failed() {
		t.Fatalf("after %s, which was met: %v, exit %d\n%s", fault, met, code, &p.said)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if met {
		f.faults++
	}
	if met && code == exitOK {
		f.harmless++
	}
	if strings.Contains(said, ".unsaved") {
		f.aside++
	}
	if healed {
		f.healed++
	}
	return met
}
