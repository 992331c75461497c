package sim_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"batch/runner/chat/sim"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hello is a small good request.
const hello = `{"model":"llama-3.1-8b","messages":[{"role":"user","content":"Hello"}]}`

func newServer(tb testing.TB, opt sim.Options) *sim.Server {
	tb.Helper()
	s, err := sim.New(opt)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// reply is a response with its body read.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // what reading the body ended with
}

// post asks the handler itself: no connection, so it works under synctest too.
func post(s *sim.Server, body string, header ...string) reply {
	r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(body))
	return ask(s, r, header...)
}

func ask(s *sim.Server, r *http.Request, header ...string) reply {
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	func() {
		// A broken connection is a panic that net/http knows.
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
		}()
		s.ServeHTTP(w, r)
	}()
	return reply{status: w.Code, header: w.Result().Header, body: w.Body.String()}
}

// site is a Server behind a real connection.
type site struct {
	*sim.Server
	url    string
	client *http.Client
}

func listen(t *testing.T, opt sim.Options) *site {
	t.Helper()
	s := newServer(t, opt)
	hs := httptest.NewServer(s)
	// Close of httptest waits for every call, so the hanging ones have to end first.
	t.Cleanup(func() { s.Close(); hs.Close() })
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return &site{s, hs.URL, client}
}

func (s *site) post(ctx context.Context, body string, header ...string) reply {
	r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	r.GetBody = nil // net/http must not ask a second time by itself
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	var b bytes.Buffer
	_, err = io.Copy(&b, res.Body)
	return reply{res.StatusCode, res.Header, b.String(), err}
}

type completion struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
	Choices []struct {
		Index   int `json:"index"`
		Message struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"message"`
		Delta struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
		Total      int64 `json:"total_tokens"`
	} `json:"usage"`
	Error *struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Code    string `json:"code"`
		Param   string `json:"param"`
	} `json:"error"`
}

func decode(t *testing.T, body string) completion {
	t.Helper()
	var c completion
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return c
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	for name, opt := range map[string]sim.Options{
		"negative requests": {RPM: -1},
		"negative tokens":   {TPM: -1},
		"half a second":     {Window: time.Second / 2},
		"broken second":     {Window: 1500 * time.Millisecond},
		"negative latency":  {Latency: -1},
		"jitter":            {Jitter: 1.5},
		"unknown fault":     {Faults: sim.Faults{{Kind: "flood", Share: 0.1}}},
		"too many faults":   {Faults: sim.Faults{{Kind: "500", Share: 0.6}, {Kind: "cut", Share: 0.6}}},
	} {
		if _, err := sim.New(opt); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLatency(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, sim.Options{Latency: 2 * time.Second})
		begin := time.Now()
		res := post(s, hello)
		if d := time.Since(begin); res.status != 200 || d != 2*time.Second {
			t.Errorf("%d after %v, want 200 after 2s", res.status, d)
		}
		if ms := res.header.Get("X-Processing-Time-Ms"); ms != "2000" {
			t.Errorf("X-Processing-Time-Ms: %s", ms)
		}

		s = newServer(t, sim.Options{Latency: 2 * time.Second, Jitter: 0.5})
		seen := map[time.Duration]bool{}
		for _, model := range []string{"a", "b", "c", "d"} {
			begin := time.Now()
			post(s, strings.Replace(hello, "llama-3.1-8b", model, 1))
			d := time.Since(begin)
			seen[d] = true
			if d < time.Second || d > 3*time.Second {
				t.Errorf("%v is not within half of 2s", d)
			}
		}
		if len(seen) < 2 {
			t.Error("jitter changes nothing")
		}
	})
}

func TestClosedServerDoesNotWait(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, sim.Options{Latency: time.Hour})
		time.AfterFunc(time.Second, s.Close)
		begin := time.Now()
		if res := post(s, hello); res.status != 200 || time.Since(begin) != time.Second {
			t.Errorf("%d after %v", res.status, time.Since(begin))
		}
		s.Close()
	})
}
