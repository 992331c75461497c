package chat

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

func mustKey(t testing.TB, body string) [32]byte {
	t.Helper()
	k, err := Key([]byte(body))
	if err != nil {
		t.Fatalf("Key(%s): %v", body, err)
	}
	return k
}

func TestKeySame(t *testing.T) {
	const body = `{"model":"m","messages":[{"role":"user","content":"Löss \"a\" \\ /\n"}],"seed":[1,{"b":"x","a":2}]}`
	for name, other := range map[string]string{
		"white space":      "\r\n{ \"model\" :\t\"m\", \"messages\": [ { \"role\" : \"user\" , \"content\" : \"Löss \\\"a\\\" \\\\ /\\n\" } ],\n \"seed\" : [ 1 , { \"b\" : \"x\", \"a\" : 2 } ] } \n",
		"member order":     `{"seed":[1,{"b":"x","a":2}],"messages":[{"content":"Löss \"a\" \\ /\n","role":"user"}],"model":"m"}`,
		"string spelling":  `{"\u006dodel":"\u006D","messages":[{"role":"us\u0065r","c\u006fntent":"L\u00f6ss \u0022a\u0022 \u005c \/\u000A"}],"seed":[1,{"\u0062":"\u0078","a":2}]}`,
		"stream":           `{"stream":true,"model":"m","messages":[{"role":"user","content":"Löss \"a\" \\ /\n"}],"seed":[1,{"b":"x","a":2}]}`,
		"stream_options":   `{"model":"m","messages":[{"role":"user","content":"Löss \"a\" \\ /\n"}],"seed":[1,{"b":"x","a":2}],"stre\u0061m_options":{"include_usage":true},"stream":false}`,
		"stream last, too": `{"model":"m","messages":[{"role":"user","content":"Löss \"a\" \\ /\n"}],"seed":[1,{"b":"x","a":2}],"stream":true}`,
	} {
		if mustKey(t, other) != mustKey(t, body) {
			t.Errorf("%s: the key changed", name)
		}
	}
	if mustKey(t, `{"a":"\ud83d\ude00"}`) != mustKey(t, `{"a":"😀"}`) {
		t.Error("a surrogate pair is not the character that it spells")
	}
}

func TestKeyDiffers(t *testing.T) {
	bodies := []string{
		`{}`, `{"model":"m"}`, `{"model":"M"}`, `{"model":"m","seed":1}`, `{"model":"m","seed":1.0}`, `{"model":"m","seed":"1"}`,
		`{"model":"m","seed":[1]}`, `{"model":"m","seed":[1,1]}`, `{"model":"m","seed":[11]}`,
		`{"model":"m","seed":{"a":1,"b":2}}`, `{"model":"m","seed":{"b":2,"a":1}}`,
		`{"model":"m","messages":[]}`, `{"model":"m","messages":[{}]}`, `{"model":"m","messages":{}}`,
		`{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}`,
		`{"model":"m","messages":[{"role":"user","content":"b"},{"role":"user","content":"a"}]}`,
		`{"model":"m","messages":[{"role":"user","content":"a b"}]}`,
		`{"model":"m","messages":[{"role":"user","content":"a  b"}]}`,
		`{"model":"m","messages":[{"role":"user","content":["a","b"]}]}`,
		`{"model":"m","messages":[{"role":"user","content":["a\",\"b"]}]}`,
		`{"model":"m","messages":[{"role":"user","content":{"stream":true}}]}`,
		`{"model":"m","messages":[{"role":"user","stream":true}]}`,
		`{"model":"\ud800"}`, `{"model":"\ud801"}`, `{"model":"\ufffd"}`, `{"model":"\udc00\ud800"}`, `{"model":"\u0000"}`, `{"model":"\\u0000"}`,
		`{"model":"a\\"}`, `{"model":"a\""}`, `{"model":"m","stream_option":1}`,
	}
	seen := map[[32]byte]string{}
	for _, b := range bodies {
		k := mustKey(t, b)
		if other, ok := seen[k]; ok {
			t.Errorf("one key for %s and %s", other, b)
		}
		seen[k] = b
	}
}

func TestKeyNeedsAnObject(t *testing.T) {
	for _, body := range []string{"", " ", "null", "[]", `"x"`, "{", `{"a"}`, `{"a":1,}`, `{"a":1}{}`, `{"a":1} x`, `{"messages":[{]}`, "{\"a\":\"\x01\"}", `{"a":"\q"}`, `{"a":01}`} {
		if k, err := Key([]byte(body)); err == nil {
			t.Errorf("Key(%q) = %x, want an error", body, k[:4])
		}
	}
}

