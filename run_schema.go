package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"github.com/urfave/cli/v2"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"batch/output"
)

// schemaFlags say of what form the answers are to be. They are kept in the job file: the schema's text, not its name.
var schemaFlags = []string{"json-schema", "response-format"}

// The ways to ask an API for answers of a form.
const (
	asSchema = "json_schema"
	asObject = "json_object"
	asNone   = "none"
)

// maxSchema is the longest schema that is read.
const maxSchema = 1 << 20

// readSchemaFlags reads what the command line says of the form of answers. With the schema its way of asking is taken back.
func (f fillIns) readSchemaFlags(ctx *cli.Context) error {
	if ctx.IsSet("json-schema") {
		text, err := readSchema(ctx.String("json-schema"))
		if err != nil {
			return err
		}
		if f["json-schema"] = text; text == "" {
			f["response-format"] = ""
		}
	}
	if !ctx.IsSet("response-format") {
		return nil
	}
	way := ctx.String("response-format")
	if !slices.Contains([]string{"", asSchema, asObject, asNone}, way) {
		return usage(fmt.Errorf("--response-format %s: it is no way to ask for JSON", printable(way)), "json_schema, json_object or none; the answers are checked either way")
	}
	f["response-format"] = quote(way)
	return nil
}

// responseFormat is the request field for lines without one of their own, "" for none.
func (f fillIns) responseFormat() string {
	schema := f["json-schema"]
	switch f["response-format"] {
	case quote(asNone):
		return ""
	case quote(asObject):
		return `{"type":"json_object"}`
	}
	if schema == "" {
		return ""
	}
	// The name is always the same: with that of the file, a file that is renamed would make other requests.
	return `{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":` + schema + `}}`
}

// readSchema gives the text of a schema that can be used, without white space.
func readSchema(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	refuse := func(place, problem string, args ...any) error {
		return usage(fmt.Errorf("--json-schema %s%s: %s", printable(name), place, fmt.Sprintf(problem, args...)), "nothing was sent; a schema is a JSON object, as in {\"type\": \"object\", ...}")
	}
	f, err := os.Open(name)
	if err != nil {
		return "", usage(fmt.Errorf("--json-schema %w", readCause(name, err)), "check the name of the schema")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSchema+1))
	switch {
	case err != nil:
		return "", usage(fmt.Errorf("--json-schema %w", readCause(name, err)), "check the name of the schema")
	case len(text) > maxSchema:
		return "", refuse("", "it is longer than 1 MiB")
	}
	value := jsontext.Value(bytes.TrimPrefix(text, []byte("\ufeff")))
	_, err = jsontext.AppendFormat(nil, value) // finds a name that stands twice, too
	if err == nil {
		err = value.Compact()
	}
	if err != nil {
		var syntax *jsontext.SyntacticError
		if !errors.As(err, &syntax) {
			return "", refuse("", "%v", err)
		}
		line, column := lineOf(value, syntax.ByteOffset)
		return "", refuse(fmt.Sprintf(":%d:%d", line, column), "%s", printable(syntax.Err.Error()))
	}
	if value.Kind() != '{' {
		return "", refuse("", "it is no JSON object")
	}
	if _, err := compileSchema(string(value)); err != nil {
		return "", refuse("", "%v", err)
	}
	return string(value), nil
}

// lineOf tells the line of a byte, and its character there.
func lineOf(text []byte, offset int64) (line, column int) {
	before := text[:min(offset, int64(len(text)))]
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// schemaURL is where a schema stands for its references; there is nothing beside it.
const schemaURL = "schema:///"

// answerSchema is a schema that answers are checked against. It may be used by many goroutines.
type answerSchema struct {
	compiled *jsonschema.Schema
	names    map[string]bool // that stand in the schema, and may be told
}

// compileSchema reads nothing but the text: a reference to a file or an address is an error.
func compileSchema(text string) (*answerSchema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(jsonschema.SchemeURLLoader{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, schemaError(err)
	}
	s := &answerSchema{names: map[string]bool{}}
	if s.compiled, err = c.Compile(schemaURL); err != nil {
		return nil, schemaError(err)
	}
	s.note(doc)
	return s, nil
}

// note takes note of all names of a schema.
func (s *answerSchema) note(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			s.names[name] = true
			s.note(value)
		}
	case []any:
		for _, value := range v {
			s.note(value)
		}
	case string: // as in required
		s.names[v] = true
	}
}

