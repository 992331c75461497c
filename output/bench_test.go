package output

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"

	"batch/output/where"
	"batch/store"
)

// repeated gives a row n times, each with a number of its own in its answer, and takes note of the memory on the way.
type repeated struct {
	row  store.Row
	n    int
	heap uint64 // the most that was in use
}

func (r *repeated) Rows(context.Context) iter.Seq2[*store.Row, error] {
	return func(yield func(*store.Row, error) bool) {
		row := r.row
		at := bytes.Index(row.Response, []byte("0000000000"))
		row.Response = bytes.Clone(row.Response)
		var mem runtime.MemStats
		for i := range r.n {
			if at >= 0 {
				copy(row.Response[at:], fmt.Appendf(nil, "%010d", i*7919))
			}
			if row.Line = i + 1; i%20_000 == 0 {
				runtime.ReadMemStats(&mem)
				r.heap = max(r.heap, mem.HeapInuse)
			}
			if !yield(&row, nil) {
				return
			}
		}
	}
}

func (r *repeated) Totals(context.Context) ([]store.UsageTotal, error) { return nil, nil }
func (r *repeated) Bills(context.Context) ([]store.Bill, error)        { return nil, nil }
func (r *repeated) Prices(context.Context) ([]store.Price, error)      { return nil, nil }

// Rows with an answer of 300 bytes; ns/op and allocs/op are of one row. With -benchtime 1000000x the memory in use tells whether it grows
// with the rows.
func BenchmarkWrite(b *testing.B) {
	content := "It is 0000000000 km long. " + strings.Repeat(`It is a river in Europe.\n`, 11)
	row := done(1, `"Name a river, and say in a few words where it is."`, `{"role":"assistant","content":"`+content+`","refusal":null}`)
	row.CustomID, row.HasCustomID = "row-000017", true
	row.Carried = []byte(`{"label":"river","topic":"geography"}`)
	asked, err := where.Parse(`finish_reason = stop and total_tokens < 500 and not content ~ "sorry"`)
	if err != nil {
		b.Fatal(err)
	}
	halves := []Part{{"train", whole / 2}, {"test", whole / 2}}
	for name, opt := range map[string]Options{
		"flat jsonl": {}, "openai jsonl": {Shape: OpenAI}, "chat jsonl": {Shape: Chat}, "pairs jsonl": {Shape: Pairs},
		"flat csv": {Format: CSV}, "flat parquet": {Format: Parquet}, "chat parquet": {Format: Parquet, Shape: Chat},
		"flat jsonl gz": {Compression: Gzip}, "flat jsonl zst": {Compression: Zstd},
		"flat jsonl where": {Where: asked}, "flat jsonl split": {Split: halves}, "flat jsonl fields": {Fields: []Field{{"label", "l"}, {"content", "answer"}}},
	} {
		b.Run(name, func(b *testing.B) {
			files := Files{b.TempDir() + "/r", b.TempDir() + "/e", b.TempDir() + "/u"}
			b.ReportAllocs()
			src := &repeated{row: row, n: b.N}
			if _, err := Write(b.Context(), src, nil, files, opt); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(src.heap>>20), "MB-heap")
		})
	}
}
