package output

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"batch/store"
)

// literal draws a JSON string as an API may spell it: escapes of every sort, lone surrogates, bytes that are not UTF-8.
var literal = rapid.Custom(func(t *rapid.T) string {
	piece := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9 ,;'=+@<>&-]{0,12}`),
		rapid.SampledFrom([]string{`\n`, `\r`, `\r\n`, `\t`, `\"`, `\\`, `\/`, `\u0000`, `\u001b[2J`, `\ud83d\ude00`, `\ud83d`, `\ude00x`,
			"😀", "é", "\u2028", "\ufeff", "\u202e", "\x80", "\xff\xfe", "\xed\xa0\x80", `\u003c`, `12345678901234567890`}),
	)
	return `"` + strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "") + `"`
})

// number draws a JSON number that no float64 could carry unharmed.
var numberLiteral = rapid.SampledFrom([]string{"0", "-0", "1.0", "1e400", "12345678901234567890", "0.1000", "-1E-7"})

func says(quoted string) string {
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return string(text)
}

// answered is what a drawn row is made of.
type answered struct {
	prompt, content, own string
	number               string
}

func draw(t *rapid.T) (all []answered, src *source) {
	src = &source{}
	for i := range rapid.IntRange(0, 4).Draw(t, "rows") {
		a := answered{literal.Draw(t, "prompt"), literal.Draw(t, "content"), literal.Draw(t, "own"), numberLiteral.Draw(t, "number")}
		space := rapid.SampledFrom([]string{"", " ", "\n", "\r\n\t"}).Draw(t, "space")
		row := done(i+1, a.prompt, fmt.Sprintf(`{%s"role" : "assistant",%s"content":%s%s}`, space, space, a.content, space))
		row.Carried = fmt.Appendf(nil, `{"own":%s,%s"number":%s}`, a.own, space, a.number)
		all, src.rows = append(all, a), append(src.rows, row)
	}
	return all, src
}

// encoded gives the results file of a source, through Write's own writer but without a disk.
func encoded(src *source, opt Options) (string, error) {
	var out bytes.Buffer
	opt.Stdout = &out
	opt.fault = func(string) error { return nil }
	w := newWriter(Files{Results: Stdout, Errors: "/nowhere/e", Usage: "/nowhere/u"}, opt)
	ctx := context.Background()
	if opt.Format == CSV {
		if err := w.survey(ctx, src); err != nil {
			return "", err
		}
	}
	if err := w.rows(ctx, src); err != nil {
		return "", err
	}
	err := w.sinks[0].finish()
	return out.String(), err
}

func TestJSONLRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, src := draw(t)
		out, err := encoded(src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if out == "" {
			lines = nil
		}
		if len(lines) != len(rows) {
			t.Fatalf("%d lines for %d rows:\n%s", len(lines), len(rows), out)
		}
		for i, line := range lines {
			if !utf8.ValidString(line) {
				t.Fatalf("not UTF-8: %q", line)
			}
			var got map[string]json.RawMessage
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			for name, want := range map[string]string{"prompt": rows[i].prompt, "content": rows[i].content, "own": rows[i].own} {
				if says(string(got[name])) != says(want) {
					t.Fatalf("%s says %s, want %s", name, got[name], want)
				}
				if utf8.ValidString(want) && string(got[name]) != want {
					t.Fatalf("%s is spelled %s, was %s", name, got[name], want)
				}
			}
			if string(got["number"]) != rows[i].number {
				t.Fatalf("number %s, was %s", got["number"], rows[i].number)
			}
		}
	})
}

func TestCSVRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, src := draw(t)
		raw := rapid.Bool().Draw(t, "raw")
		out, err := encoded(src, Options{Format: CSV, CSVRaw: raw})
		if err != nil {
			t.Fatal(err)
		}
		table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		if len(table) != len(rows)+1 {
			t.Fatalf("%d lines for %d rows", len(table)-1, len(rows))
		}
		for i, cells := range table[1:] {
			got := map[string]string{}
			for c, name := range table[0] {
				got[name] = cells[c]
			}
			for name, literal := range map[string]string{"prompt": rows[i].prompt, "content": rows[i].content, "own": rows[i].own} {
				want := says(literal)
				if !raw {
					want = strings.ReplaceAll(want, "\x00", "\uFFFD")
					if formula([]byte(want)) {
						want = "'" + want
					}
				}
				if want = strings.ReplaceAll(want, "\r\n", "\n"); got[name] != want { // what Go's reader does to a cell
					t.Fatalf("%s is %q, want %q", name, got[name], want)
				}
			}
			if got["number"] != rows[i].number {
				t.Fatalf("number %s, was %s", got["number"], rows[i].number)
			}
		}
	})
}

// O7: what a spreadsheet would run is made harmless; what is only a number, or only looks odd, stays.
func TestFormula(t *testing.T) {
	for cell, want := range map[string]bool{
		"": false, "text": false, "=1+1": true, "=": true, "+1+1": true, "-1-1": true, "@SUM(A1)": true, "＝1+1": true,
		"\t=1": true, "\ttext": true, "\rtext": true, " =1": true, "\n=1": true, "\u00a0=1": true, "\ufeff=1": true, "\x00=1": true,
		"-1": false, "+1.5": false, "-2e-7": false, "-.5": false, " -1": false, "-": true, "-e5": true, "-1e": true, "-1.": true,
		"+1e5e": true, "-1,000": true, "+49 30 1234": true, "1=1": false, "a\n=1": false, "'=1": false, `"=1`: false, "\xff=1": false,
	} {
		if got := formula([]byte(cell)); got != want {
			t.Errorf("formula(%q) = %v", cell, got)
		}
	}
}

// A guard that costs a spreadsheet nothing must not touch JSONL, nor CSV when told not to.
func TestGuardIsCSVOnly(t *testing.T) {
	src := &source{rows: []store.Row{done(1, `"=1+1"`, `{"role":"assistant","content":"@x\u0000"}`)}}
	for _, c := range []struct {
		opt  Options
		want string
	}{
		{Options{}, `"prompt":"=1+1","content":"@x\u0000"`},
		{Options{Format: CSV}, "'=1+1,'@x\uFFFD"},
		{Options{Format: CSV, CSVRaw: true}, ",=1+1,@x\x00,"},
	} {
		if out, err := encoded(src, c.opt); err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%q not in %q (%v)", c.want, out, err)
		}
	}
}

// A table is as wide as 200 of the author's keys; what is beyond stands in one column, in full.
func TestManyKeys(t *testing.T) {
	src := &source{}
	for i := range 3 {
		row := done(i+1, `"q"`, `{"role":"assistant","content":"a"}`)
		var keys []string
		for k := range 100 {
			keys = append(keys, fmt.Sprintf(`"k%d":%d`, i*100+k, k))
		}
		keys = append(keys, `"carried":true`, `"`+strings.Repeat("n", 300)+`":"long"`)
		row.Carried = []byte("{" + strings.Join(keys, ",") + "}")
		src.rows = append(src.rows, row)
	}
	out, err := encoded(src, Options{Format: CSV})
	if err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(table[0]), len(resultColumns)+maxOwnColumns+1; got != want {
		t.Errorf("%d columns, want %d", got, want)
	}
	last := len(table[0]) - 1
	if table[0][last] != "input_carried" {
		t.Errorf("the shared column is called %s", table[0][last])
	}
	var shared map[string]any
	if err := json.Unmarshal([]byte(table[3][last]), &shared); err != nil {
		t.Fatal(err)
	}
	if len(shared) != 101+1-1 || shared["k299"] != 99.0 || shared[strings.Repeat("n", 300)] != "long" {
		t.Errorf("the shared column holds %d keys: %s", len(shared), table[3][last])
	}
}

