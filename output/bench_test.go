package output

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	"batch/store"
)

// repeated gives the same row n times, and counts no time of its own.
type repeated struct {
	row store.Row
	n   int
}

func (r *repeated) Rows(context.Context) iter.Seq2[*store.Row, error] {
	return func(yield func(*store.Row, error) bool) {
		for range r.n {
			if !yield(&r.row, nil) {
				return
			}
		}
	}
}

func (r *repeated) Totals(context.Context) ([]store.UsageTotal, error) { return nil, nil }
func (r *repeated) Bills(context.Context) ([]store.Bill, error)        { return nil, nil }
func (r *repeated) Prices(context.Context) ([]store.Price, error)      { return nil, nil }

// Rows with an answer of 300 bytes; ns/op and allocs/op are of one row.
func BenchmarkWrite(b *testing.B) {
	content := strings.Repeat(`It is a river in Europe.\n`, 12)
	row := done(1, `"Name a river, and say in a few words where it is."`, `{"role":"assistant","content":"`+content+`","refusal":null}`)
	row.CustomID, row.HasCustomID = "row-000017", true
	row.Carried = []byte(`{"label":"river","topic":"geography"}`)
	for _, opt := range []Options{{}, {Shape: OpenAI}, {Shape: Chat}, {Format: CSV}} {
		b.Run(fmt.Sprint(opt.Shape, opt.Format), func(b *testing.B) {
			files, _, _ := Names(b.TempDir()+"/p.batch.db", Stdout, opt.Format)
			opt.Stdout = io.Discard
			b.ReportAllocs()
			if _, err := Write(b.Context(), &repeated{row, b.N}, nil, files, opt); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
