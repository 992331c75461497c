package input

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"batch/runner/tokens"
)

// Lines of about 200 bytes of the three kinds and short ones; the rate in lines a second is what an import can reach at most,
// with the cheap rule for tokens and with every prompt counted exactly.
func BenchmarkReader(b *testing.B) {
	const lines = 10_000
	for name, format := range map[string]string{
		"prompt":   `{"custom_id":"req-%06d","prompt":"Name a river in France that ends in the Atlantic, and the largest city on its banks.","system":"You are a terse geographer.","max_tokens":20,"temperature":0.2,"label":"x"}`,
		"messages": `{"messages":[{"role":"system","content":"You are a terse geographer."},{"role":"user","content":"Name a river in France that ends in the Atlantic (%06d)."}],"max_tokens":20,"temperature":0.2,"label":"x"}`,
		"short":    `{"custom_id":"req-%06d","prompt":"Name a river in France."}`,
		"batch":    `{"custom_id":"req-%06d","method":"POST","url":"/v1/chat/completions","body":{"model":"llama-3.1-8b","messages":[{"role":"user","content":"Name a river in France that ends in the sea."}],"max_tokens":20}}`,
	} {
		for _, count := range []string{"cheap", "counted"} {
			b.Run(name+"/"+count, func(b *testing.B) {
				var text strings.Builder
				for i := range lines {
					fmt.Fprintf(&text, format+"\n", i)
				}
				opt := fill("", "model", `"llama-3.1-8b"`)
				b.SetBytes(int64(text.Len()))
				b.ReportAllocs()
				n := 0
				if count == "counted" {
					opt.Counter = tokens.NewCounter(true)
				}
				for b.Loop() {
					r := NewReader("p.jsonl", strings.NewReader(text.String()), opt)
					for {
						if _, err := r.Next(); err == io.EOF {
							break
						} else if err != nil {
							b.Fatal(err)
						}
						n++
					}
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
			})
		}
	}
}
