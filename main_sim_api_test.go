package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"batch/runner/chat/sim"
)

// simAPI is the API of a simulation: the practice server behind faults of every kind. What befalls a call depends on the seed, the body, how
// often that came before, and the time.
type simAPI struct {
	seed     uint64
	practice *sim.Server
	answers  *sim.Server // the same seed, for what a body is to be answered with
	http     *http.Server
	served   chan struct{}

	mu      sync.Mutex
	plan    apiPlan
	limit   simLimit
	times   map[[32]byte]int
	kept    map[string]simFault // failures under their Idempotency-Key
	calls   []*simCall
	bodies  map[[32]byte][]byte // as they came, by what the job file holds of them
	broken  int                 // requests that did not come whole
	waits   []askedWait
	early   []string // calls that came before the wait was over that their process had been asked for
	most    int      // calls that may come before the test is given up
	alarm   alarm
	tooMany chan struct{}
	worked  func() // after every call that was paid
}

// apiPlan is what an API does wrong.
type apiPlan struct {
	faults   []simFault
	fatal    []simFault // of some prompts, whenever they come
	weather  []spell
	wait     waitStyle
	headers  headerStyle
	keepsBad bool          // a failure is stored under its key and replayed
	ignores  bool          // Idempotency-Key means nothing
	rpm      []int         // requests in a window, changing by the quarter of an hour; none is no limit
	latency  time.Duration // of the practice server
	jitter   float64
	sawtooth time.Duration // further latency, up to so much
}

// simFault is one way in which a call goes wrong.
type simFault struct {
	kind  string
	share float64
}

// spell is a time of one weather.
type spell struct {
	from, to time.Time
	kind     string
}

// simCall is a call as the API saw it.
type simCall struct {
	wireCall
	answer time.Time // when its answer began, zero when it never did
	stops  bool      // the answer is one that stops a run
}

func newSimAPI(t *testing.T, seed uint64, plan apiPlan) *simAPI {
	a := &simAPI{seed: seed, plan: plan, times: map[[32]byte]int{}, bodies: map[[32]byte][]byte{}, kept: map[string]simFault{}, tooMany: make(chan struct{}, 1)}
	var err error
	if a.practice, err = sim.New(sim.Options{Seed: seed, Latency: plan.latency, Jitter: plan.jitter, Ledger: true, IgnoreKeys: plan.ignores}); err != nil {
		t.Fatal(err)
	}
	if a.answers, err = sim.New(sim.Options{Seed: seed}); err != nil {
		t.Fatal(err)
	}
	a.http = &http.Server{Handler: a, ErrorLog: log.New(io.Discard, "", 0)}
	a.served = make(chan struct{})
	return a
}

func (a *simAPI) serve(l net.Listener) {
	go func() {
		defer close(a.served)
		a.http.Serve(l)
	}()
}

func (a *simAPI) close() {
	a.practice.Close()
	a.http.Close()
	<-a.served
}

// heal ends all faults; the keys that were stored stay.
func (a *simAPI) heal() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.plan = apiPlan{keepsBad: a.plan.keepsBad, ignores: a.plan.ignores}
}

func (a *simAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.mu.Lock()
		a.broken++
		a.mu.Unlock()
		return
	}
	c := &simCall{wireCall: wireCall{Call: sim.Call{Key: r.Header.Get("Idempotency-Key"), Body: sha256.Sum256(asStored(body)), When: time.Now()}, prompt: promptOf(body)}}
	c.child, _ = strconv.Atoi(r.Header.Get(childHeader))
	fault, random := a.enter(c, body)
	defer func() { a.ring(c.child, true) }() // also after a panic, which is how an answer is cut
	a.mu.Lock()
	plan := a.plan
	a.mu.Unlock()
	c.serve(&a.mu, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait(r.Context(), plan.sawtooth, random)
		a.limit.head(w.Header(), plan.headers, random)
		a.respond(w, r, body, c, fault, random, plan)
	}), w, r)
}

// wait takes a part of a time that is drawn. An answer that nobody waits for any more is not given.
func wait(ctx context.Context, most time.Duration, r *rand.Rand) {
	if most > 0 && !pass(ctx, time.Duration(r.Int64N(int64(most)))) {
		panic(http.ErrAbortHandler)
	}
}

