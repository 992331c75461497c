package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Waiting is a file in which outcomes wait for the next run to save them.
type Waiting struct {
	Path    string `json:"path"`
	Jobs    int64  `json:"jobs"`    // whose outcomes are in it
	Answers int64  `json:"answers"` // that are among them
}

// Waiting finds the outcomes of this job file that were set aside and not saved. While a run is on, they may be its own. A file that cannot
// be read is passed over: the next run says what is wrong with it.
func (s *Store) Waiting(ctx context.Context) ([]Waiting, error) {
	return s.waiting(ctx, func(*Outcome) {})
}

// Foresee is Waiting, after which this Store counts the jobs of the outcomes as they will be once the next run has saved these, and tells
// their calls from those of which nothing is known. Nothing is written.
func (s *Store) Foresee(ctx context.Context) ([]Waiting, error) {
	s.foreseen, s.waits = map[int64]State{}, map[int64]bool{}
	return s.waiting(ctx, func(o *Outcome) {
		if o.Arrow == TakeBack { // of a failure that was read before it, or comes after it
			s.foreseen[o.Job] = Pending
			return
		}
		s.waits[o.Job] = o.Arrow == Complete || o.Usage.Known || o.possiblyPaid() > 0
		switch {
		case o.Arrow == Complete:
			s.foreseen[o.Job] = Done
		case o.Arrow == Fail && s.foreseen[o.Job] != Pending:
			s.foreseen[o.Job] = Failed
		}
	})
}

// countedAs is the state in which a job is counted, as SQL.
func (s *Store) countedAs() string {
	jobs := map[State][]string{}
	for job, state := range s.foreseen {
		jobs[state] = append(jobs[state], strconv.FormatInt(job, 10))
	}
	text := "state"
	for state, ids := range jobs {
		text = fmt.Sprintf("iif(id IN (%s), '%s', %s)", strings.Join(ids, ", "), state, text)
	}
	return text
}

func (s *Store) waiting(ctx context.Context, each func(*Outcome)) ([]Waiting, error) {
	salt, err := readSalt(ctx, s.read)
	if err != nil {
		return nil, s.explain("read", err)
	}
	var all []Waiting
	found := map[int64]bool{} // attempts: an outcome can stand in both files
	a := newSpill(s.path, salt)
	from, err := a.sources(ctx, s.read)
	if err != nil {
		return nil, s.explain("read", err)
	}
	for _, src := range from {
		w, err := a.find(src)
		if w == nil || err != nil {
			continue
		}
		waits, err := s.waitingIn(ctx, w, found, each)
		w.close()
		if err != nil {
			return nil, s.explain("read", err)
		}
		if waits.Jobs > 0 {
			all = append(all, waits)
		}
	}
	return all, nil
}

func (s *Store) waitingIn(ctx context.Context, w *waiting, found map[int64]bool, each func(*Outcome)) (Waiting, error) {
	waits := Waiting{Path: w.path}
	for {
		o, err := w.next()
		if o == nil || err != nil {
			return waits, nil
		}
		var open, failed bool
		if err := s.read.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT 1 FROM attempts WHERE id = ?1 AND class IS NULL),
			  EXISTS (SELECT 1 FROM jobs WHERE id = ?2 AND attempt = ?1 AND state = 'failed')`, o.Attempt, o.Job).Scan(&open, &failed); err != nil {
			return waits, err
		}
		if o.Arrow == TakeBack {
			if open || failed { // what it takes back counts, where that waits too
				each(o)
			}
			continue
		}
		if !open || found[o.Attempt] {
			continue
		}
		found[o.Attempt] = true
		waits.Jobs++
		if o.Arrow == Complete {
			waits.Answers++
		}
		each(o)
	}
}
