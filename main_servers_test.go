package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/simtest"
)

// server is an API that a story calls: the practice server, which tells nobody that it is one, behind answers that the story
// may have written itself. It keeps every call.
type server struct {
	*simtest.Listening
	practice *sim.Server

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew with every call
	calls    []call
	replies  []reply
	released chan struct{} // closed: held calls go on
}

// call is a request as it came over the wire.
type call struct {
	header http.Header
	body   []byte
}

// reply is a line of a story's own answers. Calls take them in turn; after the last the practice server answers.
type reply struct {
	Times  int               `json:"times"`  // 0 is 1, -1 is for ever
	Hold   bool              `json:"hold"`   // wait for release first
	Status int               `json:"status"` // 0: the practice server answers
	Header map[string]string `json:"header"` // {auth} is the Authorization that came
	Body   json.RawMessage   `json:"body"`   // JSON, sent as written, but for {auth}
	Text   string            `json:"text"`   // or anything
	Cut    bool              `json:"cut"`    // the connection breaks off after the body
}

// startServer starts an API and puts its base URL into the variable NAME, its port into PORT: practice NAME [FLAGS]
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: practice NAME [FLAGS]")
	}
	flags := flag.NewFlagSet("practice", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	opt := sim.Options{Ledger: true}
	flags.IntVar(&opt.RPM, "rpm", 0, "")
	flags.IntVar(&opt.TPM, "tpm", 0, "")
	flags.DurationVar(&opt.Window, "window", 0, "")
	flags.DurationVar(&opt.Latency, "latency", 0, "")
	flags.Float64Var(&opt.Jitter, "jitter", 0, "")
	flags.Uint64Var(&opt.Seed, "seed", 0, "")
	flags.StringVar(&opt.APIKey, "key", canary, "")
	flags.BoolVar(&opt.StoreErrors, "store-errors", false, "")
	models := flags.String("models", "", "")
	faults := flags.String("fault", "", "")
	simulated := flags.Bool("simulated", false, "the answers say that they are made up")
	secure := flags.Bool("tls", false, "")
	script := flags.String("answers", "", "file of replies")
	ts.Check(flags.Parse(args[1:]))
	var err error
	opt.Faults, err = sim.ParseFaults(*faults)
	ts.Check(err)
	if *models != "" {
		opt.Models = strings.Split(*models, ",")
	}
	s := &server{changed: make(chan struct{}), released: make(chan struct{})}
	if *script != "" {
		s.replies = readReplies(ts, *script)
	}
	opt.Script = s.script
	s.practice, err = sim.New(opt)
	ts.Check(err)
	var handler http.Handler = unsigned{s.practice}
	if *simulated {
		handler = s.practice
	}
	wire := simtest.HTTP1
	if *secure {
		wire = simtest.TLS
	}
	s.Listening = simtest.Listen(of(ts).t, wire, handler)
	of(ts).servers[args[0]] = s
	ts.Setenv(args[0], s.baseURL())
	ts.Setenv("PORT", portOf(s.baseURL()))
}

// portOf is the port of a base URL of this machine.
func portOf(baseURL string) string {
	_, rest, _ := strings.Cut(baseURL, "//127.0.0.1:")
	port, _, _ := strings.Cut(rest, "/")
	return port
}

func readReplies(ts *testscript.TestScript, name string) (all []reply) {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(name)))
	dec.DisallowUnknownFields()
	for {
		var r reply
		if err := dec.Decode(&r); err == io.EOF {
			return all
		} else if err != nil {
			ts.Fatalf("%s: %v", name, err)
		}
		all = append(all, r)
	}
}

func (s *server) baseURL() string { return s.URL + "/v1" }

// script keeps a call and says how it is answered.
func (s *server) script(a sim.Ask) []sim.Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call{a.Header.Clone(), a.Body})
	close(s.changed)
	s.changed = make(chan struct{})
	if len(s.replies) == 0 {
		return nil
	}
	how := s.replies[0]
	if s.replies[0].Times--; s.replies[0].Times == 0 || how.Times == 0 {
		s.replies = s.replies[1:]
	}
	return s.steps(how, a.Header.Get("Authorization"))
}

