package chat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat/sim/simtest"
)

// script is what a server sends and when.
type script []step

type step struct {
	wait time.Duration
	text string
}

func (s script) serve(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	for _, step := range s {
		select {
		case <-time.After(step.wait):
		case <-r.Context().Done():
			return
		}
		io.WriteString(w, step.text)
		w.(http.Flusher).Flush()
	}
}

// drip sends the same text again and again.
func drip(n int, every time.Duration, text string) script {
	return slices.Repeat(script{{every, text}}, n)
}

// The limits are the defaults: 10 minutes for the answer to begin, 60 seconds of silence within it.
func TestN3_N7_TimeLimits(t *testing.T) {
	whole := script{{0, completion}}
	for name, row := range map[string]struct {
		script script
		class  Class
		reason Reason
		took   time.Duration
	}{
		"headers in time":              {script{{9 * time.Minute, completion}}, Done, ReasonNone, 9 * time.Minute},
		"headers too late":             {script{{11 * time.Minute, completion}}, Unknown, TimedOut, 10 * time.Minute},
		"the body begins in time":      {append(script{{0, ""}, {9 * time.Minute, ""}}, whole...), Done, ReasonNone, 9 * time.Minute},
		"the body begins too late":     {append(script{{0, ""}, {11 * time.Minute, ""}}, whole...), Unknown, TimedOut, 10 * time.Minute},
		"a body with short silences":   {append(drip(5, 59*time.Second, " "), whole...), Done, ReasonNone, 295 * time.Second},
		"a body with a long silence":   {append(script{{0, completion[:9]}, {61 * time.Second, ""}}, script{{0, completion[9:]}}...), Unknown, TimedOut, 60 * time.Second},
		"a body that drips for ever":   {append(script{{0, "{"}}, drip(1000, 50*time.Second, " ")...), Unknown, TimedOut, 10 * time.Minute},
		"a stream that drips for long": {append(drip(100, 50*time.Second, chunk(`{"content":"a"}`, "null")), script{{0, helloStream}}...), Done, ReasonNone, 5000 * time.Second},
		"a stream of keep-alives":      {append(script{{0, chunk(`{"content":"a"}`, "null")}}, drip(1000, 50*time.Second, ": ping\n\n")...), Unknown, TimedOut, 10 * time.Minute},
		"a stream that is silent":      {append(script{{0, chunk(`{"content":"a"}`, "null")}}, drip(1, time.Hour, "")...), Unknown, TimedOut, 60 * time.Second},
		"an end that never comes":      {append(script{{0, chunk(`{"content":"a"}`, `"stop"`)}}, drip(1, time.Hour, "")...), Done, ReasonNone, 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := piped(t, row.script.serve)
				start := time.Now()
				r := do(client, request)
				if took := time.Since(start); r.Class != row.class || r.Reason != row.reason || took != row.took || !r.Sent {
					t.Errorf("%v %v %q after %v, want %v %v after %v", r.Class, r.Reason, r.Message, took, row.class, row.reason, row.took)
				}
			})
		})
	}
}

func TestN3_ConnectTimeout(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"by the connect limit": func(o *Options) {},
		"by the whole limit":   func(o *Options) { o.ConnectTimeout = time.Hour; o.Timeout = 10 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := connect(t, "http://host.localhost", change, func(o *Options) {
					o.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
						<-ctx.Done()
						return nil, ctx.Err()
					}
				})
				start := time.Now()
				r := do(client, request)
				if took := time.Since(start); r.Class != NotProcessed || r.Reason != Unreachable || r.Sent || took != 10*time.Second {
					t.Errorf("%+v after %v", r, took)
				}
				client.transport.CloseIdleConnections()
				synctest.Wait()
			})
		})
	}
}

// A server that reads some of a large request, or nothing, and then no more. What left this machine may have been enough.
func TestN9_ServerStopsReading(t *testing.T) {
	for name, row := range map[string]struct {
		reads int
		class Class
	}{
		"after nothing": {0, NotProcessed},
		"after a byte":  {1, Unknown},
		"after 64 KiB":  {64 << 10, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener, conns := simtest.NewPipes(), make(chan net.Conn, 2)
				go func() {
					for {
						conn, err := listener.Accept()
						if err != nil {
							return
						}
						io.ReadFull(conn, make([]byte, row.reads))
						conns <- conn
					}
				}()
				client := connect(t, "http://pipe.localhost", func(o *Options) { o.DialContext = listener.Dial })
				r := do(client, strings.Repeat(" ", 10<<20)+request)
				if r.Class != row.class || r.Sent != (row.reads > 0) || r.Duration != DefaultTimeout || len(conns) != 1 {
					t.Errorf("%v, sent %v, after %v on %d connections", r.Class, r.Sent, r.Duration, len(conns))
				}
				(<-conns).Close()
				listener.Close()
			})
		})
	}
}

// A handshake that stalls is no answer, and nothing was sent.
func TestN11_HandshakeStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener, hello := simtest.NewPipes(), make(chan []byte, 1)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all, _ := io.ReadAll(conn) // until the client gives up
			hello <- all
		}()
		r := do(connect(t, "https://pipe.localhost", func(o *Options) { o.DialContext = listener.Dial }), request)
		if r.Class != NotProcessed || r.Reason != Unreachable || r.Sent || r.Duration != 10*time.Second {
			t.Errorf("%+v", r)
		}
		if said := <-hello; len(said) == 0 || bytes.Contains(said, []byte(testKey)) {
			t.Errorf("the client said %q", said)
		}
	})
}

func TestInterrupted(t *testing.T) {
	cancelAfter := func(d time.Duration) context.Context {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(d, func() { cancel(errors.New("second Ctrl-C")) })
		return ctx
	}
	for name, row := range map[string]struct {
		script script
		class  Class
		status int
	}{
		"while waiting":                 {script{{time.Hour, completion}}, Interrupted, 0},
		"while reading":                 {script{{0, completion[:9]}, {59 * time.Second, completion[9:]}}, Interrupted, 200},
		"in a stream":                   {script{{0, chunk(`{"content":"a"}`, "null")}, {59 * time.Second, ""}}, Interrupted, 200},
		"in a stream that was complete": {script{{0, chunk(`{"content":"a"}`, `"stop"`)}, {59 * time.Second, ""}}, Done, 200},
		"after the answer":              {script{{0, completion}}, Done, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := piped(t, row.script.serve)
				r := client.Do(cancelAfter(30*time.Second), Call{Body: []byte(request)})
				if r.Class != row.class || r.Status != row.status || !r.Sent {
					t.Errorf("%+v", r)
				}
			})
		})
	}
	t.Run("before it began", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r := serve(t, answer(200, completion)).Do(ctx, Call{Body: []byte(request)})
		if r.Class != Interrupted || r.Sent {
			t.Errorf("%+v", r)
		}
	})
}
