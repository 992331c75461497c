package chat

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestCheckField(t *testing.T) {
	for _, c := range []struct{ field, value, want string }{
		{"model", `"llama-3.1-8b"`, ""},
		{"model", `""`, "model: is empty"},
		{"model", `8`, "model: 8 is not a string"},
		{"model", `null`, "model: null is not a string"},
		{"user", `""`, ""},
		{"user", `{"a":1}`, "user: an object is not a string"},
		{"stream", `true`, ""},
		{"stream", `false`, ""},
		{"stream", `"true"`, `stream: "true" is not true or false`},
		{"stream", `1`, "stream: 1 is not true or false"},
		{"max_tokens", `1`, ""},
		{"max_tokens", ` 9007199254740992 `, ""},
		{"max_tokens", `9007199254740993`, "max_tokens: 9007199254740993 is too large"},
		{"max_tokens", `99999999999999999999999999`, "max_tokens: 999999999999999999999999... is too large"},
		{"max_tokens", `-99999999999999999999`, "max_tokens: -99999999999999999999 is not at least 1"},
		{"max_tokens", `0`, "max_tokens: 0 is not at least 1"},
		{"max_tokens", `20.0`, "max_tokens: 20.0 is not an integer"},
		{"max_tokens", `2e1`, "max_tokens: 2e1 is not an integer"},
		{"max_tokens", `"20"`, `max_tokens: "20" is not an integer`},
		{"temperature", `0`, ""},
		{"temperature", `-0`, ""},
		{"temperature", `2.0`, ""},
		{"temperature", `2.01`, "temperature: 2.01 is not between 0 and 2"},
		{"temperature", `-0.1`, "temperature: -0.1 is not between 0 and 2"},
		{"temperature", `1e400`, "temperature: 1e400 is not between 0 and 2"},
		{"temperature", `"hot"`, `temperature: "hot" is not a number`},
		{"temperature", `null`, "temperature: null is not a number"},
		{"top_p", `1`, ""},
		{"top_p", `1.5`, "top_p: 1.5 is not between 0 and 1"},
		{"presence_penalty", `-2`, ""},
		{"presence_penalty", `-2.5`, "presence_penalty: -2.5 is not between -2 and 2"},
		{"frequency_penalty", `2`, ""},
		{"frequency_penalty", `3`, "frequency_penalty: 3 is not between -2 and 2"},
		{"stop", `","`, ""},
		{"stop", `[]`, ""},
		{"stop", `["a","b","c","d"]`, ""},
		{"stop", `["a","b","c","d","e"]`, "stop: 5 sequences are more than 4"},
		{"stop", `["a",7]`, "stop[1]: 7 is not a string"},
		{"stop", `7`, "stop: 7 is not a string or an array of strings"},
		{"user", `"\u001b]52;c;` + strings.Repeat("x", 99) + `"`, ""},
		{"stream", `"\u001b]52;c;` + strings.Repeat("x", 99) + `"`, `stream: "\x1b]52;c;xxxxxxxxxxxxxxxxx"... is not true or false`},
		{"seed", `"whatever"`, ""},
		{"label", `[]`, ""},
	} {
		got := ""
		if bad := CheckField(c.field, jsontext.Value(c.value)); bad != nil {
			got = bad.Error()
		}
		if got != c.want {
			t.Errorf("CheckField(%s, %s)\n got %q\nwant %q", c.field, c.value, got, c.want)
		}
	}
}

