package sim

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	"batch/runner/chat"
	"batch/runner/tokens"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxBody is the largest request that is read.
const maxBody = 32 << 20

// maxCounted bounds the text of a request whose tokens are counted exactly, as a large one could take seconds. What is beyond it is
// estimated, at 4 bytes a token.
const maxCounted = 64 << 10

// maxChoices bounds n, as every choice costs an answer.
const maxChoices = 16

// request is what the server needs to know of a chat completions request. Everything in it is part of the body's buffer
// or small, and good only while the call lasts.
type request struct {
	model     jsontext.Value // as written, quotes included
	asked     string         // the same, decoded: what says how tokens are counted
	stream    bool
	withUsage bool           // stream_options.include_usage
	object    bool           // response_format asks for JSON
	schema    jsontext.Value // that it names
	choices   int
	max       int64 // completion tokens, 0 for no limit
	stop      []string
	prompt    int64 // tokens
}

// readBody reads the body of r into buf, whole or not at all.
func readBody(buf *bytes.Buffer, w http.ResponseWriter, r *http.Request) *apiError {
	switch _, err := io.Copy(buf, http.MaxBytesReader(w, r.Body, maxBody)); err.(type) {
	case nil:
		return nil
	case *http.MaxBytesError:
		return &errLarge
	default:
		return &errUnread
	}
}

// parse checks every field of the reference page, and the few beside it that the server acts upon. Unknown fields pass.
func (s *Server) parse(dec *jsontext.Decoder, body []byte) (request, *apiError) {
	req := request{choices: 1}
	if !utf8.Valid(body) {
		return req, &errJSON
	}
	// Twice the same name is left to the last one, and half a surrogate pair to nobody: the API says nothing of either.
	dec.Reset(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return req, &errJSON
	}
	messages := false
	for dec.PeekKind() == '"' {
		t, err := dec.ReadToken()
		if err != nil {
			return req, &errJSON
		}
		name := t.String()
		value, err := dec.ReadValue()
		if err != nil {
			return req, &errJSON
		}
		if name == "model" && value.Kind() == '"' && !s.knowsModel(value) {
			return req, &errModel
		}
		if value.Kind() == 'n' && name != "model" && name != "messages" {
			continue // as good as absent, which is how batch files of other makers spell it
		}
		if bad := chat.CheckField(name, value); bad != nil {
			return req, badField(bad.Field, bad.Error())
		}
		messages = messages || name == "messages"
		if bad := req.take(name, value); bad != nil {
			return req, bad
		}
	}
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '}' {
		return req, &errJSON
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return req, &errJSON
	}
	switch {
	case req.model == nil:
		return req, missing("model")
	case !messages:
		return req, missing("messages")
	}
	req.asked = unquote(req.model)
	req.prompt = tokens.CountUpTo(req.asked, body, maxCounted)
	return req, nil
}

// take keeps a checked field that shapes the answer.
func (req *request) take(name string, value jsontext.Value) *apiError {
	switch name {
	case "model":
		req.model = value
	case "stream":
		req.stream = value.Kind() == 't'
	case "max_tokens", "max_completion_tokens":
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 1 {
			return badField(name, name+" is not a positive integer")
		}
		if req.max == 0 || n < req.max {
			req.max = n
		}
	case "n":
		n, err := strconv.Atoi(string(value))
		if err != nil || n < 1 || n > maxChoices {
			return badField(name, fmt.Sprintf("n is not an integer from 1 to %d", maxChoices))
		}
		req.choices = n
	case "stop":
		req.stop = nil
		if value.Kind() == '"' {
			req.stop = []string{unquote(value)}
		} else if json.Unmarshal(value, &req.stop, jsontext.AllowInvalidUTF8(true)) != nil {
			return badField(name, "stop is not a string or an array of strings")
		}
	case "stream_options":
		var o struct {
			IncludeUsage bool `json:"include_usage"`
		}
		if value.Kind() != 'n' && json.Unmarshal(value, &o, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) != nil {
			return badField(name, "stream_options is not an object with include_usage true or false")
		}
		req.withUsage = o.IncludeUsage
	case "response_format":
		var f struct {
			Type       string `json:"type"`
			JSONSchema struct {
				Schema jsontext.Value `json:"schema"`
			} `json:"json_schema"`
		}
		if value.Kind() != 'n' && json.Unmarshal(value, &f, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) != nil {
			return badField(name, "response_format is not an object with a type")
		}
		req.object = f.Type == "json_object" || f.Type == "json_schema"
		req.schema = f.JSONSchema.Schema
	}
	return nil
}

// knowsModel says whether a model may be asked: any that has a name, unless Options.Models lists them.
func (s *Server) knowsModel(value jsontext.Value) bool {
	if s.models == nil {
		return len(value) > len(`""`)
	}
	return s.models[unquote(value)]
}

func unquote(value jsontext.Value) string {
	b, _ := jsontext.AppendUnquote(nil, value)
	return string(b)
}
