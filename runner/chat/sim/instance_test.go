package sim

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var plainSchemas = []string{
	`{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 9}}, "required": ["name"], "additionalProperties": false}`,
	`{"type": "object", "properties": {"label": {"enum": ["good", "bad"]}, "sure": {"type": "number", "minimum": 0, "maximum": 1}, "v": {"const": 2}}, "required": ["label", "sure", "v"]}`,
	`{"type": "array", "items": {"type": ["null", "string"], "minLength": 30, "maxLength": 40}, "minItems": 2, "maxItems": 2}`,
	`{"type": "object", "required": ["a", "b"]}`,
	`{"properties": {"when": {"type": "string", "format": "date"}, "id": {"type": "string", "format": "uuid"}, "ok": {"type": "boolean"}, "no": {"type": "null"}}}`,
	`{"anyOf": [{"type": "integer", "multipleOf": 7, "exclusiveMinimum": 14}, {"type": "number", "exclusiveMaximum": -3}]}`,
	`{"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}, "a/b": {"$ref": "#/$defs/x~1y"}}, "required": ["kids", "a/b"]}, "x/y": {"type": "string"}}}`,
	`{"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "items": false}`,
	`{"type": "number", "minimum": 0.1, "maximum": 0.3}`,
	`{"type": "number", "minimum": 0.3, "maximum": 0.4}`,
	`{}`,
}

// What is made up for a plain schema fits it, whatever the seed, and is the same again.
func TestInstanceFits(t *testing.T) {
	for _, schema := range plainSchemas {
		compiled, err := compile(schema)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range 200 {
			r, again := rng(mix(uint64(seed))), rng(mix(uint64(seed)))
			text, ok := r.instance([]byte(schema))
			if same, _ := again.instance([]byte(schema)); !ok || same != text {
				t.Fatalf("%s: %v, %s, then %s", schema, ok, text, same)
			}
			fits(t, compiled, schema, text)
		}
	}
}

func compile(schema string) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema:///", doc); err != nil {
		return nil, err
	}
	return c.Compile("schema:///")
}

func fits(t *testing.T, compiled *jsonschema.Schema, schema, text string) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = compiled.Validate(v)
	}
	if err != nil {
		t.Fatalf("%s: %s: %v", schema, text, err)
	}
}

// A schema may refer to itself for ever, or be no schema: what is made of it is JSON and bounded, and it fits where the schema asks for
// what can be had.
func FuzzInstance(f *testing.F) {
	for _, seed := range append(plainSchemas, `{"$ref": "#"}`, `{"type": "array", "minItems": 1e9, "items": {"$ref": "#"}}`, `{"anyOf": [{"$ref": "#"}]}`,
		`{"minimum": 1e308, "maximum": -1e308}`, `{"required": [1, "a"], "properties": 7}`, `{"type": 5}`, `[]`, `{"type":"string","maxLength":-1}`,
		`{"type":"object","properties":{"a":{"type":"array","items":{"anyOf":[{"type":"boolean"},{"const":{}}]},"maxItems":0},"b":{"type":"string","maxLength":3}},"required":["b"],"additionalProperties":false}`,
		`{"type":"array","minItems":2000,"items":{"type":"array","minItems":2000}}`, `{"type":"array","minItems":2000,"items":{"required":["a","b","c"]}}`,
		`{"maximum":1e308}`, `{"multipleOf":1e308,"type":"number"}`,
		`{"type":"integer","minimum":5,"maximum":5}`, `{"enum":[null,[]]}`) {
		f.Add(seed, uint64(1))
	}
	f.Fuzz(func(t *testing.T, schema string, seed uint64) {
		r, again := rng(seed), rng(seed)
		text, ok := r.instance([]byte(schema))
		if same, _ := again.instance([]byte(schema)); same != text || ok != (text != "") {
			t.Fatalf("%s: %v, %s, then %s", schema, ok, text, same)
		}
		var asked any
		if err := json.Unmarshal([]byte(schema), &asked); !ok {
			if _, object := asked.(map[string]any); object && err == nil {
				t.Fatalf("%s: nothing", schema)
			}
			return
		}
		var made any
		if err := json.Unmarshal([]byte(text), &made); err != nil {
			t.Fatalf("%s: %.2000s: %v", schema, text, err)
		}
		if n := values(made); n > mostParts && !copies(schema) {
			t.Fatalf("%s: %d values", schema, n)
		}
		if !canBeHad(asked, 0) {
			return
		}
		if compiled, err := compile(schema); err == nil {
			fits(t, compiled, schema, text)
		}
	})
}

// copies says whether a schema may have values of its own that are written as they stand, whatever they hold.
func copies(schema string) bool {
	return strings.Contains(schema, "const") || strings.Contains(schema, "enum") || strings.Contains(schema, `\`)
}

// values counts a value with all that is in it.
func values(v any) int {
	n := 1
	switch v := v.(type) {
	case []any:
		for _, inner := range v {
			n += values(inner)
		}
	case map[string]any:
		for _, inner := range v {
			n += values(inner)
		}
	}
	return n
}

// canBeHad says whether a schema is made of plain words that go together, and of no more than what a made-up value has room for.
func canBeHad(schema any, depth int) bool {
	s, ok := schema.(map[string]any)
	if !ok || depth > 4 || len(s) > 5 {
		return false
	}
	all, choices := list(s["enum"]), list(s["anyOf"])
	switch {
	case len(all) > 0 && len(s) == 1:
		return true
	case len(choices) > 0 && len(s) == 1:
		for _, choice := range choices {
			if !canBeHad(choice, depth+1) {
				return false
			}
		}
		return true
	}
	if _, ok := s["const"]; ok {
		return len(s) == 1
	}
	switch s["type"] {
	case "boolean", "null":
		return only(s, "type")
	case "string":
		return only(s, "type", "minLength", "maxLength") && inOrder(s, "minLength", "maxLength", 0, 99)
	case "integer", "number":
		return only(s, "type", "minimum", "maximum") && inOrder(s, "minimum", "maximum", -999, 999)
	case "array":
		items, given := s["items"]
		return only(s, "type", "items", "minItems", "maxItems") && inOrder(s, "minItems", "maxItems", 0, 4) && (!given || canBeHad(items, depth+1))
	case "object":
		properties, _ := s["properties"].(map[string]any)
		for _, property := range properties {
			if !canBeHad(property, depth+1) {
				return false
			}
		}
		for _, name := range list(s["required"]) {
			if text, _ := name.(string); properties[text] == nil {
				return false
			}
		}
		return only(s, "type", "properties", "required", "additionalProperties") && (s["additionalProperties"] == nil || s["additionalProperties"] == false)
	}
	return false
}

// only says whether a schema has no other words.
func only(s map[string]any, words ...string) bool {
	for word := range s {
		if !slices.Contains(words, word) {
			return false
		}
	}
	return true
}

// inOrder says whether two bounds, where they are given, are whole numbers within bounds of their own, and the first is not above the second.
func inOrder(s map[string]any, low, high string, least, most float64) bool {
	for _, name := range []string{low, high} {
		if v, given := s[name]; given {
			n, ok := v.(float64)
			if !ok || n != math.Trunc(n) || n < least || n > most {
				return false
			}
		}
	}
	return bound(s, low, least) <= bound(s, high, most)
}
