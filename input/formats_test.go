package input

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"
)

// readFile reads a file of this name and content to its end.
func readFile(t testing.TB, name string, content []byte, opt Options) (good []Prompt, bad []*LineError, end error) {
	t.Helper()
	r := NewReader(name, bytes.NewReader(content), opt)
	defer r.Close()
	return drained(r)
}

// drained reads to the end, or to what makes it impossible.
func drained(r *Reader) (good []Prompt, bad []*LineError, end error) {
	for {
		p, err := r.Next()
		var line *LineError
		switch {
		case err == nil:
			good = append(good, p)
		case errors.As(err, &line):
			bad = append(bad, line)
		case err == io.EOF:
			return good, bad, nil
		default:
			return good, bad, err
		}
	}
}

func templated(t testing.TB, text string) Options {
	t.Helper()
	tmpl, err := ParseTemplate("--prompt", text)
	if err != nil {
		t.Fatal(err)
	}
	opt := fill("", "model", `"m"`)
	opt.Prompt = tmpl
	return opt
}

func bodies(prompts []Prompt) (all []string) {
	for _, p := range prompts {
		all = append(all, string(p.Body))
	}
	return all
}

func pack(t testing.TB, kind string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	if kind == "gzip" {
		w = gzip.NewWriter(&b)
	} else {
		w, _ = zstd.NewWriter(&b)
	}
	w.Write(content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// asCSV writes a table the way that RFC 4180 has it.
func asCSV(rows [][]string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.WriteAll(rows)
	return b.Bytes()
}

type parquetRow struct {
	ID     int64   `parquet:"n"`
	Text   string  `parquet:"text"`
	Label  *string `parquet:"label,optional"`
	Unused []struct {
		Role string `parquet:"role"`
	} `parquet:"list,list"`
}

func asParquet[T any](t testing.TB, rows []T, opts ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, opts...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The same rows ask the same, whatever file they stand in, packed or not.
func TestI13_FormatsAgree(t *testing.T) {
	text := rapid.OneOf(rapid.StringN(1, 12, -1), rapid.SampledFrom([]string{
		"a\nb", `say "hi"`, "nul \x00 in it", "😀,;\t", " blank ends ", "12345678901234567890", "\u2028", "{{.x}}", "'", `\ud800`, "\r", "---",
	}))
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.SliceOfN(text, 1, 8).Draw(rt, "texts")
		var lines, array []byte
		table := [][]string{{"n", "text", "label"}}
		var columns []parquetRow
		var want []string
		for i, s := range texts {
			n := int64(1234567890123456789) + int64(i)
			label := fmt.Sprint(i)
			quotedText, _ := json.Marshal(s)
			row := fmt.Sprintf(`{"n":%d,"text":%s,"label":"%s"}`, n, quotedText, label)
			lines = append(lines, row+"\n"...)
			array = append(array, ","+row...)
			table = append(table, []string{fmt.Sprint(n), s, label})
			columns = append(columns, parquetRow{ID: n, Text: s, Label: &label})
			content, _ := json.Marshal(fmt.Sprintf("%d/%s/%s", n, s, label))
			var plain string
			json.Unmarshal(content, &plain)
			want = append(want, `{"model":"m","messages":[{"role":"user","content":`+string(quoted([]byte(plain)))+`}]}`)
		}
		array[0] = '['
		for name, content := range map[string][]byte{
			"p.jsonl": lines, "p.json": append(array, ']'), "p.csv": asCSV(table), "p.parquet": asParquet(t, columns),
		} {
			wanted := slices.Clone(want)
			for i := range wanted { // the csv package reads CRLF in a cell as a line feed
				if name == "p.csv" && strings.Contains(texts[i], "\r\n") {
					wanted[i] = strings.ReplaceAll(wanted[i], `\r\n`, `\n`)
				}
			}
			for _, kind := range []string{"", "gzip", "zstd"} {
				packed := content
				if kind != "" {
					half := len(content) / 2 // in two members
					packed = append(pack(t, kind, content[:half]), pack(t, kind, content[half:])...)
				}
				good, bad, err := readFile(t, name, packed, templated(t, "{{.n}}/{{.text}}/{{.label}}"))
				if d := cmp.Diff(wanted, bodies(good)); d != "" || len(bad) > 0 || err != nil {
					rt.Fatalf("%s %s: %v %v (-want +got)\n%s", name, kind, bad, err, d)
				}
			}
		}
	})
}

// Pieces of a text come back as they were put together.
func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		piece := rapid.StringMatching(`[a-z"\\\x00😀 ]{0,5}x(\n[a-z ]{0,4}y)?`)
		separator := rapid.SampledFrom([]string{"\n---\n", "|", "\x00\x00", "<sep>"}).Draw(rt, "separator")
		texts := rapid.SliceOfN(piece, 1, 6).Draw(rt, "texts")
		for i := range texts {
			texts[i] = strings.ReplaceAll(texts[i], separator, "")
		}
		opt := templated(t, "{{.text}}")
		opt.Layout.Separator = separator
		file := strings.Join(texts, separator)
		r := NewReader("p", &stepReader{file, rapid.SampledFrom([]int{1, 3, 1 << 20}).Draw(rt, "step")}, opt)
		defer r.Close()
		for i, s := range texts {
			p, err := r.Next()
			want := `{"model":"m","messages":[{"role":"user","content":` + string(quoted([]byte(s))) + `}]}`
			if err != nil || string(p.Body) != want {
				rt.Fatalf("piece %d of %q: %v\n got %s\nwant %s", i, file, err, p.Body, want)
			}
		}
		if _, err := r.Next(); err != io.EOF {
			rt.Fatal(err)
		}
	})
}

