package sim

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Options say how a Server behaves. The zero value answers every good request at once.
type Options struct {
	Seed uint64 // the same seed gives the same answers and the same faults

	RPM, TPM int           // requests and tokens that a window may hold, 0 for no limit
	Window   time.Duration // how long the limits' window lasts, in whole seconds; 0 for a minute

	Latency time.Duration // how long an answer takes before its first byte
	Jitter  float64       // each latency is off by up to this share, 0 to 1
	Faults  Faults

	APIKey string   // the only key that is accepted; "" accepts any, and none
	Models []string // the only models that are accepted; nil accepts any, and lists those that the documentation names

	StoreErrors bool          // an error that came after work had begun is replayed under its Idempotency-Key, as some services do
	IgnoreKeys  bool          // Idempotency-Key means nothing, as with most services
	KeyLife     time.Duration // an Idempotency-Key is forgotten so long after its answer; 0 for never
	Ledger      bool          // keep every call for Ledger; memory grows with the calls

	Script func(Ask) []Step // what a call meets first; no steps leave it to the practice server. It is asked by one call at a time
}

// Server is the practice server. It is an http.Handler and may be used by any number of goroutines.
type Server struct {
	opt     Options
	auth    []byte
	models  map[string]bool // nil for any
	list    []byte          // the body of GET /v1/models
	limits  limiter
	keys    *keyStore
	dice    *dice
	books   books
	serial  atomic.Uint64
	scratch sync.Pool

	asking sync.Mutex
	asked  int              // by calls, of the script
	tries  map[[32]byte]int // the same by body

	closed chan struct{}
	close  func()
}

// documented are the chat models that the reference page and the guides name.
var documented = []string{
	"llama-3.1-8b", "llama-3.1-70b", "llama-3.3-70b", "mistral-7b",
	"assisters-chat-v1", "assisters-chat-v2", "assisters-code-v1", "assisters-vision-v1",
}

// New makes a Server, or says which option is wrong. It starts nothing.
func New(opt Options) (*Server, error) {
	if opt.Window == 0 {
		opt.Window = time.Minute
	}
	switch {
	case opt.RPM < 0 || opt.TPM < 0:
		return nil, errors.New("practice server: a limit cannot be negative")
	case opt.Window < time.Second || opt.Window%time.Second != 0:
		return nil, errors.New("practice server: the window of the limits is not a number of whole seconds")
	case opt.Latency < 0:
		return nil, errors.New("practice server: the latency is negative")
	case math.IsNaN(opt.Jitter) || opt.Jitter < 0 || opt.Jitter > 1:
		return nil, errors.New("practice server: the jitter is not between 0 and 1")
	}
	if err := opt.Faults.check(); err != nil {
		return nil, err
	}
	s := &Server{
		opt:    opt,
		limits: limiter{rpm: int64(opt.RPM), tpm: int64(opt.TPM), window: opt.Window},
		keys:   newKeyStore(maxKeys, opt.KeyLife),
		dice:   newDice(opt.Seed, opt.Faults),
		tries:  make(map[[32]byte]int),
		closed: make(chan struct{}),
	}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	s.books.keep = opt.Ledger
	s.books.stats.ByStatus = make(map[int]int64)
	s.books.stats.Faults = make(map[string]int64)
	s.scratch.New = func() any { return &scratch{dec: jsontext.NewDecoder(new(bytes.Buffer))} }
	if opt.APIKey != "" {
		s.auth = []byte("Bearer " + opt.APIKey)
	}
	names := opt.Models
	if len(names) == 0 {
		names = documented
	} else {
		s.models = make(map[string]bool, len(names))
		for _, name := range names {
			s.models[name] = true
		}
	}
	s.list = appendModels(nil, names)
	return s, nil
}

// Close ends every call that waits: hanging ones break off, slow ones finish at once. Calls that come later are answered
// without waiting, so http.Server.Shutdown returns. It does not wait itself.
func (s *Server) Close() { s.close() }

// scratch is the memory of one call, used again by the next.
type scratch struct {
	body bytes.Buffer
	dec  *jsontext.Decoder
	out  []byte
}

