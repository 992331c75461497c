package sim_test

import (
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"batch/runner/chat/sim"
)

// discard is a ResponseWriter that costs nothing, so that the handler alone is measured.
type discard struct{ httptest.ResponseRecorder }

func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Flush()                      {}

// BenchmarkHandler has the cost of the harness as its last row, to be taken off the others.
func BenchmarkHandler(b *testing.B) {
	prompt := strings.Repeat("Name a river in Europe. ", 8)
	body := `{"model":"llama-3.1-8b","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"` + prompt + `"}],"temperature":0.2,"max_tokens":100}`
	for name, body := range map[string]string{"whole": body, "stream": strings.Replace(body, `{`, `{"stream":true,`, 1)} {
		for _, keyed := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/keyed=%v", name, keyed), func(b *testing.B) {
				s := newServer(b, sim.Options{})
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(body))
					if n++; keyed {
						r.Header["Idempotency-Key"] = []string{strconv.Itoa(n)}
					}
					s.ServeHTTP(&discard{*httptest.NewRecorder()}, r)
				}
			})
		}
	}
	b.Run("nothing", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(body))
			_, _ = r, &discard{*httptest.NewRecorder()}
		}
	})
}