// The author's keys keep their names unless the file has a column of that name.
func TestCarriedNames(t *testing.T) {
	for _, c := range []struct{ carried, answer, failure string }{
		{`{"label":1}`, `"label":1`, `"label":1`},
		{`{"content":1,"status":2}`, `"input_content":1,"status":2`, `"content":1,"input_status":2`},
		{`{"\u006cine":1}`, `"input_\u006cine":1`, `"input_\u006cine":1`},
		{`{"input_line":1,"line":2,"input_input_line":3}`, `"input_line":1,"input_input_input_line":2,"input_input_line":3`,
			`"input_line":1,"input_input_input_line":2,"input_input_line":3`},
		{`{"choices":1,"message":2,"file":3,"simulated":4}`, `"input_choices":1,"input_message":2,"input_file":3,"input_simulated":4`,
			`"choices":1,"input_message":2,"input_file":3,"input_simulated":4`},
		{`{"Line":1, "x": [1, 2],` + "\r" + `"y":{}}`, `"Line":1,"x":[1, 2],"y":{}`, `"Line":1,"x":[1, 2],"y":{}`},
		{`{}`, `"created":1706745600}`, `"possibly_paid":true}`},
	} {
		src := &source{rows: []store.Row{done(1, `"q"`, `{"role":"assistant","content":"a"}`), failed(2)}}
		for i := range src.rows {
			src.rows[i].Carried = []byte(c.carried)
		}
		_, got := write(t, src, Options{})
		if !strings.Contains(got[0], c.answer) || !strings.Contains(got[1], c.failure) {
			t.Errorf("%s became %s%s", c.carried, got[0], got[1])
		}
	}
}

// H14, H20: every form of an answer has its columns.
func TestAnswerForms(t *testing.T) {
	for _, c := range []struct{ response, want, wantNot string }{
		{`{"choices":[{"message":{"role":"assistant","content":""}}]}`, `"content":"","finish_reason":null`, `"message"`},
		{`{"choices":[{"message":{"role":"assistant","content":null,"refusal":"No."}}]}`,
			`"message":{"role":"assistant","content":null,"refusal":"No."}`, `"choices"`},
		{`{"choices":[{"message":{"content":"a","refusal":null,"annotations":[ ],"audio":{},"reasoning":""}}]}`, `"content":"a"`, `"message"`},
		{`{"choices":[{"message":{"content":"a","reasoning":" "}}]}`, `"message":{"content":"a","reasoning":" "}`, `"choices"`},
		{`{"choices":[{"message":{"content":[{"type":"text","text":"a\u0041"},{"type":"text","text":"\"b"}]}}]}`,
			`"content":"a\u0041\n\"b"`, `"choices"`},
		{`{"choices":[{"message":{"content":[{"type":"image"}]}}]}`, `"content":null`, `"choices"`},
		{`{"choices":[{"message":{"content":7}}]}`, `"message":{"content":7}`, `"choices"`},
		{`{"choices":[{"message":{"content":"a"},"logprobs":{"content":[]}}]}`, `"choices":[{"message":{"content":"a"},"logprobs":{"content":[]}}]`, ""},
		{`{"choices":[{"message":{"content":"a"},"logprobs":null,"stop_reason":null}]}`, `"content":"a"`, `"choices"`},
		{`{"choices":[{"message":{"content":"1"}},{"message":{"content":"2"}}]}`, `"content":"1","finish_reason":null`, ""},
		{`{"choices":[{"message":{"content":"1","content":"2"}}],"model":"x","model":"y"}`, `"content":"2"`, `"x"`},
		{`{"choices":[{"message":{"content":"1"}}],"choices":[{"message":{"content":"2"},"finish_reason":"length"}]}`,
			`"content":"2","finish_reason":"length"`, `"choices"`},
		{`{"Choices":[],"choices":[{"\u006dessage":{"\u0063ontent":"a"}}]}`, `"content":"a"`, `"choices"`},
		{`{"choices":[],"created":9007199254740993,"model":7}`, `"model":null`, `900`},
		{`{"choices":null,"created":9007199254740992}`, `"created":9007199254740992`, ""},
		{`{"choices":[null],"created":-5}`, `"content":null`, `-5`},
		{`{"choices":[{"message":null,"finish_reason":3}],"created":"1"}`, `"created":null`, `"finish_reason":3`},
	} {
		row := done(1, `"q"`, `{}`)
		row.Response = []byte(c.response)
		out, err := encoded(&source{rows: []store.Row{row}}, Options{})
		if err != nil || !strings.Contains(out, c.want) || c.wantNot != "" && strings.Contains(out, c.wantNot) {
			t.Errorf("%s became %s (%v)", c.response, out, err)
		}
	}
}

