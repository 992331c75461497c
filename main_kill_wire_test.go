package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"batch/runner/chat/sim"
)

// childHeader tells the wire which child makes a call: by the time a call is read, its child may be long dead.
const childHeader = "Test-Child"

// wire is a practice server that keeps a log of its own of every call, and tells when a child has come to its n-th.
type wire struct {
	practice *sim.Server
	http     *httptest.Server
	answers  *sim.Server // the same seed, no faults: what a body is to be answered with

	mu     sync.Mutex
	calls  []*wireCall
	bodies map[string][]byte // as they came, by prompt
	alarm  alarm
}

// wireCall is one call as the server saw it.
type wireCall struct {
	sim.Call // complete once it was answered
	child    int
	prompt   string
}

// answered says that a completion went out, and nothing cut it on this side.
func (c *wireCall) answered() bool { return c.Whole && c.Status == http.StatusOK && len(c.Reply) > 0 }

// spared says that the call was refused before any work: nobody charges for that.
func (c *wireCall) spared() bool { return c.Status == http.StatusTooManyRequests }

// alarm goes off at the n-th call of a child: when it comes in, or once it was answered.
type alarm struct {
	child    int
	n        int
	answered bool
	off      chan struct{}
}

func newWire(t *testing.T, seed uint64) *wire {
	return newFaultyWire(t, seed, "500=2%,502=1%,503=0.1%,429=0.1%,408=0.5%,cut=2%,reset=1%,empty=0.5%", false)
}

// newFaultyWire has the faults of a story; where it ignores keys, it bills what is repeated again.
func newFaultyWire(t *testing.T, seed uint64, wrong string, ignoreKeys bool) *wire {
	faults, err := sim.ParseFaults(wrong)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{bodies: map[string][]byte{}}
	if w.practice, err = sim.New(sim.Options{Seed: seed, Latency: 4 * time.Millisecond, Jitter: 0.9, Faults: faults, APIKey: killKey, Ledger: true,
		IgnoreKeys: ignoreKeys}); err != nil {
		t.Fatal(err)
	}
	if w.answers, err = sim.New(sim.Options{Seed: seed}); err != nil {
		t.Fatal(err)
	}
	w.http = httptest.NewServer(w)
	t.Cleanup(w.close)
	return w
}

// close ends every call: after it the log is whole.
func (w *wire) close() {
	w.practice.Close()
	w.http.Close()
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender was killed in the middle of it: no call
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c := &wireCall{Call: sim.Call{Key: r.Header.Get("Idempotency-Key"), Body: sha256.Sum256(body), When: time.Now()}, prompt: promptOf(body)}
	c.child, _ = strconv.Atoi(r.Header.Get(childHeader))
	w.enter(c, body)
	defer w.ring(c.child, true) // also after a panic, which is how the practice server cuts an answer
	c.serve(&w.mu, w.practice, rw, r)
}

func (w *wire) enter(c *wireCall, body []byte) {
	w.mu.Lock()
	w.calls = append(w.calls, c)
	w.bodies[c.prompt] = body
	w.mu.Unlock()
	w.ring(c.child, false)
}

// set arms the alarm; the channel is closed when it goes off.
func (w *wire) set(child, n int, answered bool) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alarm = alarm{child, n, answered, make(chan struct{})}
	return w.alarm.off
}

func (w *wire) ring(child int, answered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &w.alarm
	if a.n == 0 || child != a.child || answered != a.answered {
		return
	}
	if a.n--; a.n == 0 {
		close(a.off)
	}
}

// count is how many calls there were.
func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.calls)
}

// log is the calls by prompt, those of one prompt in the order of its children.
func (w *wire) log() map[string][]wireCall {
	all := map[string][]wireCall{}
	for _, c := range w.sorted() {
		all[c.prompt] = append(all[c.prompt], c)
	}
	return all
}

// callsOf is the calls of one child so far, by prompt.
func (w *wire) callsOf(child int) map[string][]wireCall {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string][]wireCall{}
	for _, c := range w.calls {
		if c.child == child {
			all[c.prompt] = append(all[c.prompt], *c)
		}
	}
	return all
}

// sorted is the calls so far in the order of their children: a killed one's may be read late.
func (w *wire) sorted() []wireCall {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]wireCall, len(w.calls))
	for i, c := range w.calls {
		all[i] = *c
	}
	slices.SortStableFunc(all, func(a, b wireCall) int { return a.child - b.child })
	return all
}

// seen is what came, for the oracle.
func (w *wire) seen() []sim.Call {
	var all []sim.Call
	for _, c := range w.sorted() {
		all = append(all, c.Call)
	}
	return all
}

// serve lets h answer the call, and notes what goes out while mu is held.
func (c *wireCall) serve(mu *sync.Mutex, h http.Handler, w http.ResponseWriter, r *http.Request) {
	tap := &tap{ResponseWriter: w}
	whole := false // a panic is how an answer is cut
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		c.Status, c.Reply, c.Whole = tap.status, tap.body.Bytes(), whole && tap.status != 0
	}()
	h.ServeHTTP(tap, r)
	if tap.status != 0 {
		http.NewResponseController(w).Flush() // or it would go out after this
	}
	whole = true
}

// tap sees what goes through it. A hijacked connection, which is how the practice server resets one, has no status.
type tap struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (t *tap) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *tap) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

func (t *tap) Write(p []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	t.body.Write(p)
	return t.ResponseWriter.Write(p)
}

// promptOf is the text of the last message of a request.
func promptOf(body []byte) string {
	var req struct{ Messages []struct{ Content string } }
	if json.Unmarshal(body, &req) != nil || len(req.Messages) == 0 {
		return ""
	}
	return req.Messages[len(req.Messages)-1].Content
}

// wireAnswer is what a prompt is to be answered with, and what that uses.
type wireAnswer struct {
	content        string
	prompt, tokens int64 // of the prompt alone, and all
}

// answer asks a practice server without faults, with the very bytes that went over the wire.
func (w *wire) answer(prompt string) (wireAnswer, error) {
	w.mu.Lock()
	body := w.bodies[prompt]
	w.mu.Unlock()
	if body == nil {
		return wireAnswer{}, fmt.Errorf("%q was never asked", prompt)
	}
	return answerOf(w.answers, body)
}

// answerOf is what a practice server says to a request.
func answerOf(server http.Handler, body []byte) (wireAnswer, error) {
	rec := httptest.NewRecorder()
	server.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/v1/chat/completions", bytes.NewReader(body)))
	if rec.Code != http.StatusOK {
		return wireAnswer{}, fmt.Errorf("%.200s is answered with %d: %s", body, rec.Code, rec.Body)
	}
	var a wireAnswer
	lines := bufio.NewScanner(rec.Body)
	for lines.Scan() {
		line := strings.TrimPrefix(lines.Text(), "data: ") // a whole answer has one line, a stream one for every event
		if line == "" || line == "[DONE]" {
			continue
		}
		var piece struct {
			Choices []struct{ Message, Delta struct{ Content string } }
			Usage   struct {
				Prompt int64 `json:"prompt_tokens"`
				Total  int64 `json:"total_tokens"`
			}
		}
		if err := json.Unmarshal([]byte(line), &piece); err != nil {
			return a, err
		}
		for _, c := range piece.Choices {
			a.content += c.Message.Content + c.Delta.Content
		}
		a.prompt += piece.Usage.Prompt
		a.tokens += piece.Usage.Total
	}
	return a, lines.Err()
}
