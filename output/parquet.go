package output

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// parquetEncoder writes a Parquet file. Its columns and their types must be known before the first row. The order of rows and columns
// is that of the records; what has been gathered is written out as a row group after so many bytes or rows, so that the memory stays
// what it is, however many rows come.
type parquetEncoder struct {
	w    *parquet.GenericWriter[any]
	cols *columns

	values [][]byte // of the row, by column
	name   []byte
	rest   []byte
	row    parquet.Row
	text   []byte
	turns  [][][]byte // of a conversation: message, member

	bytes, rows int
	most        int // bytes of a group
}

const (
	groupBytes = 32 << 20 // of all files that are written side by side
	groupRows  = 100_000
)

// fewValued are columns whose values come again and again: a dictionary makes them small.
var fewValued = set([]string{"file", "finish_reason", "requested_model", "model", "usage_source", "type", "code", "endpoint", "role"})

// newParquet begins a file, one of so many that are written side by side.
func newParquet(w io.Writer, cols *columns, files int) *parquetEncoder {
	root := &group{}
	var noBounds [][]string
	for i, name := range cols.names {
		root.add(name, cols.node(i))
		// The bounds of a text would be the whole text, in the foot of the file.
		switch cols.typeOf(i) &^ never {
		case textType, jsonType:
			noBounds = append(noBounds, []string{name})
		case turnsType:
			for _, member := range cols.turns.names {
				noBounds = append(noBounds, []string{name, "list", "element", member})
			}
		}
	}
	options := []parquet.WriterOption{parquet.NewSchema("row", root), parquet.Compression(&parquet.Zstd),
		parquet.CreatedBy("batch", "1", "parquet-go"), parquet.DataPageStatistics(false)}
	for _, path := range noBounds {
		options = append(options, parquet.SkipPageBounds(path...))
	}
	return &parquetEncoder{w: parquet.NewGenericWriter[any](w, options...), cols: cols, values: make([][]byte, len(cols.names)), most: groupBytes / files}
}

// node is how a column stands in the schema.
func (c *columns) node(col int) parquet.Node {
	t := c.typeOf(col)
	if t == turnsType {
		turn := &group{}
		for _, name := range c.turns.names {
			turn.add(name, parquet.Optional(text(name)))
		}
		return parquet.List(turn)
	}
	var n parquet.Node
	switch t &^ never {
	case intType:
		n = parquet.Int(64)
	case doubleType:
		n = parquet.Leaf(parquet.DoubleType)
	case boolType:
		n = parquet.Leaf(parquet.BooleanType)
	default:
		n = text(c.names[col])
	}
	if t&never != 0 {
		return n
	}
	return parquet.Optional(n)
}

func text(name string) parquet.Node {
	if fewValued[name] {
		return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	}
	return parquet.String()
}

func (e *parquetEncoder) encode(rec *record) error {
	clear(e.values)
	e.rest, e.row, e.text = e.rest[:0], e.row[:0], e.text[:0]
	for i := range rec.fields {
		f := &rec.fields[i]
		col, ok := e.cols.of(f, &e.name)
		if !ok {
			e.rest = append(append(append(append(e.rest, ','), f.key...), ':'), f.value...)
			continue
		}
		e.values[col] = f.value
	}
	if len(e.rest) > 0 {
		e.rest[0] = '{'
		e.rest = append(e.rest, '}')
		e.values[e.cols.rest] = e.rest
	}
	leaf, size := 0, 0
	for col, v := range e.values {
		t := e.cols.typeOf(col)
		if size += len(v); t == turnsType {
			if err := e.conversation(v, leaf); err != nil {
				return err
			}
			leaf += len(e.cols.turns.names)
			continue
		}
		value, err := e.value(v, t)
		if err != nil {
			return fmt.Errorf("column %s: %w", Printable(e.cols.names[col]), err)
		}
		level := 1
		if value.IsNull() || t&never != 0 {
			level = 0
		}
		e.row = append(e.row, value.Level(0, level, leaf))
		leaf++
	}
	if _, err := e.w.WriteRows([]parquet.Row{e.row}); err != nil {
		return err
	}
	if e.bytes, e.rows = e.bytes+size, e.rows+1; e.bytes < e.most && e.rows < groupRows {
		return nil
	}
	e.bytes, e.rows = 0, 0
	return e.w.Flush()
}

var errType = errors.New("a value is not of the column's type")

// value makes a JSON value one of the file.
func (e *parquetEncoder) value(v []byte, t valueType) (parquet.Value, error) {
	if len(v) == 0 || v[0] == 'n' {
		if t&never != 0 {
			return parquet.Value{}, errType
		}
		return parquet.NullValue(), nil
	}
	switch t &^ never {
	case intType:
		n, ok := integer(v)
		if !ok {
			return parquet.Value{}, errType
		}
		return parquet.Int64Value(n), nil
	case doubleType:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return parquet.Value{}, errType
		}
		return parquet.DoubleValue(f), nil
	case boolType:
		return parquet.BooleanValue(v[0] == 't'), nil
	case jsonType:
		return parquet.ByteArrayValue(v), nil
	}
	return parquet.ByteArrayValue(e.says(v)), nil
}

// says is the text of a string, or the JSON of any other value.
func (e *parquetEncoder) says(v []byte) []byte {
	if v[0] != '"' {
		return v
	}
	start := len(e.text)
	e.text = appendText(e.text, v)
	return e.text[start:]
}

// conversation adds the messages to the row: for each member of a message a column, in it a value for each message.
func (e *parquetEncoder) conversation(messages []byte, leaf int) error {
	names := e.cols.turns.names
	e.turns = e.turns[:0]
	if err := e.cols.turns.walk(messages, func(turn int, name, value []byte) error {
		switch {
		case name != nil:
			e.turns[turn][slices.Index(names, string(name))] = value
		case cap(e.turns) > turn && e.turns[:turn+1][turn] != nil:
			e.turns = e.turns[:turn+1]
			clear(e.turns[turn])
		default:
			e.turns = append(e.turns, make([][]byte, len(names)))
		}
		return nil
	}); err != nil {
		return err
	}
	for m := range names {
		for i, turn := range e.turns {
			v := turn[m]
			value, level := parquet.NullValue(), 1
			if len(v) > 0 && v[0] != 'n' {
				value, level = parquet.ByteArrayValue(e.says(v)), 2
			}
			e.row = append(e.row, value.Level(min(i, 1), level, leaf+m))
		}
		if len(e.turns) == 0 {
			e.row = append(e.row, parquet.NullValue().Level(0, 0, leaf+m))
		}
	}
	return nil
}

func (e *parquetEncoder) Close() error { return e.w.Close() }

// group is a node whose fields stay in the order in which they were added: parquet.Group, a map, puts them in that of the alphabet.
type group struct {
	parquet.Group
	fields []parquet.Field
}

func (g *group) add(name string, node parquet.Node) {
	g.fields = append(g.fields, &groupField{node, name})
}

func (g *group) Fields() []parquet.Field { return g.fields }

func (g *group) String() string { return "row" }

// GoType is asked for by nobody who writes rows of values. That of the embedded Group would be wrong, and panics at names with a comma.
func (g *group) GoType() reflect.Type { return reflect.TypeFor[map[string]any]() }

type groupField struct {
	parquet.Node
	name string
}

func (f *groupField) Name() string { return f.name }

func (f *groupField) Value(base reflect.Value) reflect.Value {
	return base.MapIndex(reflect.ValueOf(f.name))
}
