package output

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"batch/store"
)

// table reads a Parquet file with the library's own reader: the schema in words, and by column the values, nil for null.
func table(t rapid.TB, content string) (schema []string, rows []map[string][]any) {
	t.Helper()
	f, err := parquet.OpenFile(strings.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	paths := f.Schema().Columns()
	for _, field := range f.Schema().Fields() {
		word := field.Name()
		word += " " + strings.TrimSuffix(field.Type().String(), "(64,true)")
		if field.Optional() {
			word += "?"
		}
		schema = append(schema, word)
	}
	for _, group := range f.RowGroups() {
		reader := group.Rows()
		defer reader.Close()
		buf := make([]parquet.Row, 7)
		for {
			n, err := reader.ReadRows(buf)
			for _, r := range buf[:n] {
				row := map[string][]any{}
				for _, v := range r {
					name := strings.Join(paths[v.Column()], "/")
					row[name] = append(row[name], plain(v))
				}
				rows = append(rows, row)
			}
			if err != nil {
				break
			}
		}
	}
	if int64(len(rows)) != f.NumRows() {
		t.Fatalf("read %d of %d rows", len(rows), f.NumRows())
	}
	return schema, rows
}

func plain(v parquet.Value) any {
	if v.IsNull() {
		return nil
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int64:
		return v.Int64()
	case parquet.Double:
		return v.Double()
	}
	return string(v.ByteArray())
}

// The columns are those of the other formats in their order, each with its type, and null where it may be null.
func TestParquetSchema(t *testing.T) {
	_, got := write(t, story(), Options{Format: Parquet})
	for i, want := range []string{
		"line INT, custom_id STRING?, prompt STRING?, content STRING?, finish_reason STRING?, requested_model STRING?, model STRING?, " +
			"prompt_tokens INT?, completion_tokens INT?, total_tokens INT?, usage_source STRING, cost DOUBLE?, attempts INT, latency_ms INT, " +
			"request_id STRING?, created INT?, label STRING?, input_input_line INT?, input_line STRING?, weight STRING?, tags STRING?, " +
			"gone STRING?, choices STRING?, message STRING?",
		"line INT, custom_id STRING?, prompt STRING?, status INT?, type STRING?, code STRING?, message STRING?, request_id STRING?, " +
			"attempts INT, possibly_paid BOOLEAN",
		"endpoint STRING?, requested_model STRING?, jobs INT, done INT, failed INT, pending INT, attempts INT, prompt_tokens INT, " +
			"completion_tokens INT, total_tokens INT, estimated_tokens INT, usage_unknown INT, wasted_tokens INT, gone_tokens INT, " +
			"possibly_paid INT, cost DOUBLE?, estimated_cost DOUBLE?, wasted_cost DOUBLE?, gone_cost DOUBLE?, complete BOOLEAN, total BOOLEAN",
	} {
		schema, _ := table(t, got[i])
		if diff := cmp.Diff(strings.Split(want, ", "), schema); diff != "" {
			t.Errorf("file %d (-want +got):\n%s", i, diff)
		}
	}
	_, rows := table(t, got[0])
	for name, want := range map[string]any{"line": int64(1), "custom_id": nil, "prompt": "Name a river.",
		"content": "The Danube <b>&amp;</b>\u2028😀 /.", "cost": 0.00000855, "created": int64(1706745600), "label": "=1+1",
		"weight": "12345678901234567890", "tags": `["a", "b"]`, "gone": nil, "choices": nil, "message": nil, "prompt_tokens": int64(25)} {
		if diff := cmp.Diff([]any{want}, rows[0][name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A conversation is a list of structs: a column for each member that any message has.
func TestParquetChat(t *testing.T) {
	_, got := write(t, story(), Options{Format: Parquet, Shape: Chat})
	_, rows := table(t, got[0])
	const list = "messages/list/element/"
	want := map[string][]any{
		list + "role":    {"system", "user", "assistant", "user", "assistant"},
		list + "content": {"Be brief.", "first", "ok", nil, nil},
		list + "tool_calls": {nil, nil, nil, nil,
			`[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]`},
		"tools": {`[{"type":"function","function":{"name":"f"}}]`},
	}
	want[list+"content"][3] = `[{"type":"text","text":"second"},{"type":"image_url","image_url":{"url":"https://example.com/x.png"}},{"type":"text","text":"part"}]`
	if diff := cmp.Diff(want, rows[1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(rows) != 4 || len(rows[0][list+"role"]) != 2 || rows[0]["tools"][0] != nil {
		t.Errorf("%v", rows)
	}
}

// What a column of the author's becomes, by all that is in it.
func TestOwnTypes(t *testing.T) {
	for values, want := range map[string]string{
		`1 2 -3 null`:                          "INT",
		`9223372036854775807 -1`:               "INT",
		`9223372036854775808 1`:                "STRING", // one more than fits
		`12345678901234567890`:                 "STRING",
		`0.1 2 -3.50 1e3 null`:                 "DOUBLE",
		`0.30000000000000004 1E-7`:             "DOUBLE",
		`0.1000000000000000055511151231257827`: "STRING", // the double would lose digits
		`1e400`:                                "STRING",
		`9007199254740993 0.5`:                 "STRING", // as an integer it fits, as a double it does not
		`-0 1`:                                 "DOUBLE",
		`true false null`:                      "BOOLEAN",
		`"a" null "1"`:                         "STRING",
		`null`:                                 "STRING",
		`"a" 1`:                                "STRING",
		`true 1`:                               "STRING",
		`[1] {"a":2}`:                          "STRING",
		`"1" "2"`:                              "STRING",
		`0.0 -0.0 0e5`:                         "DOUBLE",
		`123456789012345678 0.5`:               "STRING",
		`1e2 100`:                              "DOUBLE",
	} {
		src := &source{}
		for i, v := range strings.Fields(values) {
			row := done(i+1, `"q"`, `{"role":"assistant","content":"a"}`)
			row.Carried = []byte(`{"x":` + v + `}`)
			src.rows = append(src.rows, row)
		}
		out, err := encoded(src, Options{Format: Parquet})
		if err != nil {
			t.Fatal(err)
		}
		schema, _ := table(t, out)
		if got := schema[len(schema)-1]; got != "x "+want+"?" {
			t.Errorf("%s became %s, want %s", values, got, want)
		}
	}
}

// Whatever rows say, the table says the same: texts to the character, numbers to the digit.
func TestParquetRoundTrip(t *testing.T) {
	scalar := rapid.OneOf(numberLiteral, rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) }),
		rapid.Map(rapid.Float64(), func(f float64) string { b, _ := json.Marshal(f); return string(b) }),
		rapid.SampledFrom([]string{"true", "false", "null", `[1, "x"]`, `{"a":{}}`}), literal)
	rapid.Check(t, func(t *rapid.T) {
		rows, src := draw(t)
		kinds := rapid.SliceOfN(scalar, 1, 3).Draw(t, "kinds")
		var values []string
		for i := range src.rows {
			v := rapid.SampledFrom(kinds).Draw(t, "value")
			values = append(values, v)
			src.rows[i].Carried = append(append(bytes.TrimSuffix(src.rows[i].Carried, []byte("}")), `,"value":`+v...), '}')
		}
		out, err := encoded(src, Options{Format: Parquet})
		if err != nil {
			t.Fatal(err)
		}
		_, got := table(t, out)
		if len(got) != len(rows) {
			t.Fatalf("%d rows, want %d", len(got), len(rows))
		}
		allTexts := true
		for _, v := range values {
			allTexts = allTexts && (v[0] == '"' || v == "null")
		}
		for i, r := range got {
			for name, literal := range map[string]string{"prompt": rows[i].prompt, "content": rows[i].content, "own": rows[i].own} {
				if r[name][0] != says(literal) {
					t.Fatalf("%s is %q, want %q", name, r[name][0], says(literal))
				}
			}
			if want := (&record{}).clean([]byte(values[i])); !same(r["value"][0], string(want), allTexts) {
				t.Fatalf("%s became %#v", values[i], r["value"][0])
			}
		}
	})
}

// same says that a cell means what a JSON value does.
func same(cell any, value string, texts bool) bool {
	rat := func(s string) *big.Rat {
		r, _ := new(big.Rat).SetString(s)
		return r
	}
	switch c := cell.(type) {
	case nil:
		return value == "null"
	case bool:
		return strconv.FormatBool(c) == value
	case int64:
		return rat(value).Cmp(new(big.Rat).SetInt64(c)) == 0
	case float64:
		return rat(value).Cmp(rat(strconv.FormatFloat(c, 'g', -1, 64))) == 0
	case string:
		if texts {
			return c == says(value)
		}
		return c == value
	}
	return false
}

// Names may be anything that JSON allows; the columns past the two hundredth share one.
func TestParquetNames(t *testing.T) {
	own := []string{`"a,b":1`, `"a.b":2`, `"":3`, `"\n\u0000":4`, `"😀":5`, `"\ud83d":6`, `"Label":7`, `"label":8`, `"` + strings.Repeat("n", 300) + `":9`}
	for i := range 250 {
		own = append(own, fmt.Sprintf(`"k%d":%d`, i, i))
	}
	row := done(1, `"q"`, `{"role":"assistant","content":"a"}`)
	row.Carried = []byte("{" + strings.Join(own, ",") + "}")
	out, err := encoded(&source{rows: []store.Row{row}}, Options{Format: Parquet})
	if err != nil {
		t.Fatal(err)
	}
	_, rows := table(t, out)
	for name, want := range map[string]any{"a,b": int64(1), "a.b": int64(2), "": int64(3), "\n\x00": int64(4), "😀": int64(5), "\uFFFD": int64(6), "Label": int64(7), "label": int64(8), "k0": int64(0)} {
		if got := rows[0][name]; len(got) != 1 || got[0] != want {
			t.Errorf("%q is %v, want %v", name, got, want)
		}
	}
	var rest map[string]int
	if err := json.Unmarshal([]byte(rows[0]["carried"][0].(string)), &rest); err != nil || rest["k249"] != 249 || rest[strings.Repeat("n", 300)] != 9 {
		t.Errorf("%v %v", rest, err)
	}
}

// A cell of 20 MB is a cell; the foot of the file does not repeat it, and the groups of rows end where they should.
func TestParquetHugeCell(t *testing.T) {
	src := &source{}
	for i := range 6 {
		content := `"` + strings.Repeat(string(rune('a'+i)), 1<<20) + `"`
		if i == 3 {
			content = `"` + strings.Repeat("x", 40<<20) + `"`
		}
		src.rows = append(src.rows, done(i+1, content, `{"role":"assistant","content":`+content+`}`))
	}
	out, err := encoded(src, Options{Format: Parquet})
	if err != nil {
		t.Fatal(err)
	}
	_, rows := table(t, out)
	if got := rows[3]["content"][0].(string); len(rows) != 6 || len(got) != 40<<20 {
		t.Errorf("%d rows, %d bytes", len(rows), len(got))
	}
	f, err := parquet.OpenFile(strings.NewReader(out), int64(len(out)))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.RowGroups()); n != 2 {
		t.Errorf("%d groups", n)
	}
	if len(out) > 1<<20 {
		t.Errorf("the file has %d bytes", len(out))
	}
}

// The same rows give the same bytes, also in files of many groups.
func TestParquetTwice(t *testing.T) {
	row := done(1, `"q"`, `{"role":"assistant","content":"0000000000 `+strings.Repeat("word ", 2000)+`"}`)
	row.Carried = []byte(`{"label":"x","n":1}`)
	var files [2][]byte
	for i := range files {
		_, at, opt := setup(t)
		opt.Format = Parquet
		if _, err := Write(t.Context(), &repeated{row: row, n: 8000}, nil, at, opt); err != nil {
			t.Fatal(err)
		}
		files[i], _ = os.ReadFile(at.Results)
	}
	if !bytes.Equal(files[0], files[1]) || len(files[0]) == 0 {
		t.Error("written twice, the file differs")
	}
}

// Whatever a job file holds: a table of as many rows, named as they are; a choice is one in the shapes of fine-tuning.
func FuzzTable(f *testing.F) {
	for _, row := range story().rows {
		f.Add([]byte(row.Body), []byte(row.Response), []byte(row.Carried), row.CustomID)
	}
	f.Add([]byte(`{"messages":[null,7,{"":1,"role":2},[]],"tools":"\xff"}`), []byte(`{"choices":[{"message":{"content":"a","x":1}}]}`), []byte(`{"":1,"a":1e999}`), "\x00")
	f.Fuzz(func(t *testing.T, body, response, carried []byte, id string) {
		rows := []store.Row{{State: store.Done, ID: 1, Body: body, Response: response, Carried: carried, CustomID: id, HasCustomID: true, Model: id}}
		for _, opt := range []Options{{Format: Parquet}, {Format: Parquet, Shape: Chat}, {Format: Parquet, Shape: Pairs}, {Format: CSV}} {
			out, err := encoded(&source{rows: rows}, opt)
			if err != nil {
				if !utf8.ValidString(err.Error()) {
					t.Fatalf("error: %q", err)
				}
				continue
			}
			if opt.Format == CSV {
				cells, err := csv.NewReader(strings.NewReader(out)).ReadAll() // each row as wide as the first
				if err != nil || len(cells) > 2 {
					t.Fatalf("%d rows (%v): %q", len(cells), err, out)
				}
				continue
			}
			if _, got := table(t, out); len(got) > 1+bytes.Count(response, []byte("{")) || opt.Shape == "" && len(got) > 1 {
				t.Fatalf("%d rows of one", len(got))
			}
		}
	})
}
