package chat

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
)

// framed serves one HTTP/2 connection by hand: script is called with each request's stream once its body has ended.
func framed(t *testing.T, script func(f *http2.Framer, stream uint32)) (client *Client, requests *atomic.Int64) {
	t.Helper()
	cert := certificate(t, func(*x509.Certificate) {})
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
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
	return connect(t, "https://"+listener.Addr().String(), soon, func(o *Options) { o.TLSConfig = &tls.Config{RootCAs: roots} }), requests
}

// N14: what HTTP/2 says about one stream is about one call, and none is repeated behind our back.
func TestHTTP2Streams(t *testing.T) {
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
		client, requests := framed(t, row.script)
		r := do(client, request)
		client.Close()
		if r.Class != row.class || !r.Sent || r.Message == "" || requests.Load() != 1 {
			t.Errorf("%s: %+v, the server saw %d requests", name, r, requests.Load())
		}
	}
}
