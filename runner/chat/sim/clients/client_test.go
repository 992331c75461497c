// Package clients has the official Go client library of the chat completions API talk to the practice server. It is a
// module of its own because that library is large, and batch itself does not need it.
package clients

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"batch/runner/chat/sim"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

const key = "ask_practice"

// dial returns a client of a practice server. Every option that the library would take from the environment is set.
func dial(t *testing.T, opt sim.Options, more ...option.RequestOption) (openai.Client, *sim.Server) {
	t.Helper()
	for _, name := range []string{"OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS"} {
		t.Setenv(name, "")
	}
	opt.Ledger = true
	s, err := sim.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); hs.Close() })
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(hs.URL + "/v1"), option.WithAPIKey(key), option.WithHTTPClient(hs.Client()),
	}, more...)...), s
}

func question() openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model: "llama-3.1-8b",
		Messages: []openai.ChatCompletionMessageParamUnion{
			openai.SystemMessage("You are a helpful assistant."),
			openai.UserMessage("What is the capital of Japan?"),
		},
	}
}

func TestCompletion(t *testing.T) {
	client, s := dial(t, sim.Options{APIKey: key})
	params := question()
	params.Temperature = openai.Float(0.2)
	params.Stop = openai.ChatCompletionNewParamsStopUnion{OfStringArray: []string{"nowhere"}}
	res, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Choices) != 1 || !strings.HasPrefix(res.Choices[0].Message.Content, "[practice answer") || res.Choices[0].FinishReason != "stop" {
		t.Errorf("%s", res.RawJSON())
	}
	if res.Model != "llama-3.1-8b" || res.Object != "chat.completion" || !strings.HasPrefix(res.ID, "chatcmpl-") || time.Since(time.Unix(res.Created, 0)) > time.Minute {
		t.Errorf("%s", res.RawJSON())
	}
	st := s.Stats()
	if res.Usage.PromptTokens != st.PromptTokens || res.Usage.CompletionTokens != st.CompletionTokens || res.Usage.TotalTokens != st.PromptTokens+st.CompletionTokens {
		t.Errorf("reported %+v, billed %+v", res.Usage, st)
	}
}

func TestLength(t *testing.T) {
	client, _ := dial(t, sim.Options{})
	params := question()
	params.MaxCompletionTokens = openai.Int(5)
	res, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if res.Choices[0].FinishReason != "length" || res.Usage.CompletionTokens != 5 {
		t.Errorf("%s", res.RawJSON())
	}
}

