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
	w := newWriter(Files{Results: Stdout, Errors: "/nowhere/e", Usage: "/nowhere/u"}, opt, nil)
	ctx := context.Background()
	if opt.Format == CSV || opt.Format == Parquet {
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

func TestO8_JSONLRoundTrip(t *testing.T) {
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

func TestO7_CSVRoundTrip(t *testing.T) {
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
					if formula([]byte(strings.TrimLeft(want, "'"))) {
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

// What a spreadsheet would run is made harmless; what is only a number, or only looks odd, stays.
func TestO7_Formula(t *testing.T) {
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
func TestO7_GuardIsCSVOnly(t *testing.T) {
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

type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// Records end in CRLF; line breaks inside a cell stay what they are.
func TestO7_LineEnds(t *testing.T) {
	cols := newColumns([]string{"a", "b"})
	cols.settle()
	var out bytes.Buffer
	table := newCSV(&out, cols, false)
	rec := &record{}
	rec.quoted("a", "1\n2\r\n3\r4\n")
	rec.quoted("b", "x")
	for _, err := range []error{table.header(), table.encode(rec), table.encode(rec), table.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const row = "\"1\n2\r\n3\r4\n\",x\r\n"
	if want := "a,b\r\n" + row + row; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// An encoder says what could not be written.
func TestEncodeReturnsTheError(t *testing.T) {
	cols := newColumns(resultColumns)
	cols.settle()
	table := newCSV(&fullDisk{room: 10}, cols, false)
	if err := table.header(); err == nil {
		t.Error("the header did not fit, and nobody says so")
	}
	line := &jsonl{w: &fullDisk{}}
	if err := line.encode(&record{}); err == nil {
		t.Error("the line did not fit, and encode is silent")
	}
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
				if formula([]byte(strings.TrimLeft(cell, "'"))) {
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

// The cells of a report are guarded as those of the results are: behind apostrophes of their own too.
func TestGuardFormula(t *testing.T) {
	for text, want := range map[string]string{"=1+1": "'=1+1", "'=1+1": "''=1+1", "\x00@f": "\uFFFD@f", "-1": "-1", "": "", "'quoted'": "'quoted'"} {
		if got := GuardFormula(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