// keepScratch bounds what a rare large request leaves behind.
const keepScratch = 1 << 20

var simulated = []string{"1"}

// ServeHTTP answers one request. A fault that breaks the connection panics with http.ErrAbortHandler, which net/http
// knows; a caller that is not net/http has to recover it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := call{s: s, w: w, r: r, start: time.Now()}
	if s.opt.Script != nil && c.play(s.consult(&c)) {
		return
	}
	h := w.Header()
	h["Batch-Simulated"] = simulated
	h["X-Request-Id"] = []string{"req-" + strconv.FormatUint(mix(s.opt.Seed^mix(s.serial.Add(1))), 16)}
	want := http.MethodPost
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	switch path {
	case "/chat/completions":
	case "/models":
		want = http.MethodGet
	default:
		c.refuse(&errPath)
		return
	}
	if r.Method != want {
		h["Allow"] = []string{want}
		c.refuse(&errMethod)
		return
	}
	if s.auth != nil && subtle.ConstantTimeCompare(s.auth, []byte(r.Header.Get("Authorization"))) != 1 {
		c.refuse(&errKey)
		return
	}
	if path == "/models" {
		c.head()
		c.enter(http.StatusOK, usage{}, nil, true)
		c.writeJSON(http.StatusOK, s.list)
		return
	}
	s.complete(&c)
}

// complete answers a chat completions request.
func (s *Server) complete(c *call) {
	sc := s.scratch.Get().(*scratch)
	defer func() {
		if sc.body.Cap() <= keepScratch {
			sc.body.Reset()
			s.scratch.Put(sc)
		}
	}()
	c.chat = true
	c.row.Key = c.r.Header.Get("Idempotency-Key")
	if bad := readBody(&sc.body, c.w, c.r); bad != nil {
		c.refuse(bad)
		return
	}
	body := sc.body.Bytes()
	c.row.Body = sha256.Sum256(body)
	req, bad := s.parse(sc.dec, body)
	if bad != nil {
		c.refuse(bad)
		return
	}
	fresh := compose(number(s.opt.Seed, &c.row.Body, forAnswer), &req)
	fresh.created = c.start.Unix()

	if c.row.Key != "" && !s.opt.IgnoreKeys {
		c.key = keyOf(c.row.Key)
		switch e, state := s.keys.begin(c.key, &c.row.Body, c.start); state {
		case keyBusy:
			c.refuse(&errBusy)
			return
		case keyMismatch:
			c.refuse(&errReused)
			return
		case keyReplay:
			fresh.created = e.created
			c.replay(&req, &fresh, int(e.fault), sc)
			return
		}
		c.held = true
		defer c.release()
	}
	if s.limits.on() {
		var ok bool
		if c.window, ok = s.limits.admit(c.start, fresh.usage.total()); !ok {
			c.overLimit(fresh.usage.total())
			return
		}
		c.admitted = true
	}
	kind := s.dice.roll(&c.row.Body)
	if c.wanted != "" {
		kind = kindIndex(c.wanted)
	}
	s.wait(c.r, s.delay(&c.row.Body))
	c.answer(&req, &fresh, kind, sc)
}

func (s *Server) delay(body *[32]byte) time.Duration {
	if s.opt.Jitter == 0 {
		return s.opt.Latency
	}
	off := s.opt.Jitter * (2*share(number(s.opt.Seed, body, forDelay)) - 1)
	return time.Duration(float64(s.opt.Latency) * (1 + off))
}

// wait lets d pass, unless the client goes away or the server closes.
func (s *Server) wait(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	case <-s.closed:
	}
}

// waitUntil waits for the channel to be closed, unless the client goes away or the server closes.
func (s *Server) waitUntil(r *http.Request, done <-chan struct{}) {
	select {
	case <-done:
	case <-r.Context().Done():
	case <-s.closed:
	}
}

func appendModels(b []byte, names []string) []byte {
	b = append(b, `{"object":"list","data":[`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"id":`...), name)
		b = append(b, `,"object":"model","created":1706745600,"owned_by":"batch-simulate"}`...)
	}
	return append(b, "]}"...)
}
