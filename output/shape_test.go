package output

import (
	"strings"
	"testing"

	"batch/store"
)

// The author's keys keep their names unless the file has a column of that name.
func TestCarriedNames(t *testing.T) {
	for _, c := range []struct{ carried, answer, failure string }{
		{`{"label":1}`, `"label":1`, `"label":1`},
		{`{"content":1,"status":2}`, `"input_content":1,"status":2`, `"content":1,"input_status":2`},
		{`{"\u006cine":1}`, `"input_\u006cine":1`, `"input_\u006cine":1`},
		{`{"input_line":1,"line":2,"input_input_line":3}`, `"input_line":1,"input_input_input_line":2,"input_input_line":3`,
			`"input_line":1,"input_input_input_line":2,"input_input_line":3`},
		{`{"choices":1,"message":2,"file":3,"simulated":4}`, `"input_choices":1,"input_message":2,"input_file":3,"input_simulated":4`,
			`"choices":1,"input_message":2,"input_file":3,"input_simulated":4`},
		{`{"Line":1, "x": [1, 2],` + "\r" + `"y":{}}`, `"Line":1,"x":[1, 2],"y":{}`, `"Line":1,"x":[1, 2],"y":{}`},
		{`{}`, `"created":1706745600}`, `"possibly_paid":true}`},
	} {
		src := &source{rows: []store.Row{done(1, `"q"`, `{"role":"assistant","content":"a"}`), failed(2)}}
		for i := range src.rows {
			src.rows[i].Carried = []byte(c.carried)
		}
		_, got := write(t, src, Options{})
		if !strings.Contains(got[0], c.answer) || !strings.Contains(got[1], c.failure) {
			t.Errorf("%s became %s%s", c.carried, got[0], got[1])
		}
	}
}

// H14, H20: every form of an answer has its columns.
func TestAnswerForms(t *testing.T) {
	for _, c := range []struct{ response, want, wantNot string }{
		{`{"choices":[{"message":{"role":"assistant","content":""}}]}`, `"content":"","finish_reason":null`, `"message"`},
		{`{"choices":[{"message":{"role":"assistant","content":null,"refusal":"No."}}]}`,
			`"message":{"role":"assistant","content":null,"refusal":"No."}`, `"choices"`},
		{`{"choices":[{"message":{"content":"a","refusal":null,"annotations":[ ],"audio":{},"reasoning":""}}]}`, `"content":"a"`, `"message"`},
		{`{"choices":[{"message":{"content":"a","reasoning":" "}}]}`, `"message":{"content":"a","reasoning":" "}`, `"choices"`},
		{`{"choices":[{"message":{"content":[{"type":"text","text":"a\u0041"},{"type":"text","text":"\"b"}]}}]}`,
			`"content":"a\u0041\n\"b"`, `"choices"`},
		{`{"choices":[{"message":{"content":[{"type":"image"}]}}]}`, `"content":null`, `"choices"`},
		{`{"choices":[{"message":{"content":7}}]}`, `"message":{"content":7}`, `"choices"`},
		{`{"choices":[{"message":{"content":"a"},"logprobs":{"content":[]}}]}`, `"choices":[{"message":{"content":"a"},"logprobs":{"content":[]}}]`, ""},
		{`{"choices":[{"message":{"content":"a"},"logprobs":null,"stop_reason":null}]}`, `"content":"a"`, `"choices"`},
		{`{"choices":[{"message":{"content":"1"}},{"message":{"content":"2"}}]}`, `"content":"1","finish_reason":null`, ""},
		{`{"choices":[{"message":{"content":"1","content":"2"}}],"model":"x","model":"y"}`, `"content":"2"`, `"x"`},
		{`{"choices":[{"message":{"content":"1"}}],"choices":[{"message":{"content":"2"},"finish_reason":"length"}]}`,
			`"content":"2","finish_reason":"length"`, `"choices"`},
		{`{"choices":[{"message":{"content":"1"},"finish_reason":"stop"}],"choices":[{}]}`, `"content":null,"finish_reason":null`, ""},
		{`{"Choices":[],"choices":[{"\u006dessage":{"\u0063ontent":"a"}}]}`, `"content":"a"`, `"choices"`},
		{`{"choices":[],"created":9007199254740993,"model":7}`, `"model":null`, `900`},
		{`{"choices":null,"created":9007199254740992}`, `"created":9007199254740992`, ""},
		{`{"choices":[],"created":1706745600.5}`, `"created":null`, "1706745600"},
		{`{"choices":[],"created":1706745600.0}`, `"created":null`, "1706745600"},
		{`{"choices":[],"created":17067456e2}`, `"created":null`, "17067456"},
		{`{"choices":[{"index":1,"message":{"content":"1","refusal":"r"},"finish_reason":"length"},{"index":0,"message":{"content":"0"},"finish_reason":"stop"}]}`,
			`"content":"0","finish_reason":"stop"`, `"message":{"content":"1","refusal":"r"}}` + "\n"},
		{`{"choices":[{"index":2,"message":{"content":"2"}},{"index":1,"message":{"content":"1"}}]}`, `"content":"2","finish_reason":null`, ""},
		{`{"choices":[{"index":0,"message":{"content":"a"}},{"index":0,"message":{"content":"b"}}]}`, `"content":"a","finish_reason":null`, ""},
		{`{"choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}]}`, `"content":"a","finish_reason":null`, ""},
		{`{"choices":[null],"created":-5}`, `"content":null`, `-5`},
		{`{"choices":[{"message":null,"finish_reason":3}],"created":"1"}`, `"created":null`, `"finish_reason":3`},
	} {
		row := done(1, `"q"`, `{}`)
		row.Response = []byte(c.response)
		out, err := encoded(&source{rows: []store.Row{row}}, Options{})
		if err != nil || !strings.Contains(out, c.want) || c.wantNot != "" && strings.Contains(out, c.wantNot) {
			t.Errorf("%s became %s (%v)", c.response, out, err)
		}
	}
}