// askedWait is a wait that a process was asked for with a 429: all of its calls, not one alone.
type askedWait struct {
	process      int
	asked, until time.Time
}

func (a *simAPI) ask(process int, h http.Header) {
	wait, err := time.ParseDuration(h.Get("Retry-After") + "s")
	if ms, merr := time.ParseDuration(h.Get("Retry-After-Ms") + "ms"); merr == nil {
		wait, err = ms, nil
	}
	if err != nil || len(h["Retry-After"])+len(h["Retry-After-Ms"]) > 1 || wait >= 1e9*time.Second { // that many seconds are a point in time
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waits = append(a.waits, askedWait{process, time.Now(), time.Now().Add(wait)})
}

// asStored is a body as the job file holds it: to ask for the usage of a stream is the client's own doing.
func asStored(body []byte) []byte {
	return bytes.Replace(body, []byte(`,"stream_options":{"include_usage":true}`), nil, 1)
}

// enter writes a call down and draws what becomes of it.
func (a *simAPI) enter(c *simCall, body []byte) (simFault, *rand.Rand) {
	a.mu.Lock()
	a.bodies[c.Body] = body
	n := a.times[c.Body]
	a.times[c.Body]++
	a.calls = append(a.calls, c)
	if len(a.calls) > a.most {
		select {
		case a.tooMany <- struct{}{}:
		default:
		}
	}
	r := rand.New(rand.NewPCG(a.seed^binary.LittleEndian.Uint64(c.Body[:8]), uint64(n)))
	fault := a.draw(c, r)
	c.Fault = fault.kind
	for _, w := range a.waits {
		if w.process == c.child && c.When.After(w.asked) && c.When.Before(w.until) {
			a.early = append(a.early, fmt.Sprintf("a call came %s before the end of a wait of %s that had been asked for", w.until.Sub(c.When), w.until.Sub(w.asked)))
		}
	}
	a.mu.Unlock()
	a.ring(c.child, false)
	return fault, r
}

// draw says what befalls a call.
func (a *simAPI) draw(c *simCall, r *rand.Rand) simFault {
	if kept, found := a.kept[c.Key]; found && a.plan.keepsBad {
		return simFault{kind: "kept " + kept.kind}
	}
	for _, s := range a.plan.weather {
		if !c.When.Before(s.from) && c.When.Before(s.to) {
			return simFault{kind: s.kind}
		}
	}
	if len(a.plan.rpm) > 0 && !a.limit.admit(c.When, a.plan.rpm) {
		return simFault{kind: "limit"}
	}
	fate := rand.New(rand.NewPCG(a.seed, binary.LittleEndian.Uint64(c.Body[8:16]))).Float64()
	for _, f := range a.plan.fatal {
		if fate -= f.share; fate < 0 {
			return f
		}
	}
	chance := r.Float64()
	for _, f := range a.plan.faults {
		if chance -= f.share; chance < 0 {
			return f
		}
	}
	return simFault{}
}

// keep stores a failure that came after work had begun under its key.
func (a *simAPI) keep(c *simCall, f simFault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.plan.keepsBad && c.Key != "" {
		a.kept[c.Key] = f
	}
}

// work has the practice server answer, which bills it.
func (a *simAPI) work(r *http.Request, body []byte) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.practice.ServeHTTP(rec, r)
	rec.Header().Del("Batch-Simulated")
	if a.worked != nil {
		a.worked()
	}
	return rec
}

// set arms the alarm for a process; see wire.
func (a *simAPI) set(process, n int, answered bool) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.alarm = alarm{process, n, answered, make(chan struct{})}
	return a.alarm.off
}

func (a *simAPI) ring(process int, answered bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := &a.alarm
	if l.n == 0 || process != l.child || answered != l.answered {
		return
	}
	if l.n--; l.n == 0 {
		close(l.off)
	}
}

// log is a copy of the calls.
func (a *simAPI) log() []simCall {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]simCall, len(a.calls))
	for i, c := range a.calls {
		all[i] = *c
	}
	return all
}

