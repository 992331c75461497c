package input

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"batch/runner/chat"
	"batch/runner/tokens"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// readAll reads a file of this text to its end; errors that end the reading fail the test.
func readAll(t testing.TB, text string, opt Options) (good []Prompt, bad []*LineError, stats Stats) {
	t.Helper()
	r := NewReader("p.jsonl", strings.NewReader(text), opt)
	good, bad, err := drained(r)
	if err != nil {
		t.Fatal(err)
	}
	return good, bad, r.Stats()
}

func fill(system string, fields ...string) Options {
	var d Defaults
	if system != "" {
		d.System = &system
	}
	for i := 0; i < len(fields); i += 2 {
		d.Fields = append(d.Fields, Field{fields[i], jsontext.Value(fields[i+1])})
	}
	return Options{Defaults: d}
}

func TestI5_I6_I10_GoodLines(t *testing.T) {
	type row struct {
		name, line string
		opt        Options
		body       string
		carried    string
	}
	const user = `{"role":"user","content":"x"}`
	for _, c := range []row{
		{name: "prompt", line: `{"prompt":"x","model":"m"}`, body: `{"model":"m","messages":[` + user + `]}`},
		{name: "prompt with all a line can say",
			line:    ` { "id" : 7, "temperature": 0.20, "prompt" : "L\u00f6ss \/ <a>" , "seed":1.0, "system": "Be brief.", "model": "m", "params": {"top_k": 40 , "x":{"b":1, "a":2}}, "label" : [ 1, 2 ], "stop":[ "a" ] } `,
			body:    `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"L\u00f6ss \/ <a>"}],"temperature":0.20,"seed":1.0,"stop":[ "a" ],"top_k":40,"x":{"b":1, "a":2}}`,
			carried: `{"id":7,"label":[ 1, 2 ]}`},
		{name: "messages", line: `{"temperature":0,"messages":[ {"content":"x" , "role":"user"} ],"model":"m"}`,
			body: `{"model":"m","messages":[ {"content":"x" , "role":"user"} ],"temperature":0}`},
		{name: "system beside messages", line: `{"messages":[ ` + user + `],"system":"s","model":"m"}`,
			body: `{"model":"m","messages":[{"role":"system","content":"s"}, ` + user + `]}`},
		{name: "escaped keys", line: `{"pr\u006fmpt":"x","m\u006fdel":"m","t\u006fp_p":1,"n\u006fte":"y"}`,
			body: `{"model":"m","messages":[` + user + `],"top_p":1}`, carried: `{"n\u006fte":"y"}`},
		{name: "fill-ins", line: `{"prompt":"x","temperature":1,"params":{"a":1}}`, opt: fill("s\n\"q\"", "temperature", "0.5", "stream", "true", "model", `"m"`, "stop", `","`),
			body: `{"model":"m","messages":[{"role":"system","content":"s\n\"q\""},` + user + `],"temperature":1,"stream":true,"stop":",","a":1}`},
		{name: "fill-in of system beside messages", line: `{"messages":[` + user + `],"model":"m"}`, opt: fill("s"),
			body: `{"model":"m","messages":[{"role":"system","content":"s"},` + user + `]}`},
		{name: "system message of one's own", line: `{"messages":[{"role":"developer","content":"d"},` + user + `],"model":"m"}`, opt: fill("s"),
			body: `{"model":"m","messages":[{"role":"developer","content":"d"},` + user + `]}`},
		{name: "system of one's own", line: `{"prompt":"x","system":"own","model":"m"}`, opt: fill("s"),
			body: `{"model":"m","messages":[{"role":"system","content":"own"},` + user + `]}`},
		{name: "stream of one's own", line: `{"prompt":"x","stream":false,"model":"m"}`, opt: fill("", "stream", "true"),
			body: `{"model":"m","messages":[` + user + `],"stream":false}`},
		{name: "the other bound of an answer", line: `{"prompt":"x","max_completion_tokens":5,"model":"m"}`, opt: fill("", "max_tokens", "9"),
			body: `{"model":"m","messages":[` + user + `],"max_completion_tokens":5}`},
		{name: "body whole", line: `{"custom_id":"r-1","method":"POST","url":"/v1/chat/completions","body": { "messages" : [` + user + `] ,"model":"m", "Temperature" : 9, "api":{"x":1}} }`,
			body: `{ "messages" : [` + user + `] ,"model":"m", "Temperature" : 9, "api":{"x":1}}`},
		{name: "a body's other fields are the API's business", line: `{"custom_id":"r-1","body":{"model":"m","messages":[` + user + `],"temperature":null,"stop":null,"stream":null,"max_tokens":4096.0,"top_p":7,"user":1,"Model":0}}`,
			opt: fill("", "temperature", "1", "stop", `"."`), body: `{"model":"m","messages":[` + user + `],"temperature":null,"stop":null,"stream":null,"max_tokens":4096.0,"top_p":7,"user":1,"Model":0}`},
		{name: "body whole beside fill-ins", line: `{"custom_id":"r-1","body":{ "messages" : [{"role":"system","content":""}, ` + user + `] ,"model":"m", "stream":true } ,"label":"a"}`,
			opt: fill("s", "model", `"other"`, "stream", "true"), body: `{ "messages" : [{"role":"system","content":""}, ` + user + `] ,"model":"m", "stream":true }`, carried: `{"label":"a"}`},
		{name: "body filled in", line: `{"custom_id":"r-1","body":{ "messages" : [ ` + user + ` ] , "n":2 }}`, opt: fill("s", "user", `"u"`, "model", `"m"`),
			body: `{ "messages" : [{"role":"system","content":"s"}, ` + user + ` ] , "n":2 ,"user":"u","model":"m"}`},
		{name: "an author's body, method and url", line: `{"prompt":"x","model":"m","body":"text","method":"scraped","url":"https://example.com"}`,
			body: `{"model":"m","messages":[` + user + `]}`, carried: `{"body":"text","method":"scraped","url":"https://example.com"}`},
		{name: "what no decoder keeps", line: `{"prompt":"\ud800 \u0000 \u2028` + "\u2028" + ` 😀","model":"m","logit_bias":{"1":1e400,"2":12345678901234567890,"3":-0,"4":1.0}}`,
			body: `{"model":"m","messages":[{"role":"user","content":"\ud800 \u0000 \u2028` + "\u2028" + ` 😀"}],"logit_bias":{"1":1e400,"2":12345678901234567890,"3":-0,"4":1.0}}`},
		{name: "words that are nearly fields", line: `{"prompt":"x","model":"m","score":1,"story":2,"mode":3,"tool":4,"users":5,"no":6,"prompts":7}`,
			body: `{"model":"m","messages":[` + user + `]}`, carried: `{"score":1,"story":2,"mode":3,"tool":4,"users":5,"no":6,"prompts":7}`},
		{name: "fields of other APIs", line: `{"prompt":"x","model":"m","min_p":1,"provider":2,"route":3,"transforms":4,"repetition_penalty":5,"params":{"top_k":40,"models":["n"]}}`,
			body: `{"model":"m","messages":[` + user + `],"top_k":40,"models":["n"]}`, carried: `{"min_p":1,"provider":2,"route":3,"transforms":4,"repetition_penalty":5}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			good, bad, _ := readAll(t, c.line, c.opt)
			if len(good) != 1 || len(bad) != 0 {
				t.Fatalf("got %d prompts, bad lines %v", len(good), bad)
			}
			p := good[0]
			if string(p.Body) != c.body {
				t.Errorf("body\n got %s\nwant %s", p.Body, c.body)
			}
			if string(p.Carried) != c.carried {
				t.Errorf("carried\n got %s\nwant %s", p.Carried, c.carried)
			}
			if p.Model != "m" {
				t.Errorf("model %q", p.Model)
			}
			if key, err := chat.Key(p.Body); err != nil || key != p.Key {
				t.Errorf("the key is not that of the body (%v)", err)
			}
			if p.Tokens != tokens.Estimate(p.Body) {
				t.Errorf("%d tokens", p.Tokens)
			}
			if p.Batch != strings.Contains(c.line, "r-1") || p.HasCustomID != p.Batch {
				t.Errorf("batch %v, custom_id %v %q", p.Batch, p.HasCustomID, p.CustomID)
			}
		})
	}
}

func TestI15_CustomID(t *testing.T) {
	for _, id := range []string{``, `a`, `../../x`, `'; DROP TABLE jobs; --`, `=cmd`, `\u0000\u001b[2J`, `größe 😀 \ud83d\ude00`, strings.Repeat("x", 1<<20)} {
		line := `{"custom_id":"` + id + `","prompt":"x","model":"m"}`
		good, bad, _ := readAll(t, line, Options{})
		if len(good) != 1 {
			t.Errorf("%.40s: %v", id, bad)
			continue
		}
		want, err := jsontext.AppendUnquote(nil, `"`+id+`"`)
		if p := good[0]; err != nil || p.CustomID != string(want) || !p.HasCustomID || p.Batch || p.Carried != nil {
			t.Errorf("%.40s: got %.40q, %v, carried %s", id, p.CustomID, p.HasCustomID, p.Carried)
		}
	}
}

func TestI1_I2_I3_LinesOfAFile(t *testing.T) {
	line := func(id string) string { return `{"custom_id":"` + id + `","prompt":"x","model":"m"}` }
	for _, c := range []struct {
		name, text string
		at         []int // lines of the prompts
		lines      int
	}{
		{"empty", "", nil, 0},
		{"blank lines only", "\n \n\t\r\n", nil, 3},
		{"final newline", line("a") + "\n" + line("b") + "\n", []int{1, 2}, 2},
		{"no final newline", line("a") + "\n" + line("b"), []int{1, 2}, 2},
		{"CRLF", line("a") + "\r\n\r\n" + line("b") + "\r\n", []int{1, 3}, 3},
		{"CRLF, no final newline", line("a") + "\r\n" + line("b") + "\r", []int{1, 2}, 2},
		{"CR only", line("a") + "\r\r" + line("b") + "\r" + line("c"), []int{1, 3, 4}, 4},
		{"one line and a CR", line("a") + "\r", []int{1}, 1},
		{"a CR inside a line", line("a") + "\n" + strings.Replace(line("b"), ",", ",\r", 1) + "\n" + line("c"), []int{1, 2, 3}, 3},
		{"BOM", "\ufeff" + line("a") + "\n" + line("b"), []int{1, 2}, 2},
		{"BOM alone", "\ufeff", nil, 1},
		{"BOM, blank line", "\ufeff\r\n" + line("b"), []int{2}, 2},
		{"U+2028 in a string", line("a\u2028b") + "\n" + line("c"), []int{1, 2}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, step := range []int{1 << 20, 1, 7} {
				r := NewReader("p.jsonl", &stepReader{c.text, step}, Options{})
				var at []int
				for {
					p, err := r.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatalf("step %d: %v", step, err)
					}
					at = append(at, p.Line)
				}
				if d := cmp.Diff(c.at, at); d != "" {
					t.Errorf("step %d: lines of the prompts (-want +got)\n%s", step, d)
				}
				s := r.Stats()
				if s.Lines != c.lines || s.NonBlank != len(c.at) || s.Prompts != len(c.at) || s.Bad != 0 {
					t.Errorf("step %d: %+v", step, s)
				}
			}
		})
	}
}