// Rows of a table are read as the lines with the same keys would be, but that an empty cell, or a null, is no value of a field.
func TestRowsAsLines(t *testing.T) {
	line := `{"custom_id":"7","prompt":"a,\nb","temperature":0.50,"stop":"5","tools":[{"type": "function"}],"note":"12","user":"3","model":"m"}`
	good, bad, _ := readAll(t, line, Options{})
	if len(good) != 1 {
		t.Fatal(bad)
	}
	want := good[0]
	for name, content := range map[string]string{
		"p.csv":     "custom_id,prompt,temperature,stop,tools,note,user,model,seed,system\r\n7,\"a,\nb\",0.50,5,\"[{\"\"type\"\": \"\"function\"\"}]\",12,3,m,,\r\n",
		"p.tsv":     "\ufeffcustom_id\tprompt\ttemperature\tstop\ttools\tnote\tuser\tmodel\tseed\n7\t\"a,\nb\"\t0.50\t5\t\"[{\"\"type\"\": \"\"function\"\"}]\"\t12\t3\tm\t\n",
		"p.CSV.gz":  "custom_id;prompt;temperature;stop;tools;note;user;model\n7;\"a,\nb\";0.50;5;\"[{\"\"type\"\": \"\"function\"\"}]\";12;3;m\n",
		"x.json":    "[" + line + "]",
		"no ending": " \n[" + line + "\n] \n",
	} {
		good, bad, err := readFile(t, name, []byte(content), Options{})
		if len(good) != 1 || err != nil {
			t.Errorf("%s: %v %v", name, bad, err)
			continue
		}
		if p := good[0]; string(p.Body) != string(want.Body) || string(p.Carried) != string(want.Carried) || p.CustomID != "7" {
			t.Errorf("%s: custom_id %q\n got %s %s\nwant %s %s", name, p.CustomID, p.Body, p.Carried, want.Body, want.Carried)
		}
	}
	for content, want := range map[string]string{
		"prompt\n\"\"\n":                     "p.csv:2: prompt: is empty",
		"prompt,model\nx,\n":                 "p.csv:2: model: is missing",
		"prompt,model,temperature\nx,m,hot":  "p.csv:2: temperature: \"hot\" is not a number",
		"prompt,model,messages\n,m,oops":     "p.csv:2: messages: a string is not an array of messages",
		"prompt,model\nx,m,n\n":              "p.csv:2: the row has not 2 cells as the header has",
		"prompt,model\n\"a\nb\",m\nx y\"z,m": "p.csv:4: a quote within a cell that does not begin with one, at byte 4 of line 4",
		"prompt,model\na\xff,m\n":            "p.csv:2: prompt: is not UTF-8",
	} {
		if _, bad, err := readFile(t, "p.csv", []byte(content), Options{}); len(bad) != 1 || bad[0].Error() != want || err != nil {
			t.Errorf("%q: %v %v, want %s", content, bad, err, want)
		}
	}
}