// ledger is the calls as the oracle wants them. Where the network loses answers, nobody knows which of them arrived.
func (a *simAPI) ledger(lossy bool) []sim.Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]sim.Call, len(a.calls))
	for i, c := range a.calls {
		all[i] = c.Call
		if lossy {
			all[i].Reply = nil
		}
	}
	return all
}

// simLimit counts requests in windows of a minute.
type simLimit struct {
	mu    sync.Mutex
	began time.Time
	used  int
	limit int
	on    bool
}

const simWindow = time.Minute

func (l *simLimit) admit(now time.Time, rpm []int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = true
	if !now.Before(l.began.Add(simWindow)) {
		l.began, l.used = now.Truncate(time.Second), 0
		l.limit = rpm[int(now.Unix()/900)%len(rpm)]
	}
	if l.used >= l.limit {
		return false
	}
	l.used++
	return true
}

// headerStyle is how limits are stated.
type headerStyle int

const (
	headersNone headerStyle = iota
	headersPerMinute
	headersGoDuration
	headersDraft
	headersLying
	headerStyles
)

// head states the limit, or what is none.
func (l *simLimit) head(h http.Header, style headerStyle, r *rand.Rand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left, reset := l.limit-l.used, l.began.Add(simWindow)
	if style == headersLying {
		for _, name := range []string{"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests", "X-Ratelimit-Remaining-Tokens",
			"X-Ratelimit-Reset-Tokens", "Ratelimit-Remaining", "Ratelimit-Reset"} {
			if r.IntN(2) == 0 {
				h.Set(name, simLies[r.IntN(len(simLies))])
			}
		}
		return
	}
	if !l.on {
		return
	}
	in := time.Until(reset)
	switch style {
	case headersPerMinute:
		h.Set("X-RateLimit-Limit-RPM", strconv.Itoa(l.limit))
		h.Set("X-RateLimit-Remaining-RPM", strconv.Itoa(left))
		h.Set("X-RateLimit-Reset-RPM", strconv.FormatInt(reset.Unix(), 10))
	case headersGoDuration:
		h.Set("X-RateLimit-Limit-Requests", strconv.Itoa(l.limit))
		h.Set("X-RateLimit-Remaining-Requests", strconv.Itoa(left))
		h.Set("X-RateLimit-Reset-Requests", in.String())
	case headersDraft:
		h.Set("RateLimit-Remaining", strconv.Itoa(left))
		h.Set("RateLimit-Reset", fmt.Sprintf("%.3f", in.Seconds()))
	}
}

// simLies are values that limit headers had in the wild, and some that they may yet have.
var simLies = []string{"0", "1", "999", "-1", "", "NaN", "Inf", "1e20", "99999999999999999999", "6m0s", "20ms", "12", "-5s", "1d2h", "2026-11-22T10:00:00Z",
	"1000000000", "1795340000", "1795340000000", "٣", "soon", "1_000", "0.0", "3600", "59.9s", "100, 100;w=60", " 7 "}

// waitStyle is how long a 429 or 503 asks to wait.
type waitStyle int

const (
	waitNone waitStyle = iota
	waitSeconds
	waitMillis
	waitDate
	waitOdd
	waitLong
	waitStyles
)

func (s waitStyle) set(h http.Header, r *rand.Rand) {
	switch s {
	case waitSeconds:
		h.Set("Retry-After", []string{"0", "1", "1.5", "7", "30", "61"}[r.IntN(6)])
	case waitMillis:
		h.Set("Retry-After-Ms", []string{"0", "1", "250", "1500.5", "20000"}[r.IntN(5)])
	case waitDate:
		at := time.Now().Add(time.Duration(r.IntN(120)-20) * time.Second)
		h.Set("Retry-After", at.UTC().Format([]string{http.TimeFormat, time.RFC850, time.ANSIC}[r.IntN(3)]))
	case waitOdd:
		for range 1 + r.IntN(2) {
			h.Add("Retry-After", simLies[r.IntN(len(simLies))])
		}
	case waitLong:
		h.Set("Retry-After", []string{"59", "240", "540", "601", "3600", "90000", "1209600"}[r.IntN(7)])
	}
}
