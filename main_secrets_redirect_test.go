package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// world is a proxy that is every host there is, with a certificate for those of example.test. It keeps every request, and who was asked.
type world struct {
	http   *httptest.Server
	config *tls.Config
	answer http.HandlerFunc

	mu     sync.Mutex
	visits []visit
}

type visit struct {
	url    string // with the host that was asked for
	header http.Header
}

// newWorld returns the settings that put a child into it.
func newWorld(t *testing.T) (w *world, env []string) {
	t.Helper()
	root := newAuthority(t, nil, func(*x509.Certificate) {})
	leaf := root.leaf(func(c *x509.Certificate) { c.DNSNames = []string{"example.test", "*.example.test", "other.test"} })
	w = &world{config: &tls.Config{Certificates: []tls.Certificate{leaf}}}
	w.http = httptest.NewServer(w)
	t.Cleanup(w.http.Close)
	trust := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(trust, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return w, []string{"SSL_CERT_FILE=" + trust, "HTTPS_PROXY=" + w.http.URL, "HTTP_PROXY=" + w.http.URL, "NO_PROXY="}
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		w.visited(r, r.URL.String())
		w.answer(rw, r)
		return
	}
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	inner := tls.Server(conn, w.config)
	in := bufio.NewReader(inner)
	for {
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(request.Body)
		request.Body = io.NopCloser(bytes.NewReader(body))
		w.visited(request, "https://"+r.Host+request.URL.Path)
		rec := httptest.NewRecorder()
		w.answer(rec, request)
		response := rec.Result()
		response.ContentLength = int64(rec.Body.Len())
		response.Write(inner)
	}
}

func (w *world) visited(r *http.Request, url string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.visits = append(w.visits, visit{url, r.Header.Clone()})
}

// take returns what came since it was last asked.
func (w *world) take() []visit {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.visits
	w.visits = nil
	return all
}

// TestN13_Redirects: of five codes and seven targets none is followed, so none sees the key or a prompt; the run stops and names the target.
func TestN13_Redirects(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process for each of some dozen answers")
	}
	t.Parallel()
	w, env := newWorld(t)
	const home = "https://api.example.test:443/v1/chat/completions"
	for name, row := range map[string]struct{ location, named string }{
		"same host":  {"/v2/chat/completions?k=secret", ""},
		"other port": {"https://api.example.test:8443/v1/chat/completions", "api.example.test:8443"},
		"sub-domain": {"https://eu.api.example.test/v1/chat/completions", "eu.api.example.test"},
		"other host": {"https://other.test/v1/chat/completions", "other.test"},
		"http":       {"http://api.example.test/v1/chat/completions", "api.example.test"},
		"file":       {"file:///etc/passwd", "file:"},
		"loop":       {home, "api.example.test:443"},
	} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprintf("%s/%d", name, code), func(t *testing.T) {
				w.answer = func(rw http.ResponseWriter, r *http.Request) {
					rw.Header().Set("Location", row.location)
					rw.WriteHeader(code)
				}
				o := newOutside(t, env...)
				o.prompts(3)
				said := o.batch(exitStopped, "run", "in.jsonl", "--base-url", "https://api.example.test/v1", "-c", "1", "--max-wait", "5s", "--timeout", "5s")
				if visits := w.take(); len(visits) != 1 || visits[0].url != home || visits[0].header.Get("Authorization") != "Bearer "+canary {
					t.Errorf("requests: %v", visits)
				}
				if !strings.Contains(said, row.named) || !strings.Contains(said, "no redirect is followed") || strings.Contains(said, "k=secret") || strings.Contains(said, "passwd") {
					t.Error(said)
				}
				o.check(false)
			})
		}
	}
	// The world does answer, and would have seen it.
	w.answer = func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, plainAnswer) }
	for _, base := range []string{"https://other.test/v1", "http://other.test/v1"} {
		o := newOutside(t, env...)
		o.prompts(3)
		o.batch(exitOK, "run", "in.jsonl", "--base-url", base, "--allow-http")
		if visits := w.take(); len(visits) != 3 || !strings.HasPrefix(visits[0].url, base[:len(base)-3]) {
			t.Errorf("%s: %v", base, visits)
		}
	}
}
