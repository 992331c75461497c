package chat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tmaxmax/go-sse"
)

// maxEvent bounds one event of a stream.
const maxEvent = 32 << 20

// readStream assembles a stream into a completion. head is what was read of it already, and err how that ended.
//
// It is Done with a finish reason for every choice, or with [DONE]; what goes wrong after the finish reasons is no loss
// (only usage can follow them). Anything else that ends early is Unknown.
//
// Some servers count in every chunk: what such a stream has counted when it breaks off is not what it used, so its usage is unknown.
func (c *Client) readStream(b *bodyReader, head []byte, err error, asked asked, r *Result) {
	b.record, b.head = true, head
	var source io.Reader = b
	if err != nil {
		source = failing{err}
	}
	source = io.MultiReader(bytes.NewReader(bytes.Clone(head)), source)

	var s assembly
	var apiErr *apiError
	var flaw string
	var final bool // no other usage will come
	readErr := error(nil)
	for event, err := range sse.Read(&terminated{r: source}, &sse.ReadConfig{MaxEventSize: maxEvent}) {
		if err != nil {
			readErr = err
			break
		}
		data := trimJSON([]byte(event.Data))
		if len(data) == 0 {
			continue
		}
		if string(data) == "[DONE]" {
			b.ended, final = true, true
			break
		}
		before := s.pieces
		if apiErr, flaw = s.add(event.Type, data); apiErr != nil || flaw != "" {
			break
		}
		switch {
		case s.finished(asked.n):
			b.finish()
		case s.pieces > before:
			b.progress()
		}
		if !final && s.usage != nil {
			final = s.counted(data, asked.n)
		}
	}
	if refused := apiErr != nil && judge(r.Status, apiErr).class != Unknown; !final && !refused {
		s.usage = nil
	}

	if s.parts <= maxParts && (b.ended || s.finished(asked.n)) {
		completion := s.encode()
		if reply := readReply(completion, r.Status); reply.done {
			r.Class, r.Answer, r.Body, r.Assembled = Done, reply.answer, completion, true
			return
		}
		flaw = first(flaw, "the stream has no choice with content, tool calls or refusal")
	}
	r.Body = b.head
	r.Answer.Usage = readUsage(s.usage)
	switch {
	case apiErr != nil:
		r.name(apiErr, judge(r.Status, apiErr))
		r.Message = first(r.Message, "the API reported an error in the stream without a message")
	case errors.Is(readErr, bufio.ErrTooLong):
		failure{verdict{JobFailed, ResponseTooLarge}, fmt.Sprintf("the stream has an event larger than %d bytes", maxEvent)}.into(r)
	case readErr != nil:
		b.a.broken(readErr).into(r)
	case s.parts > maxParts:
		failure{verdict{JobFailed, ResponseTooLarge}, flaw}.into(r)
	case flaw != "":
		failure{verdict{Unknown, ReasonNone}, flaw}.into(r)
	default:
		failure{verdict{Unknown, ReasonNone}, "the stream ended without a finish reason"}.into(r)
	}
}

// add takes one event in. An error that comes after the answer was complete is not reported.
func (s *assembly) add(event string, data []byte) (*apiError, string) {
	if !validJSON(data) {
		if event == "error" {
			return &apiError{message: string(data), api: true}, ""
		}
		return nil, "the stream has an event that is not JSON"
	}
	if kindOf(data) != '{' {
		return nil, "" // a keep-alive in somebody's dialect
	}
	e := findError(data, 200)
	if e == nil && event == "error" {
		e = errorObject(data)
	}
	if e == nil {
		for choice := range eachElement(valueOf(data, "choices")) {
			if inner := valueOf(choice, "error"); kindOf(inner) == '{' {
				e = errorObject(inner)
			}
		}
	}
	if e != nil {
		return e, ""
	}
	if !s.merge(data) {
		return nil, "the stream has more parts than a completion can have"
	}
	return nil, ""
}

// counted says whether a chunk has the usage of the whole answer: it is that of the last finish reason, or comes after it without
// any choice.
func (s *assembly) counted(chunk []byte, n int64) bool {
	if kindOf(valueOf(chunk, "usage")) != '{' {
		return false
	}
	choices := 0
	for range eachElement(valueOf(chunk, "choices")) {
		choices++
	}
	return s.finished(n) || choices == 0 && s.finished(1)
}

// terminated ends a stream with a blank line: go-sse gives out an event only at one, and servers leave the last out.
type terminated struct {
	r    io.Reader
	tail []byte
	end  bool
}

func (t *terminated) Read(p []byte) (int, error) {
	if !t.end {
		n, err := t.r.Read(p)
		if err != io.EOF {
			return n, err
		}
		if t.end, t.tail = true, []byte("\n\n"); n > 0 {
			return n, nil
		}
	}
	if len(t.tail) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.tail)
	t.tail = t.tail[n:]
	return n, nil
}

// failing is a reader that ended before.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
