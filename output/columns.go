package output

import "slices"

// A table has a column for each of the author's keys up to this many; the others share one, as JSON. A name longer
// than this many bytes is no column's name.
const (
	maxOwnColumns = 200
	maxNameBytes  = 256
)

// columns are those of a table: of CSV or Parquet. They are gathered from the records in a first pass, since the head or the schema of
// the file must name what the last row brings.
type columns struct {
	names []string
	at    map[string]int
	rest  int // the shared column, -1 without one

	fixed    []string
	types    map[string]valueType // of the columns of ours; one that is not here is text
	seen     map[string]bool      // columns of ours that not every row has
	own      []string
	overflow bool

	typed   bool // the file has types: take note of the values
	learned map[string]*learned
	turns   turnMembers
}

func newColumns(fixed []string) *columns { return typedColumns(fixed, nil) }

func typedColumns(fixed []string, types map[string]valueType) *columns {
	return &columns{fixed: fixed, types: types, seen: map[string]bool{}, learned: map[string]*learned{}, rest: -1,
		turns: turnMembers{names: []string{"role", "content"}}}
}

// add takes note of a record's columns.
func (c *columns) add(rec *record) error {
	var name []byte
	for i := range rec.fields {
		f := &rec.fields[i]
		if f.name != "" {
			c.seen[f.name] = true
			if c.typed {
				if err := c.learn(f.name, f.value); err != nil {
					return err
				}
			}
			continue
		}
		name = appendText(name[:0], f.key)
		l := c.learned[string(name)]
		switch {
		case l != nil:
		case len(name) > maxNameBytes || len(c.own) == maxOwnColumns:
			c.overflow = true
			continue
		default:
			l = &learned{}
			c.learned[string(name)] = l
			c.own = append(c.own, string(name))
		}
		if c.typed {
			l.add(f.value)
		}
	}
	return nil
}

// learn takes note of a value of a column of ours whose type only the rows know.
func (c *columns) learn(name string, value []byte) error {
	switch c.types[name] {
	case anyType:
		l := c.learned[name]
		if l == nil {
			l = &learned{}
			c.learned[name] = l
		}
		l.add(value)
	case turnsType:
		return c.turns.add(value)
	}
	return nil
}

// typeOf is the type of a settled column.
func (c *columns) typeOf(col int) valueType {
	name := c.names[col]
	t, ours := c.types[name]
	switch {
	case col == c.rest:
		return jsonType
	case ours && t != anyType:
		return t
	}
	if l := c.learned[name]; l != nil {
		return l.valueType()
	}
	return textType
}

// settle fixes the order: file, the columns that every row has, simulated, the author's own, choices, message.
func (c *columns) settle() {
	if c.names != nil { // the parts of a split share their columns
		return
	}
	var names []string
	optional := func(name string) {
		if c.seen[name] && !slices.Contains(c.fixed, name) {
			names = append(names, name)
		}
	}
	optional("file")
	names = append(names, c.fixed...)
	optional("tools")
	optional("functions")
	optional("parallel_tool_calls")
	optional("sample")
	optional("reused")
	optional("reused_tokens")
	optional("trimmed_turns")
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
	if f.name != "" {
		return c.at[f.name], true
	}
	*scratch = appendText((*scratch)[:0], f.key)
	col, ok := c.at[string(*scratch)]
	return col, ok
}
