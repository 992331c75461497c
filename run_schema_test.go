package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func schemaOf(t testing.TB, text string) *answerSchema {
	t.Helper()
	s, err := compileSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// completion is a response with one answer.
func completion(content string) []byte {
	quoted, _ := json.Marshal(content)
	return fmt.Appendf(nil, `{"choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}]}`, quoted)
}

func TestSchemaCheck(t *testing.T) {
	s := schemaOf(t, `{
		"type": "object",
		"properties": {
			"name": {"type": "string", "pattern": "^[a-z]+$"},
			"tags": {"type": "array", "items": {"type": ["string", "null"]}, "maxItems": 12},
			"size": {"enum": ["small", "large"]},
			"n":    {"type": "integer", "maximum": 99999999999999999999},
			"any":  {"anyOf": [{"type": "string"}, {"type": "object", "required": ["x"]}]},
			"map":  {"type": "object", "additionalProperties": {"type": "number"}},
			"sub":  {"$ref": "#/$defs/sub"}
		},
		"required": ["name"],
		"additionalProperties": false,
		"$defs": {"sub": {"type": "object", "properties": {"a/b": {"const": 1}}, "required": ["a/b"]}}}`)
	for content, want := range map[string]string{
		`{"name": "a"}`:                             "",
		" \n```json\n{\"name\": \"a\"}\n```\n":      "",
		"```\n{\"name\": \"a\"}```":                 "",
		`{"name": "B", "name": "b"}`:                "", // the last of equal names counts
		`{"name": "a", "n": 1.0}`:                   "",
		`{"name": "a", "n": 99999999999999999999}`:  "",
		`{"name": "a", "n": 100000000000000000000}`: "at /n: maximum does not hold",
		`{"name": "a", "n": 1.5}`:                   "at /n: integer is wanted, not number",
		`{}`:                                        "at its top: name is missing",
		`[]`:                                        "at its top: object is wanted, not array",
		`{"name": "SECRET"}`:                        "at /name: pattern does not hold",
		`{"name": "a", "tags": [1,2,3,4,5,6,7,8,9,10,11]}`:            "at /tags/0: null or string is wanted, not number",
		`{"name": "a", "tags": ["","","","","","","","","","",{},0]}`: "at /tags/10: null or string is wanted, not object",
		`{"name": "a", "size": "SECRET"}`:                             "at /size: it is none of the values that the schema allows",
		`{"name": "a", "any": 7}`:                                     "at /any: anyOf does not hold",
		`{"name": "a", "map": {"SECRET": "x"}}`:                       "at /map/*: number is wanted, not string",
		`{"name": "a", "sub": {"a/b": 2}}`:                            "at /sub/a~1b: it is none of the values that the schema allows",
		`{"name": "a", "SECRET": 1, "SECRET2": 1}`:                    "at its top: it has 2 fields that the schema does not allow",
		`SECRET`:                                 "the answer is no JSON document",
		`{"name": "a"} SECRET`:                   "the answer is no JSON document",
		"Sure!\n```json\n{\"name\": \"a\"}\n```": "the answer is no JSON document",
		"```yaml\n{\"name\": \"a\"}\n```":        "the answer is no JSON document",
		`{"name": "a`:                            "the answer is no JSON document",
		"":                                       "the answer is no JSON document",
		strings.Repeat("[", 100000):              "the answer is no JSON document",
	} {
		for range 5 { // the library walks maps
			err := s.check(completion(content))
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%.80s: %v, want %q", content, err, want)
			}
			if err != nil && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%.80s: the text of the answer is in %v", content, err)
			}
		}
	}
	for _, response := range []string{`{"choices":[{"message":{"content":null,"refusal":"SECRET"}}]}`, `{"choices":[]}`, `{`} {
		if err := s.check([]byte(response)); err == nil || err.Error() != "the answer has no text" {
			t.Errorf("%s: %v", response, err)
		}
	}
	parts := `{"choices":[{"message":{"content":[{"type":"text","text":"{\"name\":"},{"type":"text","text":"\"a\"}"}]}}]}`
	if err := s.check([]byte(parts)); err != nil {
		t.Error(err)
	}
}

// All workers check by the same schema.
func TestSchemaCheckTogether(t *testing.T) {
	s := schemaOf(t, `{"type": "object", "properties": {"a": {"pattern": "^x*$"}, "b": {"uniqueItems": true}}, "unevaluatedProperties": false}`)
	var together sync.WaitGroup
	for range 8 {
		together.Go(func() {
			for range 50 {
				if err := s.check(completion(`{"a": "xx", "b": [1, 2]}`)); err != nil {
					t.Error(err)
				}
				if s.check(completion(`{"a": "xy", "c": 1}`)) == nil {
					t.Error("it fits")
				}
			}
		})
	}
	together.Wait()
}

// FuzzSchemaCheck holds whatever a model writes against schemas: the check must come back, and tell nothing of it.
func FuzzSchemaCheck(f *testing.F) {
	schemas := []*answerSchema{
		schemaOf(f, `{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": {"type": "number"}}`),
		schemaOf(f, `{"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "uniqueItems": true}}}`),
	}
	for _, seed := range []string{`{"a":"b"}`, `[[],[[]]]`, "```json\n{}\n```", `{"a":1e999,"b":-0}`, `{"a":"\ud800"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		for _, s := range schemas {
			first, again := s.check(completion(content)), s.check(completion(content))
			if fmt.Sprint(first) != fmt.Sprint(again) {
				t.Errorf("%v, then %v", first, again)
			}
			if first != nil && (len(first.Error()) > 100_000 || strings.ContainsAny(first.Error(), "\n\x1b")) {
				t.Errorf("%q", first)
			}
		}
	})
}