// In our own results an apostrophe stands before what a spreadsheet would run; in other tables it is a part of the text.
func TestGuardedCells(t *testing.T) {
	const header = "content,finish_reason,usage_source,latency_ms,'=own\n"
	cells := map[string]string{
		"'- item": "- item", "'=1+1": "=1+1", "'@x": "@x", "'+a": "+a", "\"'\ta\"": "\ta", "' \u00a0=x": " \u00a0=x", "'\uff1dx": "\uff1dx",
		"'-1.5e3x": "-1.5e3x", "'-1": "'-1", "'tis": "'tis", "'": "'", "''=x": "'=x", "-1": "-1", "'- ": "- ",
	}
	for cell, want := range cells {
		opt := templated(t, `{{.content}}|{{index . "=own"}}`)
		good, bad, err := readFile(t, "p.csv", []byte(header+cell+",,,,"+cell+"\n"), opt)
		if len(good) != 1 || err != nil || !strings.Contains(string(good[0].Body), `"content":`+string(quoted([]byte(want+"|"+want)))) {
			t.Errorf("%q: %v %v %v", cell, bodies(good), bad, err)
		}
	}
	good, _, _ := readFile(t, "p.csv", []byte("content\n'- item\n"), templated(t, `{{.content}}`))
	if len(good) != 1 || !strings.Contains(string(good[0].Body), `"'- item"`) {
		t.Errorf("the text of another file: %v", bodies(good))
	}
}

// The name of a file says that tabs divide its cells; of others the header does.
func TestDelimiters(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"p.tsv", "prompt\ta, b; c;d\nx\ty\n", `{"a, b; c;d":"y"}`},
		{"p.TAB.gz", "prompt\ta,b\n1,2\ty\n", `{"a,b":"y"}`},
		{"p.csv", "prompt;\"a,b,c\";price (EUR, net)\nx;y;1,5\n", `{"a,b,c":"y","price (EUR, net)":"1,5"}`},
		{"p.csv", "\ufeff\"prompt\"\"\"\ta;b,c\tprompt\nv\tx\ty\n", `{"prompt\"":"v","a;b,c":"x"}`},
		{"p.csv", "\"a\n;;;\",prompt\nx,y\n", `{"a\n;;;":"x"}`},
		{"p.csv", "prompt\r\na;b\tc;d\r\n", ``},
		{"p.csv", "prompt,a;b\nx,y\n", `{"a;b":"y"}`},
	} {
		good, bad, err := readFile(t, c.name, []byte(c.content), fill("", "model", `"m"`))
		if len(good) != 1 || err != nil || string(good[0].Carried) != c.want {
			t.Errorf("%s %q: %v %v %v", c.name, c.content, good, bad, err)
		}
	}
	_, _, err := readFile(t, "p.tsv", []byte("prompt,note\nx,y\n"), fill("", "model", `"m"`))
	var file *FileError
	if !errors.As(err, &file) || file.Problem != `no column is named prompt, messages or body, only prompt,note` ||
		!strings.Contains(file.Hint, "--delimiter") {
		t.Errorf("%+v", err)
	}
}

