package sim_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat/sim"

	"github.com/google/go-cmp/cmp"
)

func TestParseFaults(t *testing.T) {
	got, err := sim.ParseFaults(" 429=5%, 500=0.01,cut = 0.5 %,hang=0")
	want := sim.Faults{{"429", 0.05}, {"500", 0.01}, {"cut", 0.005}, {"hang", 0}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if again, err := sim.ParseFaults(got.String()); err != nil || !cmp.Equal(got, again) {
		t.Errorf("%v: %v, %v", got, again, err)
	}
	if none, err := sim.ParseFaults(" "); none != nil || err != nil {
		t.Error(none, err)
	}
	if _, err := sim.ParseFaults("400=40%,401=45%,402=5%,403=10%"); err != nil {
		t.Errorf("100 %% in all, but for rounding: %v", err)
	}
	for _, row := range []struct{ in, want string }{
		{"flood=1%", `unknown fault "flood": known are 400, 401,`},
		{"500", `has no share`},
		{"500=", `neither a percentage`},
		{"500=often", `neither a percentage`},
		{"500=-1%", `between 0% and 100%`},
		{"500=101%", `between 0% and 100%`},
		{"500=5", `between 0% and 100%`},
		{"500=NaN", `between 0% and 100%`},
		{"500=1%,500=2%", `given twice`},
		{"500=60%,cut=0.5", `add up to 110%`},
		{"500=1%,", `has no share`},
	} {
		if _, err := sim.ParseFaults(row.in); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %s", row.in, err, row.want)
		}
	}
}

func only(kind string) sim.Options {
	return sim.Options{Faults: sim.Faults{{Kind: kind, Share: 1}}, Ledger: true}
}

// Every kind that answers with an error does so in the API's shape, bills nothing, and leaves the key free.
func TestErrorFaults(t *testing.T) {
	for kind, want := range map[string]string{
		"400":       "400 invalid_request_error invalid_parameter",
		"401":       "401 authentication_error invalid_api_key",
		"402":       "402 insufficient_funds_error insufficient_funds",
		"403":       "403 permission_error origin_not_allowed",
		"404":       "404 invalid_request_error model_not_found",
		"408":       "408 server_error request_timeout",
		"409":       "409 invalid_request_error conflict",
		"413":       "413 invalid_request_error request_too_large",
		"422":       "422 invalid_request_error unprocessable_entity",
		"429":       "429 rate_limit_error rate_limit_exceeded",
		"500":       "500 server_error internal_error",
		"503":       "503 server_error service_unavailable",
		"504":       "504 server_error gateway_timeout",
		"529":       "529 overloaded_error overloaded",
		"quota":     "429 insufficient_quota insufficient_quota",
		"exhausted": "429 tokens_exhausted_error tokens_exhausted",
		"context":   "400 invalid_request_error context_length_exceeded",
		"policy":    "400 content_policy_error content_policy_violation",
		"error200":  "200 server_error internal_error",
	} {
		s := newServer(t, only(kind))
		r := post(s, with(1, `,"stream":true`), "Idempotency-Key", "k")
		e := decode(t, r.body).Error
		if e == nil || fmt.Sprint(r.status, " ", e.Type, " ", e.Code) != want {
			t.Errorf("%s: %d %s", kind, r.status, r.body)
		}
		retryAfter := map[string]string{"429": "1", "503": "1"}[kind]
		if r.header.Get("Retry-After") != retryAfter || r.header.Get("Batch-Simulated") != "1" {
			t.Errorf("%s: %v", kind, r.header)
		}
		if st := s.Stats(); st.Answered != 0 || st.PromptTokens != 0 || st.Faults[kind] != 1 || st.Refused != 0 {
			t.Errorf("%s: %+v", kind, st)
		}
		if c := s.Ledger()[0]; c.Fault != kind || c.Status != r.status || c.Billed != 0 {
			t.Errorf("%s: ledger %+v", kind, c)
		}
	}
}

func TestFaultsThatAreNoCompletion(t *testing.T) {
	for kind, want := range map[string]string{"502": "502 text/html", "garbage": "200 text/html", "empty": "200 application/json"} {
		s := listen(t, only(kind))
		r := s.post(t.Context(), hello)
		if !strings.HasPrefix(fmt.Sprint(r.status, " ", r.header.Get("Content-Type")), want) || r.err != nil || strings.Contains(r.body, "{") || (r.body == "") != (kind == "empty") {
			t.Errorf("%s: %v %d %v %q", kind, r.err, r.status, r.header, r.body)
		}
		if s.Stats().Answered != 0 {
			t.Errorf("%s is billed", kind)
		}
	}
}

