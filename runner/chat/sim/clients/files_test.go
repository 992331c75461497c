package clients

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"batch/runner/chat/sim"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"
)

// outputLine is a line of a batch's output or error file, member by member as the API's reference has it. The library has types for
// what is in it, but none for the line.
type outputLine struct {
	ID       string `json:"id"`
	CustomID string `json:"custom_id"`
	Response *struct {
		StatusCode int             `json:"status_code"`
		RequestID  string          `json:"request_id"`
		Body       json.RawMessage `json:"body"`
	} `json:"response"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// succeeded is the rule by which readers of such files tell answers from the rest.
func (l outputLine) succeeded() bool {
	return l.Error == nil && l.Response != nil && l.Response.StatusCode >= 200 && l.Response.StatusCode < 300
}

// readLines reads a file as strictly as its members allow, by custom_id.
func readLines(t *testing.T, name string) map[string]outputLine {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]outputLine{}
	for in := bufio.NewScanner(f); in.Scan(); {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(in.Bytes(), &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"id", "custom_id", "response", "error"} {
			if members[name] == nil {
				t.Errorf("no %s: %s", name, in.Text())
			}
		}
		var line outputLine
		dec := json.NewDecoder(bytes.NewReader(in.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&line); err != nil {
			t.Fatalf("%v: %s", err, in.Text())
		}
		if !strings.HasPrefix(line.ID, "batch_req_") || (line.Response == nil) == (line.Error == nil) {
			t.Errorf("%s", in.Text())
		}
		if _, twice := all[line.CustomID]; twice {
			t.Errorf("%s is there twice", line.CustomID)
		}
		all[line.CustomID] = line
	}
	return all
}

const callsTools = `{"id":"chatcmpl-7","object":"chat.completion","created":1790000000,"model":"llama-3.1-8b","choices":[{"index":0,
"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Wien\"}"}}]},
"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":11,"completion_tokens":4,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":3}}}`

// serve answers as the practice server does, but for prompts that ask for something else.
func serve(t *testing.T) string {
	t.Helper()
	s, err := sim.New(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Request-Id", "req_7")
		switch {
		case bytes.Contains(body, []byte("too long")):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			io.WriteString(w, `{"error":{"message":"'messages' is too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`)
		case bytes.Contains(body, []byte("gateway")):
			w.WriteHeader(502)
			io.WriteString(w, "<html>bad gateway</html>")
		case bytes.Contains(body, []byte("hang up")):
			panic(http.ErrAbortHandler)
		case bytes.Contains(body, []byte("weather")):
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, callsTools)
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			answer := httptest.NewRecorder()
			s.ServeHTTP(answer, r)
			for name, values := range answer.Header() {
				if name != "Batch-Simulated" { // with it each line would say so, beside the four members of the API's
					w.Header()[name] = values
				}
			}
			w.WriteHeader(answer.Code)
			w.Write(answer.Body.Bytes())
		}
	}))
	t.Cleanup(func() { hs.Close(); s.Close() })
	return hs.URL + "/v1"
}

// batchCommand builds the command and gives a function that runs it in a folder.
func batchCommand(t *testing.T, dir string) func(want int, args ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "batch")
	build := exec.Command("go", "build", "-o", name, ".")
	build.Dir = filepath.Join("..", "..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(want int, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		var said bytes.Buffer
		cmd.Stderr = &said
		out, _ := cmd.Output()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Fatalf("batch %s: exit %d, want %d\n%s", strings.Join(args, " "), got, want, said.String())
		}
		return string(out)
	}
}

// asked are the requests of a batch, as the library writes them.
func asked() map[string]openai.ChatCompletionNewParams {
	ask := func(text string) openai.ChatCompletionNewParams {
		return openai.ChatCompletionNewParams{Model: "llama-3.1-8b", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
	}
	tools := ask("What is the weather in Wien?")
	tools.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "weather", Parameters: shared.FunctionParameters{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}}})}
	tools.ParallelToolCalls = openai.Bool(false)
	turns := question()
	turns.Messages = append(turns.Messages, openai.AssistantMessage("Tokyo."), openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
		openai.TextContentPart("And of this?"), openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64,iVBORw0KGgo="})}))
	turns.N = openai.Int(2)
	return map[string]openai.ChatCompletionNewParams{"plain": question(), "turns": turns, "tools": tools,
		"long": ask("This is too long."), "page": ask("Ask the gateway."), "cut": ask("Please hang up.")}
}