// stepReader gives a few bytes at a time, and its last ones together with the end.
type stepReader struct {
	rest string
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	n := copy(p, r.rest[:min(r.step, len(r.rest))])
	r.rest = r.rest[n:]
	if r.rest == "" {
		return n, io.EOF
	}
	return n, nil
}

func TestStats(t *testing.T) {
	text := `{"prompt":"x","label":1,"topic":2}
{"prompt":"x","temperature":1,"label":1,"ke\u0079":3}
{"prompt":7,"never":1}

{"messages":[{"role":"system","content":"s"},{"role":"user","content":"x"}],"model":"m"}
`
	_, _, got := readAll(t, text, fill("s", "model", `"m"`, "temperature", "0", "user", `"u"`))
	want := Stats{
		Lines: 5, NonBlank: 4, Prompts: 3, Bad: 1,
		FillIns: []FillIn{{"model", 2}, {"temperature", 2}, {"user", 3}, {"system", 2}},
		Carried: []string{"label", "topic", "key"},
		RowHint: rowHint(JSONL),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestAllBatch(t *testing.T) {
	const batch = `{"custom_id":"a","body":{"model":"m","messages":[{"role":"user","content":"x"}]}}` + "\n"
	for text, want := range map[string]bool{
		"":                                   false,
		batch + "\n" + batch:                 true,
		batch + "nonsense\n":                 true,
		batch + `{"prompt":"x","model":"m"}`: false,
		`{"custom_id":"a","prompt":"x","model":"m"}`: false,
	} {
		if _, _, s := readAll(t, text, Options{}); s.AllBatch != want {
			t.Errorf("AllBatch %v for\n%s", s.AllBatch, text)
		}
	}
}

func TestCarriedNamesAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		b.WriteString(`{"prompt":"x","model":"m","k` + strings.Repeat("x", i) + `":1}` + "\n")
	}
	good, bad, s := readAll(t, b.String(), Options{})
	if len(good) != 3000 || len(bad) != 0 || len(s.Carried) != 50 || !s.MoreCarried {
		t.Errorf("%d prompts, %d bad, %d names, more: %v", len(good), len(bad), len(s.Carried), s.MoreCarried)
	}
}

