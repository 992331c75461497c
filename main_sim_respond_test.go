package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What may befall a call before any work is done for it: a refusal, which is not paid.
var simRefusals = map[string]struct {
	status    int
	typ, code string
	stops     bool
}{
	"400":        {400, "invalid_request_error", "invalid_parameter", false},
	"404":        {404, "invalid_request_error", "model_not_found", false},
	"413":        {413, "invalid_request_error", "request_too_large", false},
	"422":        {422, "invalid_request_error", "unprocessable_entity", false},
	"context":    {400, "invalid_request_error", "context_length_exceeded", false},
	"policy":     {400, "content_policy_error", "content_policy_violation", false},
	"429":        {429, "rate_limit_error", "rate_limit_exceeded", false},
	"limit":      {429, "rate_limit_error", "rate_limit_exceeded", false},
	"bare 429":   {429, "", "", false},
	"425":        {425, "server_error", "too_early", false},
	"503":        {503, "server_error", "service_unavailable", false},
	"529":        {529, "overloaded_error", "overloaded", false},
	"408":        {408, "server_error", "request_timeout", false},
	"409":        {409, "invalid_request_error", "conflict", false},
	"500":        {500, "server_error", "internal_error", false},
	"504":        {504, "server_error", "gateway_timeout", false},
	"520":        {520, "", "", false},
	"error200":   {200, "server_error", "internal_error", false},
	"limit200":   {200, "rate_limit_error", "rate_limit_exceeded", false},
	"401":        {401, "authentication_error", "invalid_api_key", true},
	"402":        {402, "insufficient_funds_error", "insufficient_funds", true},
	"403":        {403, "permission_error", "origin_not_allowed", true},
	"quota":      {429, "insufficient_quota", "insufficient_quota", true},
	"exhausted":  {403, "tokens_exhausted_error", "tokens_exhausted", true},
	"quota200":   {200, "insufficient_quota", "insufficient_quota", true},
	"redirect":   {302, "", "", true},
	"no api":     {404, "", "", true},
	"same 400":   {400, "invalid_request_error", "unknown_parameter", false},
	"bare 403":   {403, "", "", false},
	"empty 503":  {503, "", "", false},
	"overloaded": {429, "overloaded_error", "overloaded", false},
}

// respond does to a call what was drawn for it.
func (a *simAPI) respond(w http.ResponseWriter, r *http.Request, body []byte, c *simCall, f simFault, random *rand.Rand, plan apiPlan) {
	kind, replayed := strings.CutPrefix(f.kind, "kept ")
	if replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	if no, found := simRefusals[kind]; found {
		if kind == "500" || kind == "504" || kind == "520" {
			a.keep(c, simFault{kind: kind})
		}
		a.refuse(w, c, kind, no.status, no.typ, no.code, no.stops, random, plan)
		return
	}
	switch kind {
	case "empty", "garbage", "null", "html 502":
		a.nonsense(w, c, kind)
	case "hang":
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case "reset early":
		panic(http.ErrAbortHandler)
	default:
		a.deliver(w, r, body, c, kind, random)
	}
}

func (a *simAPI) refuse(w http.ResponseWriter, c *simCall, kind string, status int, typ, code string, stops bool, random *rand.Rand, plan apiPlan) {
	var text string
	switch {
	case typ == "" && code == "":
		text = "<html><title>No</title></html>"
	case status == 429 && random.IntN(4) == 0: // a name that stands alone is a message, and the answer a 429 like any other
		stops = false
		text = fmt.Sprintf(`{"error":"%s"}`, code)
	default:
		text = fmt.Sprintf(`{"error":{"message":"the simulation says %s","type":%q,"code":%q}}`, kind, typ, code)
	}
	if status == 429 || status == 503 {
		plan.wait.set(w.Header(), random)
	}
	if kind == "limit" && plan.headers == headersNone && plan.wait == waitNone {
		w.Header().Set("Retry-After", strconv.Itoa(1+int(a.limit.rest().Seconds())))
	}
	if kind == "redirect" {
		w.Header().Set("Location", "http://elsewhere.test/")
	}
	if kind == "429" || kind == "limit" || kind == "bare 429" {
		a.ask(c.child, w.Header())
	}
	a.end(c, stops)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	w.Write([]byte(text))
}

func (l *simLimit) rest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.began.Add(simWindow))
}

// nonsense is a success that is no completion, or a gateway's page.
func (a *simAPI) nonsense(w http.ResponseWriter, c *simCall, kind string) {
	status, text := 200, ""
	switch kind {
	case "garbage":
		text = `{"choices":[{"message":{"cont`
	case "null":
		text = "null"
	case "html 502":
		status, text = 502, "<html><title>502 Bad Gateway</title></html>"
	}
	a.end(c, false)
	w.WriteHeader(status)
	w.Write([]byte(text))
}

// end notes when a call is answered, and whether that stops its run.
func (a *simAPI) end(c *simCall, stops bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.stops, c.answer = stops, time.Now()
}

// deliver does the work, which is paid, and brings the answer on its way, or a part of it.
func (a *simAPI) deliver(w http.ResponseWriter, r *http.Request, body []byte, c *simCall, kind string, random *rand.Rand) {
	rec := a.work(r, body)
	text := rec.Body.Bytes()
	if kind == "late" {
		wait(r.Context(), 50*time.Second, random)
	}
	if kind == "lost 500" && rec.Code == http.StatusOK {
		a.keep(c, simFault{kind: "500"})
		a.end(c, false)
		http.Error(w, `{"error":{"message":"lost","type":"server_error","code":"internal_error"}}`, 500)
		return
	}
	if kind == "reset" {
		panic(http.ErrAbortHandler)
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	if kind == "no usage" {
		text = bytes.Replace(text, []byte(`"usage":{`), []byte(`"usage_of_old":{`), 1)
	}
	stream := strings.HasPrefix(rec.Header().Get("Content-Type"), "text/event-stream")
	if kind == "no done" && stream {
		text = bytes.TrimSuffix(text, []byte("data: [DONE]\n\n"))
	}
	w.Header().Del("Content-Length")
	if !stream {
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	}
	cut := kind == "cut"
	a.end(c, false)
	w.WriteHeader(rec.Code)
	switch {
	case cut && stream: // even behind its last event
		text = text[:random.IntN(len(text)+1)]
	case cut: // all of a known length would be whole
		text = text[:random.IntN(len(text))]
	}
	if cut || kind == "drip" || kind == "stall" {
		a.drip(w, r, text, kind, random)
	} else if _, err := w.Write(text); err != nil {
		panic(http.ErrAbortHandler)
	}
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// drip sends text in pieces; a stalled one stops in the middle.
func (a *simAPI) drip(w http.ResponseWriter, r *http.Request, text []byte, kind string, random *rand.Rand) {
	out := http.NewResponseController(w)
	pieces := 1 + random.IntN(6)
	for i := range pieces {
		if kind == "stall" && i == pieces/2 {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		if kind == "drip" {
			wait(r.Context(), 20*time.Second, random)
		}
		if _, err := w.Write(text[len(text)*i/pieces : len(text)*(i+1)/pieces]); err != nil {
			panic(http.ErrAbortHandler)
		}
		if out.Flush() != nil {
			panic(http.ErrAbortHandler)
		}
	}
}