// Objects one after another, as jq prints them, are read with --input-format json; a file in its middle is a list of one-line rows.
func TestJSONWithoutArray(t *testing.T) {
	text := "{\n \"prompt\": \"a\",\n \"own\": [\n1,  2]\n}\n{\"prompt\":\"b\"}{\"prompt\":\n7}"
	opt := fill("", "model", `"m"`)
	opt.Layout.Format = JSON
	good, bad, err := readFile(t, "p", []byte(text), opt)
	if len(good) != 2 || len(bad) != 1 || err != nil {
		t.Fatalf("%d good, %v, %v", len(good), bad, err)
	}
	if got := string(good[0].Carried); got != `{"own":[1,2]}` {
		t.Errorf("carried %q: a line break would break the results", got)
	}
	if bad[0].Line != 3 {
		t.Errorf("bad row %d", bad[0].Line)
	}
}

func TestTextLines(t *testing.T) {
	good, bad, err := readFile(t, "p.txt", []byte("\ufeffone \r\n\r\n \n two\nthr\xffee\n\"four\""), fill("", "model", `"m"`))
	var got []string
	for _, p := range good {
		got = append(got, fmt.Sprintf("%d %s", p.Line, p.Body))
	}
	message := func(line int, s string) string {
		return fmt.Sprintf(`%d {"model":"m","messages":[{"role":"user","content":%s}]}`, line, s)
	}
	if d := cmp.Diff([]string{message(1, `"one "`), message(4, `" two"`), message(6, `"\"four\""`)}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	if len(bad) != 1 || bad[0].Error() != "p.txt:5: byte 4 of the text is not UTF-8" {
		t.Error(bad)
	}
	opt := fill("", "model", `"m"`)
	opt.Layout.Separator = "---"
	good, _, _ = readFile(t, "p.md", []byte("\n\na\nb\n---\n---\n\n\nc\n---"), opt)
	got = nil
	for _, p := range good {
		got = append(got, fmt.Sprintf("%d %s", p.Line, p.Body))
	}
	if d := cmp.Diff([]string{message(3, `"a\nb"`), message(9, `"c"`)}, got); d != "" {
		t.Error(d)
	}
}

// A picture is read from beside the prompt file, and told by its bytes.
func TestImages(t *testing.T) {
	dir := t.TempDir()
	png := "\x89PNG\r\n\x1a\n...."
	for name, content := range map[string]string{"a.jpg": png, "b.png": "no image"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "b.png"), maxImage+1); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "c.png"), []byte("no image"), 0o600)
	const data = `data:image/png;base64,iVBORw0KGgouLi4u`
	part := func(url string) string { return `{"type":"image_url","image_url":{"url":"` + url + `"}}` }
	for row, want := range map[string]string{
		`"a.jpg"`:                          part(data),
		`["a.jpg","https://h/x.png"]`:      part(data) + "," + part("https://h/x.png"),
		`"data:image/gif;base64,R0lGODlh"`: part("data:image/gif;base64,R0lGODlh"),
		`"b.png"`:                          "p.jsonl:1: pic: " + filepath.Join(dir, "b.png") + " is larger than 20 MiB",
		`"c.png"`:                          "p.jsonl:1: pic: is no PNG, JPEG, GIF or WebP",
		`"d.png"`:                          "p.jsonl:1: pic: " + filepath.Join(dir, "d.png") + ": no such file or directory",
		`"."`:                              "p.jsonl:1: pic: " + dir + " is no file",
		`"file:///etc/passwd"`:             "p.jsonl:1: pic: is no path, and no http, https or data URL",
		`7`:                                "p.jsonl:1: pic: a number is no path or URL of an image",
		`""`:                               "p.jsonl:1: pic: names no image",
		`null`:                             "p.jsonl:1: pic: names no image",
	} {
		for _, opt := range []Options{fill("", "model", `"m"`), templated(t, "{{.prompt}}")} {
			opt.ImageColumn = "pic"
			good, bad, err := readFile(t, filepath.Join(dir, "p.jsonl"), []byte(`{"prompt":"what?","pic":`+row+`}`), opt)
			got := fmt.Sprint(err)
			if len(good) == 1 {
				got = string(good[0].Body)
				want = `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what?"},` + want + `]}]}`
			} else if len(bad) == 1 {
				got = strings.Replace(bad[0].Error(), dir+"/p.jsonl", "p.jsonl", 1)
			}
			if got != want {
				t.Errorf("%s\n got %s\nwant %s", row, got, want)
			}
			want = strings.TrimSuffix(strings.TrimPrefix(want, `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what?"},`), `]}]}`)
		}
	}
}

