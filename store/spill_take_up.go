package store

import (
	"context"
	"fmt"
	"path/filepath"
)

// takeUp saves what a run before set aside. What had been saved all the same, or is known otherwise by now, is told by the guards of each
// arrow: nothing is saved twice.
func (s *Store) takeUp(ctx context.Context) error {
	from, err := s.spill.sources(ctx, s.conn)
	if err != nil {
		return err
	}
	for _, src := range from {
		if err := s.takeUpFrom(ctx, src); err != nil {
			return err
		}
	}
	return nil
}

// takeUpFrom saves the outcomes of one file before it takes that away: a death in between leaves some of them in both, and none in neither.
func (s *Store) takeUpFrom(ctx context.Context, src source) error {
	path := src.path
	w, err := s.spill.find(src)
	if w == nil || err != nil {
		return err
	}
	defer w.close()
	for {
		o, err := w.next()
		if err != nil {
			return err
		}
		if o == nil {
			break
		}
		if err := s.applyOneByOne(ctx, []Outcome{*o}); AlreadySaved(err) {
			continue
		} else if err != nil {
			return fmt.Errorf("take up %s: %w", path, err)
		}
		if o.Arrow == Complete {
			s.spill.taken++
		}
	}
	err = s.spill.disk.remove(path)
	if err == nil {
		// The id of an attempt that was handed back is given again. A power cut that brought the file back would let it speak of the new one.
		err = s.spill.disk.syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return &Failure{"take up", err}
	}
	return nil
}
