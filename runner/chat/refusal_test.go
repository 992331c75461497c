package chat

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// raw serves connections by hand: script is called with each, numbered from 1, after one request was read from it.
func raw(t *testing.T, script func(n int64, conn *net.TCPConn, next func() bool)) (client *Client, requests *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests = new(atomic.Int64)
	var conns atomic.Int64
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			reader := bufio.NewReader(conn)
			next := func() bool {
				r, err := http.ReadRequest(reader)
				if err != nil {
					return false
				}
				io.Copy(io.Discard, r.Body)
				requests.Add(1)
				return true
			}
			n := conns.Add(1)
			wait.Go(func() {
				defer conn.Close()
				if next() {
					script(n, conn.(*net.TCPConn), next)
				}
			})
		}
	})
	t.Cleanup(func() { listener.Close(); wait.Wait() })
	return connect(t, "http://"+listener.Addr().String(), soon), requests
}

// soon keeps a broken test from waiting for ten minutes.
func soon(o *Options) { o.Timeout = 5 * time.Second }

func reply200(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Trap: with an Idempotency-Key, net/http sends a POST again by itself when a kept-alive connection dies under it.
func TestNoHiddenResend(t *testing.T) {
	client, requests := raw(t, func(n int64, conn *net.TCPConn, next func() bool) {
		io.WriteString(conn, reply200(completion))
		next() // the second request is read, and the connection closed without an answer
	})
	if r := do(client, request); r.Class != Done {
		t.Fatalf("first: %+v", r)
	}
	r := do(client, request)
	if r.Class != Unknown || !r.Sent || requests.Load() != 2 {
		t.Errorf("%v sent %v, the server saw %d requests, want 2: %s", r.Class, r.Sent, requests.Load(), r.Message)
	}
}

func TestStaleConnection(t *testing.T) {
	closed := make(chan struct{})
	client, requests := raw(t, func(n int64, conn *net.TCPConn, next func() bool) {
		io.WriteString(conn, reply200(completion))
		conn.Close()
		if n == 1 {
			close(closed)
		}
	})
	do(client, request)
	<-closed
	// Whether the client has seen the end by now is a race; either way it calls once, and never says that a call was
	// certainly not processed which the server has read.
	r := do(client, request)
	if n := requests.Load(); n > 2 || r.Class == Done && n != 2 || r.Class == NotProcessed && (r.Sent || n != 1) {
		t.Errorf("%+v, the server saw %d requests", r, n)
	}
}

func TestResetAndCut(t *testing.T) {
	for name, row := range map[string]struct {
		bytes string
		reset bool
	}{
		"closed after the request":    {"", false},
		"reset after the request":     {"", true},
		"half a status line":          {"HTTP/1.1 20", false},
		"not HTTP":                    {"SSH-2.0-OpenSSH\r\n\r\n", false},
		"a header that never ends":    {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20), false},
		"a body shorter than claimed": {"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + completion, false},
		"a body longer than claimed":  {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n" + completion, false},
		"chunks cut off":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n", true},
		"a chunk of nonsense":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", false},
	} {
		client, requests := raw(t, func(_ int64, conn *net.TCPConn, _ func() bool) {
			io.WriteString(conn, row.bytes)
			if row.reset {
				conn.SetLinger(0)
			}
		})
		if r := do(client, request); r.Class != Unknown || !r.Sent || r.Message == "" || strings.Contains(r.Message, "127.0.0.1") || requests.Load() != 1 {
			t.Errorf("%s: %v sent %v %q, %d requests", name, r.Class, r.Sent, r.Message, requests.Load())
		}
	}
}

// A body that is cut at any byte is no answer, with a length, with a wrong one, in chunks, packed or with neither.
func TestH4_BodyCutAtEveryByte(t *testing.T) {
	var head, body string
	client, _ := raw(t, func(_ int64, conn *net.TCPConn, _ func() bool) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n"+head+"\r\n"+body)
	})
	packed := zipped(completion)
	for _, form := range []string{"length", "a length that is too small", "chunks", "neither", "gzip"} {
		sent := completion
		if form == "gzip" {
			sent = packed
		}
		for n := 0; n <= len(sent); n++ {
			head, body = "", sent[:n]
			whole := n == len(sent)
			switch form {
			case "length":
				head = fmt.Sprintf("Content-Length: %d\r\n", len(sent))
			case "a length that is too small":
				head, body = fmt.Sprintf("Content-Length: %d\r\n", n), sent
			case "chunks":
				head = "Transfer-Encoding: chunked\r\n"
				if body = fmt.Sprintf("%x\r\n%s", len(sent), sent[:n]); whole {
					body += "\r\n0\r\n\r\n"
				}
			case "gzip":
				head = "Content-Encoding: gzip\r\n"
			}
			if r := do(client, request); (r.Class == Done) != whole || !whole && r.Class != Unknown {
				t.Errorf("%d of %d bytes with %s: %v %s", n, len(sent), form, r.Class, r.Message)
			}
		}
	}
}

func TestH21_UpgradeIsNoAnswer(t *testing.T) {
	client, _ := raw(t, func(_ int64, conn *net.TCPConn, next func() bool) {
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		next() // says no more until the client leaves
	})
	if r := do(client, request); r.Class != Unknown || r.Reason != ReasonNone || r.Status != 101 {
		t.Errorf("%+v", r)
	}
}

// A 404 whose body broke off may have been the API's own word about a model.
func TestRefusalsCutOff(t *testing.T) {
	for status, want := range map[int]verdict{
		404: {Unknown, ReasonNone}, 400: {JobFailed, ReasonNone}, 401: {RunStops, KeyRefused}, 429: {NotProcessed, RateLimited}, 307: {RunStops, WrongEndpoint},
	} {
		client, _ := raw(t, func(_ int64, conn *net.TCPConn, _ func() bool) {
			fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Length: 999\r\n\r\n{\"error\":", status)
		})
		if r := do(client, request); (verdict{r.Class, r.Reason}) != want || r.Status != status {
			t.Errorf("%d: %+v", status, r)
		}
	}
}

func TestN2_ConnectionRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	r := do(connect(t, "http://"+listener.Addr().String()), request)
	if r.Class != NotProcessed || r.Reason != Unreachable || r.Sent || r.Status != 0 || r.Message == "" {
		t.Errorf("%+v", r)
	}
}

