package main

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	simSeeds = flag.Int("sim-seeds", 2000, "how many seeds TestSimulation runs")
	simFrom  = flag.Uint64("sim-from", 1, "the first of them")
	simSeed  = flag.Uint64("sim-seed", 0, "run this seed of TestSimulation alone, to replay it")
)

// TestSimulation is the whole program but main, in a bubble whose time is virtual, with a network of pipes and the real SQLite. A seed chooses
// prompts, flags and a handful of faults: of the API, of the network, of the user, and deaths of the process. Every run has to end, and
// after each what the API saw, the input, the outputs and the job file have to agree. Then all is made well, and the same command, repeated,
// has to answer everything.
//
//	go test -run 'TestSimulation$' . -sim-seeds 100000      more of them; from 20,000 on with a longer -timeout
//	go test -run 'TestSimulation$' . -sim-seed 7            one seed again; the draws are the same, the order of goroutines varies
func TestSimulation(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	var sum simTally
	if *simSeed != 0 {
		simulateSeed(t, *simSeed, &sum)
		return
	}
	for i := range *simSeeds {
		simulateSeed(t, *simFrom+uint64(i), &sum)
	}
	t.Logf("%s in %s", &sum, time.Since(begun).Round(time.Second))
}

// simTally is what the seeds came to.
type simTally struct {
	mu                                       sync.Mutex
	seeds, runs, deaths, stops, calls, lines int
	virtual                                  time.Duration
}

func (s *simTally) String() string {
	return fmt.Sprintf("%d seeds: %d runs, %d of which died and %d were stopped, %d prompts, %d calls, %s of virtual time",
		s.seeds, s.runs, s.deaths, s.stops, s.lines, s.calls, s.virtual.Round(time.Hour))
}

// simulateSeed runs one seed.
func simulateSeed(t *testing.T, seed uint64, sum *simTally) {
	t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Logf("to run it again: go test -run 'TestSimulation$' . -sim-seed %d", seed)
			}
		}()
		simulated(t, seed, nil, func(s *simulation) {
			s.play()
			sum.add(s)
		})
	})
}

// simulated tells a story in a bubble, with a plan or one that is drawn.
func simulated(t *testing.T, seed uint64, plan *simPlan, story func(*simulation)) {
	dir, err := os.MkdirTemp(simFolder(), "batch-sim-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, seed, dir, plan)
		defer s.close()
		story(s)
	})
}

func (sum *simTally) add(s *simulation) {
	sum.mu.Lock()
	defer sum.mu.Unlock()
	sum.seeds++
	sum.runs += s.runs
	sum.deaths += s.deaths
	sum.stops += s.stops
	sum.calls += len(s.api.calls)
	sum.lines += len(s.lines)
	sum.virtual += time.Since(s.begun)
}

// simFolder is one in memory where there is one: what a power cut leaves of a file is not what is simulated here.
func simFolder() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}
