package sim_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat/sim"
)

func code(t *testing.T, r reply) string {
	t.Helper()
	if e := decode(t, r.body).Error; e != nil {
		return e.Code
	}
	return ""
}

func TestReplayIsTheSameAnswerUnbilled(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, sim.Options{Latency: time.Second})
		for name, body := range map[string]string{"whole": hello, "stream": with(1, `,"stream":true`)} {
			first := post(s, body, "Idempotency-Key", name)
			billed := s.Stats()
			pass(time.Hour)
			begin := time.Now()
			again := post(s, body, "Idempotency-Key", name)
			if again.status != 200 || again.body != first.body || time.Since(begin) != 0 {
				t.Errorf("%s: %d after %v:\n%s\n%s", name, again.status, time.Since(begin), first.body, again.body)
			}
			if first.header.Get("Idempotent-Replayed") != "" || again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s: replayed header on %v, %v", name, first.header, again.header)
			}
			st := s.Stats()
			if st.Answered != billed.Answered || st.CompletionTokens != billed.CompletionTokens || st.Replays != billed.Replays+1 {
				t.Errorf("%s: %+v", name, st)
			}
		}
	})
}

func TestKeyWithAnotherBody(t *testing.T) {
	s := newServer(t, sim.Options{})
	post(s, hello, "Idempotency-Key", "k")
	if r := post(s, hello+" ", "Idempotency-Key", "k"); r.status != 422 || code(t, r) != "idempotency_mismatch" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := post(s, hello, "Idempotency-Key", "k"); r.status != 200 {
		t.Errorf("the first body's answer is gone: %d", r.status)
	}
}

func TestKeyInProgress(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, sim.Options{Latency: time.Second})
		var first reply
		done := make(chan struct{})
		go func() { first = post(s, hello, "Idempotency-Key", "k"); close(done) }()
		synctest.Wait()
		if r := post(s, hello, "Idempotency-Key", "k"); r.status != 409 || code(t, r) != "idempotency_in_progress" {
			t.Errorf("%d %s", r.status, r.body)
		}
		if r := post(s, hello+" ", "Idempotency-Key", "k"); r.status != 422 {
			t.Errorf("another body meanwhile: %d", r.status)
		}
		<-done
		if first.status != 200 {
			t.Errorf("the first: %d", first.status)
		}
	})
}

func TestErrorsAreNotRemembered(t *testing.T) {
	always500 := sim.Faults{{Kind: "500", Share: 1}}
	s := newServer(t, sim.Options{Faults: always500})
	for range 2 {
		if r := post(s, hello, "Idempotency-Key", "k"); r.status != 500 || r.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%d %v", r.status, r.header)
		}
	}
	s = newServer(t, sim.Options{})
	post(s, `{}`, "Idempotency-Key", "k")
	if r := post(s, hello, "Idempotency-Key", "k"); r.status != 200 {
		t.Errorf("a bad request took the key: %d", r.status)
	}

	s = newServer(t, sim.Options{Faults: always500, StoreErrors: true, Ledger: true})
	first := post(s, hello, "Idempotency-Key", "k")
	again := post(s, hello, "Idempotency-Key", "k")
	if again.status != 500 || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("stored error: %d %v %s", again.status, again.header, again.body)
	}
	if st := s.Stats(); st.Faults["500"] != 1 || st.Replays != 1 {
		t.Errorf("%+v", st)
	}
	// What the server did not begin to work on is not an outcome, even for those who store errors.
	s = newServer(t, sim.Options{Faults: sim.Faults{{Kind: "503", Share: 1}}, StoreErrors: true})
	post(s, hello, "Idempotency-Key", "k")
	if r := post(s, hello, "Idempotency-Key", "k"); r.header.Get("Idempotent-Replayed") != "" {
		t.Error("a 503 was stored")
	}
}

func TestIgnoredKeysAreBilledTwice(t *testing.T) {
	s := newServer(t, sim.Options{IgnoreKeys: true})
	post(s, hello, "Idempotency-Key", "k")
	if r := post(s, hello, "Idempotency-Key", "k"); r.status != 200 || r.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("%d %v", r.status, r.header)
	}
	if st := s.Stats(); st.Answered != 2 || st.Replays != 0 {
		t.Errorf("%+v", st)
	}
}

// A client that hangs up has still caused the work: it is billed once, and the retry gets it.
func TestWorkGoesOnWhenTheClientLeaves(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, sim.Options{Latency: time.Minute, Ledger: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		ask(s, httptest.NewRequestWithContext(ctx, "POST", "/v1/chat/completions", strings.NewReader(hello)), "Idempotency-Key", "k")
		if d := time.Since(begin); d != time.Second {
			t.Errorf("the server waited %v for nobody", d)
		}
		if r := post(s, hello, "Idempotency-Key", "k"); r.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%d %v", r.status, r.header)
		}
		if st := s.Stats(); st.Answered != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// Of many at once under one key exactly one is worked on; the rest are replays or told to wait.
func TestOneKeyManyAtOnce(t *testing.T) {
	s := listen(t, sim.Options{})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if r := s.post(context.Background(), hello, "Idempotency-Key", "k"); r.status != 200 && r.status != 409 {
				t.Errorf("%d %v", r.status, r.err)
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); st.Answered != 1 || st.Calls != 32 {
		t.Errorf("%+v", st)
	}
}
