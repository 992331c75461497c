package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

const (
	asideVictims = 3
	asideKills   = 6 // of each
)

// TestS2_P8_KillInTakeUp kills runs that take up what a run before had to set aside. Whenever they die, no answer is lost, and none that
// was paid for is asked for again. -kills counts those of TestKill; there is a victim for sixty of them.
func TestS2_P8_KillInTakeUp(t *testing.T) {
	t.Parallel()
	binary, s := buildBatch(t), buildShim(t)
	seeds := []uint64{*killSeed}
	if *killSeed == 0 {
		seeds = seeds[:0]
		for i := range max(*kills/60, asideVictims) {
			seeds = append(seeds, uint64(i+1))
		}
	}
	var met [3]int // before the first answer was taken up, between, after the last
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			v := newVictimOf(t, binary, seed, newFaultyWire(t, seed, "", false))
			paid := v.setAside(s)
			for i := range asideKills {
				waited, saved, kills := v.waiting(), len(v.saved), v.tally.kills
				v.child++
				v.run(moment{first: locked, then: within(v.random(), 30*float64(i+1))})
				switch {
				case !waited || v.tally.kills == kills:
				case !v.waiting():
					met[2]++
				case len(v.saved) > saved:
					met[1]++
				default:
					met[0]++
				}
			}
			v.finish()
			for prompt, calls := range v.wire.log() {
				if paid[prompt] && len(calls) != 1 {
					t.Errorf("%q was answered before the kills, and asked %d times", prompt, len(calls))
				}
			}
		})
	}
	t.Logf("%d kills before the first answer was taken up, %d between, %d after the last", met[0], met[1], met[2])
	if *killSeed == 0 && !t.Failed() && met[1] == 0 {
		t.Error("no kill met the taking up")
	}
}

// setAside lets a run find its disk full when many answers are on their way, and says which prompts were answered.
func (v *victim) setAside(s shim) (paid map[string]bool) {
	v.t.Helper()
	v.flags = []string{"--concurrency", "64", "--grace", "500ms"}
	v.child++
	v.exits(exitStopped, v.runArgs(1)...) // all is imported
	v.look(false)
	v.child++
	v.env = s.env(v.jobFile(), fmt.Sprintf("SHIM_FAULT=write:%d-:ENOSPC", 100+v.random().IntN(100)))
	v.exits(exitStorage, v.runArgs(0)...)
	v.env = nil
	paid = map[string]bool{}
	for prompt, calls := range v.wire.log() {
		paid[prompt] = calls[len(calls)-1].answered()
	}
	v.look(true) // it leaves calls open as a killed one does
	if waits := len(paid) - len(v.saved); !v.waiting() || waits < 20 {
		v.t.Fatalf("%d answers came, and %d of them were set aside", len(paid), waits)
	}
	return paid
}

func (v *victim) waiting() bool { return heldAside(v.jobFile()) }

// heldAside says that outcomes stand beside a job file. Without them, there can be room for some: zeros.
func heldAside(jobFile string) bool {
	text, _ := os.ReadFile(jobFile + ".unsaved")
	_, lines, _ := bytes.Cut(text, []byte("\n"))
	return len(lines) > 0 && lines[0] != 0
}