func TestPromptForms(t *testing.T) {
	for body, want := range map[string]string{
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`:                   `"a"`,
		`{"messages":[{"role":"user","content":"a"},{"content":"b","role":"user"}]}`:                        `"b"`,
		`{"messages":[{"role":"system","content":"a"}]}`:                                                    `null`,
		`{"messages":[{"role":"user","content":null}]}`:                                                     `null`,
		`{"messages":[{"role":"user","content":[]}]}`:                                                       `null`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":""}]}]}`:                              `""`,
		`{"messages":[{"role":"user","content":[{"type":"input_audio"},{"type":"text","text":"\ud83d"}]}]}`: `"\ud83d"`,
		`{"messages":[7,{"role":"user","content":"a"}]}`:                                                    `"a"`,
		`{"messages":7}`: `null`,
		`{"model":"m"}`:  `null`,
		`{"messages":[{"role":"user","content":"` + "\xff" + `"}]}`: "\"\uFFFD\"",
	} {
		row := done(1, `""`, `{"content":"x"}`)
		row.Body = []byte(body)
		out, err := encoded(&source{rows: []store.Row{row}}, Options{})
		if err != nil || !strings.Contains(out, `"prompt":`+want+`,"content":"x"`) {
			t.Errorf("%s became %s (%v)", body, out, err)
		}
	}
}

// Answers spread over lines stand on one, spelled as before.
func TestPrettyPrinted(t *testing.T) {
	row := done(1, `"q"`, `{}`)
	row.Response = []byte("{\r\n  \"choices\": [\n    {\"message\": {\"content\": \"a \\\" b\\\\\", \"x\": [1.0,\n 1e400] }}\n  ]\n}\n")
	for shape, want := range map[Shape]string{
		Flat:   `"message":{"content":"a \" b\\","x":[1.0,1e400]}`,
		OpenAI: `"body":{"choices":[{"message":{"content":"a \" b\\","x":[1.0,1e400]}}]}}`,
		Chat:   `{"role":"assistant","content":"a \" b\\"}]`,
	} {
		out, err := encoded(&source{rows: []store.Row{row}}, Options{Shape: shape})
		if err != nil || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %s (%v)", shape, out, err)
		}
	}
}

type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// An encoder's Close says what could not be written.
func TestCloseReturnsTheError(t *testing.T) {
	cols := newColumns(resultColumns)
	cols.settle()
	table := newCSV(&fullDisk{room: 10}, cols, false)
	if err := table.header(); err != nil {
		t.Fatal(err)
	}
	if err := table.Close(); err == nil {
		t.Error("the header did not fit, and Close is silent")
	}
	line := &jsonl{w: &fullDisk{}}
	if err := line.encode(&record{}); err == nil {
		t.Error("the line did not fit, and encode is silent")
	}
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "=1+1", "\"q\"", "a\nb", "\r\n", "\x00", "\xff", "-1", "\t", "'"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, raw bool) {
		cols := newColumns([]string{"a", "b"})
		cols.settle()
		var out bytes.Buffer
		table := newCSV(&out, cols, raw)
		rec := &record{}
		rec.quoted("a", text)
		rec.quoted("b", "end")
		if err := table.encode(rec); err != nil {
			t.Fatal(err)
		}
		if err := table.Close(); err != nil {
			t.Fatal(err)
		}
		cells, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(cells) != 1 || len(cells[0]) != 2 || cells[0][1] != "end" {
			t.Fatalf("%q: %q %v", text, cells, err)
		}
		got, want := cells[0][0], strings.ReplaceAll(toUTF8(text), "\r\n", "\n")
		if raw && got != want {
			t.Fatalf("%q became %q", want, got)
		}
		if !raw {
			if formula([]byte(got)) || strings.Contains(got, "\x00") {
				t.Fatalf("%q is not guarded: %q", text, got)
			}
			if strings.TrimPrefix(got, "'") != strings.TrimPrefix(strings.ReplaceAll(want, "\x00", "\uFFFD"), "'") {
				t.Fatalf("%q became %q", want, got)
			}
		}
	})
}