func (s *server) steps(how reply, auth string) []sim.Step {
	var steps []sim.Step
	if how.Hold {
		steps = append(steps, sim.Step{Until: s.released})
	}
	if how.Status == 0 {
		return steps
	}
	answer := sim.Step{Status: how.Status, Header: http.Header{}, Body: []byte(how.Text)}
	if how.Text == "" {
		answer.Body = how.Body
		answer.Header.Set("Content-Type", "application/json")
	}
	answer.Body = bytes.ReplaceAll(answer.Body, []byte("{auth}"), []byte(auth))
	for name, value := range how.Header {
		answer.Header.Set(name, strings.ReplaceAll(value, "{auth}", auth))
	}
	if how.Cut {
		answer.End = sim.Cut
	}
	return append(steps, answer)
}

// unsigned is a practice server that takes its mark off its answers.
type unsigned struct{ *sim.Server }

func (u unsigned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.Server.ServeHTTP(unmarked{w}, r)
}

type unmarked struct{ http.ResponseWriter }

func (u unmarked) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func (u unmarked) WriteHeader(status int) {
	u.Header().Del("Batch-Simulated")
	u.ResponseWriter.WriteHeader(status)
}

func (s *server) ledger() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// seen is what came, for the oracle, in the order in which it came.
func (s *server) seen() []sim.Call {
	all := s.practice.Ledger()
	slices.SortStableFunc(all, func(a, b sim.Call) int { return a.When.Compare(b.When) })
	return all
}

func serverNamed(ts *testscript.TestScript, name string) *server {
	s := of(ts).servers[name]
	if s == nil {
		ts.Fatalf("no server %s", name)
	}
	return s
}

// release lets held calls go on: release NAME
func release(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: release NAME")
	}
	close(serverNamed(ts, args[0]).released)
}

// ledger counts what a server got: ledger NAME CALLS [KEYS], KEYS being the different Idempotency-Keys. Of a number that is not quite
// certain the least and the most are named, as in 21..28.
func ledger(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: ledger NAME CALLS [KEYS]")
	}
	calls := serverNamed(ts, args[0]).ledger()
	keys := map[string]bool{}
	for _, c := range calls {
		keys[c.header.Get("Idempotency-Key")] = true
	}
	for i, got := range []int{len(calls), len(keys)}[:len(args)-1] {
		least, most, ranged := strings.Cut(args[i+1], "..")
		if !ranged {
			most = least
		}
		if number(ts, least) > got || got > number(ts, most) {
			ts.Fatalf("%s got %d %s, want %s", args[0], got, []string{"calls", "keys"}[i], args[i+1])
		}
	}
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

// sent prints what a server got, a line a call, sorted, or in the order in which it came: sent [-order] NAME [HEADER]
func sent(ts *testscript.TestScript, neg bool, args []string) {
	order := len(args) > 0 && args[0] == "-order"
	if order {
		args = args[1:]
	}
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: sent [-order] NAME [HEADER]")
	}
	var all []string
	for _, c := range serverNamed(ts, args[0]).ledger() {
		line := string(c.body)
		if len(args) == 2 {
			line = strings.Join(c.header.Values(args[1]), ", ")
			line = strings.ReplaceAll(line, canary, "$ASSISTERS_API_KEY")
		}
		all = append(all, line+"\n")
	}
	if !order {
		slices.Sort(all)
	}
	io.WriteString(ts.Stdout(), strings.Join(all, ""))
}

// waitFor returns when look is content; changed tells when it is worth looking again.
func waitFor(ts *testscript.TestScript, what string, look func() (bool, <-chan struct{})) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		ok, changed := look()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			ts.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// await waits for something to happen: await NAME CALLS, or await PROCESS PATTERN for what a process says.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await SERVER CALLS, await PROCESS PATTERN")
	}
	if s := of(ts).servers[args[0]]; s != nil {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		waitFor(ts, args[1]+" calls", func() (bool, <-chan struct{}) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.calls) >= n, s.changed
		})
		return
	}
	p := processNamed(ts, args[0])
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	waitFor(ts, args[1], func() (bool, <-chan struct{}) { return p.err.has(pattern) })
}
