// Package simtest lets tests listen with the practice server, or with any other handler, in every way in which an API is reached.
package simtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Wire is a way in which a server is reached.
type Wire string

const (
	HTTP1 Wire = "http1"
	TLS   Wire = "tls" // HTTP/1.1
	HTTP2 Wire = "http2"
)

// Wires are all of them.
var Wires = []Wire{HTTP1, TLS, HTTP2}

// Listening is a server on a port of 127.0.0.1.
type Listening struct {
	URL   string         // without a path
	Roots *x509.CertPool // what to trust for it; nil for HTTP1
	http  *httptest.Server
}

// Listen serves h over the wire until the test ends, or until Close. A handler with a method ConnContext gets its connections by it;
// one with a method Close is closed first, so that nobody waits for the calls that it holds.
func Listen(t testing.TB, wire Wire, h http.Handler) *Listening {
	t.Helper()
	l := &Listening{http: httptest.NewUnstartedServer(h)}
	prepare(l.http.Config)
	l.http.EnableHTTP2 = wire == HTTP2
	if wire == HTTP1 {
		l.http.Start()
	} else {
		l.http.StartTLS()
		l.Roots = x509.NewCertPool()
		l.Roots.AddCert(l.http.Certificate())
	}
	l.URL = l.http.URL
	t.Cleanup(l.Close)
	return l
}

// TLSConfig is one for a client, nil for HTTP1.
func (l *Listening) TLSConfig() *tls.Config {
	if l.Roots == nil {
		return nil
	}
	return &tls.Config{RootCAs: l.Roots}
}

// Close ends all calls and waits for their handlers.
func (l *Listening) Close() {
	closeHandler(l.http.Config.Handler)
	l.http.CloseClientConnections()
	l.http.Close()
}

func prepare(server *http.Server) {
	server.ErrorLog = log.New(io.Discard, "", 0)
	if h, ok := server.Handler.(interface {
		ConnContext(context.Context, net.Conn) context.Context
	}); ok {
		server.ConnContext = h.ConnContext
	}
}

func closeHandler(h http.Handler) {
	if h, ok := h.(interface{ Close() }); ok {
		h.Close()
	}
}