// A row without an end is refused before it fills the memory, in every format and out of a packed file of a few kilobytes, too.
func TestEndlessRows(t *testing.T) {
	const size, most = 256 << 20, 150 << 20
	var bomb bytes.Buffer
	w, _ := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	io.Copy(w, &endless{'x', size})
	w.Close()
	for name, in := range map[string]io.Reader{
		"p.csv":      io.MultiReader(strings.NewReader("prompt\n\""), &endless{'x', size}),
		"header.csv": &endless{'x', size},
		"p.json":     io.MultiReader(strings.NewReader(`[{"prompt":"`), &endless{'x', size}),
		"space.json": io.MultiReader(strings.NewReader(`[`), &endless{' ', size}),
		"p.txt":      &endless{'x', size},
		"p.md":       &endless{'x', size},
		"p.jsonl":    &bomb,
	} {
		opt := fill("", "model", `"m"`)
		if name == "p.md" {
			opt.Layout.Separator = "---"
		}
		r := NewReader(name, in, opt)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := r.Next()
		runtime.ReadMemStats(&after)
		r.Close()
		if err == nil || err == io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > most {
			t.Errorf("%s: %d MiB allocated (%v)", name, got>>20, err)
		}
	}
}

// Whatever a file holds, read as any format: rows in order, each a sound prompt or a printable error, and the same however the bytes arrive.
func FuzzFormats(f *testing.F) {
	for i, s := range []string{"prompt,custom_id\n\"a\nb\",1\n", "a;prompt\n;\"x", `[{"prompt":"x"},{"prompt":1}]`, "{}\n{} [", "one\n--\n\ntwo", "\x1f\x8b", "\ufeffprompt\r\nx\r\n"} {
		f.Add([]byte(s), uint8(i))
		f.Add(pack(f, "gzip", []byte(s)), uint8(i))
		f.Add(pack(f, "zstd", []byte(s)), uint8(i))
	}
	f.Fuzz(func(t *testing.T, file []byte, how uint8) {
		opt := fill("s", "model", `"m"`)
		opt.MaxLine = 400
		opt.Layout.Format = []Format{"", JSON, CSV, Text}[how%4]
		if how&4 != 0 {
			opt.Layout.Separator = "--"
		}
		if how&8 != 0 {
			opt.Prompt, _ = ParseTemplate("--prompt", `{{default "x" .prompt}}{{default "y" .text}}`)
		}
		read := func(from io.Reader) (log []string) {
			r := NewReader("p", from, opt)
			defer r.Close()
			last := 0
			for {
				p, err := r.Next()
				var bad *LineError
				var broken *FileError
				switch {
				case err == io.EOF:
					return log
				case errors.As(err, &bad), errors.As(err, &broken):
					if s := err.Error(); strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
						t.Fatalf("error %q", s)
					}
					log = append(log, err.Error())
					if broken != nil {
						return log
					}
					p.Line = bad.Line
				case err != nil:
					t.Fatal(err)
				default:
					wellMade(t, p)
					if bytes.ContainsAny(p.Carried, "\r\n") {
						t.Fatalf("carried over several lines: %q", p.Carried)
					}
					log = append(log, fmt.Sprintf("%d %q %s %s", p.Line, p.CustomID, p.Body, p.Carried))
				}
				if p.Line <= last && opt.Layout.Separator == "" || p.Line < last {
					t.Fatalf("row %d after %d", p.Line, last)
				}
				last = p.Line
			}
		}
		if diff := cmp.Diff(read(bytes.NewReader(file)), read(&stepReader{string(file), 1})); diff != "" {
			t.Fatalf("%q as %d (-at once +byte by byte):\n%s", file, how, diff)
		}
	})
}
