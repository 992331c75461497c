package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
)

// history is the record of all runs, and what must be kept of it at any moment.
type history struct {
	input   []byte
	prompts []string
	edits   []*edit
	acks    []ack
	states  []state // after each transaction
	runs    map[string]span
	answer  map[int]string // by line
	done    map[int]int    // the first state in which a line has its answer
	wraps   int            // how often the write-ahead log was begun anew within a run
}

// span is where the edits of a run begin and end.
type span struct{ from, to int }

// ack: a power cut with that many edits behind it or more leaves at least states[state].
type ack struct{ at, state int }

type state struct {
	attempts map[int]int // by line
	done     int
}

func loadHistory(logs string) (*history, error) {
	h := &history{runs: map[string]span{}, answer: map[int]string{}, done: map[int]int{}}
	if err := h.readInput(filepath.Join(logs, "in.jsonl")); err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(logs, "log.*"))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(fastFolder(), "batch-history-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	m := newMirror(dir)
	defer m.close()
	for n := 1; n <= len(names); n++ {
		name, killed := fmt.Sprint("log.", n), false
		edits, err := readEdits(filepath.Join(logs, name))
		if errors.Is(err, fs.ErrNotExist) {
			killed = true
			edits, err = readEdits(filepath.Join(logs, name+".killed"))
		}
		if err != nil {
			return nil, err
		}
		h.runs[name] = span{len(h.edits), len(h.edits) + len(edits)}
		if err := h.add(m, edits, killed); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return h, nil
}

func (h *history) readInput(name string) (err error) {
	if h.input, err = os.ReadFile(name); err != nil {
		return err
	}
	for line := range bytes.Lines(h.input) {
		var row struct{ Prompt string }
		if err := json.Unmarshal(line, &row); err != nil {
			return err
		}
		h.prompts = append(h.prompts, row.Prompt)
	}
	return nil
}

// add follows a run and finds the moments at which it knew that a transaction was committed: when the sync behind it returned, or, should
// there be none, when it began to write the next one, or ended. That a transaction is committed, the header of its last frame in the
// write-ahead log says.
func (h *history) add(m *mirror, edits []*edit, killed bool) error {
	committed := false
	var last int64 // offset of the header that said so
	for i, e := range edits {
		header := e.kind == "write" && e.file == "wal" && (len(e.data) == 24 || e.offset == 0)
		if committed && header && (e.offset > last || e.offset == 0) {
			if err := h.acknowledge(m); err != nil {
				return err
			}
			committed = false
		}
		if header && e.offset == 0 && i > 0 && edits[i-1].kind != "create" {
			h.wraps++
		}
		if header && e.offset > 0 && !bytes.Equal(e.data[4:8], make([]byte, 4)) {
			committed, last = true, e.offset
		}
		if err := m.do(e); err != nil {
			return err
		}
		h.edits = append(h.edits, e)
		if e.kind == "sync" && e.file == "wal" && committed {
			if err := h.acknowledge(m); err != nil {
				return err
			}
			committed = false
		}
	}
	if committed && !killed {
		return h.acknowledge(m)
	}
	return nil
}

func (h *history) acknowledge(m *mirror) error {
	answers, attempts, err := readJobFile(m.jobFile, "mode=ro")
	if err != nil {
		return err
	}
	n := len(h.states)
	for line, answer := range answers {
		if before, known := h.answer[line]; !known {
			h.answer[line], h.done[line] = answer, n
		} else if before != answer {
			return fmt.Errorf("the answer to line %d changed", line)
		}
	}
	if len(answers) != len(h.answer) {
		return fmt.Errorf("%d lines have no answer any more", len(h.answer)-len(answers))
	}
	h.states = append(h.states, state{maps.Clone(attempts), len(answers)})
	h.acks = append(h.acks, ack{len(h.edits), n})
	return nil
}

// knownAt is the last state that was acknowledged when the log had this length, -1 if there was none.
func (h *history) knownAt(log string, length int64) int {
	at := h.runs[log].from
	for at < h.runs[log].to && h.edits[at].end <= length {
		at++
	}
	return h.acknowledged(at)
}

// acknowledged is the last state that a cut behind so many edits must leave, -1 if there is none.
func (h *history) acknowledged(at int) int {
	state := -1
	for _, a := range h.acks {
		if a.at > at {
			break
		}
		state = a.state
	}
	return state
}
