package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (a *authority) sign(change func(*x509.Certificate)) (der []byte, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "127.0.0.1"}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(template)
	parent, with := a.cert, a.key
	if parent == nil {
		parent, with = template, key
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), with); err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// newAuthority is one below another, or a root.
func newAuthority(t *testing.T, above *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	if above == nil {
		above = &authority{t: t}
	}
	der, key := above.sign(func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.IPAddresses, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil, nil
		c.Subject.CommonName = "authority " + c.SerialNumber.String()
		change(c)
	})
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key}
}

// leaf is a server's certificate with what it sends along.
func (a *authority) leaf(change func(*x509.Certificate), along ...*authority) tls.Certificate {
	der, key := a.sign(change)
	c := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	for _, between := range along {
		c.Certificate = append(c.Certificate, between.cert.Raw)
	}
	return c
}

// TestN10_Certificates: whoever cannot prove who he is gets neither the key nor a prompt, not one byte of them, and is asked once. The
// first row shows that nothing else is in the way, and that SSL_CERT_FILE makes an authority trusted.
func TestN10_Certificates(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process for each of some dozen answers")
	}
	t.Parallel()
	as := func(*x509.Certificate) {}
	root := newAuthority(t, nil, as)
	between := newAuthority(t, root, as)
	noAuthority := newAuthority(t, root, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, 0 })
	elsewhere := newAuthority(t, root, func(c *x509.Certificate) {
		c.ExcludedIPRanges = []*net.IPNet{{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}}
	})
	good := root.leaf(as)
	only := func(version uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{good}, MinVersion: version, MaxVersion: version}
	}
	with := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	for name, server := range map[string]*tls.Config{
		"good":                       with(good),
		"good by an intermediate":    with(between.leaf(as, between)),
		"expired":                    with(root.leaf(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })),
		"not yet valid":              with(root.leaf(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(10 * time.Minute) })),
		"wrong host":                 with(root.leaf(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} })),
		"no names but a common name": with(root.leaf(func(c *x509.Certificate) { c.IPAddresses = nil })),
		"self-signed":                with((&authority{t: t}).leaf(as)),
		"unknown authority":          with(newAuthority(t, nil, as).leaf(as)),
		"missing intermediate":       with(between.leaf(as)),
		"signed by no authority":     with(noAuthority.leaf(as, noAuthority)),
		"outside its authority":      with(elsewhere.leaf(as, elsewhere)),
		"for clients only":           with(root.leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })),
		"signed with SHA-1":          with(root.leaf(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 })),
		"no certificate":             with(tls.Certificate{Certificate: [][]byte{[]byte("no certificate")}, PrivateKey: good.PrivateKey}),
		"the key of another":         with(tls.Certificate{Certificate: good.Certificate, PrivateKey: root.key}),
		"TLS 1.1":                    only(tls.VersionTLS11),
		"TLS 1.0":                    only(tls.VersionTLS10),
		"weak ciphers": {Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}},
	} {
		t.Run(name, func(t *testing.T) {
			trust := filepath.Join(t.TempDir(), "root.pem")
			if err := os.WriteFile(trust, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.cert.Raw}), 0o600); err != nil {
				t.Fatal(err)
			}
			base, heard := listenTLS(t, server)
			o := newOutside(t, "SSL_CERT_FILE="+trust, "SSL_CERT_DIR="+t.TempDir())
			o.prompts(3)
			args := []string{"run", "in.jsonl", "--base-url", base, "-c", "1", "--max-wait", "5s"}
			if strings.HasPrefix(name, "good") {
				o.batch(exitOK, args...)
				if text, _ := heard(); !bytes.Contains(text, []byte(canary)) || !bytes.Contains(text, []byte("Name river")) {
					t.Errorf("the server heard %q", text)
				}
				return
			}
			said := o.batch(exitStopped, args...)
			text, connections := heard()
			if bytes.Contains(text, []byte("ask_")) || bytes.Contains(text, []byte("river")) || len(text) > 0 || connections != 1 {
				t.Errorf("over %d connections, the server heard %q", connections, text)
			}
			if !strings.Contains(said, "the server's certificate is not trusted, the key was not sent: ") || !strings.Contains(said, "SSL_CERT_FILE") {
				t.Error(said)
			}
			o.check(false)
		})
	}
}

// listenTLS keeps what it hears, decrypted, and answers every request with the same completion.
func listenTLS(t *testing.T, config *tls.Config) (base string, heard func() (text []byte, connections int)) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	connections := 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for { // one after the other: the child has one worker
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections++
			answerAll(tls.Server(conn, config), &text)
			conn.Close()
		}
	}()
	return "https://" + listener.Addr().String() + "/v1", func() ([]byte, int) {
		listener.Close()
		<-ended
		return text.Bytes(), connections
	}
}

const plainAnswer = `{"choices":[{"index":0,"message":{"role":"assistant","content":"Elbe"},"finish_reason":"stop"}]}`

// answerAll answers whenever a request seems to be whole: its body ends in two brackets.
func answerAll(conn net.Conn, heard *bytes.Buffer) {
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		heard.Write(buf[:n])
		if n > 0 && bytes.HasSuffix(buf[:n], []byte("]}")) {
			io.WriteString(conn, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(plainAnswer), plainAnswer))
		}
		if err != nil {
			return
		}
	}
}
