package sim

import (
	"net/http"
	"time"
)

// compose writes the answer into sc.out, but for the usage, which a fault may leave out. Of a stream it returns where its events
// end, of one body nil.
func (c *call) compose(req *request, a *answer, k *faultKind, sc *scratch) (ends []int) {
	withUsage := k.act != actNoUsage
	if req.stream {
		sc.out, ends = appendEvents(sc.out[:0], a, req.model, withUsage && req.withUsage)
		return ends
	}
	sc.out = appendCompletion(sc.out[:0], a, req.model, withUsage)
	return nil
}

// begin sends the head of an answer.
func (c *call) begin(out []byte, ends []int) {
	if ends != nil {
		h := c.w.Header()
		h["Content-Type"] = typeEvents
		h["Cache-Control"] = []string{"no-cache"}
	} else {
		headJSON(c.w, len(out))
	}
	c.w.WriteHeader(http.StatusOK)
}

// send writes the whole answer, the events of a stream each at once.
func (c *call) send(out []byte, ends []int) {
	c.begin(out, ends)
	if ends == nil {
		c.write(out)
		return
	}
	c.stream(out, ends)
}

// stream writes the pieces of b that end at ends, each at once.
func (c *call) stream(b []byte, ends []int) {
	out := http.NewResponseController(c.w)
	begin := 0
	for _, end := range ends {
		if c.write(b[begin:end]) != nil {
			return
		}
		out.Flush()
		begin = end
	}
}

// sendPart writes the first half of the answer and breaks off: a body shorter than its Content-Length, or a stream
// without its end.
func (c *call) sendPart(out []byte, ends []int) {
	c.begin(out, ends)
	if ends == nil {
		ends = []int{len(out) / 2, len(out)}
	}
	c.stream(out, ends[:len(ends)/2])
	panic(http.ErrAbortHandler)
}

// A slow answer comes in this many pieces, with a pause before each.
const (
	drips     = 10
	dripPause = 500 * time.Millisecond
)

// drip writes the answer in small pieces, without regard to where a character or an event ends.
func (c *call) drip(out []byte, ends []int) {
	c.begin(out, ends)
	for i := range drips {
		c.s.wait(c.r, dripPause)
		c.stream(out[len(out)*i/drips:], []int{len(out)*(i+1)/drips - len(out)*i/drips})
	}
}
