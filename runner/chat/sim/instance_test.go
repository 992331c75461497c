package sim

import (
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// What is made up for a plain schema fits it, whatever the seed, and is the same again.
func TestInstanceFits(t *testing.T) {
	for _, schema := range []string{
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
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("schema:///", doc); err != nil {
			t.Fatal(err)
		}
		compiled := c.MustCompile("schema:///")
		for seed := range 200 {
			r, again := rng(mix(uint64(seed))), rng(mix(uint64(seed)))
			text, ok := r.instance([]byte(schema))
			if same, _ := again.instance([]byte(schema)); !ok || same != text {
				t.Fatalf("%s: %v, %s, then %s", schema, ok, text, same)
			}
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err == nil {
				err = compiled.Validate(v)
			}
			if err != nil {
				t.Fatalf("%s: %s: %v", schema, text, err)
			}
		}
	}
}

// A schema may refer to itself for ever, or be no schema.
func FuzzInstance(f *testing.F) {
	for _, seed := range []string{`{"$ref": "#"}`, `{"type": "array", "minItems": 1e9, "items": {"$ref": "#"}}`, `{"anyOf": [{"$ref": "#"}]}`,
		`{"minimum": 1e308, "maximum": -1e308}`, `{"required": [1, "a"], "properties": 7}`, `{"type": 5}`, `[]`, `{"type":"string","maxLength":-1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, schema string) {
		r := rng(1)
		if text, ok := r.instance([]byte(schema)); ok && text == "" {
			t.Error("nothing")
		}
	})
}
