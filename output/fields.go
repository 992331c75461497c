package output

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"batch/output/where"
)

// Field chooses a column of the flat shape, and how it is called in the file.
type Field struct{ Name, As string }

// String is how ParseFields reads it.
func (f Field) String() string {
	quote := func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
	return quote(f.Name) + "=" + quote(f.As)
}

// ParseFields reads the value of --fields: names with commas between them, each perhaps with another behind an equals sign. A name may stand
// in backquotes, with which it may hold commas, equals signs and spaces at its ends; a doubled backquote is one of the name.
func ParseFields(s string) ([]Field, error) {
	return parseFields(s, func(problem string, args ...any) error {
		return &RefusedError{Problem: "--fields: " + fmt.Sprintf(problem, args...), Hint: "as in --fields prompt,content=answer,label"}
	})
}

func parseFields(s string, refuse func(problem string, args ...any) error) ([]Field, error) {
	if s == "" {
		return nil, nil
	}
	var all []Field
	for rest, more := s, true; more; {
		var f Field
		var err error
		var by byte
		if f.Name, rest, by, err = cutName(rest); err == nil && by == '=' {
			f.As, rest, by, err = cutName(rest)
		} else {
			f.As = f.Name
		}
		switch {
		case err != nil:
			return nil, refuse("%v", err)
		case f.Name == "" || f.As == "":
			return nil, refuse("a name is missing")
		case by == '=':
			return nil, refuse("%s has two new names", printable(f.Name))
		case !utf8.ValidString(f.As) || len(f.As) > maxNameBytes:
			return nil, refuse("%s is no name for a column", printable(f.As))
		case slices.ContainsFunc(all, func(o Field) bool { return o.As == f.As }):
			return nil, refuse("two columns are called %s", printable(f.As))
		}
		all = append(all, f)
		more = by == ','
	}
	return all, nil
}

// cutName reads a name up to a comma, an equals sign or the end, and says which.
func cutName(s string) (name, rest string, by byte, err error) {
	s = strings.TrimLeft(s, " \t\n")
	if quoted, ok := strings.CutPrefix(s, "`"); ok {
		for rest = quoted; ; name += "`" { // a doubled one is one of the name
			var part string
			part, rest, ok = strings.Cut(rest, "`")
			name += part
			if !strings.HasPrefix(rest, "`") {
				break
			}
			rest = rest[1:]
		}
		rest = strings.TrimLeft(rest, " \t\n")
		if !ok || rest != "" && rest[0] != ',' && rest[0] != '=' {
			return "", "", 0, fmt.Errorf("the backquote before %s is not closed before a comma or an equals sign", printable(quoted))
		}
	} else if i := strings.IndexAny(s, ",="); i >= 0 {
		name, rest = strings.TrimRight(s[:i], " \t\n"), s[i:]
	} else {
		name = strings.TrimRight(s, " \t\n")
	}
	if rest == "" {
		return name, "", 0, nil
	}
	return name, rest[1:], rest[0], nil
}

// ParseWhere reads the value of --where.
func ParseWhere(s string) (*where.Expr, error) {
	if s == "" {
		return nil, nil
	}
	e, err := where.Parse(s)
	if err != nil {
		return nil, &RefusedError{Problem: "--where: " + err.Error(), Hint: `as in --where 'finish_reason = stop and not content ~ "sorry"'`}
	}
	return e, nil
}

// CheckNames tells whether the input has what Fields and Where name, so that a slip is found before anything is paid for. The error is a
// *RefusedError that lists the columns there are.
func CheckNames(ctx context.Context, src Source, opt Options) error {
	return checkNames(ctx, src, opt, askedNames, resultColumns)
}

// checkNames knows what may be asked beside the author's own, and tells the columns.
func checkNames(ctx context.Context, src Source, opt Options, asked map[string]bool, columns []string) error {
	var missing []string
	extracted := extractedNames(opt.Extract)
	want := func(name string, known map[string]bool) {
		if !known[name] && !slices.Contains(extracted, name) && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	for _, f := range opt.Fields {
		want(f.Name, resultNames)
	}
	if opt.Where != nil {
		for _, name := range opt.Where.Names() {
			want(name, asked)
		}
		for _, word := range opt.Where.Words() {
			if asked[word] || slices.Contains(extracted, word) {
				return &RefusedError{Problem: "--where: " + word + " is a column, and stands where a text is expected",
					Hint: "put the text in quotes, or the column in backquotes"}
			}
		}
	}
	if len(missing) == 0 && len(extracted) == 0 {
		return nil
	}
	cols := newColumns(nil)
	var rec record
	shape := &flat{picker: newPicker()}
	var name []byte
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		rec.reset()
		if err := shape.carried(&rec, row, resultNames); err != nil {
			return err
		}
		for i := range rec.fields {
			name = appendText(name[:0], rec.fields[i].key)
			if slices.Contains(extracted, string(name)) {
				return ownExtracted(opt.Extract, string(name))
			}
			if at := slices.Index(missing, string(name)); at >= 0 {
				missing = slices.Delete(missing, at, at+1)
			}
		}
		if len(missing) == 0 && len(extracted) == 0 {
			return nil
		}
		if err := cols.add(&rec); err != nil {
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	known := slices.Concat(columns, extracted)
	if opt.ShowFile {
		known = append([]string{"file"}, known...)
	}
	for _, own := range cols.own {
		known = append(known, printable(own))
	}
	return &RefusedError{Problem: "no column is called " + printable(missing[0]), Hint: "the columns are " + strings.Join(known, ", ")}
}

// askedNames are the names that Where knows beside the author's own: the columns of a result, and where its job stands.
var askedNames = set(resultColumns, "file", "sample", "simulated", "trimmed_turns", "choices", "message", "state")

// chooser makes a record of the chosen fields of another.
type chooser struct {
	fields []Field
	keys   [][]byte
	rec    record
	name   []byte
}

func newChooser(fields []Field) *chooser {
	c := &chooser{fields: fields}
	for _, f := range fields {
		c.keys = append(c.keys, appendString(nil, f.As))
	}
	return c
}

// choose gives a record whose values point into the other. What a row does not have is null.
func (c *chooser) choose(from *record) *record {
	c.rec.reset()
	for i, f := range c.fields {
		c.rec.fields = append(c.rec.fields, field{name: f.As, key: c.keys[i], value: orNull(from.lookup(f.Name, &c.name))})
	}
	return &c.rec
}

func orNull(v []byte) []byte {
	if v == nil {
		return null
	}
	return v
}

// lookup finds the value of a column by name; nil is none.
func (r *record) lookup(name string, scratch *[]byte) []byte {
	for i := range r.fields {
		f := &r.fields[i]
		if f.name == "" {
			*scratch = appendText((*scratch)[:0], f.key)
			if string(*scratch) == name {
				return f.value
			}
		} else if f.name == name {
			return f.value
		}
	}
	return nil
}

// columnsOf are the columns of the chosen fields.
func (c *chooser) columns() *columns {
	var names []string
	types := map[string]valueType{}
	for _, f := range c.fields {
		names = append(names, f.As)
		types[f.As] = anyType
		if resultNames[f.Name] {
			types[f.As] = resultTypes[f.Name]
		}
	}
	return typedColumns(names, types)
}
