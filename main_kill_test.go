package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	kills    = flag.Int("kills", 200, "how many times TestKill kills batch")
	killSeed = flag.Uint64("kill-seed", 0, "run this seed of TestKill alone, to replay it")
)

const (
	killsPerSeed = 20
	killPatience = 2 * time.Minute // with a child that does nothing: it fails the test, whatever else the machine does
	killKey      = "ask_kill_canary_6f1d"
)

// TestKill kills a real batch, as kill -9 does, at moments drawn from a seed: while it imports, claims, calls, saves, writes its
// files, and while it recovers from the kill before. Every kill, and then the whole, is held against what the server saw.
//
//	go test -run TestKill . -kills 2000       more of them; from 2,500 on with a longer -timeout
//	go test -run TestKill . -kill-seed 7      one seed again; the moments are the same, what they hit varies
func TestKill(t *testing.T) {
	t.Parallel()
	binary := buildBatch(t)
	sum := killTally{phases: map[string]int{}}
	seeds := []uint64{*killSeed}
	if *killSeed == 0 {
		seeds = seeds[:0]
		for n := 0; n < max(*kills, 1); n += killsPerSeed {
			seeds = append(seeds, uint64(len(seeds)+1))
		}
	}
	t.Run("at", func(t *testing.T) { // it ends when all of them have
		test := func(name string, seed uint64, kill func(*victim)) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				v := newVictim(t, binary, seed)
				kill(v)
				v.finish()
				sum.add(&v.tally)
			})
		}
		test("recovery", seeds[0], func(v *victim) { v.killRecoveries(5, 5) })
		for _, seed := range seeds {
			test(fmt.Sprint("seed=", seed), seed, func(v *victim) { v.killAtRandom(killsPerSeed) })
		}
	})
	sum.report(t)
	if sum.kills >= 200 && !t.Failed() {
		sum.checkPhases(t)
	}
}

// victim is a job file whose runs are killed.
type victim struct {
	t      *testing.T
	seed   uint64
	binary string
	dir    string
	wire   *wire
	flags  []string
	env    []string                             // of its children, beside the usual
	weight int                                  // of every prompt, in words more
	untold bool                                 // some answers come without their usage
	ask    func(args ...string) ([]byte, error) // by which the oracle hears what batch tells

	prompts  []string
	child    int
	lastRun  int64                 // in the job file
	before   traces                // when the child started
	calls    map[string][]wireCall // of the child, by prompt, just before it was killed
	saved    map[int]string        // every answer that was seen in the job file, by line
	expected map[int]*wireAnswer   // by line
	tally    killTally
}

func newVictim(t *testing.T, binary string, seed uint64) *victim {
	return newVictimOf(t, binary, seed, newWire(t, seed))
}

func newVictimOf(t *testing.T, binary string, seed uint64, w *wire) *victim {
	v := &victim{t: t, seed: seed, binary: binary, dir: t.TempDir(), wire: w, ask: ask,
		saved: map[int]string{}, expected: map[int]*wireAnswer{}}
	v.tally.phases = map[string]int{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to run it again: go test -run '%s$' . -kill-seed %d", t.Name(), seed)
		}
	})
	r := v.random()
	v.flags = []string{"--concurrency", fmt.Sprint([]int{1, 4, 8, 16, 24}[r.IntN(5)])}
	if r.IntN(3) == 0 {
		v.flags = append(v.flags, "--stream")
	}
	v.grow(400+r.IntN(1200), r)
	return v
}

// random draws for the present child. What one child draws does not depend on how far the one before got.
func (v *victim) random() *rand.Rand { return rand.New(rand.NewPCG(v.seed, uint64(v.child))) }

func (v *victim) path(name string) string { return filepath.Join(v.dir, name) }
func (v *victim) jobFile() string         { return v.path("in" + simulatedSuffix) }
func (v *victim) results() string         { return v.path("in.simulated.results.jsonl") }