func toUTF8(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

// Whatever a job file holds: no panic, and what is written is one JSON object on one line of UTF-8.
func FuzzRow(f *testing.F) {
	for _, row := range story().rows {
		f.Add([]byte(row.Body), []byte(row.Response), []byte(row.Carried), []byte(row.ErrorBody), row.CustomID, row.Status)
	}
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"\ud800"}]}]}`), []byte("{\"choices\":[{\"message\":{\"content\":\"\xff\n\"}}]}"),
		[]byte(`{"line":1,"input_line":2}`), []byte(`"x"`), "\x00\xff", 500)
	f.Fuzz(func(t *testing.T, body, response, carried, errorBody []byte, id string, status int) {
		rows := []store.Row{
			{State: store.Done, ID: 1, Body: body, Response: response, Carried: carried, CustomID: id, HasCustomID: true, RequestID: id, Model: id},
			{State: store.Failed, ID: 2, Body: body, ErrorBody: errorBody, Carried: carried, Status: status, Message: id, Type: id, Code: id},
		}
		for _, opt := range []Options{{}, {Shape: OpenAI}, {Shape: Chat}} {
			for _, row := range rows {
				w := newWriter(Files{Results: Stdout, Errors: "/nowhere/e", Usage: "/nowhere/u"}, opt)
				if _, err := w.fill(&row); err != nil {
					if !utf8.ValidString(err.Error()) {
						t.Fatalf("error: %q", err)
					}
					continue
				}
				var out bytes.Buffer
				if err := (&jsonl{w: &out}).encode(&w.rec); err != nil {
					t.Fatal(err)
				}
				line, ok := strings.CutSuffix(out.String(), "\n")
				if !ok || strings.ContainsAny(line, "\r\n") || !utf8.ValidString(line) {
					t.Fatalf("not one line of UTF-8: %q", line)
				}
				if !jsontext.Value(line).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
					t.Fatalf("not JSON: %s", line)
				}
			}
		}
	})
}

// The files of one source in both encodings hold the same rows in the same order.
func TestSameRowsInBoth(t *testing.T) {
	_, lines := write(t, story(), Options{})
	_, tables := write(t, story(), Options{Format: CSV})
	for i := range lines {
		table, err := csv.NewReader(strings.NewReader(tables[i])).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var want []map[string]string
		for line := range strings.Lines(lines[i]) {
			var row map[string]json.RawMessage
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			cells := map[string]string{}
			for name, value := range row {
				switch {
				case string(value) == "null":
				case value[0] == '"':
					cells[name] = says(string(value))
				default:
					cells[name] = string(value)
				}
			}
			for name, cell := range cells {
				if cell == "" {
					delete(cells, name)
				}
				if formula([]byte(cell)) {
					cells[name] = "'" + cell
				}
			}
			want = append(want, cells)
		}
		var got []map[string]string
		for _, cells := range table[1:] {
			row := map[string]string{}
			for c, cell := range cells {
				if cell != "" {
					row[table[0][c]] = cell
				}
			}
			got = append(got, row)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("file %d (-JSONL +CSV):\n%s", i, diff)
		}
	}
}
