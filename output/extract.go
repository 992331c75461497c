package output

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Extract takes a field out of answers that are JSON, into a column of the flat shape.
type Extract struct {
	Path string // names with dots between them, and places in arrays from 0; a dot of a name is written \.
	As   string // the column

	steps []string
}

// String is how ParseExtract reads it.
func (e Extract) String() string { return Field{e.Path, e.As}.String() }

// ParseExtract reads the value of --extract: paths with commas between them, each perhaps with the name of its column behind an equals sign.
// Without one the path is the name. It is written as ParseFields reads names.
func ParseExtract(s string) ([]Extract, error) {
	refuse := func(problem string, args ...any) error {
		return &RefusedError{Problem: "--extract: " + fmt.Sprintf(problem, args...), Hint: "as in --extract label,address.city=city,items.0.name"}
	}
	fields, err := parseFields(s, refuse)
	if err != nil {
		return nil, err
	}
	var all []Extract
	for _, f := range fields {
		e := Extract{Path: f.Name, As: f.As, steps: steps(f.Name)}
		switch {
		case slices.Contains(e.steps, ""):
			return nil, refuse("a name is missing in the path %s", Printable(f.Name))
		case askedNames[e.As]:
			return nil, &RefusedError{Problem: "--extract: " + Printable(e.As) + " is a column already",
				Hint: "another name: " + Printable(Extract{Path: e.Path, As: "answer_" + e.As}.String())}
		}
		all = append(all, e)
	}
	return all, nil
}

// steps takes a path apart.
func steps(path string) []string {
	var all []string
	var step []byte
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path) && (path[i+1] == '.' || path[i+1] == '\\'):
			i++
			step = append(step, path[i])
		case path[i] == '.':
			all, step = append(all, string(step)), step[:0]
		default:
			step = append(step, path[i])
		}
	}
	return append(all, string(step))
}

// extractor takes the fields of one answer after the other.
type extractor struct {
	wanted []Extract
	keys   [][]byte
	names  map[string]bool // of all columns of ours
	p      *picker
	text   []byte
}

func newExtractor(wanted []Extract) *extractor {
	if len(wanted) == 0 {
		return nil
	}
	x := &extractor{wanted: wanted, p: newPicker(), names: set(extractedNames(wanted), slices.Collect(maps.Keys(resultNames))...)}
	for _, e := range wanted {
		x.keys = append(x.keys, appendString(nil, e.As))
	}
	return x
}

// add adds a column for each field of an answer, given as a JSON string. What the answer does not have is null, and so is all of one that is
// no JSON.
func (x *extractor) add(rec *record, content []byte) {
	var doc []byte
	if content != nil {
		x.text = appendText(x.text[:0], content)
		doc = Document(x.text)
		if !IsDocument(doc) {
			doc = nil
		}
	}
	for i, e := range x.wanted {
		value := null
		if doc != nil {
			if found := x.find(doc, e.steps); found != nil {
				value = rec.clean(found)
			}
		}
		rec.fields = append(rec.fields, field{name: e.As, key: x.keys[i], value: value})
	}
}

// find gives the value at the end of a path; nil is none.
func (x *extractor) find(doc []byte, path []string) (value []byte) {
	value = doc
	for _, step := range path {
		in := value
		value = nil
		x.p.reset(in)
		var err error
		switch jsontext.Value(in).Kind() {
		case '{':
			_, err = x.p.object(func(name []byte) error {
				if string(name) != step {
					return x.p.dec.SkipValue()
				}
				value, err = x.p.value() // the last of equal names counts
				return err
			})
		case '[':
			at, bad := strconv.Atoi(step)
			if bad != nil || strconv.Itoa(at) != step {
				return nil
			}
			_, _, err = x.p.array(func(i int) error {
				if i != at {
					return x.p.dec.SkipValue()
				}
				value, err = x.p.value()
				return err
			})
		}
		if err != nil || value == nil {
			return nil
		}
	}
	return bytes.TrimSpace(value)
}

// extractedNames are the columns of the fields.
func extractedNames(wanted []Extract) []string {
	var all []string
	for _, e := range wanted {
		all = append(all, e.As)
	}
	return all
}

// ownExtracted refuses a column that a key of the author's is already.
func ownExtracted(wanted []Extract, own string) error {
	for _, e := range wanted {
		if e.As == own {
			e.As = "answer_" + own
			return &RefusedError{Problem: "--extract: " + Printable(own) + " is a column already, a key of the input", Hint: "another name: " + Printable(e.String())}
		}
	}
	return nil
}

// resultsColumns are the columns of results that every row has.
func resultsColumns(wanted []Extract) *columns {
	if len(wanted) == 0 {
		return typedColumns(resultColumns, resultTypes)
	}
	types := maps.Clone(resultTypes)
	for _, e := range wanted {
		types[e.As] = anyType
	}
	return typedColumns(slices.Concat(resultColumns, extractedNames(wanted)), types)
}