// schemaError says where in a schema is what cannot be used.
func schemaError(err error) error {
	var refused *jsonschema.SchemaValidationError
	var invalid *jsonschema.ValidationError
	var pattern *jsonschema.InvalidRegexError
	var load *jsonschema.LoadURLError
	var pointer *jsonschema.JSONPointerNotFoundError
	where := func(url string) string { return strings.TrimPrefix(strings.TrimPrefix(url, schemaURL), "#") }
	const noPattern = "at %s: the pattern %v is none of RE2, which has no lookahead and no backreferences"
	if errors.As(err, &refused) {
		err = refused.Err
	}
	switch {
	case errors.As(err, &invalid):
		first := firstMismatch(invalid, true)
		at := pointerTo(first.InstanceLocation, nil)
		if f, ok := first.ErrorKind.(*kind.Format); ok && f.Want == "regex" {
			return fmt.Errorf(noPattern, at, printable(fmt.Sprint(f.Got)))
		}
		return fmt.Errorf("at %s: %s", at, printable(first.ErrorKind.LocalizedString(message.NewPrinter(language.English))))
	case errors.As(err, &pattern):
		return fmt.Errorf(noPattern, where(pattern.URL), printable(pattern.Regex))
	case errors.As(err, &load):
		return fmt.Errorf("it refers to %s, and nothing outside the file is read: put that under $defs", printable(where(load.URL)))
	case errors.As(err, &pointer):
		return fmt.Errorf("it refers to %s, which it does not have", printable(where(pointer.URL)))
	}
	return errors.New(printable(strings.ReplaceAll(err.Error(), schemaURL, "")))
}

// check says where an answer does not fit, nil for one that does. Of the answer it tells no text.
func (s *answerSchema) check(response []byte) error {
	text, err := output.Content(response)
	if err != nil || text == nil {
		return errors.New("the answer has no text")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(output.Document(text)))
	if err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("the answer is no JSON document: it is not at byte %d", syntax.Offset)
		}
		return errors.New("the answer is no JSON document")
	}
	var invalid *jsonschema.ValidationError
	if err := s.compiled.Validate(doc); errors.As(err, &invalid) {
		first := firstMismatch(invalid, false)
		return fmt.Errorf("the answer does not fit the schema at %s: %s", pointerTo(first.InstanceLocation, s.names), mismatch(first.ErrorKind))
	} else if err != nil {
		return errors.New("the answer cannot be held against the schema")
	}
	return nil
}

// firstMismatch is the first place that does not fit, in an order that is always the same. Where none of several schemas fits, that is said,
// unless inside is wanted: nobody knows which was meant.
func firstMismatch(e *jsonschema.ValidationError, inside bool) *jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf, *kind.Not:
		if !inside {
			return e
		}
	}
	if len(e.Causes) == 0 {
		return e
	}
	var first *jsonschema.ValidationError
	for _, cause := range e.Causes {
		if leaf := firstMismatch(cause, inside); first == nil || compareMismatch(leaf, first) < 0 {
			first = leaf
		}
	}
	return first
}

func compareMismatch(a, b *jsonschema.ValidationError) int {
	return cmp.Or(slices.CompareFunc(a.InstanceLocation, b.InstanceLocation, compareStep), cmp.Compare(a.SchemaURL, b.SchemaURL),
		slices.Compare(a.ErrorKind.KeywordPath(), b.ErrorKind.KeywordPath()))
}

// compareStep puts /items/2 before /items/10.
func compareStep(a, b string) int {
	if isIndex(a) && isIndex(b) {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	}
	return cmp.Compare(a, b)
}

func isIndex(step string) bool { return step != "" && strings.Trim(step, "0123456789") == "" }

// maxSteps is how deep a place is told.
const maxSteps = 30

// pointerTo is a JSON pointer. A name that is not among the known ones comes from the answer, and stands as *; nil knows all.
func pointerTo(location []string, known map[string]bool) string {
	if len(location) == 0 {
		return "its top"
	}
	var b strings.Builder
	for i, step := range location {
		if i == maxSteps {
			return b.String() + "/..."
		}
		if known != nil && !known[step] && !isIndex(step) {
			step = "*"
		}
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(printable(step)))
	}
	return b.String()
}

// mismatch says what does not fit, in words of the schema.
func mismatch(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("%s is wanted, not %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Required:
		names := slices.Sorted(slices.Values(k.Missing))
		return printable(strings.Join(names, ", ") + " is missing")
	case *kind.AdditionalProperties:
		return fmt.Sprintf("it has %s that the schema does not allow", plural(int64(len(k.Properties)), "field"))
	case *kind.Enum, *kind.Const:
		return "it is none of the values that the schema allows"
	}
	if path := k.KeywordPath(); len(path) > 0 {
		return printable(path[0]) + " does not hold"
	}
	return "the schema does not allow it"
}
