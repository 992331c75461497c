package output

import "slices"

// A table has a column for each of the author's keys up to this many; the others share one, as JSON. A name longer
// than this many bytes is no column's name.
const (
	maxOwnColumns = 200
	maxNameBytes  = 256
)

// columns are those of a CSV file. They are gathered from the records in a first pass, since the first line of the file
// must name what the last row brings.
type columns struct {
	names []string
	at    map[string]int
	rest  int // the shared column, -1 without one

	fixed    []string
	seen     map[string]bool // columns of ours that not every row has
	own      []string
	ownSeen  map[string]bool
	overflow bool
}

func newColumns(fixed []string) *columns {
	return &columns{fixed: fixed, seen: map[string]bool{}, ownSeen: map[string]bool{}, rest: -1}
}

// add takes note of a record's columns.
func (c *columns) add(rec *record) {
	var name []byte
	for i := range rec.fields {
		f := &rec.fields[i]
		if f.key == nil {
			c.seen[f.name] = true
			continue
		}
		name = appendText(name[:0], f.key)
		switch {
		case c.ownSeen[string(name)]:
		case len(name) > maxNameBytes || len(c.own) == maxOwnColumns:
			c.overflow = true
		default:
			c.ownSeen[string(name)] = true
			c.own = append(c.own, string(name))
		}
	}
}

// settle fixes the order: file, the columns that every row has, simulated, the author's own, choices, message.
func (c *columns) settle() {
	var names []string
	optional := func(name string) {
		if c.seen[name] && !slices.Contains(c.fixed, name) {
			names = append(names, name)
		}
	}
	optional("file")
	names = append(names, c.fixed...)
	optional("simulated")
	names = append(names, c.own...)
	if c.overflow {
		shared := "carried"
		for slices.Contains(names, shared) {
			shared = "input_" + shared
		}
		c.rest = len(names)
		names = append(names, shared)
	}
	optional("choices")
	optional("message")
	c.names = names
	c.at = make(map[string]int, len(names))
	for i, name := range names {
		if i != c.rest {
			c.at[name] = i
		}
	}
}

// of finds the column of a field; false means the shared one. scratch holds a decoded name between calls.
func (c *columns) of(f *field, scratch *[]byte) (int, bool) {
	if f.key == nil {
		return c.at[f.name], true
	}
	*scratch = appendText((*scratch)[:0], f.key)
	col, ok := c.at[string(*scratch)]
	return col, ok
}