func TestStreaming(t *testing.T) {
	client, _ := dial(t, sim.Options{APIKey: key})
	params := question()
	params.N = openai.Int(2)
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	defer stream.Close()
	var sum openai.ChatCompletionAccumulator
	chunks := 0
	for stream.Next() {
		chunks++
		if !sum.AddChunk(stream.Current()) {
			t.Fatalf("chunk does not fit: %s", stream.Current().RawJSON())
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if chunks < 8 || len(sum.Choices) != 2 || sum.Usage.CompletionTokens == 0 {
		t.Errorf("%d chunks, %d choices, usage %+v", chunks, len(sum.Choices), sum.Usage)
	}
	for _, c := range sum.Choices {
		if !strings.HasPrefix(c.Message.Content, "[practice answer") || c.Message.Role != "assistant" || c.FinishReason != "stop" {
			t.Errorf("choice %d: %q %s", c.Index, c.Message.Content, c.FinishReason)
		}
	}
}

func TestJSONObject(t *testing.T) {
	client, _ := dial(t, sim.Options{})
	params := question()
	params.ResponseFormat.OfJSONObject = &openai.ResponseFormatJSONObjectParam{}
	res, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid([]byte(res.Choices[0].Message.Content)) {
		t.Errorf("%q", res.Choices[0].Message.Content)
	}
}

func TestModels(t *testing.T) {
	client, _ := dial(t, sim.Options{APIKey: key})
	page, err := client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range page.Data {
		if m.ID == "llama-3.1-8b" {
			return
		}
	}
	t.Errorf("no llama-3.1-8b in %s", page.RawJSON())
}

// Every error arrives typed, with the fields that the API's documentation names.
func TestErrors(t *testing.T) {
	only := func(kind string) sim.Options { return sim.Options{Faults: sim.Faults{{Kind: kind, Share: 1}}} }
	change := func(f func(*openai.ChatCompletionNewParams)) openai.ChatCompletionNewParams {
		p := question()
		f(&p)
		return p
	}
	for _, row := range []struct {
		name             string
		opt              sim.Options
		params           openai.ChatCompletionNewParams
		status           int
		typ, code, param string
	}{
		{"bad parameter", sim.Options{}, change(func(p *openai.ChatCompletionNewParams) { p.Temperature = openai.Float(3) }),
			400, "invalid_request_error", "invalid_parameter", "temperature"},
		{"no messages", sim.Options{}, change(func(p *openai.ChatCompletionNewParams) { p.Messages = []openai.ChatCompletionMessageParamUnion{} }),
			400, "invalid_request_error", "invalid_parameter", "messages"},
		{"unknown model", sim.Options{Models: []string{"mistral-7b"}}, question(), 400, "invalid_request_error", "invalid_model", "model"},
		{"wrong key", sim.Options{APIKey: "ask_other"}, question(), 401, "authentication_error", "invalid_api_key", ""},
		{"context", only("context"), question(), 400, "invalid_request_error", "context_length_exceeded", ""},
		{"policy", only("policy"), question(), 400, "content_policy_error", "content_policy_violation", ""},
		{"funds", only("402"), question(), 402, "insufficient_funds_error", "insufficient_funds", ""},
		{"origin", only("403"), question(), 403, "permission_error", "origin_not_allowed", ""},
		{"no model", only("404"), question(), 404, "invalid_request_error", "model_not_found", ""},
		{"limit", only("429"), question(), 429, "rate_limit_error", "rate_limit_exceeded", ""},
		{"quota", only("quota"), question(), 429, "insufficient_quota", "insufficient_quota", ""},
		{"server", only("500"), question(), 500, "server_error", "internal_error", ""},
		{"overloaded", only("503"), question(), 503, "server_error", "service_unavailable", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			client, _ := dial(t, row.opt, option.WithMaxRetries(0))
			_, err := client.Chat.Completions.New(t.Context(), row.params)
			var e *openai.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			if e.StatusCode != row.status || e.Type != row.typ || e.Code != row.code || e.Param != row.param || e.Message == "" {
				t.Errorf("%d %s", e.StatusCode, e.RawJSON())
			}
		})
	}
}

func TestNoSuchEndpoint(t *testing.T) {
	client, _ := dial(t, sim.Options{})
	_, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "m", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("x")}})
	var e *openai.Error
	if !errors.As(err, &e) || e.StatusCode != 404 || e.Code != "not_found" {
		t.Errorf("%v", err)
	}
}

// The client waits as Retry-After says and is answered by its own retry.
func TestClientRetriesAfterALimit(t *testing.T) {
	client, s := dial(t, sim.Options{RPM: 1, Window: time.Second})
	if _, err := client.Chat.Completions.New(t.Context(), question()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Chat.Completions.New(t.Context(), question(), option.WithMaxRetries(5)); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Answered != 2 {
		t.Errorf("%+v", st)
	}
}

// Under a key the client's own retry of a broken answer, and a later call, get the one answer that was billed.
func TestReplay(t *testing.T) {
	client, s := dial(t, sim.Options{Faults: sim.Faults{{Kind: "reset", Share: 1}}}, option.WithHeader("Idempotency-Key", "batch-1"))
	first, err := client.Chat.Completions.New(t.Context(), question(), option.WithMaxRetries(2))
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.Chat.Completions.New(t.Context(), question())
	if err != nil {
		t.Fatal(err)
	}
	if first.RawJSON() != again.RawJSON() {
		t.Errorf("%s\n%s", first.RawJSON(), again.RawJSON())
	}
	if st := s.Stats(); st.Answered != 1 || st.Replays != 2 {
		t.Errorf("%+v", st)
	}
	var e *openai.Error
	params := question()
	params.MaxTokens = openai.Int(9)
	if _, err := client.Chat.Completions.New(t.Context(), params); !errors.As(err, &e) || e.StatusCode != 422 || e.Code != "idempotency_mismatch" {
		t.Errorf("another body under the key: %v", err)
	}
}

func TestCutStreamIsAnError(t *testing.T) {
	client, _ := dial(t, sim.Options{Faults: sim.Faults{{Kind: "cut", Share: 1}}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream := client.Chat.Completions.NewStreaming(ctx, question())
	defer stream.Close()
	n := 0
	for stream.Next() {
		n++
	}
	if stream.Err() == nil || n == 0 {
		t.Errorf("%d chunks, %v", n, stream.Err())
	}
}