// A file made for the Batch API runs unchanged, and its reader finds in our files what it would find in those of the API.
func TestBatchFiles(t *testing.T) {
	dir := t.TempDir()
	batch := batchCommand(t, dir)
	var input bytes.Buffer
	ids := []string{"plain", "long", "turns", "page", "tools", "cut"}
	for _, id := range ids {
		line, err := json.Marshal(map[string]any{"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": asked()[id]})
		if err != nil {
			t.Fatal(err)
		}
		input.Write(append(line, '\n'))
	}
	if err := os.WriteFile(filepath.Join(dir, "b.jsonl"), input.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	batch(3, "run", "b.jsonl", "--base-url", serve(t), "--max-attempts", "1", "-c", "1", "-o", "out.jsonl")

	results := readLines(t, filepath.Join(dir, "out.jsonl"))
	failures := readLines(t, filepath.Join(dir, "out.errors.jsonl"))
	if len(results) != 3 || len(failures) != 3 {
		t.Fatalf("%d results, %d failures of %d", len(results), len(failures), len(ids))
	}
	for id, line := range results {
		var answer openai.ChatCompletion
		if err := answer.UnmarshalJSON(line.Response.Body); err != nil {
			t.Fatal(err)
		}
		if !line.succeeded() || line.Response.StatusCode != 200 || line.Response.RequestID == "" {
			t.Errorf("%s: %+v", id, line)
		}
		if answer.Object != "chat.completion" || answer.ID == "" || answer.Created == 0 || answer.Model != "llama-3.1-8b" || answer.Usage.TotalTokens == 0 ||
			!answer.JSON.Choices.Valid() || !answer.JSON.Usage.Valid() {
			t.Errorf("%s: %s", id, answer.RawJSON())
		}
		switch id {
		case "plain":
			if c := answer.Choices[0]; !strings.HasPrefix(c.Message.Content, "[practice answer") || c.FinishReason != "stop" || c.Message.Role != "assistant" {
				t.Errorf("%s", answer.RawJSON())
			}
		case "turns":
			if len(answer.Choices) != 2 || answer.Choices[1].Index != 1 {
				t.Errorf("%s", answer.RawJSON())
			}
		case "tools":
			call := answer.Choices[0].Message.ToolCalls[0]
			if call.Function.Name != "weather" || call.Function.Arguments != `{"city":"Wien"}` || answer.Usage.PromptTokensDetails.CachedTokens != 3 {
				t.Errorf("%s", answer.RawJSON())
			}
		}
	}
	for id, want := range map[string]struct {
		status  int
		code    string
		request string
	}{"long": {400, "context_length_exceeded", "req_7"}, "page": {502, "", "req_7"}, "cut": {0, "", ""}} {
		line := failures[id]
		if line.succeeded() {
			t.Errorf("%s looks like an answer", id)
		}
		if want.status == 0 {
			if line.Response != nil || line.Error.Code == "" || line.Error.Message == "" {
				t.Errorf("%s: %+v", id, line)
			}
			continue
		}
		var body struct {
			Error shared.ErrorObject `json:"error"`
		}
		if err := json.Unmarshal(line.Response.Body, &body); err != nil {
			t.Fatal(err)
		}
		if line.Response.StatusCode != want.status || line.Response.RequestID != want.request || body.Error.Code != want.code || body.Error.Message == "" {
			t.Errorf("%s: %s", id, line.Response.Body)
		}
	}
}

// Conversations for fine-tuning are lists of the library's own messages, whose last is an answer: nothing is in them that the
// library does not know, and nothing is lost when it writes them again.
func TestChatFiles(t *testing.T) {
	dir := t.TempDir()
	batch := batchCommand(t, dir)
	var input bytes.Buffer
	for _, id := range []string{"plain", "turns", "tools"} {
		body, err := json.Marshal(asked()[id])
		if err != nil {
			t.Fatal(err)
		}
		input.Write(append(body, '\n'))
	}
	if err := os.WriteFile(filepath.Join(dir, "c.jsonl"), input.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	batch(0, "run", "c.jsonl", "--base-url", serve(t), "-c", "1")
	lines := strings.Split(strings.TrimSpace(batch(0, "export", "c.batch.db", "--shape", "chat", "-o", "-")), "\n")
	if len(lines) != 4 { // one answer has two choices
		t.Fatalf("%d lines: %s", len(lines), lines)
	}
	for i, roles := range [][]string{{"system", "user", "assistant"}, {"system", "user", "assistant", "user", "assistant"},
		{"system", "user", "assistant", "user", "assistant"}, {"user", "assistant"}} {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(lines[i]), &members); err != nil {
			t.Fatal(err)
		}
		var each []json.RawMessage
		if err := json.Unmarshal(members["messages"], &each); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, raw := range each {
			var m openai.ChatCompletionMessageParamUnion
			if err := json.Unmarshal(raw, &m); err != nil {
				t.Fatalf("%v: %s", err, raw)
			}
			got = append(got, *m.GetRole())
			again, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if !sameJSON(t, raw, again) {
				t.Errorf("%s came back as %s", raw, again)
			}
		}
		if !slices.Equal(got, roles) {
			t.Errorf("line %d: %v, want %v", i+1, got, roles)
		}
		if hasTools := members["tools"] != nil; hasTools != (i == 3) || i == 3 && string(members["parallel_tool_calls"]) != "false" {
			t.Errorf("%s", lines[i])
		} else if hasTools {
			var tools []openai.ChatCompletionToolUnionParam
			if err := json.Unmarshal(members["tools"], &tools); err != nil || tools[0].GetFunction().Name != "weather" {
				t.Errorf("%v: %s", err, members["tools"])
			}
		}
	}
}

// sameJSON says that two values mean the same, members that are null apart.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y map[string]any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	for _, m := range []map[string]any{x, y} {
		for name, value := range m {
			if value == nil {
				delete(m, name)
			}
		}
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}