// An answer that breaks off on its way is billed, and replayed whole under its key.
func TestBrokenAnswersAreReplayed(t *testing.T) {
	for _, kind := range []string{"cut", "reset"} {
		for name, body := range map[string]string{"whole": hello, "stream": with(1, `,"stream":true`)} {
			t.Run(kind+" "+name, func(t *testing.T) {
				s := listen(t, only(kind))
				r := s.post(t.Context(), body, "Idempotency-Key", "k")
				switch kind {
				case "cut":
					if r.status != 200 || !errors.Is(r.err, io.ErrUnexpectedEOF) || r.body == "" || strings.Contains(r.body, "[DONE]") {
						t.Errorf("%d %v %q", r.status, r.err, r.body)
					}
					if n, _ := strconv.Atoi(r.header.Get("Content-Length")); name == "whole" && n <= len(r.body) {
						t.Errorf("Content-Length %d, sent %d", n, len(r.body))
					}
				case "reset":
					if !errors.Is(r.err, syscall.ECONNRESET) {
						t.Errorf("%d %v", r.status, r.err)
					}
				}
				if st := s.Stats(); st.Answered != 1 || st.PromptTokens == 0 {
					t.Errorf("%+v", st)
				}
				again := s.post(t.Context(), body, "Idempotency-Key", "k")
				if again.err != nil || again.status != 200 || !strings.HasPrefix(again.body, r.body) || again.header.Get("Idempotent-Replayed") != "true" {
					t.Errorf("replay: %d %v %q", again.status, again.err, again.body)
				}
				if st := s.Stats(); st.Answered != 1 || st.Replays != 1 {
					t.Errorf("after the replay: %+v", st)
				}
			})
		}
	}
}

// Over HTTP/2 there is one stream to reset, not the connection.
func TestBrokenAnswersOverHTTP2(t *testing.T) {
	for _, kind := range []string{"cut", "reset", "hang"} {
		t.Run(kind, func(t *testing.T) {
			s := newServer(t, only(kind))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			hs := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if kind == "hang" {
					cancel()
				}
				s.ServeHTTP(w, r)
			}))
			hs.EnableHTTP2 = true
			hs.StartTLS()
			defer hs.Close()
			r, _ := http.NewRequestWithContext(ctx, "POST", hs.URL+"/v1/chat/completions", strings.NewReader(hello))
			res, err := hs.Client().Do(r)
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestResetOverTLS(t *testing.T) {
	hs := httptest.NewTLSServer(newServer(t, only("reset")))
	defer hs.Close()
	tr := hs.Client().Transport.(*http.Transport).Clone()
	tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Post(hs.URL+"/v1/chat/completions", "", strings.NewReader(hello))
	if err == nil {
		res.Body.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func TestHang(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, only("hang"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		begin := time.Now()
		ask(s, httptest.NewRequestWithContext(ctx, "POST", "/chat/completions", strings.NewReader(hello)), "Idempotency-Key", "k")
		if time.Since(begin) != time.Hour {
			t.Errorf("hung for %v", time.Since(begin))
		}
		// The key is held while it hangs and free afterwards; nothing is billed.
		done := make(chan struct{})
		go func() { post(s, hello, "Idempotency-Key", "k"); close(done) }()
		synctest.Wait()
		if r := post(s, hello, "Idempotency-Key", "k"); r.status != 409 {
			t.Errorf("meanwhile: %d", r.status)
		}
		s.Close()
		<-done
		if st := s.Stats(); st.Answered != 0 || st.Faults["hang"] != 2 {
			t.Errorf("%+v", st)
		}
	})
}

func TestCloseLetsShutdownReturn(t *testing.T) {
	s := newServer(t, only("hang"))
	entered := make(chan struct{})
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		s.ServeHTTP(w, r)
	}))
	defer hs.Close()
	failed := make(chan error, 1)
	go func() {
		res, err := hs.Client().Post(hs.URL+"/v1/chat/completions", "", strings.NewReader(hello))
		if err == nil {
			res.Body.Close()
		}
		failed <- err
	}()
	<-entered
	s.Close()
	if err := hs.Config.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if <-failed == nil {
		t.Error("the hanging call was answered")
	}
}

