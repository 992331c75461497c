package chat

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"batch/runner/chat/sim/simtest"
)

// queuing is a listener whose connections write at once, as TCP does and a pipe does not: both ends may have something to say first.
type queuing struct{ net.Listener }

func (q queuing) Accept() (net.Conn, error) {
	conn, err := q.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &queuingConn{Conn: conn, queue: make(chan []byte, 1000), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		for p := range c.queue {
			c.Conn.Write(p)
		}
	}()
	return c, nil
}

type queuingConn struct {
	net.Conn
	queue chan []byte
	done  chan struct{}
	once  sync.Once
}

func (c *queuingConn) Write(p []byte) (int, error) {
	c.queue <- bytes.Clone(p)
	return len(p), nil
}

func (c *queuingConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.queue) })
	<-c.done
	return err
}

// framed serves HTTP/2 over pipes by hand: script is called with each request's stream once its body has ended. It answers settings, and
// nothing else.
func framed(t *testing.T, script func(f *http2.Framer, stream uint32)) (client *Client, requests *atomic.Int64) {
	t.Helper()
	cert := certificate(t, func(*x509.Certificate) {})
	pipes := simtest.NewPipes()
	listener := tls.NewListener(queuing{pipes}, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	requests = new(atomic.Int64)
	ended := make(chan struct{})
	var wait sync.WaitGroup
	serve := func(conn net.Conn) {
		defer conn.Close()
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		framer := http2.NewFramer(conn, conn)
		framer.WriteSettings()
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					framer.WriteSettingsAck()
				}
			case *http2.DataFrame:
				if frame.StreamEnded() {
					requests.Add(1)
					script(framer, frame.StreamID)
				}
			}
		}
	}
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { serve(conn) })
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended; wait.Wait() })
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	return connect(t, "https://127.0.0.1", func(o *Options) { o.DialContext, o.TLSConfig = pipes.Dial, &tls.Config{RootCAs: roots} }), requests
}

// What HTTP/2 says about one stream is about one call, and none is repeated behind our back.
func TestN14_Streams(t *testing.T) {
	for name, row := range map[string]struct {
		script func(f *http2.Framer, stream uint32)
		class  Class
	}{
		"refused stream":     {func(f *http2.Framer, s uint32) { f.WriteRSTStream(s, http2.ErrCodeRefusedStream) }, NotProcessed},
		"goaway before it":   {func(f *http2.Framer, s uint32) { f.WriteGoAway(0, http2.ErrCodeNo, nil) }, NotProcessed},
		"reset":              {func(f *http2.Framer, s uint32) { f.WriteRSTStream(s, http2.ErrCodeInternal) }, Unknown},
		"cancelled":          {func(f *http2.Framer, s uint32) { f.WriteRSTStream(s, http2.ErrCodeCancel) }, Unknown},
		"enhance your calm":  {func(f *http2.Framer, s uint32) { f.WriteRSTStream(s, http2.ErrCodeEnhanceYourCalm) }, Unknown},
		"a protocol error":   {func(f *http2.Framer, s uint32) { f.WriteRSTStream(s, http2.ErrCodeProtocol) }, Unknown},
		"nonsense as header": {func(f *http2.Framer, s uint32) { f.WriteRawFrame(http2.FrameHeaders, 4, s, []byte{0xff, 0xff}) }, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, requests := framed(t, row.script)
				r := do(client, request)
				if r.Class != row.class || !r.Sent || r.Message == "" || r.Duration > time.Second || requests.Load() != 1 {
					t.Errorf("%+v, the server saw %d requests", r, requests.Load())
				}
			})
		})
	}
}

// A connection that has gone silent is found by a ping, long before the limit of the call, with all calls that it carries. None of them hangs.
func TestN14_SilentlyDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, requests := framed(t, func(*http2.Framer, uint32) {})
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				if r := do(client, request); r.Class != Unknown || !r.Sent || r.Duration != 30*time.Second { // 15 s of silence, and 15 s for the ping
					t.Errorf("%+v", r)
				}
			})
		}
		wait.Wait()
		if requests.Load() != 3 {
			t.Errorf("the server saw %d requests", requests.Load())
		}
	})
}

// A connection that ends between the moment it is chosen and the call's turn on it has carried nothing of the call, which costs nothing.
func TestN14_GoneBeforeTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var server *http2.Framer
		client, requests := framed(t, func(f *http2.Framer, stream uint32) {
			server = f
			f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
		})
		do(client, request)
		synctest.Wait() // the server's framer is ours from here on
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
			server.WriteGoAway(1, http2.ErrCodeNo, nil)
			synctest.Wait()
		}})
		r := client.Do(ctx, Call{Body: []byte(request)})
		if r.Class != NotProcessed || r.Sent || r.Message != "the connection was closed before the request was written" || requests.Load() != 1 {
			t.Errorf("%+v, the server saw %d requests", r, requests.Load())
		}
	})
}

// A connection carries no more calls than the server allows. Those that came before its settings did are refused, which costs nothing; no call
// is worked on twice. One that net/http began before it took in the settings and wrote after it confirmed them is refused as a protocol error,
// which does not say that nothing was done.
func TestN14_MaxStreams(t *testing.T) {
	const workers, calls = 8, 5
	type load struct{ all, now, most int }
	var mu sync.Mutex
	conns := map[any]*load{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		l := conns[r.RemoteAddr]
		if l == nil {
			l = new(load)
			conns[r.RemoteAddr] = l
		}
		l.all++
		l.now++
		l.most = max(l.most, l.now)
		mu.Unlock()
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		l.now--
		mu.Unlock()
		io.WriteString(w, completion)
	}))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := connect(t, server.URL, soon, func(o *Options) { o.TLSConfig = &tls.Config{RootCAs: roots} })
	drain(t, workers, calls, Done, func() Result {
		for {
			if r := do(client, request); r.Class != NotProcessed && !(r.Class == Unknown && strings.Contains(r.Message, "PROTOCOL_ERROR")) {
				return r
			}
		}
	})
	all := 0
	for addr, l := range conns {
		all += l.all
		if l.most > 1 {
			t.Errorf("%v carried %d calls at once", addr, l.most)
		}
	}
	if all != workers*calls {
		t.Errorf("%d calls for %d answers", all, workers*calls)
	}
}
