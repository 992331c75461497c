package sim_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/simtest"

	"github.com/google/go-cmp/cmp"
)

// scripted asks a server with this script, as a client over this wire; what broke off is in the reply's err.
func scripted(t *testing.T, wire simtest.Wire, script ...[]sim.Step) (*sim.Server, func(body string) reply) {
	t.Helper()
	s := newServer(t, sim.Options{Ledger: true, Script: sim.InTurn(script...)})
	at := simtest.Listen(t, wire, s)
	transport := &http.Transport{TLSClientConfig: at.TLSConfig(), ForceAttemptHTTP2: wire == simtest.HTTP2}
	t.Cleanup(transport.CloseIdleConnections)
	return s, func(body string) reply {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.URL+"/v1/chat/completions", io.NopCloser(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Idempotency-Key", "k")
		res, err := transport.RoundTrip(r)
		if err != nil {
			return reply{err: err}
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return reply{res.StatusCode, res.Header, string(text), err}
	}
}

func TestScriptAnswersInTurn(t *testing.T) {
	for _, wire := range simtest.Wires {
		s, ask := scripted(t, wire,
			[]sim.Step{{Status: 503, Header: http.Header{"Retry-After": {"7"}}, Body: []byte("later")}},
			nil,
			[]sim.Step{{Status: 200, Body: []byte("one ")}, {Body: []byte("two"), Drip: 1, Every: time.Millisecond, Billed: 12}},
			[]sim.Step{{Fault: "cut"}},
		)
		if r := ask(hello); r.status != 503 || r.body != "later" || r.header.Get("Retry-After") != "7" || r.header.Get("Batch-Simulated") != "" {
			t.Errorf("%s: %+v", wire, r)
		}
		if r := ask(hello); r.status != 200 || decode(t, r.body).Usage == nil || r.header.Get("Batch-Simulated") != "1" {
			t.Errorf("%s: the practice server's turn: %+v", wire, r)
		}
		if r := ask(hello); r.status != 200 || r.body != "one two" || r.err != nil {
			t.Errorf("%s: %+v", wire, r)
		}
		if r := ask(hello); r.status != 200 || r.header.Get("Idempotent-Replayed") != "true" || r.err != nil {
			t.Errorf("%s: a replay meets no fault: %+v", wire, r)
		}
		sum := sha256.Sum256([]byte(hello))
		rows := s.Ledger()
		type row struct {
			Fault  string
			Status int
			Reply  string
			Whole  bool
			Billed int64
		}
		answer := row{"", 200, string(rows[1].Reply), true, rows[1].Billed}
		want := []row{{"script", 503, "later", true, 0}, answer, {"script", 200, "one two", true, 12}, {"", 200, answer.Reply, true, 0}}
		for i, c := range rows {
			if got := (row{c.Fault, c.Status, string(c.Reply), c.Whole, c.Billed}); got != want[i] || c.Key != "k" || c.Body != sum {
				t.Errorf("%s: row %d is %+v, want %+v", wire, i, got, want[i])
			}
		}
		st := s.Stats()
		if st.Calls != 4 || st.Faults["script"] != 2 || st.Answered != 2 || st.PromptTokens+st.CompletionTokens != answer.Billed+12 || answer.Billed == 0 {
			t.Errorf("%s: %+v", wire, st)
		}
	}
}

// What breaks a connection is what it says, over every wire, and leaves it in the ledger as broken.
func TestScriptBreaksOff(t *testing.T) {
	for _, wire := range simtest.Wires {
		head := sim.Step{Status: 200, Header: http.Header{"Content-Length": {"10"}}, Body: []byte("half")}
		broken := func(end sim.End) []sim.Step { return []sim.Step{head, {End: end}} }
		s, ask := scripted(t, wire, broken(sim.Cut), broken(sim.Reset), []sim.Step{{End: sim.Cut}}, []sim.Step{{End: sim.Reset}})
		if r := ask(hello); r.body != "half" || r.err == nil || wire != simtest.HTTP2 && !errors.Is(r.err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: cut: %+v", wire, r)
		}
		if r := ask(hello); r.err == nil || !errors.Is(r.err, syscall.ECONNRESET) {
			t.Errorf("%s: reset: %+v", wire, r)
		}
		if r := ask(hello); r.err == nil || r.status != 0 {
			t.Errorf("%s: cut before the head: %+v", wire, r)
		}
		if r := ask(hello); r.err == nil || !errors.Is(r.err, syscall.ECONNRESET) {
			t.Errorf("%s: reset before the head: %+v", wire, r)
		}
		for i, c := range s.Ledger() {
			if want := []int{200, 200, 0, 0}[i]; c.Whole || c.Status != want || (string(c.Reply) == "half") != (want == 200) {
				t.Errorf("%s: row %d: %+v", wire, i, c)
			}
		}
		if r := ask(hello); r.status != 200 || r.err != nil {
			t.Errorf("%s: and then: %+v", wire, r)
		}
	}
}

func TestScriptTakesTheConnection(t *testing.T) {
	for _, wire := range []simtest.Wire{simtest.HTTP1, simtest.TLS} {
		_, ask := scripted(t, wire,
			[]sim.Step{{Raw: true, Body: []byte("HTTP/1.1 299 Odd\r\nConnection: close\r\n\r\nhi")}},
			[]sim.Step{{Raw: true, Body: []byte("HTTP/1.1 200 OK\r\nContent-Le"), End: sim.Cut}},
		)
		if r := ask(hello); r.status != 299 || r.body != "hi" {
			t.Errorf("%s: %+v", wire, r)
		}
		if r := ask(hello); r.err == nil {
			t.Errorf("%s: half a head is a response: %+v", wire, r)
		}
		if r := ask(hello); r.status != 200 || r.err != nil {
			t.Errorf("%s: and then: %+v", wire, r)
		}
	}
}

// The response is whole and says nothing of the end of its connection, which comes all the same.
func TestScriptClosesTheConnection(t *testing.T) {
	s := newServer(t, sim.Options{Script: sim.InTurn([]sim.Step{{Body: []byte("bye"), End: sim.Close}})})
	conn, err := simtest.Pipe(t, s)(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: pipe\r\nContent-Length: 0\r\n\r\n")
	all, err := io.ReadAll(conn)
	if text := string(all); err != nil || !strings.HasSuffix(text, "\r\n\r\nbye") || !strings.Contains(text, "Content-Length: 3\r\n") || strings.Contains(text, "Connection:") {
		t.Errorf("%v: %q", err, all)
	}
}

// Time passes where the script says so, and no longer than the client stays.
func TestScriptTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		s := newServer(t, sim.Options{Script: sim.InTurn(
			[]sim.Step{{Wait: time.Minute}},
			[]sim.Step{{Body: []byte("12345"), Drip: 2, Every: time.Second}},
			[]sim.Step{{Until: free}},
			[]sim.Step{{Status: 200, Body: []byte("x"), End: sim.Hang}},
			[]sim.Step{{Raw: true, Body: []byte("HTTP/1.1 200"), End: sim.Hang}},
		)})
		client := &http.Client{Timeout: time.Hour, Transport: &http.Transport{DialContext: simtest.Pipe(t, s)}}
		t.Cleanup(client.CloseIdleConnections)
		time.AfterFunc(10*time.Minute, func() { close(free) })
		for i, want := range []time.Duration{time.Minute, 3 * time.Second, 10*time.Minute - time.Minute - 3*time.Second, time.Hour, time.Hour} {
			begin := time.Now()
			res, err := client.Post("http://pipe/v1/chat/completions", "application/json", strings.NewReader(hello))
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if took := time.Since(begin); took != want || (err != nil) != (i > 2) {
				t.Errorf("call %d took %v, want %v: %v", i+1, took, want, err)
			}
		}
	})
}