// grow adds prompts to the input and may spell all of it otherwise, which changes no request. Some prompts have a custom_id, and all
// of them what a file format may trip over.
func (v *victim) grow(n int, r *rand.Rand) {
	city := []string{"東京", `\u6771\u4eac`}[r.IntN(2)]
	for range n {
		i := len(v.prompts) + 1
		v.prompts = append(v.prompts, fmt.Sprintf("seed %d, prompt %d:%s \"naïve\" 東京 \u2028 end", v.seed, i, strings.Repeat(" and so on", i%40+v.weight)))
	}
	var text bytes.Buffer
	for i, prompt := range v.prompts {
		line := map[string]any{"prompt": prompt, "model": "practice", "max_tokens": 5 + i%60}
		if id, has := customID(i + 1); has {
			line["custom_id"] = id
		}
		if err := json.NewEncoder(&text).Encode(line); err != nil {
			v.t.Fatal(err)
		}
	}
	if err := os.WriteFile(v.path("in.jsonl"), bytes.ReplaceAll(text.Bytes(), []byte("東京"), []byte(city)), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// customID is the one that a line of the input has.
func customID(line int) (id string, has bool) { return fmt.Sprint("id-", line), line%3 == 0 }

// killAtRandom kills n times: first while the job file is made and filled, then at any moment. Runs that end before theirs do not
// count.
func (v *victim) killAtRandom(n int) {
	for v.tally.kills < n {
		if v.child > 10*n {
			v.t.Fatalf("%d runs, and only %d of them could be killed", v.child, v.tally.kills)
		}
		v.child++
		r := v.random()
		early := v.tally.kills < 5
		if v.child > 1 && (early || r.IntN(6) == 0 || len(v.prompts)-len(v.saved) < 100) {
			v.grow(50+r.IntN(150), r)
		}
		switch {
		case v.child == 1:
			v.run(moment{first: created, then: within(r, 4)})
		case early:
			v.run(drawEarly(r))
		default:
			v.run(draw(r))
		}
	}
}

// killRecoveries kills a run with calls in flight, and then the runs that have to put that right: so often, so many in a row.
func (v *victim) killRecoveries(times, row int) {
	for range times {
		before := v.tally.kills
		v.child++
		v.run(moment{first: asked, call: 20})
		if v.tally.kills == before {
			v.t.Fatal("the run ended before its calls came")
		}
		for range row {
			v.child++
			v.run(moment{first: locked, then: within(v.random(), 8)})
		}
		v.grow(100, v.random())
	}
}

// killTally counts what the kills met.
type killTally struct {
	mu                          sync.Mutex
	kills, calls, lost, repeats int
	phases                      map[string]int
}

func (k *killTally) add(o *killTally) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kills += o.kills
	k.calls += o.calls
	k.lost += o.lost
	k.repeats += o.repeats
	for phase, n := range o.phases {
		k.phases[phase] += n
	}
}

func (k *killTally) report(t *testing.T) {
	t.Logf("%d kills, %d calls; %d attempts were open at a kill; %d calls of those the server had answered, and they were repeated", k.kills, k.calls, k.lost, k.repeats)
	for _, phase := range slices.Sorted(maps.Keys(k.phases)) {
		t.Logf("%5d times %s", k.phases[phase], phase)
	}
}

// checkPhases: a test that no longer meets what it is made for proves nothing.
func (k *killTally) checkPhases(t *testing.T) {
	k.phases[firstImport] += k.phases[makingJobFile] + k.phases[furtherImport]
	for name, phase := range map[string]string{"P1_import": firstImport, "P2_claimed": claimedUnsent, "P3_on_the_wire": onWire,
		"P4_before_the_commit": answeredUnsaved, "P5_after_the_commit": afterSaving, "P6_export": writingFiles, "P7_checkpoint": checkpointing, "P8_recovery": inRecovery} {
		t.Run(name, func(t *testing.T) {
			if k.phases[phase] == 0 {
				t.Errorf("no kill met this: %s", phase)
			}
		})
	}
}
