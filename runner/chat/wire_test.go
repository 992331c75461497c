package chat_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat"
	"batch/runner/chat/sim"
	"batch/runner/chat/sim/simtest"
)

const (
	hello  = `{"model":"m","messages":[{"role":"user","content":"Hello"}]}`
	stream = `{"model":"m","messages":[{"role":"user","content":"Hello"}],"stream":true}`
)

// scripted is a practice server whose calls meet these steps in turn.
func scripted(t *testing.T, steps ...[]sim.Step) *sim.Server {
	t.Helper()
	s, err := sim.New(sim.Options{Ledger: true, Script: sim.InTurn(steps...)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(t *testing.T, opt chat.Options) *chat.Client {
	t.Helper()
	client, err := chat.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func wired(t *testing.T, s *sim.Server, wire simtest.Wire) *chat.Client {
	t.Helper()
	at := simtest.Listen(t, wire, s)
	return dial(t, chat.Options{BaseURL: at.URL + "/v1", TLSConfig: at.TLSConfig()})
}

// piped is for a bubble.
func piped(t *testing.T, s *sim.Server) *chat.Client {
	t.Helper()
	return dial(t, chat.Options{BaseURL: "http://pipe/v1", DialContext: simtest.Pipe(t, s)})
}

func do(c *chat.Client, body string) chat.Result {
	return c.Do(context.Background(), chat.Call{Body: []byte(body), IdempotencyKey: "batch-0123"})
}

// What breaks off once the request has been read may have been paid: nobody knows. None is sent again behind our back, with its key or
// without, and the next call finds a connection that works.
func TestN4_ResetAfterTheRequest(t *testing.T) {
	head := sim.Step{Status: 200, Header: http.Header{"Content-Type": {"application/json"}, "Content-Length": {"400"}}}
	body := sim.Step{Status: 200, Header: head.Header, Body: []byte(`{"choices":[{"message":{"content":"Par`)}
	for _, wire := range simtest.Wires {
		for name, steps := range map[string][]sim.Step{
			"reset before the head":    {{End: sim.Reset}},
			"closed before the head":   {{End: sim.Cut}},
			"reset after the head":     {head, {End: sim.Reset}},
			"closed after the head":    {head, {End: sim.Cut}},
			"reset within the body":    {body, {End: sim.Reset}},
			"closed within the body":   {body, {End: sim.Cut}},
			"reset within an error":    {{Status: 500, Header: head.Header, Body: []byte(`{"error":`)}, {End: sim.Reset}},
			"an answer that is billed": {{Fault: "cut"}},
		} {
			t.Run(string(wire)+"/"+name, func(t *testing.T) {
				s := scripted(t, steps)
				client := wired(t, s, wire)
				r := do(client, hello)
				if r.Class != chat.Unknown || r.Reason != chat.ReasonNone || !r.Sent || r.Message == "" {
					t.Errorf("%+v", r)
				}
				if calls := len(s.Ledger()); calls != 1 {
					t.Errorf("the server saw %d calls", calls)
				}
				if r := do(client, hello); r.Class != chat.Done || r.Replayed != (s.Ledger()[0].Billed > 0) {
					t.Errorf("the next: %+v", r)
				}
			})
		}
	}
}

// A connection that dies while the request is still being written may have carried enough of it.
func TestN4_ResetWithinTheRequest(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns int
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns++
			io.ReadFull(conn, make([]byte, 1000))
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}()
	client := dial(t, chat.Options{BaseURL: "http://" + listener.Addr().String()})
	r := do(client, hello+strings.Repeat(" ", 64<<20))
	listener.Close()
	<-ended
	if r.Class != chat.Unknown || !r.Sent || conns != 1 {
		t.Errorf("%d connections: %+v", conns, r)
	}
}

// A connection that is dead before the first byte is written carried nothing.
func TestN4_ResetBeforeTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := dial(t, chat.Options{BaseURL: "http://pipe", DialContext: func(context.Context, string, string) (net.Conn, error) {
			return dead{}, nil
		}})
		if r := do(client, hello); r.Class != chat.NotProcessed || r.Sent || r.Status != 0 {
			t.Errorf("%+v", r)
		}
	})
}

// dead is a connection that was reset.
type dead struct{ net.Conn }

func (dead) Read([]byte) (int, error)  { return 0, syscall.ECONNRESET }
func (dead) Write([]byte) (int, error) { return 0, syscall.ECONNRESET }
func (dead) Close() error              { return nil }

// A kept-alive connection that ended meanwhile costs nothing: the call goes out once, over another. One that ends just as the call goes out
// is an outcome of its own, counted once. With an Idempotency-Key Go would send that again by itself.
func TestN5_StaleKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scripted(t, []sim.Step{{Body: []byte(completion(t)), End: sim.Close}}, nil, []sim.Step{{End: sim.Cut}})
		client := piped(t, s)
		for i, want := range []chat.Class{chat.Done, chat.Done, chat.Unknown, chat.Done} {
			r := do(client, hello)
			if calls := len(s.Ledger()); r.Class != want || !r.Sent || calls != i+1 {
				t.Errorf("call %d: the server saw %d: %+v", i+1, calls, r)
			}
			synctest.Wait() // what the server closed is known
		}
	})
}

