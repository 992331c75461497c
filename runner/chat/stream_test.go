package chat

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// chunk is an event with one choice.
func chunk(delta, finish string) string {
	return fmt.Sprintf(`data: {"id":"c-1","object":"chat.completion.chunk","created":1706745600,"model":"m-1",`+
		`"choices":[{"index":0,"delta":%s,"finish_reason":%s}]}`+"\n\n", delta, finish)
}

const streamUsage = `data: {"id":"c-1","choices":[],"usage":{"prompt_tokens":25,"completion_tokens":8,"total_tokens":33}}` + "\n\n"

var helloStream = chunk(`{"role":"assistant","content":""}`, "null") + chunk(`{"content":"Par"}`, "null") +
	chunk(`{"content":"is \u2014 \ud83d"}`, "null") + chunk(`{"content":"\ude00."}`, "null") + chunk(`{}`, `"stop"`) +
	streamUsage + "data: [DONE]\n\n"

const helloCompletion = `{"id":"c-1","object":"chat.completion","created":1706745600,"model":"m-1","choices":[{"index":0,` +
	`"message":{"role":"assistant","content":"Paris \u2014 \ud83d\ude00."},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":25,"completion_tokens":8,"total_tokens":33}}`

// stream lets a client of its own read one stream.
func stream(t testing.TB, body string, header ...string) Result {
	if header == nil {
		header = []string{"Content-Type", "text/event-stream; charset=utf-8"}
	}
	return do(serve(t, answer(200, body, header...)), streamRequest)
}

func TestStreamBecomesACompletion(t *testing.T) {
	r := stream(t, helloStream)
	if diff := cmp.Diff(helloCompletion, string(r.Body)); diff != "" || r.Class != Done || !r.Assembled {
		t.Fatalf("%v %q\n%s", r.Class, r.Message, diff)
	}
	want := Answer{ID: "c-1", Model: "m-1", Created: 1706745600, FinishReason: "stop", Usage: Usage{Known: true, Prompt: 25, Completion: 8, Total: 33}}
	if r.Answer != want {
		t.Errorf("answer %+v, want %+v", r.Answer, want)
	}
}

