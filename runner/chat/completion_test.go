package chat

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func TestH2_H3_H14_H20_WhatCountsAsACompletion(t *testing.T) {
	choice := func(message string) string { return `{"choices":[{"message":` + message + `}]}` }
	for _, row := range []struct {
		body string
		done bool
	}{
		{choice(`{"content":"a"}`), true},
		{choice(`{"content":""}`), true},
		{"\xef\xbb\xbf \n" + choice(`{"content":"a"}`) + "\r\n", true},
		{choice("{\"content\":\"\xff\\ud800\x7f\"}"), true},
		{choice(`{"content":[{"type":"text","text":"a"}]}`), true},
		{choice(`{"content":null,"tool_calls":[{"id":"1"}]}`), true},
		{choice(`{"content":null,"function_call":{"name":"f","arguments":"{}"}}`), true},
		{choice(`{"content":null,"refusal":"no"}`), true},
		{choice(`{"content":null,"reasoning_content":"hm"}`), true}, // thought until max_tokens
		{choice(`{"content":"a","error":null}`), true},
		{`{"error":null,"choices":[{"message":{"content":"a"}}]}`, true},
		{`{"error":"","choices":[{"message":{"content":"a"}}]}`, true},
		{`{"choices":[],"choices":[{"message":{"content":"a"}}]}`, true}, // of duplicates the last counts

		{`{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}`, true},
		{`{"choices":[{"finish_reason":"length","message":{"role":"assistant"}}]}`, true},
		{`{"choices":[{"finish_reason":"stop","message":{"content":null,"tool_calls":[]}}]}`, true},

		{`{"choices":[{"message":null,"finish_reason":"stop"}]}`, false},
		{`{"choices":[{"message":{"content":null},"finish_reason":""}]}`, false},
		{`{"choices":[{"message":{"content":null},"finish_reason":null}]}`, false},
		{`{"choices":[{"message":{"content":null},"finish_reason":"error"}]}`, false},
		{`{"choices":[{"message":{"content":null}},{"message":{},"finish_reason":"stop"}]}`, false},
		{choice(`{"content":null}`), false},
		{choice(`{"content":null,"tool_calls":[]}`), false},
		{choice(`{"content":null,"refusal":null}`), false},
		{choice(`{"content":null,"refusal":""}`), false},
		{choice(`{"content":7}`), false},
		{choice(`{"Content":"a"}`), false},
		{choice(`{}`), false},
		{choice(`null`), false},
		{`{"choices":[{"text":"a"}]}`, false},
		{`{"Choices":[{"message":{"content":"a"}}]}`, false},
		{`{"choices":{"message":{"content":"a"}}}`, false},
		{`{"choices":[null,{"message":{"content":"a"}}]}`, false},
		{`{"choices":null}`, false}, {`{"choices":[]}`, false}, {`{}`, false},
		{``, false}, {` `, false}, {`null`, false}, {`[]`, false}, {`"a"`, false}, {`7`, false}, {`hello`, false},
		{choice(`{"content":"a"}`) + `{}`, false},
		{choice(`{"content":"a"`), false},
		{choice("{\"content\":\"a\tb\"}"), false},
		{strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), false},
	} {
		reply := readReply([]byte(row.body), 200)
		if reply.done != row.done || reply.err != nil {
			t.Errorf("%.120q: done %v (%s, %+v), want %v", row.body, reply.done, reply.flaw, reply.err, row.done)
		}
		if !reply.done && (reply.flaw == "" || reply.answer.Text != "") {
			t.Errorf("%.120q: flaw %q, text %q", row.body, reply.flaw, reply.answer.Text)
		}
	}
}

func TestH19_UsageIsReportedOrUnknown(t *testing.T) {
	for usage, want := range map[string]Usage{
		`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}`:                               {Known: true, Prompt: 1, Completion: 2, Total: 3},
		`{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`:                               {Known: true, Prompt: 0, Completion: 0, Total: 0},
		`{"prompt_tokens":12.0,"completion_tokens":1.2e1,"total_tokens":24.000}`:                   {Known: true, Prompt: 12, Completion: 12, Total: 24},
		`{"prompt_tokens":1,"completion_tokens":2}`:                                                {Known: true, Prompt: 1, Completion: 2, Total: 3},
		`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":null}`:                            {Known: true, Prompt: 1, Completion: 2, Total: 3},
		`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":9}`:                               {Known: true, Prompt: 1, Completion: 2, Total: 9},
		`{"prompt_tokens":10000000000,"completion_tokens":0,"total_tokens":10000000000}`:           {Known: true, Prompt: 1e10, Total: 1e10},
		`{"prompt_tokens":10000000000,"completion_tokens":1,"total_tokens":10000000001}`:           {},
		`{"prompt_tokens":9007199254740992,"completion_tokens":0,"total_tokens":9007199254740992}`: {},
		`{"prompt_tokens":9007199254740992,"completion_tokens":0,"total_tokens":0}`:                {},
		`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":2}`:                               {},
		`{"prompt_tokens":1,"completion_tokens":9007199254740992}`:                                 {},
		`{"prompt_tokens":9007199254740993,"completion_tokens":0,"total_tokens":0}`:                {},
		`{"prompt_tokens":"1","completion_tokens":2,"total_tokens":3}`:                             {},
		`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":"3"}`:                             {},
		`{"prompt_tokens":-1,"completion_tokens":2,"total_tokens":1}`:                              {},
		`{"prompt_tokens":1.5,"completion_tokens":2,"total_tokens":3.5}`:                           {},
		`{"prompt_tokens":1e400,"completion_tokens":2}`:                                            {},
		`{"prompt_tokens":null,"completion_tokens":2,"total_tokens":3}`:                            {},
		`{"Prompt_Tokens":1,"completion_tokens":2,"total_tokens":3}`:                               {},
		`{"total_tokens":3}`: {},
		`{}`:                 {}, `null`: {}, `[]`: {}, `7`: {},
	} {
		reply := readReply([]byte(`{"choices":[{"message":{"content":"four"}}],"usage":`+usage+`}`), 200)
		if reply.answer.Usage != want || !reply.done {
			t.Errorf("%s: %+v, want %+v", usage, reply.answer.Usage, want)
		}
		if text := reply.answer.Text; (text == "four") == want.Known {
			t.Errorf("%s: text for local counting %q", usage, text)
		}
	}
}

