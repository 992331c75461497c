package sim

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A made-up value has at most so many parts, and what lies deeper than this is as small as it may be.
const (
	mostParts = 2000
	deep      = 6
	deepest   = 64
)

// formats are strings that fit where a schema names one of these.
var formats = map[string]string{"date": "2024-02-29", "time": "12:34:56Z", "date-time": "2024-02-29T12:34:56Z", "email": "practice@example.com",
	"uri": "https://example.com/practice", "uuid": "00000000-0000-4000-8000-000000000000", "hostname": "example.com", "ipv4": "192.0.2.1"}

// instance makes up a JSON text for a schema, and false for what is none. It fits plain ones: types, properties, items, enum, const, bounds,
// choices, references inside the schema. Of patterns and conditions it knows nothing.
func (r *rng) instance(schema []byte) (string, bool) {
	var root map[string]any
	if json.Unmarshal(schema, &root) != nil || root == nil {
		return "", false
	}
	m := maker{r: r, root: root, parts: mostParts}
	text, err := json.Marshal(m.value(root, 0))
	return string(text), err == nil
}

type maker struct {
	r     *rng
	root  map[string]any
	parts int
}

func (m *maker) value(schema any, depth int) any {
	s, _ := schema.(map[string]any)
	if m.parts--; m.parts < 0 || depth > deepest {
		return nil
	}
	if ref, ok := s["$ref"].(string); ok {
		return m.value(m.at(ref), depth+1)
	}
	if v, ok := s["const"]; ok {
		return v
	}
	if all := list(s["enum"]); len(all) > 0 {
		return all[m.r.next()%uint64(len(all))]
	}
	for _, name := range []string{"anyOf", "oneOf"} {
		if all := list(s[name]); len(all) > 0 {
			if depth > deep { // often the last one ends a recursion
				return m.value(all[len(all)-1], depth+1)
			}
			return m.value(all[m.r.next()%uint64(len(all))], depth+1)
		}
	}
	switch kindOf(s) {
	case "object":
		return m.object(s, depth)
	case "array":
		return m.array(s, depth)
	case "integer", "number":
		return m.number(s)
	case "boolean":
		return m.r.next()%2 == 0
	case "null":
		return nil
	}
	return m.text(s)
}

// at finds the schema that a reference names.
func (m *maker) at(ref string) any {
	var v any = m.root
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	for _, step := range strings.Split(path, "/")[1:] {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		in, _ := v.(map[string]any)
		v = in[step]
	}
	return v
}

// kindOf is the type that is asked for, or that the other words of the schema are about.
func kindOf(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		for _, kind := range t {
			if k, ok := kind.(string); ok && k != "null" {
				return k
			}
		}
		return "null"
	}
	switch {
	case s["properties"] != nil || s["required"] != nil:
		return "object"
	case s["items"] != nil || s["prefixItems"] != nil:
		return "array"
	case s["minimum"] != nil || s["maximum"] != nil:
		return "number"
	}
	return "string"
}

func (m *maker) object(s map[string]any, depth int) any {
	properties, _ := s["properties"].(map[string]any)
	names := map[string]bool{}
	for _, name := range list(s["required"]) {
		if name, ok := name.(string); ok {
			names[name] = true
		}
	}
	if depth <= deep {
		for name := range properties {
			names[name] = true
		}
	}
	made := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(names)) { // what is drawn for each must not depend on the order of a map
		if m.parts <= 0 {
			break
		}
		made[name] = m.value(properties[name], depth+1)
	}
	return made
}

func (m *maker) array(s map[string]any, depth int) any {
	least, most := int(bound(s, "minItems", 0)), int(min(bound(s, "maxItems", math.MaxInt32), math.MaxInt32))
	n := least
	if depth <= deep {
		n = max(least, min(most, 1+int(m.r.next()%3)))
	}
	first := list(s["prefixItems"])
	if more, ok := s["items"].(bool); ok && !more {
		n = min(n, len(first))
	}
	made := []any{}
	for i := 0; i < n && m.parts > 0; i++ {
		item := s["items"]
		if i < len(first) {
			item = first[i]
		}
		made = append(made, m.value(item, depth+1))
	}
	return made
}

func (m *maker) number(s map[string]any) any {
	step := bound(s, "multipleOf", 1)
	if kindOf(s) == "number" && s["multipleOf"] == nil {
		step = 0.25
	}
	low := max(bound(s, "minimum", math.Inf(-1)), bound(s, "exclusiveMinimum", math.Inf(-1))+step)
	high := min(bound(s, "maximum", math.Inf(1)), bound(s, "exclusiveMaximum", math.Inf(1))-step)
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		low, high = 0, 100*step
	case math.IsInf(low, -1):
		low = high - 100*step
	case math.IsInf(high, 1):
		high = low + 100*step
	}
	steps := max(math.Floor(high/step)-math.Ceil(low/step), 0)
	v := (math.Ceil(low/step) + math.Floor(share(m.r.next())*(min(steps, 1000)+1))) * step
	if v > high { // no multiple lies between
		v = low
	}
	if math.IsInf(v, 0) || math.IsNaN(v) { // the bounds are too large to count in steps
		v = min(max(0, bound(s, "minimum", math.Inf(-1))), bound(s, "maximum", math.Inf(1)))
	}
	return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
}

func (m *maker) text(s map[string]any) any {
	if format, _ := s["format"].(string); formats[format] != "" {
		return formats[format]
	}
	least, most := int(min(bound(s, "minLength", 0), mostParts)), int(min(bound(s, "maxLength", mostParts), mostParts))
	text := "practice " + m.r.word()
	for utf8.RuneCountInString(text) < least {
		text += " " + m.r.word()
	}
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:max(most, 0)])
	}
	return text
}

func bound(s map[string]any, name string, otherwise float64) float64 {
	if v, ok := s[name].(float64); ok && !(name == "multipleOf" && v <= 0) {
		return v
	}
	return otherwise
}

func list(v any) []any {
	all, _ := v.([]any)
	return all
}
