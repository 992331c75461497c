package sim

import (
	"context"
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
	chat  bool // a chat completions request, or a scripted one: it goes into the ledger
	entry int  // its place there

	wanted string // the fault that a script asks for

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

// enter writes the call into the books: what it used when it is billed, and the body that is about to go out, to its end or not.
func (c *call) enter(status int, u usage, reply []byte, whole bool) {
	c.row.Status, c.row.When, c.row.Billed = status, c.start, u.total()
	c.row.Reply, c.row.Whole = reply, whole
	c.entry = c.s.books.enter(c.row, u, c.chat)
}

// write sends a piece of the body.
func (c *call) write(piece []byte) error {
	_, err := c.w.Write(piece)
	if err != nil {
		c.s.books.broken(c.entry)
	}
	return err
}

// writeJSON sends a response whose body is one piece.
func (c *call) writeJSON(status int, body []byte) {
	headJSON(c.w, len(body))
	c.w.WriteHeader(status)
	c.write(body)
}

// refuse answers with an error that was found before any work.
func (c *call) refuse(e *apiError) {
	body := e.append(nil)
	c.release()
	c.enter(e.status, usage{}, body, true)
	c.head()
	c.sendError(e, body)
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
		c.fail(k)
		return
	}
	if k.act == actFilter {
		a.filter(req)
	}
	ends := c.compose(req, a, k, sc)
	c.enter(http.StatusOK, usage{}, sc.out, true)
	c.head()
	c.send(sc.out, ends)
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
		c.fail(k)
		return
	}
	if k.act == actFilter {
		a.filter(req)
	}
	ends := c.compose(req, a, k, sc)
	c.finish(a.created, fault)
	c.enter(k.status(), a.usage, sc.out, k.act != actReset && k.act != actCut)
	c.head()
	switch k.act {
	case actReset:
		c.reset()
	case actCut:
		c.sendPart(sc.out, ends)
	case actSlow:
		c.drip(sc.out, ends)
	default:
		c.send(sc.out, ends)
	}
}

// fail is a fault without an answer.
func (c *call) fail(k *faultKind) {
	var body []byte
	switch k.act {
	case actError:
		body = k.err.append(nil)
	case actHTML:
		body = []byte(page)
	}
	c.enter(k.status(), usage{}, body, k.act != actHang)
	c.head()
	switch k.act {
	case actError:
		c.sendError(&k.err, body)
	case actHTML:
		h := c.w.Header()
		h["Content-Type"] = typeHTML
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		c.w.WriteHeader(k.err.status)
		c.write(body)
	case actEmpty:
		c.writeJSON(http.StatusOK, nil)
	case actHang:
		c.s.waitUntil(c.r, nil)
		c.release()
		panic(http.ErrAbortHandler)
	}
}

// page is a gateway's.
const page = "<!DOCTYPE html>\n<html><head><title>Practice fault</title></head><body><h1>Practice fault</h1></body></html>\n"

func (c *call) sendError(e *apiError, body []byte) {
	if e.retryAfter > 0 {
		c.w.Header()["Retry-After"] = []string{strconv.Itoa(e.retryAfter)}
	}
	c.writeJSON(e.status, body)
}

// reset drops the connection, over TCP with a RST.
func (c *call) reset() {
	if conn, ok := c.r.Context().Value(connKey{}).(net.Conn); ok {
		resetConn(conn)
		panic(http.ErrAbortHandler)
	}
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 resets the stream
	}
	resetConn(conn)
}

type connKey struct{}

// ConnContext is for http.Server.ConnContext: with it a reset is one of the whole connection over HTTP/2, too, and not of a stream.
func (s *Server) ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

func resetConn(conn net.Conn) {
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
