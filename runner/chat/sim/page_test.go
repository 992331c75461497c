package sim_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat/sim"
	"batch/runner/tokens"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func runInBubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// The reference page's own requests.
var pageRequests = map[string]string{
	"basic": `{"model":"llama-3.1-8b","messages":[{"role":"system","content":"You are a helpful assistant."},
		{"role":"user","content":"What is the capital of Japan?"}]}`,
	"multi-turn": `{"model":"llama-3.1-8b","messages":[{"role":"system","content":"You are a math tutor."},
		{"role":"user","content":"What is 2 + 2?"},{"role":"assistant","content":"2 + 2 equals 4."},
		{"role":"user","content":"And what is that multiplied by 3?"}]}`,
	"every field": `{"model":"mistral-7b","messages":[{"role":"user","content":"Hi"}],"stream":false,"max_tokens":123,
		"temperature":1.5,"top_p":0.9,"stop":["ZZ","YY"],"presence_penalty":-2,"frequency_penalty":2.0,"user":"u-1"}`,
	"unknown fields": `{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function"}],"seed":7,"surprise":{"a":[1]}}`,
}

func TestAnswerHasThePagesShape(t *testing.T) {
	for name, body := range pageRequests {
		t.Run(name, func(t *testing.T) {
			before := time.Now().Unix()
			res := post(newServer(t, sim.Options{}), body)
			if res.status != 200 {
				t.Fatalf("%d %s", res.status, res.body)
			}
			c := decode(t, res.body)
			var keys struct {
				Other   map[string]jsontext.Value `json:",inline"`
				Choices []map[string]jsontext.Value
			}
			if err := json.Unmarshal([]byte(res.body), &keys.Other); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"id", "object", "created", "model", "choices", "usage"} {
				if _, ok := keys.Other[key]; !ok {
					t.Errorf("no %s", key)
				}
				delete(keys.Other, key)
			}
			if len(keys.Other) > 0 {
				t.Errorf("not on the page: %v", keys.Other)
			}
			if !strings.HasPrefix(c.ID, "chatcmpl-") || c.Object != "chat.completion" || c.Created < before || c.Created > time.Now().Unix() {
				t.Errorf("id %s, object %s, created %d", c.ID, c.Object, c.Created)
			}
			if len(c.Choices) != 1 || c.Choices[0].Index != 0 || c.Choices[0].Message.Role != "assistant" || *c.Choices[0].FinishReason != "stop" {
				t.Fatalf("choices: %s", res.body)
			}
			text := c.Choices[0].Message.Content
			if !strings.HasPrefix(text, "[practice answer, made up by batch simulate] ") {
				t.Errorf("the answer does not say that it is made up: %q", text)
			}
			if n := len(strings.Fields(text)); n < 10 || n > 67 {
				t.Errorf("%d words: %q", n, text)
			}
			prompt, completion := tokens.Count(c.Model, []byte(body)), tokens.CountText(c.Model, text)
			want := fmt.Sprint(prompt, completion, prompt+completion)
			if got := fmt.Sprint(c.Usage.Prompt, c.Usage.Completion, c.Usage.Total); got != want {
				t.Errorf("usage %s, want %s", got, want)
			}
		})
	}
}

func TestEveryResponseBearsItsHeaders(t *testing.T) {
	s := newServer(t, sim.Options{APIKey: "ask_1", RPM: 5, TPM: 1000})
	ids := map[string]bool{}
	for i, r := range []reply{
		post(s, hello, "Authorization", "Bearer ask_1"),
		post(s, `{}`, "Authorization", "Bearer ask_1"),
		post(s, hello),
		ask(s, httptest.NewRequest("GET", "/v1/models", nil), "Authorization", "Bearer ask_1"),
		ask(s, httptest.NewRequest("GET", "/nowhere", nil)),
	} {
		ids[r.header.Get("X-Request-ID")] = true
		for _, name := range []string{
			"X-Processing-Time-Ms", "X-RateLimit-Limit-RPM", "X-RateLimit-Remaining-RPM", "X-RateLimit-Reset-RPM",
			"X-RateLimit-Limit-TPM", "X-RateLimit-Remaining-TPM", "X-RateLimit-Reset-TPM",
		} {
			if r.header.Get(name) == "" {
				t.Errorf("response %d has no %s", i, name)
			}
		}
		if r.header.Get("Batch-Simulated") != "1" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("response %d: %v", i, r.header)
		}
	}
	if len(ids) != 5 {
		t.Errorf("request ids repeat: %v", ids)
	}
}

