package sim

import (
	"io"
	"net"
	"net/http"
	"strconv"
)

// player carries out the steps of a script.
type player struct {
	c     *call
	begun bool     // the status line is out
	raw   net.Conn // the connection, once a step has taken it from net/http
}

// play carries out a step, and says whether the next can follow.
func (p *player) play(step Step) bool {
	p.c.s.wait(p.c.r, step.Wait)
	if step.Until != nil {
		p.c.s.waitUntil(p.c.r, step.Until)
	}
	if step.answers() && !step.Raw && !p.begun {
		p.begin(step)
	}
	if step.Raw || step.End == Close { // net/http would read on while the response ends
		p.take()
	}
	if p.send(step) != nil {
		p.c.s.books.broken(p.c.entry)
		return false
	}
	p.end(step.End)
	return step.End == GoOn
}

// begin sends the status line. A response whose connection ends unannounced has to say how long it is.
func (p *player) begin(step Step) {
	h := p.c.w.Header()
	for name, values := range step.Header {
		h[name] = values
	}
	if step.End == Close && h["Content-Length"] == nil {
		h["Content-Length"] = []string{strconv.Itoa(len(step.Body))}
	}
	p.c.w.WriteHeader(step.status())
	p.begun = step.status() >= http.StatusOK
	if step.End != Close { // take does it
		p.flush()
	}
}

// send writes the body of a step, in pieces if it is to drip.
func (p *player) send(step Step) error {
	for rest := step.Body; len(rest) > 0; {
		piece := rest
		if step.Drip > 0 {
			p.c.s.wait(p.c.r, step.Every)
			piece = rest[:min(step.Drip, len(rest))]
		}
		rest = rest[len(piece):]
		if err := p.write(piece); err != nil {
			return err
		}
	}
	return nil
}

// write puts a piece on its way, at once.
func (p *player) write(piece []byte) error {
	if p.raw != nil {
		_, err := p.raw.Write(piece)
		return err
	}
	if _, err := p.c.w.Write(piece); err != nil {
		return err
	}
	return p.flush()
}

func (p *player) flush() error { return http.NewResponseController(p.c.w).Flush() }

func (p *player) end(how End) {
	switch how {
	case Cut:
		if p.raw == nil {
			panic(http.ErrAbortHandler)
		}
	case Reset:
		if p.raw == nil {
			p.c.reset()
			return
		}
		resetConn(p.raw)
	case Hang:
		p.hang()
	}
}

// hang says nothing until the client is gone, and breaks off.
func (p *player) hang() {
	if p.raw == nil {
		p.c.s.waitUntil(p.c.r, nil)
		panic(http.ErrAbortHandler)
	}
	gone := make(chan struct{})
	go func() {
		io.Copy(io.Discard, p.raw)
		close(gone)
	}()
	p.c.s.waitUntil(p.c.r, gone)
	p.leave()
	<-gone
}

// take gets the connection from net/http, which knows nothing of it from then on.
func (p *player) take() {
	if p.raw != nil {
		return
	}
	conn, buffered, err := http.NewResponseController(p.c.w).Hijack()
	if err != nil {
		panic("practice server: a script wants a connection for itself: " + err.Error())
	}
	p.raw = conn
	buffered.Flush()
}

// leave closes a connection that was taken.
func (p *player) leave() {
	if p.raw != nil {
		p.raw.Close()
	}
}
