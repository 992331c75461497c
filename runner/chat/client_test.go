package chat

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey    = "ask_canary/9f8e7d6c+5b4a=3210"
	completion = `{"id":"chatcmpl-1","object":"chat.completion","created":1706745600,"model":"m-1","choices":[{"index":0,` +
		`"message":{"role":"assistant","content":"Paris."},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":25,"completion_tokens":8,"total_tokens":33}}`
	request       = `{"model":"m-1","messages":[{"role":"user","content":"Capital of France?"}]}`
	streamRequest = `{"model":"m-1","messages":[{"role":"user","content":"Capital of France?"}],"stream":true}`
)

// serve starts a server and a client for it, and ends both with the test.
func serve(t testing.TB, handler http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return connect(t, server.URL+"/v1", change...)
}

func connect(t testing.TB, base string, change ...func(*Options)) *Client {
	t.Helper()
	opt := Options{BaseURL: base, APIKey: testKey}
	for _, f := range change {
		f(&opt)
	}
	client, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// answer is a handler that always gives the same response.
func answer(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func do(c *Client, body string) Result {
	return c.Do(context.Background(), Call{Body: []byte(body), IdempotencyKey: "batch-0123"})
}

func TestDoSendsTheRequestAndKeepsTheAnswer(t *testing.T) {
	var seen *http.Request
	var sent []byte
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r
		sent, _ = io.ReadAll(r.Body)
		w.Header().Set("X-Request-ID", "req_1")
		w.Header().Set("Batch-Simulated", "1")
		w.Header().Set("Idempotent-Replayed", "true")
		io.WriteString(w, completion)
	}, func(o *Options) { o.Header = http.Header{"x-team": {"research"}} })

	body := "{ \"model\":\"m-1\" ,\"messages\":[{\"role\":\"user\",\"content\":\"\\ud83d <&> 1.0\"}],\"seed\":1.0}\n"
	result := client.Do(context.Background(), Call{
		Body: []byte(body), IdempotencyKey: "batch-0123", Header: http.Header{"x-call": {"7"}},
	})

	if string(sent) != body {
		t.Errorf("sent %q, want it byte for byte %q", sent, body)
	}
	if got := seen.Method + " " + seen.URL.Path; got != "POST /v1/chat/completions" {
		t.Errorf("called %s", got)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + testKey, "Content-Type": "application/json", "Accept": "application/json",
		"Idempotency-Key": "batch-0123", "User-Agent": "batch", "X-Team": "research", "X-Call": "7",
	} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
	if result.Class != Done || !result.Sent || result.Status != 200 || result.RequestID != "req_1" ||
		!result.Replayed || !result.Simulated || result.Duration <= 0 || string(result.Body) != completion {
		t.Errorf("result %+v", result)
	}
	want := Answer{ID: "chatcmpl-1", Model: "m-1", Created: 1706745600, FinishReason: "stop", Usage: Usage{Known: true, Prompt: 25, Completion: 8, Total: 33}}
	if result.Answer != want {
		t.Errorf("answer %+v, want %+v", result.Answer, want)
	}
}

func TestDoWithoutKeySendsNoAuthorization(t *testing.T) {
	var header http.Header
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		io.WriteString(w, completion)
	}, func(o *Options) { o.APIKey = "" })
	if result := client.Do(context.Background(), Call{Body: []byte(request)}); result.Class != Done {
		t.Fatalf("result %+v", result)
	}
	for _, name := range []string{"Authorization", "Idempotency-Key"} {
		if _, ok := header[name]; ok {
			t.Errorf("%s was sent", name)
		}
	}
}

func TestAcceptSaysWhatWasAskedFor(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Request-Id", r.Header.Get("Accept")) })
	for body, want := range map[string]string{request: "application/json", streamRequest: "text/event-stream, application/json"} {
		if r := do(client, body); r.RequestID != want {
			t.Errorf("%s: Accept %q", body, r.RequestID)
		}
	}
}

// writes counts the pieces in which requests leave.
type writes struct {
	net.Conn
	n *atomic.Int64
}

func (w writes) Write(p []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(p)
}

// Header and body leave in one piece, as long as the transport knows the type of the body.
func TestRequestIsOneWrite(t *testing.T) {
	var n atomic.Int64
	client := serve(t, answer(200, completion), func(o *Options) {
		o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return writes{conn, &n}, err
		}
	})
	if do(client, request); n.Load() != 1 {
		t.Errorf("a request of %d bytes was written in %d pieces", len(request), n.Load())
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(answer(200, completion))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	const workers = 32
	client := connect(t, server.URL, func(o *Options) { o.MaxConns = workers })
	drain(t, workers, 10, Done, func() Result { return do(client, request) })
	// A worker whose predecessor's connection is not yet back in the pool opens another one now and then.
	if n := opened.Load(); n > 2*workers {
		t.Errorf("%d calls by %d workers opened %d connections", 10*workers, workers, n)
	}
}

// drain has every worker make some calls, which must all come to what is wanted.
func drain(t testing.TB, workers, calls int, want Class, call func() Result) {
	done := make(chan Result)
	for range workers {
		go func() {
			for range calls {
				done <- call()
			}
		}()
	}
	for range workers * calls {
		if r := <-done; r.Class != want {
			t.Errorf("result %+v", r)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, opt := range []Options{
		{}, {BaseURL: "localhost:80"}, {BaseURL: "ftp://localhost"}, {BaseURL: "http://"}, {BaseURL: "http://u:p@localhost"},
		{BaseURL: "http://localhost?key=1"}, {BaseURL: "http://local host"}, {BaseURL: "http://localhost", Timeout: -1},
	} {
		if _, err := New(opt); err == nil {
			t.Errorf("New(%+v) accepted", opt)
		} else if strings.Contains(err.Error(), ":p@") {
			t.Errorf("New(%+v) shows the password: %v", opt, err)
		}
	}
}

// bareServer answers from one buffer, so that the benchmarks measure the client.
func bareServer(b *testing.B) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{"application/json"}
		w.Write([]byte(completion))
	}))
	b.Cleanup(server.Close)
	return server.URL + "/v1"
}

func parallel(b *testing.B, work func() error) {
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := work(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkDo(b *testing.B) {
	client := connect(b, bareServer(b))
	call := Call{Body: []byte(request), IdempotencyKey: "batch-0123"}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	parallel(b, func() error {
		if r := client.Do(ctx, call); r.Class != Done {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
}

// BenchmarkBare is the least that a program could do: post, read all, look at the status.
func BenchmarkBare(b *testing.B) {
	url := bareServer(b) + "/chat/completions"
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	client := &http.Client{Transport: transport}
	defer transport.CloseIdleConnections()
	parallel(b, func() error {
		req, err := http.NewRequest("POST", url, bytes.NewReader([]byte(request)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+testKey)
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if _, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
			return fmt.Errorf("status %d: %v", res.StatusCode, err)
		}
		return nil
	})
}