func TestStreamAssembly(t *testing.T) {
	top := `{"id":"c-1","object":"chat.completion","created":1706745600,"model":"m-1",`
	for name, row := range map[string]struct{ stream, want string }{
		"tool calls": {
			chunk(`{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}`, "null") +
				chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}},{"index":1,"id":"call_2","type":"function","function":{"name":"g","arguments":"{"}}]}`, "null") +
				chunk(`{"tool_calls":[{"index":1,"type":"function","function":{"name":"g","arguments":"}"}},{"index":0,"id":"","function":{"arguments":":1}"}}]}`, "null") +
				chunk(`{}`, `"tool_calls"`),
			top + `"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[` +
				`{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},` +
				`{"id":"call_2","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`,
		},
		"function call": {
			chunk(`{"function_call":{"name":"f","arguments":"{"}}`, "null") + chunk(`{"function_call":{"arguments":"}"}}`, `"function_call"`),
			top + `"choices":[{"index":0,"message":{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},"finish_reason":"function_call"}]}`,
		},
		"refusal, reasoning and a role in every chunk": {
			chunk(`{"role":"assistant","reasoning_content":"h","refusal":null}`, "null") +
				chunk(`{"role":"assistant","reasoning_content":"m","refusal":"n"}`, "null") + chunk(`{"role":"assistant","refusal":"o"}`, `"stop"`),
			top + `"choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"hm","refusal":"no"},"finish_reason":"stop"}]}`,
		},
		"logprobs are appended": {
			`data: {"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a"}],"refusal":null},"finish_reason":null}]}` + "\n\n" +
				`data: {"choices":[{"index":0,"delta":{"content":"b"},"logprobs":{"content":[{"token":"b"},{"token":"c"}]},"finish_reason":"length"}]}` + "\n\n",
			`{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"ab"},` +
				`"logprobs":{"content":[{"token":"a"},{"token":"b"},{"token":"c"}],"refusal":null},"finish_reason":"length"}]}`,
		},
		"choices by index, with what the server adds": {
			`data: {"id":"","model":"","choices":[],"prompt_filter_results":[]}` + "\n\n" +
				`data: {"id":"x","model":"m","system_fingerprint":"fp","choices":[{"index":1,"delta":{"content":"B"},"finish_reason":"stop"}],"obfuscation":"zz"}` + "\n\n" +
				`data: {"id":"x","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":"A"},"stop_reason":2,"finish_reason":""}]}` + "\n\n" +
				`data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}` + "\n\n",
			`{"id":"x","object":"chat.completion","model":"m","prompt_filter_results":[],"system_fingerprint":"fp","service_tier":"default","choices":[` +
				`{"index":0,"message":{"role":"assistant","content":"A"},"stop_reason":2,"finish_reason":"stop"},` +
				`{"index":1,"message":{"role":"assistant","content":"B"},"finish_reason":"stop"}]}`,
		},
		"nothing was said": {
			chunk(`{"role":"assistant"}`, "null") + chunk(`{}`, `"content_filter"`),
			top + `"choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"content_filter"}]}`,
		},
		"nothing was said, and null is not a word": {
			chunk(`{"role":"assistant","content":null,"refusal":null}`, "null") + chunk(`{"content":null}`, `"length"`),
			top + `"choices":[{"index":0,"message":{"role":"assistant","content":"","refusal":null},"finish_reason":"length"}]}`,
		},
		"null beside words": {
			chunk(`{"content":null}`, "null") + chunk(`{"content":"A"}`, "null") + chunk(`{"content":null}`, `"stop"`),
			top + `"choices":[{"index":0,"message":{"role":"assistant","content":"A"},"finish_reason":"stop"}]}`,
		},
		"a whole completion as one event": {
			`data: {"choices":[{"index":0,"message":{"role":"assistant","content":"A"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]",
			`{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"A"},"finish_reason":"stop"}]}`,
		},
		"[DONE] alone ends it too": {
			chunk(`{"content":"A"}`, "null") + "data: [DONE]\n\n",
			top + `"choices":[{"index":0,"message":{"role":"assistant","content":"A"},"finish_reason":null}]}`,
		},
		"bytes that are not UTF-8": {
			chunk("{\"content\":\"\xe2\x82\"}", "null") + chunk("{\"content\":\"\xac\xff\"}", `"stop"`),
			top + "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"\xe2\x82\xac\xff\"},\"finish_reason\":\"stop\"}]}",
		},
		"an error after the end is no loss": {
			chunk(`{"content":"A"}`, `"stop"`) + `data: {"error":{"message":"usage failed"}}` + "\n\n",
			top + `"choices":[{"index":0,"message":{"role":"assistant","content":"A"},"finish_reason":"stop"}]}`,
		},
	} {
		r := stream(t, row.stream)
		if diff := cmp.Diff(row.want, string(r.Body)); diff != "" || r.Class != Done || !r.Assembled {
			t.Errorf("%s: %v %q\n%s", name, r.Class, r.Message, diff)
		}
	}
}

func TestE8_StreamLineForms(t *testing.T) {
	lines := ": ping\n\nretry: 10\nid: 1\nevent: message\ndata:{\"choices\":[{\"delta\":{\"content\":\"a\"},\n" +
		"data: \"finish_reason\":\"stop\"}]}\n\nevent: ping\ndata: {}\n\ndata:\n\ndata: 7\n\ndata: [DONE]\n\n"
	for name, body := range map[string]string{
		"LF": lines, "CRLF": strings.ReplaceAll(lines, "\n", "\r\n"), "CR": strings.ReplaceAll(lines, "\n", "\r"), "BOM": "\xef\xbb\xbf" + lines,
	} {
		for _, header := range [][]string{nil, {"Content-Type", "application/json"}, {"Content-Type", "text/plain"}} {
			if r := stream(t, body, header...); r.Class != Done || r.Answer.Text != "a" || r.Answer.FinishReason != "stop" {
				t.Errorf("%s as %v: %+v", name, header, r)
			}
		}
	}
	line := func(size int) string { return chunk(`{"content":"`+strings.Repeat("x", size)+`"}`, `"stop"`) }
	if r := stream(t, line(5<<20)); r.Class != Done || len(r.Answer.Text) != 5<<20 {
		t.Errorf("a line of 5 MB: %v %s", r.Class, r.Message)
	}
	if r := stream(t, line(maxEvent)); r.Class != JobFailed || r.Reason != ResponseTooLarge || len(r.Body) > maxErrorBody {
		t.Errorf("a line of more than 32 MB: %v %s", r.Class, r.Message)
	}
}

// A stream that comes byte by byte is told by its first line, whatever its server calls it.
func TestE8_E9_StreamByteByByte(t *testing.T) {
	for _, first := range []string{":\n\n", "data:", "event: message\ndata:", "id: 1\ndata:", "retry: 10\ndata:", "\xef\xbb\xbfdata:", "\n\ndata:"} {
		for _, contentType := range []string{"text/event-stream", "application/json", "text/plain"} {
			body := first + strings.TrimPrefix(helloStream, "data:")
			if strings.HasPrefix(first, ":") {
				body = first + helloStream
			}
			r := do(serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", contentType)
				for i := range len(body) {
					io.WriteString(w, body[i:i+1])
					w.(http.Flusher).Flush()
				}
			}), streamRequest)
			if r.Class != Done || string(r.Body) != helloCompletion {
				t.Errorf("%q as %s: %v %q", first, contentType, r.Class, r.Message)
			}
		}
	}
}

func TestE9_H22_WhatTheServerSendsOutranksWhatWasAsked(t *testing.T) {
	for _, contentType := range []string{"application/json", "text/event-stream", "text/html", ""} {
		if r := do(serve(t, answer(200, completion, "Content-Type", contentType)), streamRequest); r.Class != Done || r.Assembled {
			t.Errorf("JSON as %q: %+v", contentType, r)
		}
		if r := do(serve(t, answer(200, helloStream, "Content-Type", contentType)), request); r.Class != Done || !r.Assembled {
			t.Errorf("a stream as %q: %+v", contentType, r)
		}
	}
}

func TestE3_E4_StreamErrors(t *testing.T) {
	begun := chunk(`{"content":"Par"}`, "null")
	for body, want := range map[string]Result{
		`data: {"error":{"message":"slow","type":"rate_limit_error"}}` + "\n\n":                                                           {Class: NotProcessed, Reason: RateLimited, Type: "rate_limit_error", Message: "slow"},
		"event: error\ndata: {\"message\":\"spent\",\"code\":\"insufficient_quota\"}\n\n":                                                 {Class: RunStops, Reason: QuotaSpent, Code: "insufficient_quota", Message: "spent"},
		"event: error\ndata: it broke\n\n":                                                                                                {Class: Unknown, Message: "it broke"},
		`data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"behind"}}]}` + "\n\n": {Class: Unknown, Code: "502", Message: "behind"},
		`data: {"error":{"code":400,"message":"long","type":"context_length_exceeded"},"choices":[{"finish_reason":"error"}]}` + "\n\n":   {Class: JobFailed, Type: "context_length_exceeded", Code: "400", Message: "long"},
		"":                    {Class: Unknown, Message: "the stream ended without a finish reason"},
		"data: {\"choices\"":  {Class: Unknown, Message: "the stream has an event that is not JSON"},
		"data: [DONE]\n\n":    {Class: Done},
		chunk(`{}`, `"stop"`): {Class: Done},
	} {
		r := stream(t, begun+body+begun)
		if want.Class == Done {
			if r.Class != Done {
				t.Errorf("%s: %+v", body, r)
			}
			continue
		}
		got := Result{Class: r.Class, Reason: r.Reason, Type: r.Type, Code: r.Code, Message: r.Message}
		if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(string(r.Body), begun) || r.Assembled {
			t.Errorf("%s\n%s", body, diff)
		}
	}
	if r := stream(t, chunk(`{"content":"Par"}`, `""`)); r.Class != Unknown {
		t.Errorf("an empty finish reason: %+v", r)
	}
	if r := stream(t, chunk(`{"role":"assistant","content":null}`, "null")+"data: [DONE]\n\n"); r.Class != Unknown {
		t.Errorf("neither a word nor a finish reason: %+v", r)
	}
	if r := stream(t, chunk(`{"role":"assistant"}`, `"error"`)); r.Class != Unknown {
		t.Errorf("the model failed: %+v", r)
	}
	if r := stream(t, "data: [DONE]\n\n"); r.Class != Unknown {
		t.Errorf("no choice at all: %+v", r)
	}
	if r := stream(t, ": nothing\n\n"); r.Class != Unknown {
		t.Errorf("no event at all: %+v", r)
	}
}

// A stream that is cut at any byte is Unknown until its finish reason has come, and Done from then on.
func TestE1_E2_E3_StreamCutAtEveryByte(t *testing.T) {
	runes := chunk(`{"content":"né—"}`, "null") + chunk(`{"content":"😀."}`, "null") + chunk(`{}`, `"stop"`) + "data: [DONE]\n\n"
	var body string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, body)
		if r.Header.Get("X-Cut") != "" {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	})
	for _, sent := range []string{helloStream, runes, strings.ReplaceAll(runes, "\n", "\r\n")} {
		finished := strings.Index(sent, `"stop"}]}`) + len(`"stop"}]}`)
		for _, abort := range []http.Header{nil, {"X-Cut": {"1"}}} {
			for n := 0; n < len(sent); n++ {
				body = sent[:n]
				r := client.Do(t.Context(), Call{Body: []byte(streamRequest), Header: abort})
				whole := n >= finished
				if abort != nil { // an event that a broken connection left unfinished is none
					whole = strings.Contains(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body), "\"stop\"}]}\n\n")
				}
				if (r.Class == Done) != whole || !whole && r.Class != Unknown {
					t.Errorf("cut after %d bytes (%v): %v %s", n, abort != nil, r.Class, r.Message)
				}
				// What has come of an answer that is none is kept to be looked at, and is no answer.
				if !whole && (r.Answer != (Answer{}) || r.Assembled || string(r.Body) != body) {
					t.Errorf("cut after %d bytes (%v): %+v", n, abort != nil, r)
				}
			}
		}
	}
}

// Whatever a server sends to keep the connection alive keeps it, until no word has come for as long as an answer may take to begin.
// When all words have come, only the usage is waited for.
func TestE7_KeepAlives(t *testing.T) {
	word := script{{0, chunk(`{"content":"a"}`, "null")}}
	for ping, text := range map[string]string{"comments": ": ping\n\n", "empty data": "data:\n\n", "events": "event: ping\ndata: {}\n\n", "lone bytes": ":", "no choice": "data: {\"choices\":[]}\n\n"} {
		for name, row := range map[string]struct {
			script script
			class  Class
			reason Reason
			took   time.Duration
		}{
			"for nine minutes":     {append(append(word, drip(10, 54*time.Second, text)...), script{{0, "\n\n" + helloStream}}...), Done, ReasonNone, 9 * time.Minute},
			"for ever":             {append(word, drip(1000, 50*time.Second, text)...), Unknown, TimedOut, 10 * time.Minute},
			"after the last word":  {append(script{{0, chunk(`{"content":"a"}`, `"stop"`)}}, drip(1000, 50*time.Second, text)...), Done, ReasonNone, time.Minute},
			"before the first one": {drip(1000, 50*time.Second, text), Unknown, TimedOut, 10*time.Minute + 50*time.Second},
		} {
			t.Run(ping+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client := piped(t, func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", "text/event-stream")
						row.script.serve(w, r)
					})
					start := time.Now()
					r := do(client, streamRequest)
					if took := time.Since(start); r.Class != row.class || r.Reason != row.reason || took != row.took {
						t.Errorf("%v %v %q after %v, want %v %v after %v", r.Class, r.Reason, r.Message, took, row.class, row.reason, row.took)
					}
				})
			})
		}
	}
}

// Servers that count in every chunk have not counted all before the end.
func TestE6_StreamUsageIsFinalOrUnknown(t *testing.T) {
	counted := func(choices string, n int) string {
		return fmt.Sprintf(`data: {"id":"c-1","choices":[%s],"usage":{"prompt_tokens":25,"completion_tokens":%d,"total_tokens":%d}}`+"\n\n", choices, n, 25+n)
	}
	word := func(n int) string { return counted(`{"index":0,"delta":{"content":" a"},"finish_reason":null}`, n) }
	end := `{"index":0,"delta":{},"finish_reason":"stop"}`
	unknown := "data: " + `{"error":{"message":"it broke"}}` + "\n\n"
	for name, row := range map[string]struct {
		body  string
		class Class
		want  int64 // completion tokens, -1 for unknown
		limit int64
	}{
		"ended in the middle":                          {word(1) + word(2), Unknown, -1, 0},
		"a chunk that is not JSON":                     {word(1) + "data: {\n\n", Unknown, -1, 0},
		"an error in the middle":                       {word(1) + unknown, Unknown, -1, 0},
		"too large in the middle":                      {word(1) + word(2) + word(3), JobFailed, -1, 300},
		"an error that refuses it":                     {word(1) + `data: {"error":{"code":400,"message":"long","type":"context_length_exceeded"}}` + "\n\n", JobFailed, 1, 0},
		"nothing but blanks before the first word":     {counted("", 0), Unknown, -1, 0},
		"one choice of two has ended":                  {word(1) + counted(`{"index":1,"delta":{},"finish_reason":"stop"}`, 2), Unknown, -1, 0},
		"counted with the finish reason":               {word(1) + counted(end, 2), Done, 2, 0},
		"and broken after it":                          {word(1) + counted(end, 2) + unknown, Done, 2, 0},
		"counted after the finish reason":              {word(1) + chunk("{}", `"stop"`) + counted("", 3), Done, 3, 0},
		"cut before it was counted":                    {word(1) + chunk("{}", `"stop"`), Done, -1, 0},
		"[DONE] says that no other count will come":    {word(1) + chunk("{}", `"stop"`) + "data: [DONE]\n\n", Done, 1, 0},
		"[DONE] after nothing":                         {counted(`{"index":0,"delta":{"role":"assistant"},"finish_reason":null}`, 1) + "data: [DONE]\n\n", Unknown, 1, 0},
		"finished, but with an error instead of words": {counted(`{"index":0,"delta":{"role":"assistant"},"finish_reason":"error"}`, 4), Unknown, 4, 0},
	} {
		client := serve(t, answer(200, row.body, "Content-Type", "text/event-stream"), func(o *Options) { o.MaxResponse = row.limit })
		r := do(client, streamRequest)
		got := r.Answer.Usage.Completion
		if !r.Answer.Usage.Known {
			got = -1
		}
		if r.Class != row.class || got != row.want {
			t.Errorf("%s: %v with %d, want %v with %d (%s)", name, r.Class, got, row.class, row.want, r.Message)
		}
		if counts := strings.Contains(string(r.Body), "usage"); r.Class == Done && (counts != (got >= 0) || (r.Answer.Text == "") != counts) {
			t.Errorf("%s: %s, text %q", name, r.Body, r.Answer.Text)
		}
	}
	several := strings.Replace(streamRequest, `"stream"`, `"n":2,"stream"`, 1)
	for body, want := range map[string]bool{
		word(1) + counted(end, 2):                  false,
		word(1) + counted(end, 2) + counted("", 2): true, // one answer of two, but it is all that there will be
	} {
		r := do(serve(t, answer(200, body, "Content-Type", "text/event-stream")), several)
		if r.Class != Unknown || r.Answer.Usage.Known != want {
			t.Errorf("%s: %+v", body, r)
		}
	}
}

func TestStreamOfSeveralChoicesNeedsThemAll(t *testing.T) {
	body := strings.Replace(streamRequest, `"stream"`, `"n":2,"stream"`, 1)
	client := serve(t, answer(200, chunk(`{"content":"A"}`, `"stop"`), "Content-Type", "text/event-stream"))
	if r := do(client, body); r.Class != Unknown {
		t.Errorf("one of two choices: %+v", r)
	}
}

func TestH17_StreamOfTooManyParts(t *testing.T) {
	many := func(format string) string {
		var b strings.Builder
		for i := range maxParts + 1000 {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, body := range []string{
		`{"choices":[` + many(`{"index":%d},`) + `{"delta":{"content":"a"},"finish_reason":"stop"}]}`,
		`{"choices":[{"delta":{"tool_calls":[` + many(`{"index":%d},`) + `{}]},"finish_reason":"stop"}]}`,
		`{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],` + many(`"x%d":1,`) + `"y":1}`,
	} {
		if r := stream(t, "data: "+body+"\n\ndata: [DONE]\n\n"); r.Class != JobFailed || r.Reason != ResponseTooLarge || !strings.Contains(r.Message, "more parts") {
			t.Errorf("%.40s: %v %s", body, r.Class, r.Message)
		}
		var s assembly
		s.merge([]byte(body))
		kept := len(s.choices) + len(s.top.names)
		for _, c := range s.choices {
			if calls := c.message.members["tool_calls"]; calls != nil {
				kept += len(calls.indexed)
			}
		}
		if kept > maxParts {
			t.Errorf("%.40s: %d parts are in memory", body, kept)
		}
	}
}

// An answer does not wait for a server that leaves the stream open after [DONE], nor does Close for ever.
func TestE5_StreamLeftOpenAfterDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan time.Time, 1)
		client := piped(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, helloStream)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			closed <- time.Now()
		})
		start := time.Now()
		r := do(client, streamRequest)
		if took := time.Since(start); r.Class != Done || took > 50*time.Millisecond || r.Duration > time.Millisecond {
			t.Errorf("%v after %v, measured %v", r.Class, took, r.Duration)
		}
		if took := (<-closed).Sub(start); took != time.Second {
			t.Errorf("the connection was dropped after %v, want 1s", took)
		}
	})
}

func TestStreamsReuseConnections(t *testing.T) {
	remotes := map[string]bool{}
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr] = true
		answer(200, helloStream, "Content-Type", "text/event-stream")(w, r)
	})
	drain(t, 1, 20, Done, func() Result { return do(client, streamRequest) })
	if len(remotes) != 1 {
		t.Errorf("20 streams one after another used %d connections", len(remotes))
	}
}

func TestIncludeUsage(t *testing.T) {
	for body, want := range map[string]string{
		`{"stream":true}`:                         `{"stream":true,"stream_options":{"include_usage":true}}`,
		"{\"a\":{\"b\":1}, \"stream\" : true }\n": "{\"a\":{\"b\":1}, \"stream\" : true ,\"stream_options\":{\"include_usage\":true}}\n",
		`{"stream":true,"stream_options":null}`:   `{"stream":true,"stream_options":null}`,
		`{"stream":false}`:                        `{"stream":false}`,
		`{"a":{"stream":true}}`:                   `{"a":{"stream":true}}`,
		`{"messages":["\"stream\":true"]}`:        `{"messages":["\"stream\":true"]}`,
	} {
		var sent []byte
		handler := func(w http.ResponseWriter, r *http.Request) { sent, _ = io.ReadAll(r.Body) }
		do(serve(t, handler, func(o *Options) { o.IncludeUsage = true }), body)
		if string(sent) != want {
			t.Errorf("%s was sent as %s, want %s", body, sent, want)
		}
		if do(serve(t, handler), body); string(sent) != body {
			t.Errorf("%s was sent as %s", body, sent)
		}
	}
}
