package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"batch/runner/chat"
	"batch/store"
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
	if testing.Short() {
		t.Skip("makes up some thousand images")
	}
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
			s, err := loadHistory(logs)
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
			s.cutAll(seeds, func(seed uint64, at int, image map[string][]byte) {
				if err := s.check(image, at, &met); err != nil {
					t.Errorf("image %d, cut before edit %d: %v", seed, at, err)
				}
				if seed%goOnEvery == 0 {
					t.Run(fmt.Sprint("image=", seed), func(t *testing.T) { s.goOn(t, binary, image, at) })
				}
			})
			t.Logf("%d edits, %d transactions, %d answers, the log wrapped %d times; %s", len(s.edits), len(s.states), len(s.answer), s.wraps, &met)
			if test.weight > 0 && s.wraps == 0 {
				t.Error("no checkpoint ended within a run")
			}
			if t.Failed() {
				keepLogs(t, logs)
			}
		})
	}
}

// A test that cannot see what is lost proves nothing: without the syncs that batch makes, the same images have lost answers.
func TestS1_PowerCutIsSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("records some runs")
	}
	t.Parallel()
	logs := record(t, buildBatch(t), 2, 120, 0).logs
	for name, lost := range map[string]func(*edit) bool{
		"no sync at all":        func(e *edit) bool { return e.kind == "sync" },
		"no sync of the log":    func(e *edit) bool { return e.kind == "sync" && e.file == "wal" },
		"no sync of the folder": func(e *edit) bool { return e.kind == "sync" && e.file == "dir" },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := loadHistory(logs)
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range s.edits {
				if lost(e) {
					s.edits[i] = &edit{kind: "nothing"}
				}
			}
			var seen atomic.Int64
			s.cutAll([]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, func(_ uint64, at int, image map[string][]byte) {
				if s.check(image, at, &cutTally{}) != nil {
					seen.Add(1)
				}
			})
			if seen.Load() < 5 {
				t.Errorf("%d of 20 images are seen to have lost something", seen.Load())
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
func (s *history) cutAll(seeds []uint64, look func(seed uint64, at int, image map[string][]byte)) {
	type cut struct {
		seed uint64
		at   int
		r    *rand.Rand
	}
	var cuts []cut
	for _, seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 0))
		cuts = append(cuts, cut{seed, s.moment(r), r})
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
					d.do(s.edits[at])
				}
				look(c.seed, c.at, d.cut(c.r))
			}
		})
	}
}

// moment is the number of edits before the power cut: any, or just the end of a transaction, or the last before a sync.
func (s *history) moment(r *rand.Rand) int {
	at := r.IntN(len(s.edits) + 1)
	switch r.IntN(3) {
	case 0:
		return s.acks[r.IntN(len(s.acks))].at
	case 1:
		for at < len(s.edits) && s.edits[at].kind != "sync" {
			at++
		}
	}
	return at
}

// check opens an image as the next run would, and looks for what it must hold.
func (s *history) check(image map[string][]byte, at int, met *cutTally) error {
	dir, err := os.MkdirTemp(fastFolder(), "batch-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	jobFile := filepath.Join(dir, "job.db")
	if err := writeImage(image, jobFile); err != nil {
		return err
	}
	died, err := recoverImage(jobFile)
	if err != nil {
		return err
	}
	answers, attempts, err := readJobFile(jobFile, "mode=rw")
	if err != nil {
		return err
	}
	known := s.acknowledged(at)
	met.add(died, known, s, answers)
	return s.compare(known, answers, attempts)
}

func recoverImage(jobFile string) (died int64, err error) {
	ctx := context.Background()
	st, err := store.Open(ctx, jobFile, true)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if died, err = st.Recover(ctx); err != nil {
		return 0, err
	}
	v, err := st.View(ctx)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	wrong, err := v.Verify(ctx, chat.Key)
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("verify: %q", wrong)
	}
	return died, err
}

// goOn lets batch go on with an image, to the end: it sends nothing again whose answer was known to be saved.
func (s *history) goOn(t *testing.T, binary string, image map[string][]byte, at int) {
	v := newVictimOf(t, binary, powerSeed, newWire(t, powerSeed))
	v.prompts, v.flags = s.prompts, []string{"--concurrency", "8"}
	known := s.acknowledged(at)
	for line, answer := range s.answer {
		if s.done[line] <= known {
			v.saved[line] = answer
		}
	}
	err := os.WriteFile(v.path("in.jsonl"), s.input, 0o600)
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
	for line := range s.answer {
		if s.done[line] <= known && len(calls[s.prompts[line-1]]) > 0 {
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

// compare: the image holds the last state that was known, or the one after it.
func (s *history) compare(known int, answers map[int]string, attempts map[int]int) error {
	for line, answer := range answers {
		if answer != s.answer[line] {
			return fmt.Errorf("line %d has the answer %q, and not %q", line, answer, s.answer[line])
		}
	}
	var lost []int
	for line, since := range s.done {
		if _, there := answers[line]; !there && since <= known {
			lost = append(lost, line)
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		return fmt.Errorf("%d of %d answers are lost, as that to line %d", len(lost), s.states[known].done, lost[0])
	}
	var kept state
	if known >= 0 {
		kept = s.states[known]
	}
	if len(answers) == kept.done && maps.Equal(attempts, kept.attempts) {
		return nil
	}
	if next := known + 1; next < len(s.states) && len(answers) == s.states[next].done && maps.Equal(attempts, s.states[next].attempts) {
		return nil
	}
	return fmt.Errorf("%d answers and %d lines with attempts are neither what was known, %d and %d, nor what came next", len(answers), len(attempts), kept.done, len(kept.attempts))
}

// readJobFile reads the answers and the number of attempts by line, not through package store. Before the tables are there,
// there are none.
func readJobFile(jobFile, mode string) (answers map[int]string, attempts map[int]int, err error) {
	db, err := sql.Open("sqlite3", "file:"+jobFile+"?"+mode)
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	answers, attempts = map[int]string{}, map[int]int{}
	err = query(db, "SELECT j.line, w.response FROM answers w JOIN jobs j ON j.id = w.job WHERE j.state = 'done'", func(line int, response string) { answers[line] = response })
	if err == nil {
		err = query(db, "SELECT line, attempts FROM jobs WHERE attempts > 0", func(line, n int) { attempts[line] = n })
	}
	if err != nil && strings.Contains(err.Error(), "no such table") {
		err = nil
	}
	return answers, attempts, err
}

// cutTally counts what the images met.
type cutTally struct {
	images, recovered, unborn, more atomic.Int64
}

func (c *cutTally) add(died int64, known int, s *history, answers map[int]string) {
	c.images.Add(1)
	switch {
	case known < 0:
		c.unborn.Add(1)
	case len(answers) > s.states[known].done:
		c.more.Add(1)
	}
	if died > 0 {
		c.recovered.Add(1)
	}
}

func (c *cutTally) String() string {
	return fmt.Sprintf("%d images: %d with calls in flight, %d from before the first transaction, %d with more answers than were known",
		c.images.Load(), c.recovered.Load(), c.unborn.Load(), c.more.Load())
}
