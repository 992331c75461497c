package tokens

import (
	"strings"
	"testing"
)

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       int64
	}{
		{"one message", `{"model":"m","messages":[{"role":"user","content":"12345678"}]}`, 2 + 4 + 2},
		{"a token begun counts", `{"messages":[{"role":"user","content":"123456789"}]}`, 2 + 4 + 3},
		{"order and space", ` { "messages" : [ { "content" : "12345678" , "role" : "user" } ] , "user" : "x" } `, 2 + 4 + 2},
		{"several, with a name", `{"messages":[{"role":"system","content":"1234"},{"role":"user","name":"ann","content":"12345678"}]}`, 2 + 4 + 1 + 4 + 2 + 1 + 1},
		{"no content", `{"messages":[{"role":"assistant","content":null}]}`, 2 + 4},
		{"calls are text", `{"messages":[{"role":"assistant","tool_calls":[{"a":1}]}]}`, 2 + 4 + 3},
		{"tools are text", `{"tools":[{"a":1}],"messages":[]}`, 2 + 3},
		{"parts", `{"messages":[{"role":"user","content":[{"type":"text","text":"1234"},{"type":"image_url","image_url":{"url":"data:xxxxxxxxxxxxxxx"}},{"text":"5678"}]}]}`, 2 + 4 + 2},
		{"escapes are what they spell", `{"messages":[{"role":"user","content":"\n\"\\\/\u0041\u00e9\u20ac\ud83d\ude00"}]}`, 2 + 4 + 4},
		{"escaped pairs", `{"messages":[{"role":"user","content":"\ud83d\ude00\uD83D\uDE00"}]}`, 2 + 4 + 2},
		{"two-byte letters", `{"messages":[{"role":"user","content":"éééé"}]}`, 2 + 4 + 2},
		{"nothing", `{}`, 2},
		{"no JSON", `nonsense`, 2},
		{"cut", `{"messages":[{"role":"user","content":"12345678"},{"role":"us`, 2 + 4 + 2 + 4},
		{"shapes that fit nowhere", `{"messages":{"content":"12345678"}}`, 2},
		{"messages that are none", `{"messages":["12345678",7,[{"content":"x"}]]}`, 2 + 3*4},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Estimate([]byte(c.body)); got != c.want {
				t.Errorf("Estimate(%s) = %d, want %d", c.body, got, c.want)
			}
		})
	}
}

func FuzzEstimate(f *testing.F) {
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"text":"\ud83d\u`))
	f.Add([]byte(`{"tools":{},"messages":[{"name":"\u00zz","content":"\`))
	f.Fuzz(func(t *testing.T, body []byte) {
		most := int64(PerConversation) + int64(len(body))*(PerMessage+PerName+1)
		if n := Estimate(body); n < PerConversation || n > most {
			t.Errorf("Estimate(%q) = %d", body, n)
		}
	})
}

func BenchmarkEstimate(b *testing.B) {
	body := []byte(`{"model":"llama-3.1-8b","messages":[{"role":"user","content":"` + strings.Repeat("Name a river. ", 9) + `"}]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		Estimate(body)
	}
}
