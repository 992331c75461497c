package sim_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"batch/runner/chat/sim"

	"github.com/google/go-cmp/cmp"
)

func limit(r reply, what, dimension string) int64 {
	n, err := strconv.ParseInt(r.header.Get("X-RateLimit-"+what+"-"+dimension), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func TestRequestsPerMinute(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, sim.Options{RPM: 3})
		pass(90*time.Second + 300*time.Millisecond) // the window begins with the first call, not with the minute
		reset := time.Now().Truncate(time.Second).Add(time.Minute)
		for left := int64(2); left >= 0; left-- {
			r := post(s, hello)
			if r.status != 200 || limit(r, "Limit", "RPM") != 3 || limit(r, "Remaining", "RPM") != left || limit(r, "Reset", "RPM") != reset.Unix() {
				t.Fatalf("%d %v", r.status, r.header)
			}
			if limit(r, "Limit", "TPM") != -1 {
				t.Error("a limit that is not set is stated")
			}
		}
		pass(10 * time.Second)
		r := post(s, hello)
		if r.status != 429 || r.header.Get("Retry-After") != "50" || limit(r, "Remaining", "RPM") != 0 || limit(r, "Reset", "RPM") != reset.Unix() {
			t.Fatalf("%d %v", r.status, r.header)
		}
		if r := post(s, `{}`); r.status != 400 || limit(r, "Remaining", "RPM") != 0 {
			t.Errorf("a bad request counts or does not state the limits: %d %v", r.status, r.header)
		}
		pass(time.Until(reset) - time.Nanosecond)
		if r := post(s, hello); r.status != 429 || r.header.Get("Retry-After") != "1" {
			t.Errorf("just before the reset: %d %v", r.status, r.header)
		}
		pass(time.Nanosecond)
		if r := post(s, hello); r.status != 200 || limit(r, "Remaining", "RPM") != 2 {
			t.Errorf("at the reset: %d %v", r.status, r.header)
		}
		if st := s.Stats(); st.Refused != 2 || st.Answered != 4 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTokensPerMinute(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		probe := decode(t, post(newServer(t, sim.Options{}), hello).body).Usage.Total
		s := newServer(t, sim.Options{TPM: int(2*probe + 1), Window: 10 * time.Second})
		for i := range int64(2) {
			if r := post(s, hello); r.status != 200 || limit(r, "Remaining", "TPM") != probe+1-i*probe {
				t.Fatalf("%d %v", r.status, r.header)
			}
		}
		r := post(s, hello)
		if r.status != 429 || limit(r, "Remaining", "TPM") != 1 || r.header.Get("Retry-After") != "10" {
			t.Fatalf("%d %v", r.status, r.header)
		}
		pass(10 * time.Second)
		if r := post(s, hello); r.status != 200 {
			t.Errorf("after the window: %d", r.status)
		}
	})
}

func TestRequestLargerThanTheLimit(t *testing.T) {
	s := newServer(t, sim.Options{TPM: 3})
	r := post(s, hello)
	e := decode(t, r.body).Error
	if r.status != 429 || e.Code != "rate_limit_exceeded" || !strings.Contains(e.Message, "too large") || r.header.Get("Retry-After") != "" {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
}

// A client that waits for the stated reset whenever nothing remains never meets a 429.
func TestObedientClientIsNeverRefused(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, sim.Options{RPM: 7})
		begin := time.Now()
		for i := range 50 {
			r := post(s, with(i, ""))
			if r.status != 200 {
				t.Fatalf("call %d: %d", i, r.status)
			}
			if limit(r, "Remaining", "RPM") == 0 {
				pass(time.Until(time.Unix(limit(r, "Reset", "RPM"), 0)))
			}
		}
		if d := time.Since(begin); d != 7*time.Minute {
			t.Errorf("50 calls at 7 a minute took %v", d)
		}
	})
}

func TestRefusedCallIsNoFaultAndNoReplay(t *testing.T) {
	runInBubble(t, func(t *testing.T) {
		s := newServer(t, sim.Options{RPM: 1, Ledger: true})
		post(s, with(0, ""))
		key := []string{"Idempotency-Key", "k"}
		if r := post(s, hello, key...); r.status != 429 {
			t.Fatal(r.status)
		}
		pass(time.Minute)
		if r := post(s, hello, key...); r.status != 200 || r.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%d %v", r.status, r.header)
		}
		if r := post(s, hello, key...); r.status != 200 || r.header.Get("Idempotent-Replayed") != "true" || limit(r, "Remaining", "RPM") != 0 {
			t.Errorf("a replay is refused or counted: %d %v", r.status, r.header)
		}
		var got []string
		for _, c := range s.Ledger() {
			got = append(got, fmt.Sprintf("%q %d replayed=%v billed=%v", c.Key, c.Status, c.Replayed, c.Billed > 0))
		}
		want := []string{
			`"" 200 replayed=false billed=true`,
			`"k" 429 replayed=false billed=false`,
			`"k" 200 replayed=false billed=true`,
			`"k" 200 replayed=true billed=false`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }
