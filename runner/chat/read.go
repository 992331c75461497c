package chat

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// read takes a response to its end and says what it means. size is that of the request.
func (c *Client) read(a *attempt, response *http.Response, asked asked, size int, r *Result) {
	now := time.Now()
	r.Status = response.StatusCode
	r.RequestID = c.redact.printable(requestID(response.Header), maxRequestID)
	r.Replayed = isReplayed(response.Header)
	r.Simulated = response.Header.Get("Batch-Simulated") == "1"
	r.Limits = readLimits(response.Header, now)

	success := r.Status/100 == 2
	b := &bodyReader{a: a, r: response.Body, left: c.opt.MaxResponse}
	if !success {
		b.left = min(b.left, maxFailureBody)
	}
	encoding := response.Header.Get("Content-Encoding") // what the transport decoded, it took off
	readable := encoding == "" || strings.EqualFold(encoding, "identity")

	var raw []byte
	var err error
	if r.Status >= 200 { // what follows a 101 is no body, and may never come
		raw, err = b.begin(response.ContentLength)
	} else {
		err = io.EOF
	}
	switch {
	case success && readable && isStream(response.Header.Get("Content-Type"), raw):
		c.readStream(b, raw, err, asked, r)
	case success:
		raw, err = b.rest(raw, err)
		switch {
		case err != nil:
			a.broken(err).into(r)
		case !readable:
			failure{verdict{Unknown, ReasonNone}, "the answer has an unknown content encoding: " + encoding}.into(r)
		default:
			r.settle(readReply(raw, r.Status))
		}
		r.Body = raw
	default:
		raw, err = b.rest(raw, err)
		if err == errTooLong {
			err = nil // what has come is enough to judge a failure
		}
		if !readable {
			raw = nil
		}
		r.refused(raw, err != nil, response.Header, size)
		r.Body = raw
	}
	if r.Duration = time.Since(r.Started); b.ended {
		c.drain(a, response.Body)
	} else {
		response.Body.Close()
	}
	if r.Class == Done {
		c.answers.answer(r)
	} else {
		c.clean(r)
		r.Wait = readWait(response.Header, r.Reason == RateLimited, r.Limits, now)
	}
}

// settle judges the body of a 2xx.
func (r *Result) settle(reply reply) {
	switch {
	case reply.err != nil:
		r.Answer = Answer{Usage: reply.answer.Usage}
		r.name(reply.err, judge(r.Status, reply.err))
		r.Message = first(r.Message, "the API reported an error without a message")
	case reply.done:
		r.Class, r.Answer = Done, reply.answer
	default:
		r.Answer = Answer{Usage: reply.answer.Usage}
		failure{verdict{Unknown, ReasonNone}, statusText(r.Status) + ", but no completion: " + reply.flaw}.into(r)
	}
}

// refused judges a response whose status is no success.
func (r *Result) refused(raw []byte, cut bool, header http.Header, size int) {
	reply := readReply(raw, r.Status)
	r.Answer.Usage = reply.answer.Usage
	e := reply.err
	if e == nil {
		e = sseError(raw, r.Status)
	}
	v := judge(r.Status, e)
	if cut && v.reason == WrongEndpoint && r.Status/100 == 4 {
		v = verdict{Unknown, ReasonNone} // an API's own 404 may have been under way
	}
	r.Class, r.Reason = v.class, v.reason
	if e != nil {
		r.name(e, v)
	}
	switch {
	case r.Message == "" || r.Status/100 == 3:
		if e != nil {
			raw = nil
		}
		r.Message = speak(r.Status, header, raw, size)
	case r.Status == http.StatusRequestEntityTooLarge:
		r.Message = shorten(r.Message, maxMessage/2) + sizeNote(size)
	}
}

// name takes over what the API said.
func (r *Result) name(e *apiError, v verdict) {
	r.Class, r.Reason = v.class, v.reason
	r.Type, r.Code, r.Message = e.typ, e.code, e.message
}

// clean makes what is kept of an outcome that is not Done short, printable and free of the key.
func (c *Client) clean(r *Result) {
	r.Type = c.redact.printable(r.Type, maxName)
	r.Code = c.redact.printable(r.Code, maxName)
	r.Message = c.redact.printable(r.Message, maxMessage)
	r.Body = c.redact.body(r.Body)
}

// begin reads until what has come tells what it is: some servers send blanks while they work, and a byte may come alone.
func (b *bodyReader) begin(length int64) ([]byte, error) {
	const page = 4096
	if length < 0 || length > maxErrorBody { // a length is a claim, not a reason to reserve memory
		length = page
	}
	buf, err := b.more(make([]byte, 0, length+64))
	for from := 0; err == nil && untold(buf[from:]); {
		if len(trimJSON(buf[from:])) == 0 {
			from = len(buf)
		}
		buf, err = b.more(buf)
	}
	return buf, err
}

// streamFields are what a line of an event stream begins with.
var streamFields = []string{":", "data:", "event:", "id:", "retry:"}

// untold says that head may yet become a field, or anything.
func untold(head []byte) bool {
	if len(head) < len(utf8BOM) && bytes.HasPrefix(utf8BOM, head) {
		return true
	}
	head = trimJSON(head)
	for _, field := range streamFields {
		if len(head) < len(field) && strings.HasPrefix(field, string(head)) {
			return true
		}
	}
	return false
}

// isStream says what a body is: by its content where that is plain, else by its content type.
func isStream(contentType string, head []byte) bool {
	head = trimJSON(head)
	if kind := kindOf(head); kind == '{' || kind == '[' || kind == '<' {
		return false
	}
	if kind, _, _ := mime.ParseMediaType(contentType); kind == "text/event-stream" {
		return true
	}
	for _, field := range streamFields {
		if bytes.HasPrefix(head, []byte(field)) {
			return true
		}
	}
	return false
}

const (
	drainTime = time.Second
	drainWait = 50 * time.Millisecond
	drainSize = 64 << 10
)

// drain reads what a stream sends after its end, so that its connection can be used again: servers close the body a
// moment later, or never. Whoever does not within a second loses the connection; the answer does not wait for that.
func (c *Client) drain(a *attempt, body io.ReadCloser) {
	a.handedOver = true
	a.timer.Reset(drainTime)
	ended := make(chan struct{})
	c.drains.Go(func() {
		defer close(ended)
		defer a.release()
		io.CopyN(io.Discard, body, drainSize)
		body.Close()
	})
	wait := time.NewTimer(drainWait)
	defer wait.Stop()
	select {
	case <-ended:
	case <-wait.C:
	}
}

func (a *attempt) release() {
	a.timer.Stop()
	a.cancel(nil)
}

// tooLong is the outcome of an answer beyond the limit: asking again would pay for it again, and end here again.
func tooLong(limit int64) failure {
	return failure{verdict{JobFailed, ResponseTooLarge}, fmt.Sprintf("the answer is larger than %d bytes", limit)}
}

// requestID is how the server names the call.
func requestID(h http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id", "X-Amzn-Requestid", "Cf-Ray"} {
		if values := h[name]; len(values) > 0 && values[0] != "" {
			return values[0]
		}
	}
	return ""
}

func isReplayed(h http.Header) bool {
	for _, name := range []string{"Idempotent-Replayed", "Idempotency-Replayed", "X-Idempotent-Replayed"} {
		if values := h[name]; len(values) > 0 && strings.EqualFold(values[0], "true") {
			return true
		}
	}
	return false
}
