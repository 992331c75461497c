package input

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Of every bad line: the error and its hint. The word secret stands for prompt text and may not show.
func TestI4_I5_I8_I9_I11_BadLines(t *testing.T) {
	const user = `{"role":"user","content":"secret"}`
	const asIs = "to send it as it is, put it into params; " + ownHint
	batch := func(rest string) string { return `{"custom_id":"r-1",` + rest + `}` }
	for _, c := range []struct{ line, want, hint string }{
		// No JSON object a line.
		{`nonsense`, "the line is not a JSON object", oneObject},
		{`"secret"`, "the line is not a JSON object", oneObject},
		{`{`, "the line ends before its object does", oneObject},
		{`{"prompt":"secret",`, "the line ends before its object does", oneObject},
		{`{"prompt":"secr`, "the line ends before its object does", oneObject},
		{`{"prompt":"secret","model":"m"} {"prompt":"secret","model":"m"}`, "something follows the object", oneObject},
		{`{"prompt":"secret","model":"m"},`, "something follows the object", oneObject},
		{`{"prompt":"secret" "model":"m"}`, `not valid JSON at byte 20: invalid character '"' after object value (expecting ',' or '}')`, ""},
		{`  {"prompt":"secret",}`, "not valid JSON at byte 21: invalid character ',' at start of value", ""},
		{`{'prompt':"secret"}`, `not valid JSON at byte 2: invalid character '\'' at start of value`, ""},
		{`{"prompt":"secret` + "\x00" + `"}`, `prompt: not valid JSON at byte 18: invalid character '\x00' in string (expecting non-control character)`, ""},
		{`{"prompt":"secret` + "\t" + `"}`, `prompt: not valid JSON at byte 18: invalid character '\t' in string (expecting non-control character)`, ""},
		{`{"prompt":"\q"}`, "prompt: not valid JSON at byte 12: invalid escape sequence `\\q` in string", ""},
		{`{"a":01}`, "not valid JSON at byte 7: invalid character '1' after object value (expecting ',' or '}')", ""},
		{`{"messages":[{"role":nil}]}`, "messages[0].role: not valid JSON at byte 23: invalid character 'i' in literal null (expecting 'u')", ""},
		{"{\"prompt\":\"\xff\"}", "byte 12 of the line is not UTF-8", "convert the file to UTF-8 first"},
		{strings.Repeat(`{"a":`, 10001) + "1" + strings.Repeat("}", 10001), strings.TrimSuffix(strings.Repeat("a.", 41), ".") + "...: not valid JSON at byte 50001: exceeded max depth", ""},

		// Names given twice, at any depth.
		{`{"prompt":"secret","prompt":"secret"}`, "prompt: the key is given twice", ""},
		{`{"prompt":"secret","label":{"a":[{"x":1,"\u0078":2}]}}`, "label.a[0].x: the key is given twice", ""},
		{batch(`"body":{"model":"m","messages":[` + user + `],"model":"n"}`), "body.model: the key is given twice", ""},
		{batch(`"body":{"model":"m","messages":[{"role":"user","content":"secret","content":"secret"}]}`), "body.messages[0].content: the key is given twice", ""},
		{`{"prompt":"secret","params":{"a":1,"a":1}}`, "params.a: the key is given twice", ""},

		// What the line is.
		{`{}`, "the line has no prompt, messages or body", promptHint},
		{`{"custom_id":"r-1","model":"m","text":"secret"}`, "the line has no prompt, messages or body", promptHint},
		{`{"Prompt":"secret","model":"m"}`, "Prompt: is no key that is sent", "did you mean prompt? " + ownHint},
		{`{"message":[` + user + `],"model":"m"}`, "message: is no key that is sent", "did you mean messages? " + asIs},
		{`{"prompt":"secret","messages":[` + user + `],"model":"m"}`, "prompt: stands beside messages", "keep one of the two"},
		{`{"prompt":"secret","body":{},"model":"m"}`, "body: stands beside prompt or messages", "keep one of the two"},
		{`{"prompt":"secret"}`, "model: is missing", modelHint},
		{`{"prompt":"","model":"m"}`, "prompt: is empty", ""},
		{`{"prompt":7,"model":"m"}`, "prompt: a number is not a string", ""},
		{`{"prompt":null,"model":"m"}`, "prompt: null is not a string", nullHint},
		{`{"prompt":["secret"],"model":"m"}`, "prompt: an array is not a string", `a conversation goes into "messages"`},
		{`{"prompt":"secret","system":7,"model":"m"}`, "system: a number is not a string", ""},
		{`{"messages":[{"role":"system","content":"secret"}],"system":"secret","model":"m"}`, "system: stands beside a system message", "keep one of the two"},
		{`{"messages":[],"model":"m"}`, "messages: is empty", ""},
		{`{"messages":[{"role":"bot","content":"secret"}],"model":"m"}`, `messages[0].role: "bot" is not one of system, developer, user, assistant, tool, function`, ""},
		{`{"messages":[` + user + `,{"role":"user","content":["secret"]}],"model":"m"}`, "messages[1].content[0]: a string is not an object with a type", ""},

		// Its fields.
		{`{"prompt":"secret","model":null}`, "model: null is not a string", nullHint},
		{`{"prompt":"secret","model":"m","temperature":3}`, "temperature: 3 is not between 0 and 2", ""},
		{`{"prompt":"secret","model":"m","stop":["a",1]}`, "stop[1]: 1 is not a string", ""},
		{`{"prompt":"secret","model":"m","Temperature":1}`, "Temperature: is no key that is sent", "did you mean temperature? " + asIs},
		{`{"prompt":"secret","model":"m","max-tokens":1}`, "max-tokens: is no key that is sent", "did you mean max_tokens? " + asIs},
		{`{"prompt":"secret","model":"m","temprature":1}`, "temprature: is no key that is sent", "did you mean temperature? " + asIs},
		{`{"prompt":"secret","model":"m","customId":"a"}`, "customId: is no key that is sent", "did you mean custom_id? " + ownHint},
		{`{"prompt":"secret","model":"m","max_tokens\u0007":1}`, `"max_tokens\a": is no key that is sent`, "did you mean max_tokens? " + asIs},
		{`{"prompt":"secret","model":"m","top_k":40}`, "top_k: is no key that is sent", asIs},
		{`{"prompt":"secret","model":"m","top_a":0.5}`, "top_a: is no key that is sent", asIs},
		{`{"prompt":"secret","model":"m","models":["n"]}`, "models: is no key that is sent", asIs},
		{`{"prompt":"secret","model":"m","top_q":1}`, "top_q: is no key that is sent", "did you mean top_p? " + asIs},
		{batch(`"body":{"model":"m","messages":[` + user + `]},"Temperature":1`), "Temperature: is no key that is sent", "did you mean temperature? to send it, put it into body; " + ownHint},
		{batch(`"body":{"model":"m","messages":[` + user + `]},"top_k":1`), "top_k: is no key that is sent", "to send it, put it into body; " + ownHint},
		{`{"prompt":"secret","model":"m","params":[]}`, "params: an array is not an object", ""},
		{`{"prompt":"secret","model":"m","params":{"temperature":1}}`, "params.temperature: is a request field", "put it into the line itself"},
		{`{"prompt":"secret","model":"m","params":{"seed":1}}`, "params.seed: is a request field", "put it into the line itself"},
		{`{"prompt":"secret","model":"m","label":1,"params":{"label":1}}`, "params.label: is a key of the line, too", "keep one of the two"},
		{`{"prompt":"secret","model":"m","custom_id":7}`, "custom_id: a number is not a string", quoteHint},
		{`{"prompt":"secret","model":"m","custom_id":null}`, "custom_id: null is not a string", nullHint},
		{`{"prompt":"secret","model":"m","custom_id":"\ud800"}`, "custom_id: half of a surrogate pair is no character", ""},

		// A batch line.
		{`{"body":{"model":"m","messages":[` + user + `]}}`, "custom_id: is missing", "a line with a body needs one"},
		{batch(`"body":"secret"`), "body: a string is not an object", ""},
		{batch(`"body":null`), "body: null is not an object", nullHint},
		{batch(`"body":{"model":"m"}`), "body.messages: is missing", ""},
		{batch(`"body":{"messages":[` + user + `]}`), "body.model: is missing", modelHint},
		{batch(`"body":{"model":7,"messages":[` + user + `]}`), "body.model: 7 is not a string", ""},
		{batch(`"body":{"model":"m","messages":[` + user + `],"stream":"yes"}`), `body.stream: "yes" is not true or false`, ""},
		{batch(`"body":{"model":"","messages":[` + user + `]}`), "body.model: is empty", ""},
		{batch(`"body":{"model":null,"messages":[` + user + `]}`), "body.model: null is not a string", nullHint},
		{batch(`"body":{"model":"m","messages":[{"role":"bot"}]}`), `body.messages[0].role: "bot" is not one of system, developer, user, assistant, tool, function`, ""},
		{batch(`"method":"GET","body":{"model":"m","messages":[` + user + `]}`), `method: is not "POST"`, ""},
		{batch(`"method":null,"body":{"model":"m","messages":[` + user + `]}`), `method: is not "POST"`, ""},
		{batch(`"url":"/v1/embeddings","body":{}`), "url: is not a path that ends in /chat/completions", urlHint},
		{batch(`"url":"https://evil.example/v1/chat/completions","body":{}`), "url: is not a path that ends in /chat/completions", urlHint},
		{batch(`"url":"//evil.example/v1/chat/completions","body":{}`), "url: is not a path that ends in /chat/completions", urlHint},
		{batch(`"url":"/v1/chat/completions?x=/chat/completions","body":{}`), "url: is not a path that ends in /chat/completions", urlHint},
		{batch(`"url":7,"body":{}`), "url: is not a path that ends in /chat/completions", urlHint},
		{batch(`"body":{"model":"m","messages":[` + user + `]},"temperature":1`), "temperature: stands beside body, so it would not be sent", "put it into body"},
		{batch(`"body":{"model":"m","messages":[` + user + `]},"system":"secret"`), "system: stands beside body, so it would not be sent", "put it into body"},
	} {
		good, bad, _ := readAll(t, c.line, Options{})
		if len(good) != 0 || len(bad) != 1 {
			t.Errorf("%.200s\n%d prompts, %d bad lines, want one bad line: %s", c.line, len(good), len(bad), c.want)
			continue
		}
		if got := strings.TrimPrefix(bad[0].Error(), "p.jsonl:1: "); got != c.want || bad[0].Hint != c.hint {
			t.Errorf("%.200s\n got %q, hint %q\nwant %q, hint %q", c.line, got, bad[0].Hint, c.want, c.hint)
		}
		if all := bad[0].Error() + bad[0].Hint; strings.Contains(all, "secret") || strings.ContainsFunc(all, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%.200s\nthe error shows prompt text, or what cannot be printed: %q", c.line, all)
		}
		if strings.ContainsAny(bad[0].Hint, "()") {
			t.Errorf("%.200s\nthe hint, which is shown in brackets, has its own: %s", c.line, bad[0].Hint)
		}
		if strings.HasPrefix(c.line, `{"custom_id":"r-1"`) && bad[0].CustomID != "r-1" {
			t.Errorf("%s\nthe error lost the custom_id", c.line)
		}
	}
}

