package input

import (
	"batch/runner/chat"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/parquet-go/parquet-go"
)

// rowWriter writes the rows of a Parquet file as JSON. A row comes as the values of each leaf, one after another, whose levels say
// which lists and optional groups they stand in.
type rowWriter struct {
	nodes  []*node
	values [][]parquet.Value // by leaf, of the row being written
	b      []byte
}

// node is a column or a group of columns.
type node struct {
	name     string
	key      []byte // as in "name":
	column   *parquet.Column
	first    int // of its leaves
	leaves   int
	def, rep int // the levels of what stands in it
	optional bool
	repeated bool
	list     *node // of a LIST group: what repeats
	bare     bool  // of what repeats in a LIST or MAP: its only field is the element
	isMap    bool  // of a MAP group with texts as keys, which is an object
	children []*node
	sparse   bool // a null is left out, wherever it stands: a request has no nulls
	text     bool // a number is written in quotes
	write    func(b []byte, v *parquet.Value) ([]byte, string)
}

// prepare looks at the columns. With data, rows are for a template, and no column is a request field.
func (w *rowWriter) prepare(root *parquet.Column, data bool) {
	next := 0
	for _, c := range root.Columns() {
		n := newNode(c, &next)
		name := c.Name()
		if name == "custom_id" || !data && (chat.IsRequestField(name) || slices.Contains(lineKeys, name)) {
			n.leaveNullsOut()
		}
		n.text = name == "custom_id"
		w.nodes = append(w.nodes, n)
	}
	w.values = make([][]parquet.Value, next)
}

func newNode(c *parquet.Column, next *int) *node {
	n := &node{name: c.Name(), column: c, first: *next, def: c.MaxDefinitionLevel(), rep: c.MaxRepetitionLevel(), optional: c.Optional(), repeated: c.Repeated()}
	n.key, _ = jsontext.AppendQuote(nil, n.name) // of a name that is no UTF-8, the rest
	n.key = append(n.key, ':')
	if c.Leaf() {
		*next++
		n.leaves = 1
		n.write = valueWriter(c.Type())
		return n
	}
	for _, child := range c.Columns() {
		n.children = append(n.children, newNode(child, next))
	}
	n.leaves = *next - n.first
	if len(n.children) == 1 && n.children[0].repeated {
		inner := n.children[0]
		switch kind := c.Type().String(); {
		case kind == "LIST":
			n.list = inner
			// The older form of a list repeats the element itself.
			inner.bare = len(inner.children) == 1 && inner.name != "array" && inner.name != n.name+"_tuple"
		case kind == "MAP" && len(inner.children) == 2:
			n.list = inner
			n.isMap = inner.children[0].write != nil && isText(inner.children[0].column.Type())
		}
	}
	return n
}

func (n *node) leaveNullsOut() {
	n.sparse = true
	for _, c := range n.children {
		c.leaveNullsOut()
	}
}

// write gives a row as a JSON object.
func (w *rowWriter) write(row parquet.Row) ([]byte, *LineError) {
	clear(w.values)
	for i := 0; i < len(row); {
		j, column := i+1, row[i].Column()
		for j < len(row) && row[j].Column() == column {
			j++
		}
		w.values[column] = row[i:j]
		i = j
	}
	if cap(w.b) > 4*bufferSize {
		w.b = nil // not to be held for the sake of one long row
	}
	w.b = append(w.b[:0], '{')
	if bad := w.fields(w.nodes); bad != nil {
		return nil, bad
	}
	w.b = append(w.b, '}')
	return w.b, nil
}

// fields writes members, without the braces.
func (w *rowWriter) fields(nodes []*node) *LineError {
	begin := len(w.b)
	for _, n := range nodes {
		if n.sparse && w.missing(n) {
			w.skip(n)
			continue
		}
		if len(w.b) > begin {
			w.b = append(w.b, ',')
		}
		w.b = append(w.b, n.key...)
		if bad := w.node(n); bad != nil {
			if bad.Field != "" {
				bad.Field = "." + bad.Field
			}
			bad.Field = shownKey(n.name) + bad.Field
			return bad
		}
	}
	return nil
}

// missing says that the next value of an optional node is null.
func (w *rowWriter) missing(n *node) bool {
	return n.optional && (len(w.values[n.first]) == 0 || w.values[n.first][0].DefinitionLevel() < n.def)
}

// skip leaves out the nulls that stand for a node which is not there.
func (w *rowWriter) skip(n *node) {
	for i := n.first; i < n.first+n.leaves; i++ {
		if len(w.values[i]) > 0 {
			w.values[i] = w.values[i][1:]
		}
	}
}

func (w *rowWriter) node(n *node) *LineError {
	switch {
	case n.leaves == 0:
		w.b = append(w.b, "{}"...)
		return nil
	case n.repeated:
		return w.repeat(n, '[', ']', w.once)
	case w.missing(n):
		w.skip(n)
		w.b = append(w.b, "null"...)
		return nil
	}
	return w.once(n)
}

// repeat writes what repeats, as an array or an object.
func (w *rowWriter) repeat(n *node, open, end byte, one func(*node) *LineError) *LineError {
	w.b = append(w.b, open)
	if values := w.values[n.first]; len(values) == 0 || values[0].DefinitionLevel() < n.def {
		w.skip(n)
	} else {
		for begun := false; !begun || len(w.values[n.first]) > 0 && w.values[n.first][0].RepetitionLevel() == n.rep; begun = true {
			if begun {
				w.b = append(w.b, ',')
			}
			if bad := one(n); bad != nil {
				return bad
			}
		}
	}
	w.b = append(w.b, end)
	return nil
}

// once writes a node that is there, one of it.
func (w *rowWriter) once(n *node) *LineError {
	switch {
	case n.write != nil:
		return w.leaf(n)
	case n.isMap:
		return w.repeat(n.list, '{', '}', w.entry)
	case n.list != nil:
		return w.repeat(n.list, '[', ']', w.once)
	case n.bare:
		return w.node(n.children[0])
	}
	w.b = append(w.b, '{')
	if bad := w.fields(n.children); bad != nil {
		return bad
	}
	w.b = append(w.b, '}')
	return nil
}

// entry writes a key of a map and its value.
func (w *rowWriter) entry(n *node) *LineError {
	if w.missing(n.children[0]) {
		return &LineError{Problem: "a key of a map is null"}
	}
	if bad := w.leaf(n.children[0]); bad != nil {
		return bad
	}
	w.b = append(w.b, ':')
	return w.node(n.children[1])
}

func (w *rowWriter) leaf(n *node) *LineError {
	if len(w.values[n.first]) == 0 {
		return &LineError{Problem: "has no value, though it must"}
	}
	v := &w.values[n.first][0]
	w.values[n.first] = w.values[n.first][1:]
	begin := len(w.b)
	b, problem := n.write(w.b, v)
	if problem != "" {
		return &LineError{Problem: problem}
	}
	if w.b = b; n.text && b[begin] != '"' {
		w.b = append(slices.Insert(b, begin, '"'), '"')
	}
	return nil
}
