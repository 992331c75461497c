package simtest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Pipe serves h over connections in memory until the test ends, and returns what dials them, whatever the address: inside a
// synctest bubble nothing else lets time stand still. A client has to give its idle connections up before the test ends.
func Pipe(t testing.TB, h http.Handler) func(ctx context.Context, network, addr string) (net.Conn, error) {
	t.Helper()
	listener := NewPipes()
	server := &http.Server{Handler: h}
	prepare(server)
	var served sync.WaitGroup
	served.Go(func() { server.Serve(listener) })
	t.Cleanup(func() {
		closeHandler(h)
		server.Close()
		served.Wait()
	})
	return listener.Dial
}

// Pipes is a net.Listener whose connections are those that Dial makes.
type Pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func NewPipes() *Pipes {
	p := &Pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.done) })
	return p
}

func (p *Pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *Pipes) Close() error {
	p.close()
	return nil
}

func (p *Pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