func TestSlow(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		for _, body := range []string{hello, with(1, `,"stream":true`)} {
			s := newServer(t, only("slow"))
			begin := time.Now()
			r := post(s, body, "Idempotency-Key", "k")
			if time.Since(begin) != 5*time.Second {
				t.Errorf("dripped for %v", time.Since(begin))
			}
			if again := post(s, body, "Idempotency-Key", "k"); r.body != again.body || s.Stats().Answered != 1 {
				t.Errorf("%q\n%q", r.body, again.body)
			}
		}
	})
}

func TestAnswersThatLackSomething(t *testing.T) {
	for _, kind := range []string{"nousage", "filter"} {
		s := newServer(t, only(kind))
		r := post(s, hello, "Idempotency-Key", "k")
		c := decode(t, r.body)
		if (c.Usage == nil) != (kind == "nousage") || (*c.Choices[0].FinishReason == "content_filter") != (kind == "filter") {
			t.Errorf("%s: %s", kind, r.body)
		}
		if again := post(s, hello, "Idempotency-Key", "k"); again.body != r.body {
			t.Errorf("%s: the replay is another answer:\n%s\n%s", kind, r.body, again.body)
		}
		if s.Stats().Answered != 1 {
			t.Errorf("%s is not billed", kind)
		}
	}
	s := newServer(t, only("nousage"))
	if r := post(s, with(1, `,"stream":true,"stream_options":{"include_usage":true}`)); strings.Contains(r.body, "usage") {
		t.Errorf("stream: %s", r.body)
	}
}

// Two attempts at each of 2,000 prompts meet the same faults in whatever order they come, and the shares are kept.
func TestFaultsAreRepeatableInAnyOrder(t *testing.T) {
	faults, err := sim.ParseFaults("429=5%,500=10%,policy=20%")
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	run := func(seed uint64, order []int) (statuses [n][]int, st sim.Stats) {
		s := newServer(t, sim.Options{Seed: seed, Faults: faults})
		for _, i := range order {
			statuses[i%n] = append(statuses[i%n], post(s, with(i%n, "")).status)
		}
		return statuses, s.Stats()
	}
	order := rand.New(rand.NewPCG(1, 2)).Perm(2 * n)
	forward := make([]int, 2*n)
	for i := range forward {
		forward[i] = i
	}
	one, st := run(7, forward)
	two, _ := run(7, order)
	if !cmp.Equal(one, two) {
		t.Error("another order, other faults")
	}
	if other, _ := run(8, forward); cmp.Equal(one, other) {
		t.Error("another seed, the same faults")
	}
	for kind, want := range map[string]int64{"429": 200, "500": 400, "policy": 800} {
		if got := st.Faults[kind]; got < want*8/10 || got > want*12/10 {
			t.Errorf("%s: %d of %d, want about %d", kind, got, 2*n, want)
		}
	}
	second := 0
	for _, s := range one {
		if s[0] == 500 && s[1] != 500 {
			second++
		}
	}
	if second < 100 {
		t.Errorf("a retry after a 500 helped %d times", second)
	}
}

// The same prompt a thousand times over meets the share too: how often it came is part of the draw.
func TestFaultsOfOnePrompt(t *testing.T) {
	s := newServer(t, sim.Options{Faults: sim.Faults{{Kind: "500", Share: 0.5}}})
	for range 1000 {
		post(s, hello)
	}
	if n := s.Stats().Faults["500"]; n < 400 || n > 600 {
		t.Errorf("%d of 1000 failed", n)
	}
}

func TestFaultsChangeNoAnswer(t *testing.T) {
	plain := decode(t, post(newServer(t, sim.Options{}), hello).body)
	other := decode(t, post(newServer(t, sim.Options{Faults: sim.Faults{{Kind: "500", Share: 1e-9}}}), hello).body)
	if plain.ID != other.ID || plain.Choices[0].Message.Content != other.Choices[0].Message.Content {
		t.Error("another answer with faults on")
	}
}

func TestFaultKindsAreExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range sim.FaultKinds() {
		if k.Meaning == "" || seen[k.Name] || strings.ContainsAny(k.Name, "=,% ") {
			t.Errorf("%+v", k)
		}
		seen[k.Name] = true
		if _, err := sim.ParseFaults(k.Name + "=1%"); err != nil {
			t.Error(err)
		}
	}
}
