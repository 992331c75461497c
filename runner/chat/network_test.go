package chat

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// pipes is a listener whose connections are pipes: inside a synctest bubble nothing else lets time stand still.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// piped serves over pipes, for use in a bubble.
func piped(t *testing.T, handler http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	listener := newPipes()
	server := &http.Server{Handler: handler}
	var wait sync.WaitGroup
	wait.Go(func() { server.Serve(listener) })
	t.Cleanup(func() { server.Close(); wait.Wait() })
	change = append(change, func(o *Options) { o.DialContext = listener.dial })
	return connect(t, "http://pipe.localhost/v1", change...)
}
