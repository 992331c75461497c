package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"batch/runner/chat/sim/simtest"
)

// simNet is the network between processes and their API: pipes that break, stall and refuse. It is made in a bubble, whose time it keeps.
type simNet struct {
	pipes *simtest.Pipes

	mu    sync.Mutex
	conns map[*simConn]bool
	down  outageKind
	odd   netFaults
	dials int
	seed  uint64
}

// netFaults are shares of connections that go wrong.
type netFaults struct {
	refused float64 // nobody listens
	slow    float64 // takes a second or two to come about
	stalled float64 // never comes about
	severed float64 // is reset once some bytes went either way
}

type outageKind int

const (
	netUp outageKind = iota
	netRefuses
	netUnknownHost
	netStalls    // new connections never come about
	netSwallowed // and those that are there take everything and give nothing
)

func newSimNet(seed uint64, odd netFaults) *simNet {
	return &simNet{pipes: simtest.NewPipes(), conns: map[*simConn]bool{}, odd: odd, seed: seed}
}

// set changes the weather; a network that goes down in any way but silence resets what is connected.
func (n *simNet) set(down outageKind) {
	n.mu.Lock()
	n.down = down
	var cut []*simConn
	for c := range n.conns {
		if down == netSwallowed {
			c.swallow()
		} else if down != netUp {
			cut = append(cut, c)
		}
	}
	n.mu.Unlock()
	for _, c := range cut {
		c.sever()
	}
}

// heal ends all faults.
func (n *simNet) heal() {
	n.mu.Lock()
	n.odd = netFaults{}
	n.mu.Unlock()
	n.set(netUp)
}

// dialerOf is the network as a process sees it, until that is dead.
func (n *simNet) dialerOf(p *simProcess) dialer {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		n.mu.Lock()
		n.dials++
		r := rand.New(rand.NewPCG(n.seed, uint64(n.dials)))
		down, odd := n.down, n.odd
		n.mu.Unlock()
		refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		if p.isDead() {
			return nil, refused
		}
		draw := r.Float64()
		meets := func(share float64) bool { draw -= share; return draw < 0 }
		switch {
		case down == netRefuses, down == netUp && meets(odd.refused):
			return nil, refused
		case down == netUnknownHost:
			return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
		case down != netUp, meets(odd.stalled):
			<-ctx.Done()
			return nil, ctx.Err()
		case meets(odd.slow):
			if !pass(ctx, time.Duration(1+r.IntN(2000))*time.Millisecond) {
				return nil, ctx.Err()
			}
		}
		here, err := n.pipes.Dial(ctx, "", "")
		if err != nil {
			return nil, err
		}
		c := &simConn{Conn: here, net: n, lost: make(chan struct{}), over: make(chan struct{}), left: -1}
		if meets(odd.severed) {
			c.left = r.IntN(3000)
		}
		if !n.add(c, p) {
			c.Close()
			return nil, refused
		}
		return c, nil
	}
}

func (n *simNet) add(c *simConn, p *simProcess) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.process = p
	n.conns[c] = true
	return !p.isDead() && n.down == netUp
}

// severAll resets all connections of a process.
func (n *simNet) severAll(p *simProcess) {
	n.mu.Lock()
	var cut []*simConn
	for c := range n.conns {
		if c.process == p {
			cut = append(cut, c)
		}
	}
	n.mu.Unlock()
	for _, c := range cut {
		c.sever()
	}
}

// simConn is a process's end.
type simConn struct {
	net.Conn
	net     *simNet
	process *simProcess

	mu   sync.Mutex
	gone error         // severed
	lost chan struct{} // closed: what is written vanishes, and nothing comes
	over chan struct{} // closed with the connection
	left int           // bytes until it is severed, -1 for never
}

func (c *simConn) swallow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.lost:
	default:
		close(c.lost)
	}
}

func (c *simConn) sever() {
	c.mu.Lock()
	c.gone = syscall.ECONNRESET
	c.mu.Unlock()
	c.Close()
}

func (c *simConn) Close() error {
	c.mu.Lock()
	select {
	case <-c.over:
	default:
		close(c.over)
	}
	c.mu.Unlock()
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	return c.Conn.Close()
}

func (c *simConn) isLost() bool {
	select {
	case <-c.lost:
		return true
	default:
		return false
	}
}

// count takes n bytes from those that are left; it says how many of them still pass.
func (c *simConn) count(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left < 0 {
		return n
	}
	n = min(n, c.left)
	c.left -= n
	return n
}

func (c *simConn) why(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.gone != nil {
		return &net.OpError{Op: "read", Net: "tcp", Err: c.gone}
	}
	return err
}

func (c *simConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.isLost() && !errors.Is(err, net.ErrClosed) {
		<-c.over
		return 0, net.ErrClosed
	}
	if pass := c.count(n); pass < n {
		c.sever()
		return 0, c.why(net.ErrClosed)
	}
	return n, c.why(err)
}

func (c *simConn) Write(p []byte) (int, error) {
	if c.isLost() {
		return len(p), nil
	}
	pass := c.count(len(p))
	n, err := c.Conn.Write(p[:pass])
	if pass < len(p) {
		c.sever()
		return n, c.why(net.ErrClosed)
	}
	return n, c.why(err)
}

// pass lets time pass, unless ctx ends first.
func pass(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
