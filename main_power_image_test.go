package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"batch/runner/chat"
	"batch/store"
)

// lossError is of an image without answers that it must hold.
type lossError struct{ lost, known, first int }

func (e *lossError) Error() string {
	return fmt.Sprintf("%d of %d answers are lost, as that to line %d", e.lost, e.known, e.first)
}

// check opens an image as the next run would, and looks for what it must hold.
func (h *history) check(image map[string][]byte, at int, met *cutTally) error {
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
	known := h.acknowledged(at)
	met.add(died, known, h, answers)
	return h.compare(known, answers, attempts)
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
	if err == nil && wrong.Count > 0 {
		err = fmt.Errorf("verify: %q", wrong.Named)
	}
	return died, err
}

// compare: the image holds the last state that was known, or the one after it.
func (h *history) compare(known int, answers map[int]string, attempts map[int]int) error {
	for line, answer := range answers {
		if answer != h.answer[line] {
			return fmt.Errorf("line %d has the answer %q, and not %q", line, answer, h.answer[line])
		}
	}
	var lost []int
	for line, since := range h.done {
		if _, there := answers[line]; !there && since <= known {
			lost = append(lost, line)
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		return &lossError{len(lost), h.states[known].done, lost[0]}
	}
	var kept state
	if known >= 0 {
		kept = h.states[known]
	}
	if len(answers) == kept.done && maps.Equal(attempts, kept.attempts) {
		return nil
	}
	if next := known + 1; next < len(h.states) && len(answers) == h.states[next].done && maps.Equal(attempts, h.states[next].attempts) {
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

func (c *cutTally) add(died int64, known int, h *history, answers map[int]string) {
	c.images.Add(1)
	switch {
	case known < 0:
		c.unborn.Add(1)
	case len(answers) > h.states[known].done:
		c.more.Add(1)
	}
	if died > 0 {
		c.recovered.Add(1)
	}
}

// enough: images that do not meet what they are made for prove nothing.
func (c *cutTally) enough(t *testing.T) {
	n := c.images.Load()
	if n >= 50 && c.recovered.Load() == 0 || n >= 1000 && (c.unborn.Load() == 0 || c.more.Load() == 0) {
		t.Errorf("the moments of the power cuts are not of every kind: %s", c)
	}
}

func (c *cutTally) String() string {
	return fmt.Sprintf("%d images: %d with calls in flight, %d from before the first transaction, %d with more answers than were known",
		c.images.Load(), c.recovered.Load(), c.unborn.Load(), c.more.Load())
}