// A script knows how often a body came, and may go by whatever the request says.
func TestScriptSeesTheRequest(t *testing.T) {
	var asks []sim.Ask
	s := newServer(t, sim.Options{Script: func(a sim.Ask) []sim.Step {
		asks = append(asks, sim.Ask{N: a.N, Try: a.Try, Path: a.Path, Body: a.Body})
		if a.Key() == "k" && a.Try == 2 {
			return []sim.Step{{Status: 418}}
		}
		return nil
	}})
	for i, want := range []int{200, 200, 418, 200} {
		body := []string{hello, hello + " ", hello, hello}[i]
		if r := post(s, body, "Idempotency-Key", "k"+strings.Repeat("x", len(body)-len(hello))); r.status != want {
			t.Errorf("call %d: %d, want %d", i+1, r.status, want)
		}
	}
	if r := ask(s, httptest.NewRequest("GET", "/v1/models", nil)); r.status != 200 {
		t.Error(r.status)
	}
	path := "/v1/chat/completions"
	want := []sim.Ask{{N: 1, Try: 1, Path: path, Body: []byte(hello)}, {N: 2, Try: 1, Path: path, Body: []byte(hello + " ")},
		{N: 3, Try: 2, Path: path, Body: []byte(hello)}, {N: 4, Try: 3, Path: path, Body: []byte(hello)}, {N: 5, Try: 1, Path: "/v1/models", Body: []byte{}}}
	if diff := cmp.Diff(want, asks); diff != "" {
		t.Error(diff)
	}
}

// A fault by order is a fault as any other: billed, remembered under the key, and replayed.
func TestScriptChoosesFaults(t *testing.T) {
	s := newServer(t, sim.Options{Ledger: true, StoreErrors: true, Script: func(a sim.Ask) []sim.Step {
		return []sim.Step{{Fault: map[string]string{"lost": "reset", "stored": "500"}[a.Key()]}}
	}})
	for range 2 {
		post(s, hello, "Idempotency-Key", "lost")
		post(s, hello, "Idempotency-Key", "stored")
	}
	rows := s.Ledger()
	if rows[0].Fault != "reset" || rows[0].Whole || rows[0].Billed == 0 || rows[1].Fault != "500" || rows[1].Billed != 0 {
		t.Errorf("%+v", rows[:2])
	}
	if !rows[2].Replayed || !rows[2].Whole || rows[2].Billed != 0 || string(rows[2].Reply) != string(rows[0].Reply) {
		t.Errorf("the answer that was lost: %+v", rows[2])
	}
	if !rows[3].Replayed || rows[3].Status != 500 || string(rows[3].Reply) != string(rows[1].Reply) {
		t.Errorf("the error that was stored: %+v", rows[3])
	}
}

func TestKeysAreForgotten(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, sim.Options{KeyLife: time.Hour})
		for i, replayed := range []string{"", "true", "", "true"} {
			if r := post(s, hello, "Idempotency-Key", "k"); r.status != 200 || r.header.Get("Idempotent-Replayed") != replayed {
				t.Errorf("call %d: %d %v", i+1, r.status, r.header)
			}
			pass(time.Hour / 2)
		}
		if st := s.Stats(); st.Answered != 2 {
			t.Errorf("%+v", st)
		}
	})
}