// With more keys than are remembered a name is worked out anew on each line, and still listed once.
func TestMoreKeysThanAreRemembered(t *testing.T) {
	text := `{"k":0`
	for i := range maxKnown {
		text += `,"k` + strconv.Itoa(i) + `":0`
	}
	text += "}\n" + strings.Repeat(`{"prompt":"x","model":"m","label":1}`+"\n", 3)
	r := NewReader("p.jsonl", strings.NewReader(text), Options{})
	for {
		if _, err := r.Next(); err == io.EOF {
			break
		}
	}
	if d := cmp.Diff([]string{"label"}, r.Stats().Carried); d != "" {
		t.Errorf("carried (-want +got)\n%s", d)
	}
	if len(r.keys) != maxKnown {
		t.Errorf("%d keys are remembered", len(r.keys))
	}
}

func TestModelOfEachLine(t *testing.T) {
	text := `{"prompt":"x","model":"a"}
{"prompt":"x","model":"b\u00e9"}
{"prompt":"x"}
{"custom_id":"r","body":{"model":"a","messages":[{"role":"user","content":"x"}]}}`
	good, bad, _ := readAll(t, text, fill("", "model", `"filled"`))
	var got []string
	for _, p := range good {
		got = append(got, p.Model)
	}
	if d := cmp.Diff([]string{"a", "bé", "filled", "a"}, got); d != "" {
		t.Errorf("models (-want +got)\n%s\nbad lines %v", d, bad)
	}
}

