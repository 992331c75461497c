package input

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"batch/runner/chat"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// Whatever a file holds: no panic, lines in order, each good line a request that the rules allow, its carried keys an
// object, each bad line printable; and the same outcome however the bytes arrive.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		"\ufeff" + `{"prompt":"x","model":"m"}` + "\r\n\n" + `{"custom_id":"a","body":{"messages":[{"role":"user","content":"x"}]},"l":[1]}`,
		`{"messages":[{"role":"system","content":"\ud800"}],"params":{"a":1},"id":7}` + "\r" + `{"prompt":"x","system":"s"}`,
		`{"custom_id":"a","body":{"messages":[{"role":"user","content":"x"}],"temperature":null,"stop":7,"stream":null}}`,
		"{\n\"prompt\": \"x\"\n}", "\xff\xfe{", `{"body":{},"custom_id":"\u0000"} {}`, `{"prompt":"x","Temperature":1,"max_tokens":1e2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		read := func(r io.Reader) (log []string) {
			in := NewReader("f", r, Options{Defaults: fill("s", "model", `"m"`, "max_tokens", "5").Defaults, MaxLine: 300})
			last := 0
			for {
				p, err := in.Next()
				var bad *LineError
				var file *FileError
				switch {
				case errors.As(err, &file):
					return append(log, file.Error())
				case err == io.EOF:
					return log
				case errors.As(err, &bad):
					if s := bad.Error() + bad.Hint; !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
						t.Fatalf("error %q", s)
					}
					p.Line = bad.Line
					log = append(log, bad.Error())
				case err != nil:
					t.Fatal(err)
				default:
					wellMade(t, p)
					log = append(log, string(p.Body)+string(p.Carried))
				}
				if p.Line <= last {
					t.Fatalf("line %d after %d", p.Line, last)
				}
				last = p.Line
			}
		}
		whole := read(bytes.NewReader(file))
		drip := read(&stepReader{string(file), 1})
		if strings.Join(whole, "\n") != strings.Join(drip, "\n") {
			t.Fatalf("read at once:\n%q\nbyte by byte:\n%q", whole, drip)
		}
	})
}

func wellMade(t *testing.T, p Prompt) {
	t.Helper()
	for name, v := range map[string][]byte{"body": p.Body, "carried": p.Carried} {
		if name == "carried" && v == nil {
			continue
		}
		if value := jsontext.Value(v); !value.IsValid(jsontext.AllowInvalidUTF8(true)) || value.Kind() != '{' || !utf8.Valid(v) {
			t.Fatalf("%s is no object: %q", name, v)
		}
	}
	d := newDecoder()
	d.begin(p.Body)
	var members []member
	if err := d.object(p.Body, &members, nil); err != nil {
		t.Fatal(err)
	}
	for _, need := range []string{"model", "messages"} {
		if find(members, need) == nil {
			t.Fatalf("body without %s: %q", need, p.Body)
		}
	}
	for _, m := range members {
		name := string(m.name)
		if p.Batch && (name == "stream" && m.value.Kind() == 'n' || !slices.Contains([]string{"model", "messages", "stream"}, name)) {
			continue // goes out as its author wrote it
		}
		if bad := chat.CheckField(name, m.value); bad != nil {
			t.Fatalf("%v in %q", bad, p.Body)
		}
	}
	if key, err := chat.Key(p.Body); err != nil || key != p.Key {
		t.Fatalf("key: %v", err)
	}
}

// Values of a line reach the body, or the carried keys, byte for byte and in their order.
func TestI5_I6_I10_ValuesStayAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "spelling"), 1))
		text := rapid.StringN(1, 20, -1)
		str := func(s string) string { return spelled(rnd, s) }
		var line, sent, carried []string
		put := func(to *[]string, name, value string) {
			line = append(line, str(name)+space1(rnd)+":"+space1(rnd)+value)
			*to = append(*to, value)
		}
		var prompt string
		if rapid.Bool().Draw(t, "messages") {
			prompt = "[" + space1(rnd) + `{` + str("content") + ":" + str(text.Draw(t, "content")) + `,` + str("role") + `:` + str("user") + `}` + space1(rnd) + "]"
			put(&sent, "messages", prompt)
		} else {
			prompt = str(text.Draw(t, "prompt"))
			put(&sent, "prompt", prompt)
		}
		put(&sent, "model", str(text.Draw(t, "model")))
		if rapid.Bool().Draw(t, "seed") {
			put(&sent, "seed", "12345678901234567890.50")
		}
		if rapid.Bool().Draw(t, "stop") {
			put(&sent, "stop", "["+space1(rnd)+str(text.Draw(t, "stop text"))+space1(rnd)+"]")
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "own keys") {
			put(&carried, "own"+strconv.Itoa(i), str(text.Draw(t, "own value")))
		}
		rnd.Shuffle(len(line), func(i, j int) { line[i], line[j] = line[j], line[i] })
		file := "{" + space1(rnd) + strings.Join(line, space1(rnd)+",") + "}"
		p, err := NewReader("p.jsonl", strings.NewReader(file), Options{}).Next()
		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		for _, v := range sent {
			if !strings.Contains(string(p.Body), v) {
				t.Fatalf("%s is not in the body\n%s\nof the line\n%s", v, p.Body, file)
			}
		}
		for _, v := range carried {
			if !strings.Contains(string(p.Carried), v) {
				t.Fatalf("%s is not carried\n%s\nby the line\n%s", v, p.Carried, file)
			}
		}
	})
}

// spelled writes a string with some of its characters escaped.
func spelled(rnd *rand.Rand, s string) string {
	b := []byte{'"'}
	for _, r := range s {
		if r == '"' || r == '\\' || r < ' ' || r < 0x10000 && rnd.IntN(4) == 0 {
			b = append(b, `\u`+strconv.FormatInt(0x10000+int64(r), 16)[1:]...)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return string(append(b, '"'))
}

func space1(rnd *rand.Rand) string { return []string{"", "", " ", "\t", "  "}[rnd.IntN(5)] }