func TestConversationKey(t *testing.T) {
	conversation := func(body string) string {
		k, err := ConversationKey([]byte(body))
		if err != nil {
			return err.Error()
		}
		return string(k[:])
	}
	const body = `{"model":"m","messages":[{"role":"user","content":"Löss \n"}],"temperature":0}`
	for name, other := range map[string]string{
		"another model":         `{"model":"M","messages":[{"role":"user","content":"Löss \n"}],"temperature":0}`,
		"other parameters":      `{"max_tokens":7,"messages":[{"role":"user","content":"Löss \n"}],"seed":[{"messages":[]}]}`,
		"nothing else":          `{"messages":[{"role":"user","content":"Löss \n"}]}`,
		"spelled in other ways": "{\"m\\u0065ssages\" : [ {\"content\": \"L\\u00f6ss \\u000a\", \"role\":\"user\"} ]}\n",
	} {
		if conversation(other) != conversation(body) {
			t.Errorf("%s: the conversation changed", name)
		}
	}
	seen := map[string]string{}
	for _, b := range []string{
		body, `{"messages":[]}`, `{"messages":null}`, `{"messages":[{"role":"system","content":"Löss \n"}]}`,
		`{"messages":[{"role":"user","content":"Löss  \n"}]}`, `{"messages":[{"role":"user","content":"Löss \n"},{"role":"user","content":"b"}]}`,
	} {
		k := conversation(b)
		if other, ok := seen[k]; ok || len(k) != 32 {
			t.Errorf("%q: one conversation for %s and %s", k, other, b)
		}
		seen[k] = b
	}
	for _, b := range []string{``, `{}`, `[]`, `{"model":"m"}`, `{"messages":[}`, `{"messages":[]`, `{"messages":[]}{}`, `{"messages":[],"a"}`} {
		if k := conversation(b); len(k) == 32 {
			t.Errorf("%s has a conversation", b)
		}
	}
}

// spelled writes a generated value in a way of its own: other white space, other escapes, other member order where
// the key does not see it.
type spelled struct {
	rnd *rand.Rand
	b   bytes.Buffer
}

func (s *spelled) space() { s.b.WriteString([]string{"", "", " ", "\t", "\r\n", "  "}[s.rnd.IntN(6)]) }

func (s *spelled) str(v string) {
	s.b.WriteByte('"')
	for _, r := range v {
		switch {
		case r == '"' || r == '\\' || r < ' ' || r < 0x10000 && s.rnd.IntN(3) == 0:
			fmt.Fprintf(&s.b, []string{`\u%04x`, `\u%04X`}[s.rnd.IntN(2)], r)
		default:
			s.b.WriteRune(r)
		}
	}
	s.b.WriteByte('"')
}

type member struct {
	name  string
	value any
}

// write takes a string, a raw number (json), a []any or a []member; depth 0 is the body, 1 its messages, 2 a message.
func (s *spelled) write(v any, depth int, messages bool) {
	s.space()
	defer s.space()
	switch v := v.(type) {
	case string:
		s.str(v)
	case int:
		fmt.Fprint(&s.b, v)
	case []any:
		s.b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				s.b.WriteByte(',')
			}
			s.write(e, depth+1, messages)
		}
		s.b.WriteByte(']')
	case []member:
		order := make([]int, len(v))
		for i := range order {
			order[i] = i
		}
		if depth == 0 || depth == 2 && messages {
			order = s.rnd.Perm(len(v))
		}
		s.b.WriteByte('{')
		for i, o := range order {
			if i > 0 {
				s.b.WriteByte(',')
			}
			s.space()
			s.str(v[o].name)
			s.space()
			s.b.WriteByte(':')
			s.write(v[o].value, depth+1, depth == 0 && v[o].name == "messages" || messages)
		}
		s.b.WriteByte('}')
	}
}

func spell(v any, seed uint64) string {
	s := &spelled{rnd: rand.New(rand.NewPCG(seed, 1))}
	s.write(v, 0, false)
	return s.b.String()
}

func genValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch n := rapid.IntRange(0, 5).Draw(t, "kind"); {
		case n <= 2 || depth == 0:
			return rapid.String().Draw(t, "string")
		case n == 3:
			return rapid.IntRange(-5, 99).Draw(t, "number")
		case n == 4:
			return rapid.SliceOfN(genValue(depth-1), 0, 3).Draw(t, "array")
		}
		return genMembers(depth-1).Draw(t, "object")
	})
}