func TestQ9_UsageOfFailuresIsPickedUp(t *testing.T) {
	want := Usage{Known: true, Prompt: 5, Completion: 0, Total: 5}
	usage := `"usage":{"prompt_tokens":5,"completion_tokens":0,"total_tokens":5}`
	for _, r := range []Result{
		do(serve(t, answer(400, `{"error":{"code":"content_policy_violation"},`+usage+`}`)), request),
		do(serve(t, answer(200, `{"error":{"code":"content_policy_violation"},`+usage+`}`)), request),
		do(serve(t, answer(200, `{"choices":[],`+usage+`}`)), request),
	} {
		if r.Class == Done || r.Answer != (Answer{Usage: want}) {
			t.Errorf("%+v, want only usage %+v", r, want)
		}
	}
}

func TestAnswerFields(t *testing.T) {
	body := `{"id":7,"model":"m\u001b[31m\u202e` + strings.Repeat("x", 300) + `","created":%,"choices":[` +
		`{"finish_reason":null,"message":{"content":[{"type":"text","text":"one "},{"type":"image"}],"reasoning":"two "}},` +
		`{"finish_reason":"stop","message":{"content":"three ","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}`
	for created, want := range map[string]int64{"1706745600": 1706745600, "1706745600.5": 0, "1790000000.25": 0, "1706745600.0": 1706745600, "1.7067456e9": 1706745600, `"1706745600"`: 0,
		"-1": 0, "1e300": 0, "null": 0} {
		a := readReply([]byte(strings.Replace(body, "%", created, 1)), 200).answer
		if a.Created != want || a.ID != "" || a.FinishReason != "" || a.Text != `one two three f{"a":1}` ||
			!strings.HasPrefix(a.Model, "m[31mxxx") || len(a.Model) != maxName {
			t.Errorf("created %s: %+v", created, a)
		}
	}
}

// The scanner trusts the grammar, so everything that jsontext accepts must pass through it unharmed: it finds what a decoder finds.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(completion))
	f.Add([]byte(`{"error":{"message":"m","type":"t","code":429,"param":null}}`))
	f.Add([]byte(`[{"error":{"code":1}}]`))
	f.Add([]byte(`{"detail":[{"loc":["a",1],"msg":"\"\\"}]}`))
	f.Add([]byte("{\"a\\\"\":\"\\\\\",\"b\":[{},[],\"\\\"\",1e5 ,true]\n}"))
	f.Add([]byte("\xef\xbb\xbf{\"choices\":[{\"message\":{\"content\":\"\\ud800\xff\"}}]}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var want any
		text := trimJSON(body)
		if json.Unmarshal(text, &want, jsontext.AllowInvalidUTF8(true)) == nil { // no name twice
			if diff := cmp.Diff(want, scanned(t, text)); diff != "" {
				t.Fatalf("%q (-decoded +scanned):\n%s", text, diff)
			}
		}
		for _, status := range []int{200, 404, 429} {
			reply := readReply(body, status)
			if reply.done && (reply.err != nil || !validJSON(trimJSON(body))) {
				t.Fatalf("%q is no answer", body)
			}
			if u := reply.answer.Usage; u.Prompt < 0 || u.Completion < 0 || u.Total < 0 || u.Prompt > maxInteger {
				t.Fatalf("%q: %+v", body, u)
			}
			v := judge(status, reply.err)
			if v.class == Done || v.class == "" {
				t.Fatalf("%q: %+v", body, v)
			}
		}
	})
}

// scanned is what the scanner finds in a JSON text.
func scanned(t *testing.T, v []byte) any {
	t.Helper()
	switch kindOf(v) {
	case '{':
		object := map[string]any{}
		for name, value := range eachMember(v) {
			object[sound(name)] = scanned(t, value)
		}
		return object
	case '[':
		array := []any{}
		for value := range eachElement(v) {
			array = append(array, scanned(t, value))
		}
		return array
	case '"':
		return sound([]byte(textOf(v)))
	}
	var value any
	if err := json.Unmarshal(v, &value); err != nil {
		t.Fatalf("%q: %v", v, err)
	}
	return value
}

// sound is a text in which every byte that is not UTF-8 has become U+FFFD.
func sound(text []byte) string { return string([]rune(string(text))) }
