package chat

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolve answers names as the addresses say, for the rest of the test; what is not among them does not exist.
func resolve(t *testing.T, names map[string][]string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply, err := dnsReply(buf[:n], names); err == nil {
				conn.WriteTo(reply, from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		conn.Close()
		<-served
	})
}

func dnsReply(query []byte, names map[string][]string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	addresses, found := names[q.Name.String()]
	if !found {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, text := range addresses {
		ip := netip.MustParseAddr(text)
		head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
		switch {
		case ip.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: ip.As4()}})
		case ip.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
	return m.Pack()
}

// A name that does not exist is told from a resolver that does not answer: the first does not mend itself.
func TestN1_Resolver(t *testing.T) {
	resolve(t, nil)
	r := do(connect(t, "http://api.batch.test"), request)
	if r.Class != NotProcessed || r.Reason != NoSuchHost || r.Sent || r.Message != "cannot find api.batch.test: no such host" {
		t.Errorf("%+v", r)
	}
	net.DefaultResolver.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
	r = do(connect(t, "http://api.batch.test"), request)
	if r.Class != NotProcessed || r.Reason != Unreachable || r.Sent {
		t.Errorf("%+v", r)
	}
	net.DefaultResolver.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	r = do(connect(t, "http://api.batch.test", func(o *Options) { o.ConnectTimeout = 100 * time.Millisecond }), request)
	if r.Class != NotProcessed || r.Reason != Unreachable || r.Sent || r.Duration > 5*time.Second {
		t.Errorf("%+v", r)
	}
}

// An IPv6 address that swallows everything, or refuses it, costs less than a second where IPv4 works.
func TestN16_BrokenIPv6(t *testing.T) {
	resolve(t, map[string][]string{"api.batch.test.": {"::1", "127.0.0.1"}})
	for name, listen := range map[string]bool{"refused": false, "swallowed": true} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(answer(200, completion)))
			defer server.Close()
			port := server.Listener.Addr().(*net.TCPAddr).Port
			if listen {
				swallow(t, port)
			}
			start := time.Now()
			r := do(connect(t, "http://api.batch.test:"+strconv.Itoa(port)+"/v1"), request)
			if took := time.Since(start); r.Class != Done || took > time.Second {
				t.Errorf("after %v: %+v", took, r)
			}
		})
	}
}

// swallow takes the port of ::1 and accepts nobody: its queue is full.
func swallow(t *testing.T, port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	at := &syscall.SockaddrInet6{Port: port, Addr: netip.IPv6Loopback().As16()}
	if err := syscall.Bind(fd, at); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort("::1", strconv.Itoa(port)), 100*time.Millisecond)
		if err != nil {
			return // this is how the client will fare
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue takes everybody")
}
