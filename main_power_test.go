package main

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	images    = flag.Int("images", 2000, "how many power cuts TestS1 makes up")
	imageSeed = flag.Uint64("image-seed", 0, "make up this one of TestS1 alone, to replay it with -image-logs")
	imageLogs = flag.String("image-logs", "", "folder with a record that a failed TestS1 left, to be used instead of a new one")
)

const (
	goOnEvery = 100
	powerSeed = 1
)

// TestS1_PowerCut records what a real batch writes, run after run, and makes up what a power cut at any moment of that may leave on
// the disk. Of every such image, all must be left that the process knew to be saved, byte for byte, and of the transaction that
// was going on all or nothing. Every hundredth image is gone on with to the end.
//
//	go test -run TestS1_PowerCut . -images 50000 -timeout 2h
func TestS1_PowerCut(t *testing.T) {
	t.Parallel()
	binary := buildBatch(t)
	for _, test := range []struct {
		name            string
		prompts, weight int
		images          int
	}{
		{"small", 320, 0, *images * 19 / 20},
		{"checkpoints within a run", 240, 4000, *images / 20}, // as it has more than 4000 pages to write
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			logs := *imageLogs
			if logs == "" {
				logs = record(t, binary, powerSeed, test.prompts, test.weight).logs
			}
			h, err := loadHistory(logs)
			if err != nil {
				t.Fatal(err)
			}
			seeds := make([]uint64, max(test.images, 1))
			for i := range seeds {
				seeds[i] = uint64(i + 1)
			}
			if *imageSeed != 0 {
				seeds = []uint64{*imageSeed}
			}
			var met cutTally
			h.cutAll(seeds, func(seed uint64, at int, image map[string][]byte) {
				if err := h.check(image, at, &met); err != nil {
					t.Errorf("image %d, cut before edit %d: %v", seed, at, err)
				}
				if seed%goOnEvery == 0 {
					t.Run(fmt.Sprint("image=", seed), func(t *testing.T) { h.goOn(t, binary, image, at) })
				}
			})
			t.Logf("%d edits, %d transactions, %d answers, the log wrapped %d times; %s", len(h.edits), len(h.states), len(h.answer), h.wraps, &met)
			if test.weight > 0 && h.wraps == 0 {
				t.Error("no checkpoint ended within a run")
			}
			if *imageSeed == 0 {
				met.enough(t)
			}
			if t.Failed() {
				keepLogs(t, logs)
			}
		})
	}
}

// A test that cannot see what is lost proves nothing: without the syncs that batch makes, images have lost answers that have lost nothing with
// them.
func TestS1_PowerCutIsSeen(t *testing.T) {
	t.Parallel()
	logs := record(t, buildBatch(t), 2, 120, 0).logs
	for _, test := range []struct {
		name  string
		lost  func(*edit) bool
		least int64 // of 20 images
	}{
		{"all syncs", func(e *edit) bool { return false }, 0},
		{"no sync at all", func(e *edit) bool { return e.kind == "sync" }, 5},
		{"no sync of the log", func(e *edit) bool { return e.kind == "sync" && e.file == "wal" }, 5},
		{"no sync of the folder", func(e *edit) bool { return e.kind == "sync" && e.file == "dir" }, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, err := loadHistory(logs)
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range h.edits {
				if test.lost(e) {
					h.edits[i] = &edit{kind: "nothing"}
				}
			}
			var seen atomic.Int64
			h.cutAll([]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, func(_ uint64, at int, image map[string][]byte) {
				err := h.check(image, at, &cutTally{})
				if errors.As(err, new(*lossError)) {
					seen.Add(1)
				}
				if err != nil && test.least == 0 {
					t.Error(err)
				}
			})
			if seen.Load() < test.least {
				t.Errorf("%d of 20 images are seen to have lost answers", seen.Load())
			}
		})
	}
}

func keepLogs(t *testing.T, logs string) {
	kept, err := os.MkdirTemp("", "batch-power-")
	if err == nil {
		err = os.CopyFS(kept, os.DirFS(logs))
	}
	t.Logf("to see an image again: go test -run '%s$' . -image-logs %s -image-seed N (%v)", t.Name(), kept, err)
}

// fastFolder is where files are that need to outlive nothing.
func fastFolder() string {
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err == nil && info.IsDir() {
		return shared
	}
	return ""
}

// cutAll makes up the image of each seed and hands it to look, in several goroutines.
func (h *history) cutAll(seeds []uint64, look func(seed uint64, at int, image map[string][]byte)) {
	type cut struct {
		seed uint64
		at   int
		r    *rand.Rand
	}
	var cuts []cut
	for _, seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 0))
		cuts = append(cuts, cut{seed, h.moment(r), r})
	}
	slices.SortStableFunc(cuts, func(a, b cut) int { return a.at - b.at })
	var g sync.WaitGroup
	defer g.Wait()
	share := len(cuts)/runtime.GOMAXPROCS(0) + 1
	for mine := range slices.Chunk(cuts, share) {
		g.Go(func() {
			d, at := newDisk(), 0
			for _, c := range mine {
				for ; at < c.at; at++ {
					d.do(h.edits[at])
				}
				look(c.seed, c.at, d.cut(c.r))
			}
		})
	}
}

// moment is the number of edits before the power cut: any, or just the end of a transaction, or the last before a sync.
func (h *history) moment(r *rand.Rand) int {
	at := r.IntN(len(h.edits) + 1)
	switch r.IntN(3) {
	case 0:
		return h.acks[r.IntN(len(h.acks))].at
	case 1:
		for at < len(h.edits) && h.edits[at].kind != "sync" {
			at++
		}
	}
	return at
}

// goOn lets batch go on with an image, to the end: it sends nothing again whose answer was known to be saved.
func (h *history) goOn(t *testing.T, binary string, image map[string][]byte, at int) {
	v := newVictimOf(t, binary, powerSeed, newWire(t, powerSeed))
	v.prompts, v.flags = h.prompts, []string{"--concurrency", "8"}
	known := h.acknowledged(at)
	for line, answer := range h.answer {
		if h.done[line] <= known {
			v.saved[line] = answer
		}
	}
	err := os.WriteFile(v.path("in.jsonl"), h.input, 0o600)
	if err == nil {
		err = writeImage(image, v.jobFile())
	}
	if err != nil {
		t.Fatal(err)
	}
	v.child++
	v.exits(exitOK, v.runArgs(0)...)
	v.recallBodies()
	v.look(false)
	calls := v.wire.log()
	for line := range h.answer {
		if h.done[line] <= known && len(calls[h.prompts[line-1]]) > 0 {
			t.Errorf("line %d was sent again", line)
		}
	}
	v.lookAtResults(true)
	v.checkAll(false, true)
	v.exits(exitOK, "verify", filepath.Base(v.jobFile()))
}

// recallBodies tells the wire of the requests that went out before it was there.
func (v *victim) recallBodies() {
	db, err := sql.Open("sqlite3", v.jobFile())
	if err != nil {
		v.t.Fatal(err)
	}
	defer db.Close()
	err = query(db, "SELECT line, body FROM jobs", func(_ int, body []byte) {
		v.wire.bodies[promptOf(body)] = body
	})
	if err != nil {
		v.t.Fatal(err)
	}
}
