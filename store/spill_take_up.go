package store

import (
	"context"
	"fmt"
	"path/filepath"
)

// takeUp saves what a run before set aside. What had been saved all the same, or is known otherwise by now, is told by the guards of each
// arrow: nothing is saved twice.
//
// No file is taken away before all is saved: a death in between leaves some outcomes in both, and none in neither.
func (s *Store) takeUp(ctx context.Context) error {
	from, err := s.spill.sources(ctx, s.conn)
	if err != nil {
		return err
	}
	var back []Outcome // of failures that can stand in another file
	var paths []string
	for _, src := range from {
		found, err := s.takeUpFrom(ctx, src, &back)
		if err != nil {
			return err
		}
		if found {
			paths = append(paths, src.path)
		}
	}
	if err := s.applyOneByOne(ctx, back); err != nil && !AlreadySaved(err) {
		return fmt.Errorf("take up what a stop takes back: %w", err)
	}
	for _, path := range paths {
		err := s.spill.disk.remove(path)
		if err == nil {
			// The id of an attempt that was handed back is given again. A power cut that brought the file back would let it speak of the new one.
			err = s.spill.disk.syncFolder(filepath.Dir(path))
		}
		if err != nil {
			return &Failure{"take up", err}
		}
	}
	return nil
}

// takeUpFrom saves the outcomes of one file, if there is one, but for those that have to wait for the others.
func (s *Store) takeUpFrom(ctx context.Context, src source, back *[]Outcome) (found bool, err error) {
	w, err := s.spill.find(src)
	if w == nil || err != nil {
		return false, err
	}
	defer w.close()
	for {
		o, err := w.next()
		if o == nil || err != nil {
			return true, err
		}
		if o.Arrow == TakeBack {
			*back = append(*back, *o)
			continue
		}
		if err := s.applyOneByOne(ctx, []Outcome{*o}); AlreadySaved(err) {
			continue
		} else if err != nil {
			return true, fmt.Errorf("take up %s: %w", src.path, err)
		}
		if o.Arrow == Complete {
			s.spill.taken++
		}
	}
}
