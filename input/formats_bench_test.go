package input

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
)

// Rows of about 200 bytes: how fast the library reads them, how fast they come as rows, and how fast as prompts.
func BenchmarkFormats(b *testing.B) {
	const rows = 10_000
	type row struct {
		ID    string `parquet:"custom_id"`
		Text  string `parquet:"prompt"`
		Label string `parquet:"label"`
		N     int64  `parquet:"count"`
	}
	var lines, array, texts bytes.Buffer
	table := [][]string{{"custom_id", "prompt", "label", "count"}}
	var columns []row
	for i := range rows {
		r := row{fmt.Sprintf("req-%06d", i), fmt.Sprintf("Name a river in France that ends in the Atlantic, and the largest city on its banks: number %d, \"please\".", i), "rivers", int64(i)}
		columns = append(columns, r)
		table = append(table, []string{r.ID, r.Text, r.Label, fmt.Sprint(i)})
		line := fmt.Sprintf(`{"custom_id":%q,"prompt":%q,"label":%q,"count":%d}`, r.ID, r.Text, r.Label, i)
		lines.WriteString(line + "\n")
		array.WriteString("," + line)
		texts.WriteString(r.Text + "\n")
	}
	array.Bytes()[0] = '['
	array.WriteByte(']')
	gz, zst := pack(b, "gzip", lines.Bytes()), pack(b, "zstd", lines.Bytes())
	drain := func(b *testing.B, r io.Reader, err error) {
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		file    []byte
		library func(b *testing.B, file []byte)
	}{
		{"p.jsonl", lines.Bytes(), func(b *testing.B, file []byte) {
			for s := bufio.NewScanner(bytes.NewReader(file)); s.Scan(); {
				jsontext.Value(s.Bytes()).IsValid()
			}
		}},
		{"p.json", append(array.Bytes(), '\n'), func(b *testing.B, file []byte) {
			d := jsontext.NewDecoder(bytes.NewReader(file))
			d.ReadToken()
			for d.PeekKind() == '{' {
				d.ReadValue()
			}
		}},
		{"p.csv", asCSV(table), func(b *testing.B, file []byte) {
			r := csv.NewReader(bytes.NewReader(file))
			r.ReuseRecord = true
			for {
				if _, err := r.Read(); err == io.EOF {
					return
				}
			}
		}},
		{"p.txt", texts.Bytes(), func(b *testing.B, file []byte) {
			for s := bufio.NewScanner(bytes.NewReader(file)); s.Scan(); {
			}
		}},
		{"p.parquet", asParquet(b, columns, parquet.Compression(&parquet.Zstd)), func(b *testing.B, file []byte) {
			f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				b.Fatal(err)
			}
			buffer := make([]parquet.Row, rowsAtOnce)
			for _, g := range f.RowGroups() {
				r := g.Rows()
				for n := 1; n > 0; {
					n, _ = r.ReadRows(buffer)
				}
				r.Close()
			}
		}},
		{"p.jsonl.gz", gz, func(b *testing.B, file []byte) {
			r, err := gzip.NewReader(bytes.NewReader(file))
			drain(b, r, err)
		}},
		{"p.jsonl.zst", zst, func(b *testing.B, file []byte) {
			r, err := zstd.NewReader(bytes.NewReader(file), zstd.WithDecoderConcurrency(1))
			drain(b, r, err)
			r.Close()
		}},
	} {
		b.Run(c.name+"/library", func(b *testing.B) {
			for b.Loop() {
				c.library(b, c.file)
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
		opt := fill("", "model", `"m"`)
		b.Run(c.name+"/rows", func(b *testing.B) {
			for b.Loop() {
				r := NewReader(c.name, bytes.NewReader(c.file), opt)
				if err := r.open(); err != nil {
					b.Fatal(err)
				}
				n := 0
				for ; ; n++ {
					if _, err := r.rows.next(); err != nil {
						break
					}
				}
				if r.Close(); n != rows {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
		prompts := func(opt Options) func(*testing.B) {
			return func(b *testing.B) {
				for b.Loop() {
					if good, bad, err := readFile(b, c.name, c.file, opt); len(good) != rows || err != nil {
						b.Fatal(len(good), bad, err)
					}
				}
				b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
			}
		}
		b.Run(c.name+"/prompts", prompts(opt))
		if c.name != "p.txt" {
			b.Run(c.name+"/template", prompts(templated(b, "{{.label}}: {{.prompt}}")))
		}
	}
}
