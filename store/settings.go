package store

import (
	"context"
)

// Settings returns all that was kept under a name: fill-ins, shape, and whether the answers are made up.
func (s *Store) Settings(ctx context.Context) (map[string]string, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT name, value FROM settings WHERE name <> 'salt'")
	if err != nil {
		return nil, s.explain("read", err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, s.explain("read", err)
		}
		all[name] = value
	}
	return all, rows.Err()
}

// SetSettings keeps values under their names; an empty value forgets the name.
func (s *Store) SetSettings(ctx context.Context, values map[string]string) error {
	err := s.transact(ctx, func() error { return s.writeSettings(context.WithoutCancel(ctx), values) })
	if err != nil {
		return s.explain("write", err)
	}
	return nil
}

func (s *Store) writeSettings(ctx context.Context, values map[string]string) error {
	for name, value := range values {
		query, args := "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", []any{name, value}
		if value == "" {
			query, args = "DELETE FROM settings WHERE name = ?", []any{name}
		}
		if err := s.exec(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// Inputs returns the prompt files that were imported last.
func (s *Store) Inputs(ctx context.Context) ([]Input, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT path, place, sha256, size, rows FROM inputs ORDER BY number")
	if err != nil {
		return nil, s.explain("read", err)
	}
	defer rows.Close()
	var all []Input
	for rows.Next() {
		var in Input
		var sum []byte
		if err := rows.Scan(&in.Path, &in.Place, &sum, &in.Size, &in.Rows); err != nil {
			return nil, s.explain("read", err)
		}
		copy(in.SHA256[:], sum)
		all = append(all, in)
	}
	return all, rows.Err()
}

// Outputs returns the files that were written from this job file.
func (s *Store) Outputs(ctx context.Context) ([]Output, error) {
	rows, err := s.read.QueryContext(ctx, `
		SELECT path, kind, options, dev, inode, size, mtime_ns, prev_dev, prev_inode, prev_size, prev_mtime_ns
		FROM outputs ORDER BY path`)
	if err != nil {
		return nil, s.explain("read", err)
	}
	defer rows.Close()
	var all []Output
	for rows.Next() {
		var o Output
		var now, prev [2]int64 // SQLite's integers are signed
		if err := rows.Scan(&o.Path, &o.Kind, &o.Options, &now[0], &now[1], &o.Now.Size, &o.Now.MtimeNs,
			&prev[0], &prev[1], &o.Prev.Size, &o.Prev.MtimeNs); err != nil {
			return nil, s.explain("read", err)
		}
		o.Now.Dev, o.Now.Inode = uint64(now[0]), uint64(now[1])
		o.Prev.Dev, o.Prev.Inode = uint64(prev[0]), uint64(prev[1])
		all = append(all, o)
	}
	return all, rows.Err()
}

// RecordOutputs remembers files that are about to be put in place.
func (s *Store) RecordOutputs(ctx context.Context, outs ...Output) error {
	err := s.transact(ctx, func() error {
		for _, o := range outs {
			if err := s.exec(context.WithoutCancel(ctx), `
				INSERT OR REPLACE INTO outputs
				  (path, kind, options, dev, inode, size, mtime_ns, prev_dev, prev_inode, prev_size, prev_mtime_ns)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				o.Path, o.Kind, o.Options, int64(o.Now.Dev), int64(o.Now.Inode), o.Now.Size, o.Now.MtimeNs,
				int64(o.Prev.Dev), int64(o.Prev.Inode), o.Prev.Size, o.Prev.MtimeNs); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.explain("record outputs in", err)
	}
	return nil
}
