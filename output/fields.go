package output

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"batch/output/where"
	"batch/store"
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
			return nil, refuse("%s has two new names", Printable(f.Name))
		case !utf8.ValidString(f.As) || len(f.As) > maxNameBytes:
			return nil, refuse("%s is no name for a column", Printable(f.As))
		case slices.ContainsFunc(all, func(o Field) bool { return o.As == f.As }):
			return nil, refuse("two columns are called %s", Printable(f.As))
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
			return "", "", 0, fmt.Errorf("the backquote before %s is not closed before a comma or an equals sign", Printable(quoted))
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
	chosen, questioned := &wanted{names: resultNames}, &wanted{names: questionNames}
	extracted := extractedNames(opt.Extract)
	for _, f := range opt.Fields {
		if !resultNames[f.Name] && !slices.Contains(extracted, f.Name) {
			chosen.missing = append(chosen.missing, f.Name)
		}
	}
	if opt.Where != nil {
		for _, name := range opt.Where.Names() {
			switch {
			case asked[name] || slices.Contains(extracted, name):
			case questionNames[name]:
				return &RefusedError{Problem: "--where: a result has no column " + name + ", an error has",
					Hint: "batch retry --where asks for it; a key of your own of that name is input_" + name}
			default:
				questioned.missing = append(questioned.missing, name)
			}
		}
		for _, name := range opt.Where.Ordered() {
			if asked[name] && (resultTypes[name]&^never == boolType || errorTypes[name]&^never == boolType) {
				return &RefusedError{Problem: "--where: " + name + " is true or false, and neither less nor more than anything",
					Hint: "as in --where '" + name + " = true'"}
			}
		}
		for _, word := range opt.Where.Words() {
			if asked[word] || slices.Contains(extracted, word) {
				return &RefusedError{Problem: "--where: " + word + " is a column, and stands where a text is expected",
					Hint: "put the text in quotes, or the column in backquotes"}
			}
		}
	}
	if len(chosen.missing)+len(questioned.missing)+len(extracted) == 0 {
		return nil
	}
	shape := &flat{picker: newPicker()}
	for row, err := range src.Rows(ctx) {
		if err != nil {
			return fmt.Errorf("read rows: %w", err)
		}
		if len(chosen.missing)+len(extracted) > 0 {
			own, err := chosen.look(shape, row, extracted)
			if err != nil {
				return err
			}
			if own != "" {
				return ownExtracted(opt.Extract, own)
			}
		}
		if len(questioned.missing) > 0 {
			if _, err := questioned.look(shape, row, nil); err != nil {
				return err
			}
		}
		if len(chosen.missing)+len(questioned.missing)+len(extracted) == 0 {
			return nil
		}
	}
	for _, w := range []*wanted{chosen, questioned} {
		if len(w.missing) == 0 {
			continue
		}
		known := slices.Concat(columns, extracted)
		if opt.ShowFile {
			known = append([]string{"file"}, known...)
		}
		return &RefusedError{Problem: "no column is called " + Printable(w.missing[0]), Hint: "the columns are " + listed(w.missing[0], append(known, w.own...))}
	}
	return nil
}

// wanted are names that are looked for among the author's own, where these give way to names of ours.
type wanted struct {
	names   map[string]bool // of ours
	missing []string
	own     []string // that were seen
	known   map[string]bool
	rec     record
	key     []byte
}

// look takes the own names of a row off those that are missing. It stops at one that must not be there.
func (w *wanted) look(shape *flat, row *store.Row, never []string) (found string, err error) {
	w.rec.reset()
	if err := shape.carried(&w.rec, row, w.names); err != nil {
		return "", err
	}
	if w.known == nil {
		w.known = map[string]bool{}
	}
	for i := range w.rec.fields {
		w.key = appendText(w.key[:0], w.rec.fields[i].key)
		if slices.Contains(never, string(w.key)) {
			return string(w.key), nil
		}
		w.missing = slices.DeleteFunc(w.missing, func(name string) bool { return name == string(w.key) })
		if !w.known[string(w.key)] && len(w.own) < maxNamesSeen && len(w.key) <= maxNameBytes {
			w.known[string(w.key)] = true
			w.own = append(w.own, string(w.key))
		}
	}
	return "", nil
}

// A hint lists so many columns, of so many that are kept in memory for it.
const (
	maxNamesListed = 30
	maxNamesSeen   = 10_000
)

// listed lists columns; of many those that are spelled most like the name that was asked for.
func listed(name string, columns []string) string {
	more := ""
	if n := len(columns) - maxNamesListed; n > 0 {
		distance := map[string]int{}
		for _, c := range columns {
			distance[c] = edits(strings.ToLower(name), strings.ToLower(c))
		}
		columns = slices.Clone(columns)
		slices.SortStableFunc(columns, func(a, b string) int { return distance[a] - distance[b] })
		columns, more = columns[:maxNamesListed], fmt.Sprintf(" and %d more", n)
	}
	var all []string
	for _, c := range columns {
		all = append(all, Printable(c))
	}
	return strings.Join(all, ", ") + more
}

// edits counts the letters that are put in, left out or changed between two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0] // of the row above, one to the left
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, before+1)
		}
	}
	return row[len(b)]
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
