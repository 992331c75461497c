package store

import (
	"context"
	"fmt"
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
	s.foreseen, s.waits = map[State][]int64{}, map[int64]bool{}
	return s.waiting(ctx, func(o *Outcome) {
		s.waits[o.Job] = true
		switch o.Arrow {
		case Complete:
			s.foreseen[Done] = append(s.foreseen[Done], o.Job)
		case Fail:
			s.foreseen[Failed] = append(s.foreseen[Failed], o.Job)
		}
	})
}

// countedAs is the state in which a job is counted, as SQL.
func (s *Store) countedAs() string {
	text := "state"
	for state, jobs := range s.foreseen {
		ids := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(jobs), "[]")), ", ")
		text = fmt.Sprintf("iif(id IN (%s), '%s', %s)", ids, state, text)
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
		var open bool
		if err := s.read.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM attempts WHERE id = ? AND class IS NULL)", o.Attempt).Scan(&open); err != nil {
			return waits, err
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
