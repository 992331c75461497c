package sim_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"batch/runner/chat/sim"
)

// events splits a stream into its data, and wants nothing but data lines.
func events(t *testing.T, body string) []string {
	t.Helper()
	var out []string
	for e := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(e, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Fatalf("not a data line: %q", e)
		}
		out = append(out, data)
	}
	return out
}

func TestStream(t *testing.T) {
	s := listen(t, sim.Options{Seed: 3})
	res := s.post(t.Context(), with(1, `,"n":2,"stream":true`))
	if res.err != nil || res.status != 200 || res.header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v %d %v", res.err, res.status, res.header)
	}
	if res.header.Get("Batch-Simulated") != "1" {
		t.Error("the stream does not say that it is simulated")
	}
	data := events(t, res.body)
	if len(data) < 6 || data[len(data)-1] != "[DONE]" {
		t.Fatalf("%q", data)
	}
	type state struct {
		text, finish string
		chunks       int
	}
	got := map[int]*state{}
	for _, d := range data[:len(data)-1] {
		c := decode(t, d)
		if c.Object != "chat.completion.chunk" || !strings.HasPrefix(c.ID, "chatcmpl-") || c.Created == 0 || c.Model != "m" || c.Usage != nil || len(c.Choices) != 1 {
			t.Fatalf("chunk %s", d)
		}
		ch := c.Choices[0]
		st := got[ch.Index]
		if st == nil {
			st = new(state)
			got[ch.Index] = st
		}
		if (ch.Delta.Role == "assistant") != (st.chunks == 0) {
			t.Errorf("role in chunk %d: %s", st.chunks, d)
		}
		if st.finish != "" {
			t.Errorf("a chunk after the end: %s", d)
		}
		st.chunks++
		st.text += ch.Delta.Content
		if ch.FinishReason != nil {
			st.finish = *ch.FinishReason
			if !strings.Contains(d, `"delta":{}`) {
				t.Errorf("the last delta is not empty: %s", d)
			}
		} else if !strings.Contains(d, `"finish_reason":null`) {
			t.Errorf("no null finish_reason: %s", d)
		}
	}
	for i, st := range got {
		if !strings.HasPrefix(st.text, "[practice answer") || st.finish != "stop" || st.chunks < 4 {
			t.Errorf("choice %d: %+v", i, st)
		}
	}
	if len(got) != 2 {
		t.Errorf("%d choices", len(got))
	}
}

// flushes notes how much was written at each flush.
type flushes struct {
	*httptest.ResponseRecorder
	at []int
}

func (f *flushes) Flush() { f.at = append(f.at, f.Body.Len()) }

func TestEachChunkIsSentAtOnce(t *testing.T) {
	f := &flushes{ResponseRecorder: httptest.NewRecorder()}
	newServer(t, sim.Options{}).ServeHTTP(f, httptest.NewRequest("POST", "/chat/completions", strings.NewReader(with(1, `,"stream":true`))))
	n, begin := len(events(t, f.Body.String())), 0
	for _, end := range f.at {
		if got := len(events(t, f.Body.String()[begin:end])); got != 1 {
			t.Errorf("%d events in one flush", got)
		}
		begin = end
	}
	if len(f.at) != n {
		t.Errorf("%d flushes of %d events", len(f.at), n)
	}
}

func TestStreamUsageOnlyWhenAsked(t *testing.T) {
	s := newServer(t, sim.Options{})
	data := events(t, post(s, with(1, `,"stream":true,"stream_options":{"include_usage":true}`)).body)
	last := decode(t, data[len(data)-2])
	if last.Usage == nil || len(last.Choices) != 0 || !strings.Contains(data[len(data)-2], `"choices":[]`) {
		t.Fatalf("%s", data[len(data)-2])
	}
	st := s.Stats()
	if last.Usage.Prompt != st.PromptTokens || last.Usage.Completion != st.CompletionTokens || last.Usage.Total != st.PromptTokens+st.CompletionTokens {
		t.Errorf("reported %+v, billed %+v", *last.Usage, st)
	}
	for _, fields := range []string{`,"stream":true`, `,"stream":true,"stream_options":{"include_usage":false}`, `,"stream":true,"stream_options":null`} {
		if body := post(s, with(1, fields)).body; strings.Contains(body, "usage") || !strings.HasSuffix(body, "data: [DONE]\n\n") {
			t.Errorf("%s: %s", fields, body)
		}
	}
}