func TestErrors(t *testing.T) {
	user := `"messages":[{"role":"user","content":"Hi"}]`
	good := `{"model":"m",` + user
	for _, row := range []struct {
		name, body, typ, code, param string
		status                       int
	}{
		{"no JSON", `{"model":`, "invalid_request_error", "invalid_request", "", 400},
		{"empty", ``, "invalid_request_error", "invalid_request", "", 400},
		{"an array", `[]`, "invalid_request_error", "invalid_request", "", 400},
		{"two objects", hello + hello, "invalid_request_error", "invalid_request", "", 400},
		{"bytes that are no UTF-8", `{"model":"` + "\xff" + `"}`, "invalid_request_error", "invalid_request", "", 400},
		{"no model", `{` + user + `}`, "invalid_request_error", "missing_parameter", "model", 400},
		{"no messages", `{"model":"m"}`, "invalid_request_error", "missing_parameter", "messages", 400},
		{"model empty", `{"model":"",` + user + `}`, "invalid_request_error", "invalid_model", "model", 400},
		{"model no string", `{"model":7,` + user + `}`, "invalid_request_error", "invalid_parameter", "model", 400},
		{"messages empty", `{"model":"m","messages":[]}`, "invalid_request_error", "invalid_parameter", "messages", 400},
		{"role", `{"model":"m","messages":[{"role":"wizard","content":"Hi"}]}`, "invalid_request_error", "invalid_parameter", "messages[0].role", 400},
		{"content", `{"model":"m","messages":[{"role":"user","content":7}]}`, "invalid_request_error", "invalid_parameter", "messages[0].content", 400},
		{"stream", good + `,"stream":"yes"}`, "invalid_request_error", "invalid_parameter", "stream", 400},
		{"max_tokens", good + `,"max_tokens":0}`, "invalid_request_error", "invalid_parameter", "max_tokens", 400},
		{"max_completion_tokens", good + `,"max_completion_tokens":1.5}`, "invalid_request_error", "invalid_parameter", "max_completion_tokens", 400},
		{"temperature", good + `,"temperature":2.1}`, "invalid_request_error", "invalid_parameter", "temperature", 400},
		{"top_p", good + `,"top_p":"high"}`, "invalid_request_error", "invalid_parameter", "top_p", 400},
		{"stop", good + `,"stop":["a","b","c","d","e"]}`, "invalid_request_error", "invalid_parameter", "stop", 400},
		{"presence_penalty", good + `,"presence_penalty":3}`, "invalid_request_error", "invalid_parameter", "presence_penalty", 400},
		{"frequency_penalty", good + `,"frequency_penalty":-2.5}`, "invalid_request_error", "invalid_parameter", "frequency_penalty", 400},
		{"user", good + `,"user":1}`, "invalid_request_error", "invalid_parameter", "user", 400},
		{"n", good + `,"n":17}`, "invalid_request_error", "invalid_parameter", "n", 400},
		{"stream_options", good + `,"stream_options":7}`, "invalid_request_error", "invalid_parameter", "stream_options", 400},
		{"response_format", good + `,"response_format":"json"}`, "invalid_request_error", "invalid_parameter", "response_format", 400},
		{"too large", strings.Repeat(" ", 32<<20) + hello, "invalid_request_error", "request_too_large", "", 413},
	} {
		t.Run(row.name, func(t *testing.T) {
			res := post(newServer(t, sim.Options{}), row.body)
			e := decode(t, res.body).Error
			if res.status != row.status || e == nil || e.Type != row.typ || e.Code != row.code || e.Param != row.param || e.Message == "" {
				t.Errorf("%d %s", res.status, res.body)
			}
		})
	}
}

