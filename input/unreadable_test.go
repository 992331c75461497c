package input

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What makes the rest of a file unreadable is no bad line, which could be skipped.
func TestI13_UnreadableFiles(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct{ name, content, want string }{
		{"p.csv", "prompt,prompt\n", "p.csv:1: two columns are named prompt"},
		{"p.csv", ",prompt\n", "p.csv:1: column 1 has no name"},
		{"p.csv", "text,label\nx,y\n", "p.csv:1: no column is named prompt, messages or body, only text, label"},
		{"p.csv", `{"prompt":"x"}` + "\n", "p.csv: the file is read as CSV, but looks like JSON lines"},
		{"p.csv", "prompt\nx\n\"y\nz", "p.csv:3: a quoted cell does not end as it should, as seen at line 4"},
		{"p.csv", "prompt\n\"" + long + "\n", "p.csv:2: a row of more than 1000 bytes"},
		{"p.json", `[{"prompt":"x"},{"prompt":"y"`, "p.json:2: the file ends before its JSON does"},
		{"p.json", `[{"prompt":"x"}, }]`, "p.json:2: not valid JSON at byte 16 of the file: invalid character ',' at start of value"},
		{"p.json", `[{"prompt":"x"}] x`, "p.json:1: something follows the array"},
		{"p.json", `[{"prompt":"` + long + `"}]`, "p.json:1: the row is longer than 1000 bytes"},
		{"p.parquet", "PAR1PAR1", "p.parquet: the Parquet file has no end"},
		{"p.jsonl", string(pack(t, "gzip", []byte(long[:1<<14]))[:30]), "p.jsonl: the gzip data ends too early"},
		{"p.jsonl", string(pack(t, "zstd", []byte(long[:1<<14]))[:12]), "p.jsonl: the zstd data ends too early"},
		{"p.jsonl", string(pack(t, "gzip", []byte("{}"))) + "tail of the file", "p.jsonl: the gzip data is damaged: gzip: invalid header"},
		{"p.jsonl", string(pack(t, "gzip", pack(t, "zstd", []byte("{}")))), "p.jsonl: the file is packed twice, the second time with zstd"},
		{"p.jsonl", `{"content":1,"finish_reason":1,"usage_source":1,"latency_ms":1,"prompt":"x"}`, "p.jsonl: the file holds the results of an earlier run: its prompts would be asked again"},
	} {
		opt := fill("", "model", `"m"`)
		opt.MaxLine = 1000
		_, _, err := readFile(t, c.name, []byte(c.content), opt)
		var file *FileError
		if !errors.As(err, &file) || err.Error() != c.want {
			t.Errorf("%s %.60q\n got %v\nwant %s", c.name, c.content, err, c.want)
		}
	}
}

// Wherever a packed file is cut, and whatever it holds, that is what is wrong with it.
func TestI13_CutPackedFiles(t *testing.T) {
	var lines, array, table bytes.Buffer
	table.WriteString("prompt\n")
	for i := range 3000 {
		fmt.Fprintf(&lines, "{\"prompt\":\"%d\"}\n", i*i)
		fmt.Fprintf(&array, ",{\"prompt\":\"%d\"}", i*i)
		fmt.Fprintf(&table, "%d\n", i*i)
	}
	array.Bytes()[0] = '['
	array.WriteByte(']')
	for name, content := range map[string][]byte{"p.jsonl": lines.Bytes(), "p.json": array.Bytes(), "p.csv": table.Bytes()} {
		for _, kind := range []string{"gzip", "zstd"} {
			packed := pack(t, kind, content)
			for _, n := range []int{len(packed) - 1, len(packed) - 9, len(packed) / 2, len(packed) / 3, 30} {
				_, bad, err := readFile(t, name, packed[:n], fill("", "model", `"m"`))
				if want := name + ": the " + kind + " data ends too early"; err == nil || err.Error() != want || len(bad) > 0 {
					t.Errorf("%s %s cut at %d of %d: %v %v", name, kind, n, len(packed), err, bad)
				}
			}
		}
	}
}