// N13: no redirect is followed, to wherever it points; the message names the host and nothing more.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	target, _ := url.Parse(other.URL)
	for _, status := range []int{300, 301, 302, 303, 304, 307, 308} {
		for location, host := range map[string]string{
			"/v1/other?k=secret": "", other.URL + "/v1?k=secret": target.Host, "http://localhost:" + target.Port() + "/": "localhost:" + target.Port(),
			"https://sub.example.com/": "sub.example.com", "http://user:secret@example.com/": "example.com", "file:///etc/passwd": "file:",
			"": "", "::": "", "//example.org/x": "example.org",
		} {
			var calls atomic.Int64
			r := do(serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			}), request)
			if r.Class != RunStops || r.Reason != WrongEndpoint || calls.Load() != 1 || elsewhere.Load() != 0 ||
				!strings.Contains(r.Message, host) || strings.Contains(r.Message, "secret") || strings.Contains(r.Message, "passwd") {
				t.Errorf("%d to %s: %+v, %d calls, %d elsewhere", status, location, r, calls.Load(), elsewhere.Load())
			}
		}
	}
}

func TestH17_ResponseLimit(t *testing.T) {
	limit := func(n int64) func(*Options) { return func(o *Options) { o.MaxResponse = n } }
	size := int64(len(completion))
	if r := do(serve(t, answer(200, completion), limit(size)), request); r.Class != Done {
		t.Errorf("as large as the limit: %+v", r)
	}
	if r := do(serve(t, answer(200, completion), limit(size-1)), request); r.Reason != ResponseTooLarge {
		t.Errorf("one byte larger: %+v", r)
	}
	var written int
	ended := make(chan struct{}, 2)
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status(r))
		for written = 0; ; {
			n, err := io.WriteString(w, chunk(`{"content":"a"}`, "null"))
			if written += n; err != nil {
				ended <- struct{}{}
				return
			}
		}
	}
	if r := do(serve(t, endless, limit(1<<20)), streamRequest); r.Reason != ResponseTooLarge || len(r.Body) > maxErrorBody {
		t.Errorf("an endless stream: %v %v", r.Class, r.Reason)
	}
	<-ended
	c := serve(t, endless)
	if r := c.Do(t.Context(), Call{Body: []byte(request), Header: http.Header{"X-Status": {"500"}}}); r.Class != Unknown || r.Status != 500 || len(r.Body) > maxErrorBody {
		t.Errorf("an endless failure: %v, %d bytes", r.Class, len(r.Body))
	}
	if <-ended; written > 16<<20 {
		t.Errorf("%d bytes of a failure were read", written)
	}
}

func status(r *http.Request) int {
	var n int
	if fmt.Sscan(r.Header.Get("X-Status"), &n); n == 0 {
		return 200
	}
	return n
}

// The proxy is used and can be named, without its password; never for loopback.
func TestN15_Proxy(t *testing.T) {
	var through atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through.Add(1)
		io.WriteString(w, completion)
	}))
	defer proxy.Close()
	u, _ := url.Parse(proxy.URL)
	u.User = url.UserPassword("me", "secret")
	use := func(o *Options) { o.Proxy = http.ProxyURL(u) }

	client := connect(t, "http://api.example.com/v1", use)
	if r := do(client, request); r.Class != Done || through.Load() != 1 || client.Proxy() != u.Host {
		t.Errorf("%+v, proxy %q", r, client.Proxy())
	}
	client = serve(t, answer(200, completion), use)
	if r := do(client, request); r.Class != Done || through.Load() != 1 || client.Proxy() != "" {
		t.Errorf("loopback: %+v, proxy %q", r, client.Proxy())
	}
}