func TestI7_ReadingGoesOnAfterABadLine(t *testing.T) {
	long := `{"prompt":"` + strings.Repeat("x", 2000) + `","model":"m"}`
	fits := `{"prompt":"` + strings.Repeat("x", 1000-28) + `","model":"m"}`
	text := "{\n" + long + "\r\n" + `{"prompt":"x","model":"m"}` + "\n" + long + "\n" + fits + "\r\n" + fits + " \n" + long
	for _, step := range []int{1 << 20, 3} {
		r := NewReader("p.jsonl", &stepReader{text, step}, Options{MaxLine: len(fits)})
		var got []string
		for {
			p, err := r.Next()
			if err == io.EOF {
				break
			}
			got = append(got, fmt.Sprint(p.Line, err))
		}
		want := []string{
			"0 p.jsonl:1: the line ends before its object does",
			"0 p.jsonl:2: the line is longer than 997 bytes",
			"3 <nil>",
			"0 p.jsonl:4: the line is longer than 997 bytes",
			"5 <nil>",
			"0 p.jsonl:6: the line is longer than 997 bytes",
			"0 p.jsonl:7: the line is longer than 997 bytes",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("step %d: got\n%s", step, strings.Join(got, "\n"))
		}
	}
}

// What is no text in UTF-8 is named as what it is, and is no bad line that could be skipped.
func TestI2_NoTextFile(t *testing.T) {
	for text, want := range map[string]string{
		"\xff\xfe{\x00\n\x00{\x00":           "UTF-16",
		"\xfe\xff\x00{\n":                    "UTF-16",
		"{\x00" + strings.Repeat("p\x00", 8): "UTF-16",
		"\x00{" + strings.Repeat("\x00p", 8): "UTF-16",
		"PK\x03\x04...":                      "a ZIP archive or an Excel workbook",
		"SQLite format 3\x00\n":              "a SQLite database",
		"\xfd7zXZ\x00":                       "xz",
		"BZh91AY":                            "bzip2",
		"ARROW1\x00\x00":                     "Arrow",
	} {
		err := endOf(t, "p.jsonl", text, Options{})
		var file *FileError
		if !errors.As(err, &file) || err.Error() != "p.jsonl: the file is "+want+", not UTF-8 text" || file.Hint == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// endOf reads a file of which no row is good, and gives what its reading ended with.
func endOf(t testing.TB, name, text string, opt Options) error {
	t.Helper()
	r := NewReader(name, strings.NewReader(text), opt)
	defer r.Close()
	for {
		_, err := r.Next()
		var bad *LineError
		if err == nil {
			t.Errorf("%s: %.40q has a good row", name, text)
		} else if !errors.As(err, &bad) {
			return err
		}
	}
}

// A table is named as one in all its lines, for the first of them scrolls away; a list or a text is no table.
func TestTableFile(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // hints
	}{
		{"id,prompt\n1,\"Name a river.\"\n", []string{csvHint, csvHint}},
		{"\ufeff\"id\",\"prompt\"\r\n\r\n1,{}\r\n", []string{csvHint, csvHint}},
		{"id,prompt\n" + `{"prompt":"x"}` + "\n", []string{csvHint, modelHint}},
		{"1,[2]\n", []string{csvHint}},
		{"prompt\na,b\n", []string{oneObject, oneObject}},
		{`"prompt": {"a",` + "\n", []string{oneObject}},
	} {
		_, bad, _ := readAll(t, c.text, Options{})
		var got []string
		for _, e := range bad {
			got = append(got, e.Hint)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: hints %q, want %q", c.text, got, c.want)
		}
	}
}

func TestFailureToRead(t *testing.T) {
	text := `{"prompt":"x","model":"m"}` + "\n" + `{"prompt":"cut`
	r := NewReader("a\nb.jsonl", io.MultiReader(strings.NewReader(text), noRights{}), Options{})
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := r.Next()
		if want := `read "a\nb.jsonl": ` + fs.ErrPermission.Error(); !errors.Is(err, fs.ErrPermission) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if s := r.Stats(); s.Prompts != 1 || s.Bad != 0 {
		t.Errorf("%+v", s)
	}
	stuck := NewReader("p.jsonl", stuck{}, Options{})
	if _, err := stuck.Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

// A long line is a bad line; a stream that never ends one would be thrown away for ever.
func TestNoLineEnds(t *testing.T) {
	const max = 1000
	for _, format := range []Format{JSONL, Text} {
		read := func(src io.Reader) error {
			opt := fill("s", "model", `"m"`)
			opt.MaxLine, opt.Layout.Format = max, format
			_, err := NewReader("p", src, opt).Next()
			return err
		}
		var bad *LineError
		if err := read(strings.NewReader(strings.Repeat("x", (noLines-1)*max))); !errors.As(err, &bad) {
			t.Errorf("%s: a long line: %v", format, err)
		}
		var file *FileError
		if err := read(&endless{'x', 1 << 40}); !errors.As(err, &file) || file.Error() != "p:1: no line ends within 64000 bytes" || file.Hint == "" {
			t.Errorf("%s: no end of a line: %v", format, err)
		}
	}
}

type noRights struct{}

func (noRights) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: "/somewhere/b.jsonl", Err: fs.ErrPermission}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestLineErrorIsPrintable(t *testing.T) {
	e := &LineError{File: "a\x1b[2J.jsonl", Line: 3, Field: "model", Problem: "is missing"}
	if got := e.Error(); got != `"a\x1b[2J.jsonl":3: model: is missing` {
		t.Error(got)
	}
}

// endless is a stream of one byte, so many times.
type endless struct {
	b    byte
	left int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(e.left, int64(len(p))))
	copy(p, bytes.Repeat([]byte{e.b}, min(n, 4096)))
	for i := 4096; i < n; i *= 2 {
		copy(p[i:n], p[:i])
	}
	e.left -= int64(n)
	return n, nil
}

