package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestS2_S4_S5_FaultsInTakeUp fails the n-th call that SQLite makes of the disk in a run that takes up what the run before had to set aside, for
// one n after the other until all of it was taken up. The run ends with code 5, and one on a disk that is well again has every answer, none of
// which was asked for twice.
func TestS2_S4_S5_FaultsInTakeUp(t *testing.T) {
	if testing.Short() {
		t.Skip("runs some dozen processes")
	}
	t.Parallel()
	s := buildShim(t)
	for i, series := range []struct {
		id, fault string
		among     int // how far apart they are, as -fault-stride has it for writes
	}{
		{"S4", "write:%d:EIO", 1}, {"S2", "write:%d-:ENOSPC", 1}, {"S5", "sync:%d:EIO", 3}, {"S5", "sync:%d-:EIO", 3},
	} {
		t.Run(series.id+"_"+strings.ReplaceAll(series.fault, "%d", "n"), func(t *testing.T) {
			t.Parallel()
			stride := max((*faultStride+3*series.among)/(4*series.among), 1)
			n := 1 + rand.New(rand.NewPCG(*faultSeed, uint64(i))).IntN(stride)
			left := 0
			for harmless := 0; harmless < 3; n += stride { // one that is can come before others that are not
				if failInTakeUp(t, s, fmt.Sprintf(series.fault, n)) {
					left++
					harmless = 0
				} else {
					harmless++
				}
			}
			t.Logf("%d faults left something to take up", left)
			if left == 0 {
				t.Error("no fault came before all was taken up")
			}
		})
	}
}

// failInTakeUp says whether something was left to take up by the run with the fault.
func failInTakeUp(t *testing.T, s shim, fault string) (left bool) {
	t.Helper()
	p := patientWithAside(t, s)
	code, said := p.run(s.env(p.jobFile(), "SHIM_FAULT="+fault))
	left = heldAside(p.jobFile())
	if code != exitStorage && (code != exitOK || left) {
		t.Errorf("exit %d\n%s", code, said)
	}
	p.cure(true)
	if t.Failed() {
		t.Fatalf("after %s, exit %d\n%s", fault, code, &p.said)
	}
	return left
}

// patientWithAside has a job file with outcomes beside it: its disk ran full when calls were on their way.
func patientWithAside(t *testing.T, s shim) *patient {
	t.Helper()
	for write := 60; write < 300; write += 20 { // which of its writes is the first of an answer depends on how the run went
		p := newPatient(t, t.TempDir(), 40, 10*time.Millisecond)
		p.flags = []string{"-c", "16", "--grace", "100ms"}
		if code, said := p.run(nil, "--limit", "1"); code != exitStopped {
			t.Fatalf("exit %d\n%s", code, said)
		}
		if code, _ := p.run(s.env(p.jobFile(), fmt.Sprintf("SHIM_FAULT=write:%d-:ENOSPC", write))); code == exitStorage && heldAside(p.jobFile()) {
			return p
		}
	}
	t.Fatal("nothing was set aside")
	return nil
}
