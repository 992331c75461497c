package sim

import (
	"net/http"
	"strconv"
	"time"
)

// send writes the whole answer, as one body or as a stream, but for the usage, which a fault may leave out.
func (c *call) send(req *request, a *answer, k *faultKind, sc *scratch) {
	withUsage := k.act != actNoUsage
	if !req.stream {
		sc.out = appendCompletion(sc.out[:0], a, req.model, withUsage)
		writeJSON(c.w, http.StatusOK, sc.out)
		return
	}
	var ends []int
	sc.out, ends = appendEvents(sc.out[:0], a, req.model, withUsage && req.withUsage)
	c.beginStream()
	c.stream(sc.out, ends)
}

func (c *call) beginStream() {
	h := c.w.Header()
	h["Content-Type"] = typeEvents
	h["Cache-Control"] = []string{"no-cache"}
	c.w.WriteHeader(http.StatusOK)
}

// stream writes the pieces of b that end at ends, each at once.
func (c *call) stream(b []byte, ends []int) {
	out := http.NewResponseController(c.w)
	begin := 0
	for _, end := range ends {
		if _, err := c.w.Write(b[begin:end]); err != nil {
			return
		}
		out.Flush()
		begin = end
	}
}

// sendPart writes the first half of the answer and breaks off: a body shorter than its Content-Length, or a stream
// without its end.
func (c *call) sendPart(req *request, a *answer, sc *scratch) {
	if req.stream {
		var ends []int
		sc.out, ends = appendEvents(sc.out[:0], a, req.model, req.withUsage)
		c.beginStream()
		c.stream(sc.out, ends[:len(ends)/2])
		panic(http.ErrAbortHandler)
	}
	sc.out = appendCompletion(sc.out[:0], a, req.model, true)
	h := c.w.Header()
	h["Content-Type"] = typeJSON
	h["Content-Length"] = []string{strconv.Itoa(len(sc.out))}
	c.w.WriteHeader(http.StatusOK)
	c.stream(sc.out, []int{len(sc.out) / 2})
	panic(http.ErrAbortHandler)
}

// A slow answer comes in this many pieces, with a pause before each.
const (
	drips     = 10
	dripPause = 500 * time.Millisecond
)

// drip writes the answer in small pieces, without regard to where a character or an event ends.
func (c *call) drip(req *request, a *answer, sc *scratch) {
	if req.stream {
		sc.out, _ = appendEvents(sc.out[:0], a, req.model, req.withUsage)
		c.beginStream()
	} else {
		sc.out = appendCompletion(sc.out[:0], a, req.model, true)
		h := c.w.Header()
		h["Content-Type"] = typeJSON
		h["Content-Length"] = []string{strconv.Itoa(len(sc.out))}
		c.w.WriteHeader(http.StatusOK)
	}
	out := http.NewResponseController(c.w)
	for i := range drips {
		c.s.wait(c.r, dripPause)
		if _, err := c.w.Write(sc.out[len(sc.out)*i/drips : len(sc.out)*(i+1)/drips]); err != nil {
			return
		}
		out.Flush()
	}
}
