package output

import (
	"encoding/csv"
	"strings"
	"testing"

	"batch/store"
)

// A cell of ten megabytes, of all that a table may trip over, is one cell when it is read again.
func TestO7_LargeCell(t *testing.T) {
	const unit, times = `word, \"quoted\"\n=1+1\t東京 `, 400_000
	out, err := encoded(&source{rows: []store.Row{done(1, `"q"`, `{"role":"assistant","content":"=`+strings.Repeat(unit, times)+`"}`)}}, Options{Format: CSV})
	if err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(table) != 2 || len(table[0]) != len(table[1]) {
		t.Fatalf("%d rows, %v", len(table), err)
	}
	want := "'=" + strings.Repeat("word, \"quoted\"\n=1+1\t東京 ", times)
	if len(want) < 10<<20 {
		t.Fatal("the cell is too small")
	}
	for i, name := range table[0] {
		if name == "content" && table[1][i] != want {
			t.Errorf("%d bytes of %d came back, or others", len(table[1][i]), len(want))
		}
	}
}