func TestCheckMessages(t *testing.T) {
	for _, c := range []struct{ messages, want string }{
		{`[{"role":"user","content":"Name a river."}]`, ""},
		{` [ { "content" : "Name a river." , "role" : "\u0075ser", "name":"ann" } ] `, ""},
		{`[{"role":"system","content":""},{"role":"developer","content":"x"},{"role":"assistant","content":"x"},{"role":"tool","content":"","tool_call_id":"1"},{"role":"function","name":"f","content":"x"}]`, ""},
		{`[{"role":"assistant","content":null,"tool_calls":[]}]`, ""},
		{`[{"role":"assistant","function_call":{}}]`, ""},
		{`[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{}}]}]`, ""},
		{`[]`, "messages: is empty"},
		{`null`, "messages: null is not an array of messages"},
		{`"Name a river."`, "messages: a string is not an array of messages"},
		{`{"role":"user","content":"x"}`, "messages: an object is not an array of messages"},
		{`["Name a river."]`, "messages[0]: a string is not a message object"},
		{`[{"role":"user","content":"x"},{}]`, "messages[1].role: is missing"},
		{`[{"role":"bot","content":"x"}]`, `messages[0].role: "bot" is not one of system, developer, user, assistant, tool, function`},
		{`[{"role":"User","content":"x"}]`, `messages[0].role: "User" is not one of system, developer, user, assistant, tool, function`},
		{`[{"role":"","content":"x"}]`, `messages[0].role: "" is not one of system, developer, user, assistant, tool, function`},
		{`[{"role":null,"content":"x"}]`, "messages[0].role: null is not a string"},
		{`[{"role":"user"}]`, "messages[0].content: is missing"},
		{`[{"role":"user","content":""}]`, "messages[0].content: is empty"},
		{`[{"role":"user","content":null}]`, "messages[0].content: null stands only beside tool_calls or function_call"},
		{`[{"role":"assistant","content":null,"tool_calls":null}]`, "messages[0].content: null stands only beside tool_calls or function_call"},
		{`[{"role":"user","content":7}]`, "messages[0].content: a number is not a string or an array of parts"},
		{`[{"role":"user","content":{"type":"text","text":"secret"}}]`, "messages[0].content: an object is not a string or an array of parts"},
		{`[{"role":"user","content":[]}]`, "messages[0].content: is empty"},
		{`[{"role":"user","content":["secret"]}]`, "messages[0].content[0]: a string is not an object with a type"},
		{`[{"role":"user","content":[{"type":"text"},{"text":"secret"}]}]`, "messages[0].content[1].type: is missing"},
		{`[{"role":"user","content":[{"type":5}]}]`, "messages[0].content[0].type: 5 is not a string"},
		{`[{"role":"user","content":"x","name":5}]`, "messages[0].name: 5 is not a string"},
		{`[{"role":"user","content":"x"}`, "messages[1]: is not valid JSON"},
		{`[{"role":"user","content"}]`, "messages[0]: is not valid JSON"},
		{`[{"role":"user","content":[{]}]`, "messages[0]: is not valid JSON"},
		{`[{"role":"user","content":"x"}]]`, "messages: is not valid JSON"},
	} {
		got := ""
		if bad := CheckMessages(jsontext.Value(c.messages)); bad != nil {
			got = bad.Error()
		}
		if got != c.want {
			t.Errorf("CheckMessages(%s)\n got %q\nwant %q", c.messages, got, c.want)
		}
	}
}

func TestHasSystem(t *testing.T) {
	for messages, want := range map[string]bool{
		`[{"role":"user","content":"x"}]`:                                      false,
		`[{"role":"user","content":"system"},{"content":"x","role":"system"}]`: true,
		`[{"role":"devel\u006fper","content":"x"}]`:                            true,
		`[{"role":"user","content":[{"role":"system"}]}]`:                      false,
		`["role","system",7]`:                                                  false,
		`{"role":"system"}`:                                                    false,
		`[{"role":7}]`:                                                         false,
	} {
		if got := HasSystem(jsontext.Value(messages)); got != want {
			t.Errorf("HasSystem(%s) = %v", messages, got)
		}
	}
}

func TestNearField(t *testing.T) {
	for name, want := range map[string]string{
		"Temperature": "temperature", "max-tokens": "max_tokens", "MAX_TOKENS": "max_tokens", "maxTokens": "max_tokens",
		"max tokens": "max_tokens", "maxCompletionTokens": "max_completion_tokens", "topP": "top_p", "N": "n", "User": "user", "Stop": "stop",
		"Store": "store", "tempature": "", "temperture": "temperature", "temperaturee": "temperature", "temperatrue": "temperature",
		"tenperature": "temperature", "message": "messages", "models": "model", "modle": "model", "max_token": "max_tokens",
		"frequency_penality": "frequency_penalty", "top_k": "top_p", "streem": "stream", "response-formt": "response_format",

		// Request fields themselves, and words that authors use.
		"temperature": "", "n": "", "store": "",
		"id": "", "no": "", "i": "", "m": "", "label": "", "topic": "", "text": "", "use": "", "users": "", "tool": "", "Tool": "", "top": "", "name": "",
		"note": "", "need": "", "seeds": "", "step": "", "shop": "", "stops": "", "uses": "", "score": "", "story": "", "stored": "", "shore": "",
		"mode": "", "title": "", "category": "", "answer": "", "source": "", "system": "", "prompt": "", "": "", "größe": "",
		strings.Repeat("x", 1000): "",
	} {
		got, ok := NearField(name)
		if got != want || ok != (want != "") {
			t.Errorf("NearField(%q) = %q, %v, want %q", name, got, ok, want)
		}
	}
}

func TestFieldsOfARequest(t *testing.T) {
	for _, f := range []string{"model", "messages", "stream", "max_tokens", "temperature", "top_p", "stop", "presence_penalty", "frequency_penalty", "user"} {
		if !IsField(f) || !IsRequestField(f) {
			t.Errorf("%s is no field of the reference page", f)
		}
	}
	for _, f := range []string{"n", "seed", "tools", "stream_options", "store"} {
		if IsField(f) || !IsRequestField(f) {
			t.Errorf("%s: IsField %v, IsRequestField %v", f, IsField(f), IsRequestField(f))
		}
	}
	if IsRequestField("prompt") || IsRequestField("Model") {
		t.Error("prompt or Model passes for a request field")
	}
}