func TestDefaultsCheck(t *testing.T) {
	for _, c := range []struct {
		opt  Options
		want string
	}{
		{fill(""), ""},
		{fill("s", "model", `"m"`, "temperature", "2", "top_p", "0", "max_tokens", "1", "stop", `["a"]`, "presence_penalty", "-2", "frequency_penalty", "2", "user", `""`, "stream", "true"), ""},
		{fill("", "temperature", "3"), "temperature: 3 is not between 0 and 2"},
		{fill("", "model", `""`), "model: is empty"},
		{fill("", "model", `m`), "model: is not valid JSON"},
		{fill("", "user", `"a"`, "user", `"b"`), "user: is given twice"},
		{fill("", "messages", `[]`), "messages: is not a field that can be filled in"},
		{fill("", "tools", `[]`), "tools: is not a field that can be filled in"},
		{fill("", "seed", `-7`), ""},
		{fill("", "seed", `1.5`), "seed: 1.5 is not an integer, or too large for one"},
		{fill("", "seed", `9007199254740993`), "seed: 9007199254740993 is not an integer, or too large for one"},
		{fill("", "seed", `-0`), "seed: -0 is not an integer, or too large for one"},
		{fill("\xff"), "system: is not valid UTF-8"},
		{Options{Defaults: Defaults{System: new(string)}}, "system: is empty"},
	} {
		got := ""
		if err := c.opt.Defaults.Check(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