// The three errors that the reference page prints come as it prints them, plus the param of the first.
func TestErrorsOfThePage(t *testing.T) {
	s := newServer(t, sim.Options{APIKey: "ask_1", Models: []string{"llama-3.1-8b"}, RPM: 1})
	key := []string{"Authorization", "Bearer ask_1"}
	post(s, hello, key...)
	for _, row := range []struct {
		name, want string
		status     int
		res        reply
	}{
		{"model", `{"error":{"message":"Invalid model specified","type":"invalid_request_error","code":"invalid_model","param":"model"}}`,
			400, post(s, strings.Replace(hello, "llama-3.1-8b", "gpt-9", 1), key...)},
		{"no key", `{"error":{"message":"Invalid API key provided","type":"authentication_error","code":"invalid_api_key"}}`,
			401, post(s, hello)},
		{"wrong key", `{"error":{"message":"Invalid API key provided","type":"authentication_error","code":"invalid_api_key"}}`,
			401, post(s, hello, "Authorization", "Bearer ask_2")},
		{"limit", `{"error":{"message":"Rate limit exceeded","type":"rate_limit_error","code":"rate_limit_exceeded"}}`,
			429, post(s, hello, key...)},
	} {
		if row.res.status != row.status || row.res.body != row.want {
			t.Errorf("%s: %d %s", row.name, row.res.status, row.res.body)
		}
	}
}

func TestRoutes(t *testing.T) {
	s := newServer(t, sim.Options{})
	for _, row := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"POST", "/v1/chat/completions", 200, ""},
		{"POST", "/chat/completions", 200, ""},
		{"GET", "/v1/models", 200, ""},
		{"GET", "/models", 200, ""},
		{"GET", "/v1/chat/completions", 405, "method_not_allowed"},
		{"POST", "/v1/models", 405, "method_not_allowed"},
		{"POST", "/v1/v1/chat/completions", 404, "not_found"},
		{"POST", "/v1/embeddings", 404, "not_found"},
		{"GET", "/", 404, "not_found"},
	} {
		res := ask(s, httptest.NewRequest(row.method, row.path, strings.NewReader(hello)))
		c := decode(t, res.body)
		if want := map[bool]string{true: "POST", false: "GET"}[strings.HasSuffix(row.path, "completions")]; row.status == 405 && res.header.Get("Allow") != want {
			t.Errorf("%s %s: Allow %q", row.method, row.path, res.header.Get("Allow"))
		}
		if res.status != row.status || (row.code != "") != (c.Error != nil) || c.Error != nil && c.Error.Code != row.code {
			t.Errorf("%s %s: %d %s", row.method, row.path, res.status, res.body)
		}
	}
}

func TestModels(t *testing.T) {
	list := func(opt sim.Options) (names []string) {
		var l struct {
			Object string `json:"object"`
			Data   []struct {
				ID     string `json:"id"`
				Object string `json:"object"`
			} `json:"data"`
		}
		res := ask(newServer(t, opt), httptest.NewRequest("GET", "/v1/models", nil))
		if err := json.Unmarshal([]byte(res.body), &l); err != nil || l.Object != "list" {
			t.Fatalf("%v in %s", err, res.body)
		}
		for _, m := range l.Data {
			names = append(names, m.ID)
		}
		return names
	}
	if got := strings.Join(list(sim.Options{}), " "); !strings.Contains(got, "llama-3.1-8b") || !strings.Contains(got, "assisters-chat-v1") {
		t.Errorf("documented models: %s", got)
	}
	if diff := cmp.Diff([]string{"a", `b"`}, list(sim.Options{Models: []string{"a", `b"`}})); diff != "" {
		t.Error(diff)
	}
	if res := post(newServer(t, sim.Options{Models: []string{"llama-3.1-8b"}}), hello); res.status != 200 {
		t.Errorf("a listed model: %d %s", res.status, res.body)
	}
}
