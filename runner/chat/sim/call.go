package sim

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// call is one request on its way through the server.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	start time.Time
	row   Call
	chat  bool // a chat completions request: it goes into the ledger

	key  keyID
	held bool // the key is claimed and its outcome is open

	window   window // where the limits stand
	admitted bool   // window is set
}

// head sets the headers that every response has. It comes last before the status line, for the time it states.
func (c *call) head() {
	h := c.w.Header()
	h["X-Processing-Time-Ms"] = []string{strconv.FormatInt(time.Since(c.start).Milliseconds(), 10)}
	if l := &c.s.limits; l.on() {
		if !c.admitted {
			c.window = l.look(c.start)
		}
		l.head(h, c.window)
	}
}

// enter writes the call into the books, with what it used when it is billed.
func (c *call) enter(status int, u usage) {
	c.row.Status, c.row.When, c.row.Billed = status, c.start, u.total()
	c.s.books.enter(c.row, u, c.chat)
}

// refuse answers with an error that was found before any work.
func (c *call) refuse(e *apiError) {
	c.release()
	c.enter(e.status, usage{})
	c.head()
	e.write(c.w)
}

func (c *call) overLimit(cost int64) {
	e := errLimit
	if tpm := c.s.limits.tpm; tpm > 0 && cost > tpm {
		// No time helps, so none is named.
		e.message = fmt.Sprintf("Request too large: it needs %d tokens, the limit is %d tokens per minute", cost, tpm)
	} else {
		e.retryAfter = c.window.wait(c.start)
	}
	c.admitted = true
	c.refuse(&e)
}

// finish remembers the outcome under the key: from now on the same request is a replay. It comes before the response, so
// that a client that sees it break off and asks again at once is not told to wait.
func (c *call) finish(created int64, fault int) {
	if c.held {
		c.held = false
		c.s.keys.finish(c.key, created, fault)
	}
}

// release gives the key back without an outcome. After finish it does nothing.
func (c *call) release() {
	if c.held {
		c.held = false
		c.s.keys.release(c.key)
	}
}

// replay gives what was given before under this key: the answer whole, whatever became of it on its way, or the error.
func (c *call) replay(req *request, a *answer, fault int, sc *scratch) {
	c.row.Replayed = true
	c.w.Header()["Idempotent-Replayed"] = []string{"true"}
	k := &noFault
	if fault >= 0 {
		k = &faultTable[fault]
	}
	if !k.act.answers() {
		c.row.Fault = k.Name
		c.enter(k.status(), usage{})
		c.head()
		c.fail(k)
		return
	}
	if k.act == actFilter {
		a.filter(req)
	}
	c.enter(http.StatusOK, usage{})
	c.head()
	c.send(req, a, k, sc)
}

// answer gives the completion, or what the fault of that index in faultTable makes of it; -1 is none.
func (c *call) answer(req *request, a *answer, fault int, sc *scratch) {
	k := &noFault
	if fault >= 0 {
		k = &faultTable[fault]
		c.row.Fault = k.Name
	}
	if !k.act.answers() {
		switch {
		case k.keep && c.s.opt.StoreErrors:
			c.finish(a.created, fault)
		case k.act != actHang:
			c.release()
		}
		c.enter(k.status(), usage{})
		c.head()
		c.fail(k)
		return
	}
	if k.act == actFilter {
		a.filter(req)
	}
	c.finish(a.created, fault)
	c.enter(k.status(), a.usage)
	c.head()
	switch k.act {
	case actReset:
		c.reset()
	case actCut:
		c.sendPart(req, a, sc)
	case actSlow:
		c.drip(req, a, sc)
	default:
		c.send(req, a, k, sc)
	}
}

// fail is a fault without an answer.
func (c *call) fail(k *faultKind) {
	switch k.act {
	case actError:
		k.err.write(c.w)
	case actHTML:
		const page = "<!DOCTYPE html>\n<html><head><title>Practice fault</title></head><body><h1>Practice fault</h1></body></html>\n"
		h := c.w.Header()
		h["Content-Type"] = typeHTML
		h["Content-Length"] = []string{strconv.Itoa(len(page))}
		c.w.WriteHeader(k.err.status)
		c.w.Write([]byte(page))
	case actEmpty:
		writeJSON(c.w, http.StatusOK, nil)
	case actHang:
		select {
		case <-c.r.Context().Done():
		case <-c.s.closed:
		}
		c.release()
		panic(http.ErrAbortHandler)
	}
}

// reset drops the connection, over TCP with a RST.
func (c *call) reset() {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 resets the stream
	}
	inner := conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		inner = t.NetConn()
	}
	if tcp, ok := inner.(*net.TCPConn); ok {
		tcp.SetLinger(0)
		// The RST has to be the first that the client hears: over TLS closing conn would send an alert before it.
		tcp.Close()
		return
	}
	conn.Close()
}