func genMembers(depth int) *rapid.Generator[[]member] {
	return rapid.Custom(func(t *rapid.T) []member {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-e"\\é]{1,3}`), 0, 4, rapid.ID[string]).Draw(t, "names")
		var m []member
		for _, n := range names {
			m = append(m, member{n, genValue(depth).Draw(t, "value")})
		}
		return m
	})
}

func genRequest() *rapid.Generator[[]member] {
	return rapid.Custom(func(t *rapid.T) []member {
		messages := []any{}
		for _, m := range rapid.SliceOfN(genMembers(2), 1, 3).Draw(t, "messages") {
			messages = append(messages, m)
		}
		return append(genMembers(2).Draw(t, "body"), member{"messages", messages})
	})
}

// Spelling a request anew keeps its key; changing any one value of it does not.
func TestKeyProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req := genRequest().Draw(t, "request")
		a := spell(req, rapid.Uint64().Draw(t, "seed"))
		b := spell(req, rapid.Uint64().Draw(t, "other seed"))
		ka, err := Key([]byte(a))
		kb, err2 := Key([]byte(b))
		if err != nil || err2 != nil || ka != kb {
			t.Fatalf("two spellings of a request, two keys (%v, %v):\n%s\n%s", err, err2, a, b)
		}
		changed := append([]member{}, req...)
		i := rapid.IntRange(0, len(req)-1).Draw(t, "change")
		changed[i].value = []any{changed[i].value}
		if k, _ := Key([]byte(spell(changed, 7))); k == ka {
			t.Fatalf("one key for\n%s\n%s", a, spell(changed, 7))
		}
	})
}

// What Key says of bytes from anywhere: an error, or a key that the same request shares however it is spaced and sent, and that
// a request which asks for more does not.
func FuzzKey(f *testing.F) {
	for _, s := range []string{`{}`, `{"messages":[{"role":"user","content":"\ud800\u0041"}],"a":[1, 2]}`, `{"a":"\`, `{"messages":[1,{}]}`, `{"a":"\ud83d\u`, `{ "stream" : true,"n":1 }`} {
		f.Add([]byte(s))
	}
	loose := jsontext.AllowInvalidUTF8(true)
	f.Fuzz(func(t *testing.T, body []byte) {
		k, err := Key(body)
		if err != nil || !jsontext.Value(body).IsValid(loose) {
			return
		}
		tight, spaced := jsontext.Value(bytes.Clone(body)), jsontext.Value(bytes.Clone(body))
		if tight.Compact() != nil || spaced.Indent() != nil {
			t.Fatalf("%q", body)
		}
		members := bytes.TrimPrefix(tight, []byte("{"))
		with := func(member string) []byte {
			if len(members) > 1 {
				member += ","
			}
			return append([]byte("{"+member), members...)
		}
		for _, same := range [][]byte{tight, spaced, with(`"stream":true`), with(`"stream_opti\u006fns":{}`)} {
			if !jsontext.Value(same).IsValid(loose) {
				continue // the body has that name
			}
			if again, err := Key(same); err != nil || again != k {
				t.Fatalf("%q is another request than %q (%v)", same, body, err)
			}
		}
		for _, more := range [][]byte{with(`"n":null`), with(`"":{}`)} {
			if other, err := Key(more); jsontext.Value(more).IsValid(loose) && (err != nil || other == k) {
				t.Fatalf("%q is the same request as %q (%v)", more, body, err)
			}
		}
	})
}

func BenchmarkKey(b *testing.B) {
	body := []byte(`{"model":"llama-3.1-8b","messages":[{"role":"system","content":"You are a terse geographer."},{"role":"user","content":"Name a river of France that ends in the sea."}],"max_tokens":20,"temperature":0.2}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Key(body); err != nil {
			b.Fatal(err)
		}
	}
}

func TestKeyOfManyMembers(t *testing.T) {
	var up, down strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&up, `,"k%d":%d`, i, i)
		fmt.Fprintf(&down, `,"k%d":%d`, 4999-i, 4999-i)
	}
	if mustKey(t, "{"+up.String()[1:]+"}") != mustKey(t, "{"+down.String()[1:]+"}") {
		t.Error("the order of 5,000 members shows in the key")
	}
}
