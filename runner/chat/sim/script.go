package sim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"
)

// Ask is a call as Options.Script sees it.
type Ask struct {
	N      int // how many calls of any kind there were, with this one
	Try    int // how many of them had this body
	Path   string
	Header http.Header
	Body   []byte
}

// Key is the call's Idempotency-Key, "" for none.
func (a Ask) Key() string { return a.Header.Get("Idempotency-Key") }

// Step is a part of what a scripted call meets. What it names happens in the order of its fields.
type Step struct {
	Wait  time.Duration   // this time passes
	Until <-chan struct{} // this is closed

	// Fault is a kind that FaultKinds lists: the practice server answers, and that goes wrong.
	Fault string

	Status int // the response begins; 0 is 200 where there is a Body
	Header http.Header
	Body   []byte        // goes out at once,
	Drip   int           // or so many bytes at a time,
	Every  time.Duration // with this pause before each
	Raw    bool          // Body is put on the connection as it stands, status line and headers too (HTTP/1 only); Status is for the ledger

	End    End
	Billed int64 // tokens that the call is charged with, whatever becomes of it
}

// End is what happens to the connection after a Step.
type End uint8

const (
	GoOn  End = iota // to the next step; after the last one the response ends in order
	Close            // the response is this step, which says nothing of the end of its connection, at once after it (HTTP/1 only)
	Cut              // the response breaks off: over HTTP/1 the connection is closed, over HTTP/2 the stream reset
	Reset            // the connection is reset with all that is on it (over HTTP/2 see Server.ConnContext)
	Hang             // nothing more comes until the client gives up or the server is closed
)

// InTurn is a script for Options.Script: the first call meets the first steps, and so on. The practice server answers those after the last.
func InTurn(scripts ...[]Step) func(Ask) []Step {
	return func(a Ask) []Step {
		if a.N > len(scripts) {
			return nil
		}
		return scripts[a.N-1]
	}
}

// scriptFault is the Fault of a scripted call in the books.
const scriptFault = "script"

// consult asks the script what the call meets. It reads the body and puts it back.
func (s *Server) consult(c *call) []Step {
	var body bytes.Buffer
	if bad := readBody(&body, c.w, c.r); bad != nil {
		panic(http.ErrAbortHandler) // a call that did not come in whole is none
	}
	c.r.Body = readAgain{bytes.NewReader(body.Bytes())}
	c.row.Body = sha256.Sum256(body.Bytes())
	s.asking.Lock()
	defer s.asking.Unlock()
	s.asked++
	s.tries[c.row.Body]++
	return s.opt.Script(Ask{N: s.asked, Try: s.tries[c.row.Body], Path: c.r.URL.Path, Header: c.r.Header, Body: body.Bytes()})
}

type readAgain struct{ *bytes.Reader }

func (readAgain) Close() error { return nil }

// play lets the call meet its steps, and says whether that was all: the practice server answers where none of them did.
func (c *call) play(steps []Step) bool {
	says, billed := c.foresee(steps)
	if says {
		c.chat, c.row.Key, c.row.Fault = true, c.r.Header.Get("Idempotency-Key"), scriptFault
		c.enter(c.row.Status, usage{completion: billed}, c.row.Reply, c.row.Whole)
	}
	p := player{c: c}
	defer p.leave()
	for _, step := range steps {
		if !p.play(step) {
			break
		}
	}
	return says
}

// foresee sums up for the books what the steps are going to send, and whether they answer at all.
func (c *call) foresee(steps []Step) (says bool, billed int64) {
	whole := true
	for _, step := range steps {
		billed += step.Billed
		whole = whole && step.End <= Close
		says = says || step.answers() || step.End != GoOn
		if c.row.Status < 200 && step.answers() {
			c.row.Status = step.status()
		}
		c.row.Reply = append(c.row.Reply, step.Body...)
		if step.Fault != "" {
			c.wanted = step.Fault
		}
	}
	if c.wanted != "" && kindIndex(c.wanted) < 0 {
		panic(fmt.Sprintf("practice server: a script asks for the fault %q", c.wanted))
	}
	c.row.Whole = whole
	return says, billed
}

func (s Step) answers() bool { return s.Status != 0 || s.Body != nil }

func (s Step) status() int { return cmp.Or(s.Status, http.StatusOK) }
