package chat

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// secure starts a TLS server with its own certificate, which trust makes a client believe in.
func secure(t testing.TB, handler http.HandlerFunc, h2 bool, change func(*tls.Config)) (base string, trust func(*Options)) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = h2
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{}
	if change != nil {
		change(server.TLS)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server.URL + "/v1", func(o *Options) { o.TLSConfig = &tls.Config{RootCAs: roots} }
}

func TestHTTP1AndHTTP2(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		var major atomic.Int64
		base, trust := secure(t, func(w http.ResponseWriter, r *http.Request) {
			major.Store(int64(r.ProtoMajor))
			if r.Header.Get("Accept") != "application/json" {
				answer(200, helloStream, "Content-Type", "text/event-stream")(w, r)
				return
			}
			answer(200, completion)(w, r)
		}, h2, nil)
		client := connect(t, base, trust)
		for _, body := range []string{request, streamRequest} {
			if r := do(client, body); r.Class != Done || (major.Load() == 2) != h2 {
				t.Errorf("HTTP/2 %v: %+v over HTTP/%d", h2, r, major.Load())
			}
		}
		drain(t, 8, 20, Done, func() Result { return do(client, request) })
	}
}

// certificate makes one for 127.0.0.1 unless change makes it another.
func certificate(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// N10: what cannot be trusted is refused for the whole run, and no request reaches it.
func TestN10_BadCertificates(t *testing.T) {
	cert := func(change func(*x509.Certificate)) func(*tls.Config) {
		return func(c *tls.Config) { c.Certificates = []tls.Certificate{certificate(t, change)} }
	}
	for name, row := range map[string]struct {
		server  func(*tls.Config)
		trusted bool
	}{
		"unknown authority": {cert(func(*x509.Certificate) {}), false},
		"expired":           {cert(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), true},
		"not yet valid":     {cert(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), true},
		"another host":      {cert(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} }), true},
		"TLS 1.1":           {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, true},
	} {
		var calls atomic.Int64
		base, trust := secure(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) }, false, row.server)
		if !row.trusted {
			trust = func(*Options) {}
		}
		r := do(connect(t, base, trust), request)
		if r.Class != RunStops || r.Reason != BadCertificate || r.Sent || calls.Load() != 0 {
			t.Errorf("%s: %+v, %d calls", name, r, calls.Load())
		}
	}
}

// A client that is sent to the wrong port must not say its key there.
func TestPlainServerOnTLSPort(t *testing.T) {
	var seen bytes.Buffer
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 4096)
		n, _ := conn.Read(buf)
		seen.Write(buf[:n])
		io.WriteString(conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}()
	r := do(connect(t, "https://"+listener.Addr().String()), request)
	listener.Close()
	<-ended
	if r.Class != RunStops || r.Reason != WrongEndpoint || r.Sent || bytes.Contains(seen.Bytes(), []byte(testKey)) {
		t.Errorf("%+v", r)
	}
}