var endlessLine = flag.Int64("endless", 256<<20, "bytes of a line that has no end")

func TestI7_MemoryIsFlat(t *testing.T) {
	for _, b := range []byte{'x', '\r', '\n', ' '} {
		const most = 64 << 20
		size := *endlessLine
		if b == '\r' || b == '\n' {
			size = 16 << 20
		}
		in := io.MultiReader(&endless{b, size}, strings.NewReader("\n"+`{"prompt":"x","model":"m"}`))
		r := NewReader("p.jsonl", in, Options{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var line *LineError
		_, err := r.Next()
		if long := b == 'x' || b == ' '; long != errors.As(err, &line) {
			t.Fatalf("%q: %v", b, err)
		} else if long {
			_, err = r.Next()
		}
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%q: the line after it: %v", b, err)
		}
		// Everything that was allocated on the way, freed or not: a buffer that doubles until it holds 16 MiB.
		if got := after.TotalAlloc - before.TotalAlloc; got > most {
			t.Errorf("%q: %d MiB allocated for a stream of %d MiB", b, got>>20, size>>20)
		}
	}
}

// A line of nothing but keys costs its memory once: the lines after it need none of it.
func TestI7_MemoryComesBack(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"prompt":"x","model":"m","a":{"k":0`)
	for i := 0; b.Len() < 15<<20; i++ {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	b.WriteString("}}\n" + `{"prompt":"x","model":"m"}`)
	r := NewReader("p.jsonl", strings.NewReader(b.String()), Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 2 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.GC() // a pool lets go at the second one
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapInuse) - int64(before.HeapInuse); kept > 40<<20 {
		t.Errorf("%d MiB are kept after a line of 15 MiB", kept>>20)
	}
	runtime.KeepAlive(r)
}

func TestTooManyKeys(t *testing.T) {
	var b strings.Builder
	for i := range maxMembers {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	_, bad, _ := readAll(t, `{"prompt":"x","model":"m","params":{`+b.String()[1:]+`,"k":0}}`, Options{})
	if len(bad) != 1 || bad[0].Error() != "p.jsonl:1: an object with more than 4096 keys" {
		t.Error(bad)
	}
}
