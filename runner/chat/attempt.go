package chat

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

var (
	errTimedOut = errors.New("time limit reached")
	errTooLong  = errors.New("response limit reached")
)

// attempt is one call under way. One timer serves all its limits; it ends the call by its context.
type attempt struct {
	client *Client
	parent context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	trace  httptrace.ClientTrace
	// handedOver says that a drain ends the timer and the context.
	handedOver bool

	// The connection that the transport chose, and how many bytes it had written by then.
	gotConn bool
	conn    net.Conn
	before  int64
}

// Do makes one attempt: one request, and its answer read to the end. It never repeats a request; the transport cannot
// either, as the body has no GetBody (with an Idempotency-Key Go would otherwise send a POST again by itself when a
// kept-alive connection dies). It calls the transport and not an http.Client, so there are no redirects to be followed.
func (c *Client) Do(ctx context.Context, call Call) Result {
	a := &attempt{client: c, parent: ctx}
	a.trace.GotConn = a.onConn
	cancelable, cancel := context.WithCancelCause(ctx)
	a.cancel = cancel
	a.ctx = httptrace.WithClientTrace(cancelable, &a.trace)
	defer func() {
		if !a.handedOver {
			a.release()
		}
	}()

	asked := readAsked(call.Body)
	body := call.Body
	if asked.stream && !asked.options && c.opt.IncludeUsage {
		body = includeUsage(body)
	}

	result := Result{Started: time.Now()}
	a.timer = time.AfterFunc(c.opt.Timeout, func() { cancel(errTimedOut) })

	response, err := c.transport.RoundTrip(c.request(a.ctx, call, body, asked.stream))
	if err != nil {
		result.Sent = a.sent(err)
		a.failed(err, result.Sent).into(&result)
		result.Message = c.redact.printable(result.Message, maxMessage)
		result.Duration = time.Since(result.Started)
		return result
	}
	result.Sent = true
	c.read(a, response, asked, len(body), &result)
	return result
}

func (c *Client) request(ctx context.Context, call Call, body []byte, stream bool) *http.Request {
	header := make(http.Header, len(c.header)+len(call.Header)+2)
	maps.Copy(header, c.header)
	if stream {
		header["Accept"] = streamAccept
	}
	if call.IdempotencyKey != "" {
		header["Idempotency-Key"] = []string{call.IdempotencyKey}
	}
	for name, values := range call.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	request := http.Request{
		Method:     http.MethodPost,
		URL:        c.url,
		Host:       c.host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header,
		// This very type: the transport recognises it and writes header and body in one piece.
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
	}
	return request.WithContext(ctx)
}

var streamAccept = []string{"text/event-stream, application/json"}

// countingConn counts what left this machine.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

func counter(conn net.Conn) *countingConn {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*countingConn)
	return c
}

func (a *attempt) onConn(info httptrace.GotConnInfo) {
	a.gotConn, a.conn = true, info.Conn
	if c := counter(info.Conn); c != nil {
		a.before = c.written.Load()
	}
}

// sent says whether a byte of the request may have left this machine, after the transport gave up with err.
// In doubt it says yes.
func (a *attempt) sent(err error) bool {
	if !a.gotConn {
		return false
	}
	if t, ok := a.conn.(*tls.Conn); ok && t.ConnectionState().NegotiatedProtocol == "h2" {
		return !goneBefore(err) // the connection is shared: what it wrote may be another call's
	}
	c := counter(a.conn)
	return c == nil || c.written.Load() != a.before
}