// completion is an answer of the practice server.
func completion(t *testing.T) string {
	t.Helper()
	s, err := sim.New(sim.Options{Ledger: true})
	if err != nil {
		t.Fatal(err)
	}
	if r := do(piped(t, s), hello); r.Class != chat.Done {
		t.Fatalf("%+v", r)
	}
	return string(s.Ledger()[0].Reply)
}

// The wait for the head has one limit, however it drips.
func TestN6_SlowHeaders(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Padding: " + strings.Repeat("x", 700) + "\r\n"
	for name, row := range map[string]struct {
		every time.Duration
		class chat.Class
		took  time.Duration
	}{
		"a byte a second never ends": {time.Second, chat.Unknown, chat.DefaultTimeout},
		"but in time is in time":     {500 * time.Millisecond, chat.Done, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := completion(t)
				s := scripted(t, []sim.Step{{Raw: true, Status: 200, Body: []byte(head + "Connection: close\r\n\r\n"), Drip: 1, Every: row.every}, {Raw: true, Body: []byte(answer)}})
				start := time.Now()
				r := do(piped(t, s), hello)
				took := time.Since(start)
				if r.Class != row.class || (r.Reason == chat.TimedOut) != (row.class == chat.Unknown) || row.took != 0 && took != row.took || took > chat.DefaultTimeout {
					t.Errorf("after %v: %+v", took, r)
				}
				if calls := len(s.Ledger()); calls != 1 {
					t.Errorf("the server saw %d calls", calls)
				}
			})
		})
	}
}

// endless is an answer without an end.
type endless struct {
	kind, head, more string
	every            time.Duration
	calls            int
}

func (e *endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.calls++
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", e.kind)
	io.WriteString(w, e.head)
	for more := bytes.Repeat([]byte(e.more), 1024); r.Context().Err() == nil; {
		if _, err := w.Write(more); err != nil {
			return
		}
		pause := time.NewTimer(e.every)
		select {
		case <-pause.C:
		case <-r.Context().Done():
			pause.Stop()
		}
	}
}

// An answer that never ends is ended by its size, or by the clock, whichever comes first.
func TestN8_EndlessAnswers(t *testing.T) {
	event := `data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}` + "\n\n"
	for name, row := range map[string]struct {
		endless
		class  chat.Class
		reason chat.Reason
		most   time.Duration
	}{
		"a fast body":         {endless{kind: "application/json", head: `{"a":"`, more: "x", every: time.Millisecond}, chat.JobFailed, chat.ResponseTooLarge, time.Minute},
		"a fast stream":       {endless{kind: "text/event-stream", more: event, every: time.Millisecond}, chat.JobFailed, chat.ResponseTooLarge, time.Minute},
		"a slow body":         {endless{kind: "application/json", head: `{"a":"`, more: "x", every: 59 * time.Second}, chat.Unknown, chat.TimedOut, chat.DefaultTimeout},
		"a slow stream":       {endless{kind: "text/event-stream", more: event, every: 59 * time.Second}, chat.JobFailed, chat.ResponseTooLarge, time.Hour},
		"an endless page":     {endless{kind: "text/html", more: "<p>", every: time.Millisecond}, chat.JobFailed, chat.ResponseTooLarge, time.Minute},
		"a stream of nothing": {endless{kind: "text/event-stream", head: event, more: ": ping\n", every: 59 * time.Second}, chat.Unknown, chat.TimedOut, chat.DefaultTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := dial(t, chat.Options{BaseURL: "http://pipe", MaxResponse: 1 << 20, DialContext: simtest.Pipe(t, &row.endless)})
				start := time.Now()
				r := do(client, stream)
				if took := time.Since(start); r.Class != row.class || r.Reason != row.reason || took > row.most || row.calls != 1 {
					t.Errorf("%s %q after %v in %d calls: %s", r.Class, r.Reason, took, row.calls, r.Message)
				}
				if len(r.Body) > 64<<10 {
					t.Errorf("%d bytes of it are kept", len(r.Body))
				}
			})
		})
	}
}

// One connection of HTTP/2 carries many calls. When it is reset each of them is an outcome of its own, and none goes out again by itself.
func TestN14_ResetOfASharedConnection(t *testing.T) {
	const calls = 8
	all := make(chan struct{})
	s, err := sim.New(sim.Options{Ledger: true, Script: func(a sim.Ask) []sim.Step {
		switch {
		case a.N > calls:
			return nil
		case a.N == calls:
			close(all)
		}
		return []sim.Step{{Until: all, End: sim.Reset}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	client := wired(t, s, simtest.HTTP2)
	var wait sync.WaitGroup
	for range calls {
		wait.Go(func() {
			if r := do(client, hello); r.Class != chat.Unknown || !r.Sent {
				t.Errorf("%+v", r)
			}
		})
	}
	wait.Wait()
	if n := len(s.Ledger()); n != calls {
		t.Errorf("the server saw %d calls", n)
	}
	if r := do(client, hello); r.Class != chat.Done {
		t.Errorf("the next: %+v", r)
	}
}