func TestPromptForms(t *testing.T) {
	for body, want := range map[string]string{
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`:                   `"a"`,
		`{"messages":[{"role":"user","content":"a"},{"content":"b","role":"user"}]}`:                        `"b"`,
		`{"messages":[{"role":"system","content":"a"}]}`:                                                    `null`,
		`{"messages":[{"role":"user","content":null}]}`:                                                     `null`,
		`{"messages":[{"role":"user","content":[]}]}`:                                                       `null`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":""}]}]}`:                              `""`,
		`{"messages":[{"role":"user","content":[{"type":"input_audio"},{"type":"text","text":"\ud83d"}]}]}`: `"\ud83d"`,
		`{"messages":[7,{"role":"user","content":"a"}]}`:                                                    `"a"`,
		`{"messages":7}`: `null`,
		`{"model":"m"}`:  `null`,
		`{"messages":[{"role":"user","content":"` + "\xff" + `"}]}`: "\"\uFFFD\"",
	} {
		row := done(1, `""`, `{"content":"x"}`)
		row.Body = []byte(body)
		out, err := encoded(&source{rows: []store.Row{row}}, Options{})
		if err != nil || !strings.Contains(out, `"prompt":`+want+`,"content":"x"`) {
			t.Errorf("%s became %s (%v)", body, out, err)
		}
	}
}

// An answer that begins with a byte order mark is one; the mark does not get into the files.
func TestByteOrderMark(t *testing.T) {
	row := done(1, `"q"`, `{"role":"assistant","content":"a"}`)
	plain := row
	row.Response = append([]byte("\uFEFF \n"), row.Response...)
	for _, opt := range []Options{{}, {Shape: OpenAI}, {Shape: Chat}, {Format: CSV}} {
		want, err := encoded(&source{rows: []store.Row{plain}}, opt)
		if err != nil {
			t.Fatal(err)
		}
		got, err := encoded(&source{rows: []store.Row{row}}, opt)
		if err != nil || got != want {
			t.Errorf("%v: %s (%v), want %s", opt, got, err, want)
		}
	}
}

// An error of the API that is no JSON object is told in the API's form; one that is stands as it came.
func TestErrorBody(t *testing.T) {
	const ours = `"body":{"error":{"message":"too many tokens","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}`
	for body, want := range map[string]string{
		`"upstream down"`: ours, `[{"error":1}]`: ours, `null`: ours, `17`: ours, `{"error":`: ours, "": ours, `{}{}`: ours,
		" {\"error\": \"x\"} ": `"body":{"error": "x"}`, "\uFEFF{}": `"body":{}`,
	} {
		row := failed(1)
		row.ErrorBody = []byte(body)
		_, got := write(t, &source{rows: []store.Row{row}}, Options{Shape: OpenAI})
		if !strings.Contains(got[1], want+"}") {
			t.Errorf("%s became %s", body, got[1])
		}
	}
}

// Answers spread over lines stand on one, spelled as before.
func TestPrettyPrinted(t *testing.T) {
	row := done(1, `"q"`, `{}`)
	row.Response = []byte("{\r\n  \"choices\": [\n    {\"message\": {\"content\": \"a \\\" b\\\\\", \"x\": [1.0,\n 1e400] }}\n  ]\n}\n")
	for shape, want := range map[Shape]string{
		Flat:   `"message":{"content":"a \" b\\","x":[1.0,1e400]}`,
		OpenAI: `"body":{"choices":[{"message":{"content":"a \" b\\","x":[1.0,1e400]}}]}}`,
		Chat:   `{"role":"assistant","content":"a \" b\\"}]`,
	} {
		out, err := encoded(&source{rows: []store.Row{row}}, Options{Shape: shape})
		if err != nil || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %s (%v)", shape, out, err)
		}
	}
}
