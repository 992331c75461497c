package chat

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// noon is our clock in these tests; the server's is 90 seconds fast, as its Date header shows.
var noon = time.Date(2026, 6, 11, 12, 0, 0, 0, time.UTC)

const serverDate = "Thu, 11 Jun 2026 12:01:30 GMT"

// Every form of a reset, right to the second, by the server's own clock.
func TestL5_ResetForms(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"12": 12 * time.Second, "0": 0, "1.5": 1500 * time.Millisecond, " 30 ": 30 * time.Second, "59.0000000001": 59*time.Second + 1,
		"6m0s": 6 * time.Minute, "20ms": 20 * time.Millisecond, "23h47m36.648s": 23*time.Hour + 47*time.Minute + 36648*time.Millisecond,
		"1d2h": 26 * time.Hour, "2d": 48 * time.Hour,
		"1781179350": time.Minute, "1781179350.5": 60500 * time.Millisecond, "1781179350000": time.Minute, "1781179290": 0, "1781179230": -time.Minute,
		"2026-06-11T12:02:30Z": time.Minute, "2026-06-11T14:02:30.250+02:00": time.Minute + 250*time.Millisecond,
	} {
		got, ok := readReset(value, serverDate, noon)
		if !ok || got.Sub(noon) != want {
			t.Errorf("%q: %v %v, want %v", value, got.Sub(noon), ok, want)
		}
	}
	for _, value := range absurd {
		if got, ok := readReset(value, serverDate, noon); ok {
			t.Errorf("%q: %v", value, got)
		}
	}
	if got, _ := readReset("1781179350", "", noon); got.Sub(noon) != 150*time.Second {
		t.Errorf("without a Date: %v", got.Sub(noon))
	}
}

var absurd = []string{"", " ", "soon", "NaN", "Inf", "+Inf", "-1", "-5s", "1e20", "0x10", "1_000", "1.2.3", "99999999999999999999",
	"1e400", "9999999999999h", "99999999999d", "xd", "١٢", "2026-13-01T00:00:00Z", "12 apples", "--1", "."}

func TestLimitHeaders(t *testing.T) {
	for name, row := range map[string]struct {
		header []string
		want   Limits
	}{
		"per minute, Unix time": {
			[]string{"X-RateLimit-Limit-RPM", "100", "X-RateLimit-Remaining-RPM", "95", "X-RateLimit-Reset-RPM", "1781179350",
				"X-RateLimit-Limit-TPM", "1000000", "X-RateLimit-Remaining-TPM", "995000", "X-RateLimit-Reset-TPM", "1781179350"},
			Limits{limit(100, 95, time.Minute), limit(1000000, 995000, time.Minute)},
		},
		"spelled out, durations": {
			[]string{"x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1s",
				"x-ratelimit-limit-tokens", "150000", "x-ratelimit-remaining-tokens", "149984", "x-ratelimit-reset-tokens", "6m0s"},
			Limits{limit(60, 0, time.Second), limit(150000, 149984, 6*time.Minute)},
		},
		"anthropic": {
			[]string{"anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "49", "anthropic-ratelimit-requests-reset", "2026-06-11T12:02:30Z",
				"anthropic-ratelimit-tokens-remaining", "7", "anthropic-ratelimit-input-tokens-limit", "3"},
			Limits{limit(50, 49, time.Minute), Limit{Remaining: 7, HasRemaining: true}},
		},
		"unsuffixed": {
			[]string{"X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "58", "X-RateLimit-Reset", "30"},
			Limits{Requests: limit(60, 58, 30*time.Second)},
		},
		"draft": {
			[]string{"RateLimit-Limit", "60, 60;w=60", "RateLimit-Remaining", "58", "RateLimit-Reset", "30"},
			Limits{Requests: limit(60, 58, 30*time.Second)},
		},
		"the more telling name wins": {
			[]string{"X-RateLimit-Limit", "1", "X-RateLimit-Limit-Requests", "2", "X-RateLimit-Limit-RPM", "3", "X-RateLimit-Remaining", "4"},
			Limits{Requests: Limit{Limit: 3, HasLimit: true, Remaining: 4, HasRemaining: true}},
		},
		"families in their order": {
			[]string{"X-RateLimit-Limit", "1", "RateLimit-Limit", "2", "Anthropic-RateLimit-Requests-Limit", "3", "X-RateLimit-Remaining", "1", "RateLimit-Remaining", "2",
				"RateLimit-Limit-Requests", "9", "RateLimit-Limit-Tokens", "9", "X-RateLimit-Limit-Tokens", "4", "Anthropic-RateLimit-Tokens-Limit", "3"},
			Limits{Limit{Limit: 3, HasLimit: true, Remaining: 2, HasRemaining: true}, Limit{Limit: 4, HasLimit: true}},
		},
		"spelled out before anthropic": {
			[]string{"Anthropic-RateLimit-Requests-Remaining", "1", "X-RateLimit-Remaining-Requests", "2", "RateLimit-Remaining-Requests", "3", "RateLimit-Remaining", "4"},
			Limits{Requests: Limit{Remaining: 2, HasRemaining: true}},
		},
		"an absurd value erases nothing": {
			[]string{"X-RateLimit-Limit-RPM", "-1", "X-RateLimit-Limit-Requests", "many", "X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "x", "X-RateLimit-Remaining", "7",
				"X-RateLimit-Reset-Requests", "30", "X-RateLimit-Reset-Requests", "soon", "X-RateLimit-Limit-TPM", "99999999999999999999", "X-RateLimit-Limit-TPM", "5"},
			Limits{limit(60, 7, 30*time.Second), Limit{Limit: 5, HasLimit: true}},
		},
		"not ours": {
			[]string{"X-RateLimit-Limit-Requests-Day", "1", "X-RateLimit-Remaining-Images", "2", "X-RateLimit-RPM-Limit", "3", "X-RateLimit", "4"},
			Limits{},
		},
		"absurd": {
			[]string{"X-RateLimit-Limit-RPM", "-1", "X-RateLimit-Remaining-RPM", "99999999999999999999", "X-RateLimit-Reset-RPM", "NaN",
				"X-RateLimit-Limit-TPM", "many", "X-RateLimit-Remaining-TPM", "1.5", "X-RateLimit-Reset-TPM", "-1"},
			Limits{},
		},
	} {
		h := http.Header{"Date": {serverDate}}
		for i := 0; i < len(row.header); i += 2 {
			h.Add(row.header[i], row.header[i+1])
		}
		for range 20 { // headers come in any order
			if diff := cmp.Diff(row.want, readLimits(h, noon)); diff != "" {
				t.Errorf("%s\n%s", name, diff)
				break
			}
		}
	}
}

func limit(limit, remaining int64, reset time.Duration) Limit {
	return Limit{Limit: limit, HasLimit: true, Remaining: remaining, HasRemaining: true, Reset: noon.Add(reset), HasReset: true}
}

// Whatever Retry-After says, the wait is never negative and never shorter than asked.
func TestL2_RetryAfter(t *testing.T) {
	for _, row := range []struct {
		header []string
		want   time.Duration // -1 for unknown
	}{
		{[]string{"Retry-After", "5"}, 5 * time.Second},
		{[]string{"Retry-After", "0"}, 0},
		{[]string{"Retry-After", "1.5"}, 1500 * time.Millisecond},
		{[]string{"Retry-After", "0.0000000001"}, 1},
		{[]string{"Retry-After", " 7 "}, 7 * time.Second},
		{[]string{"Retry-After", "1209600"}, 14 * 24 * time.Hour},
		{[]string{"Retry-After", "Thu, 11 Jun 2026 12:02:30 GMT"}, time.Minute},
		{[]string{"Retry-After", "Thursday, 11-Jun-26 12:02:30 GMT"}, time.Minute},
		{[]string{"Retry-After", "Thu Jun 11 12:02:30 2026"}, time.Minute},
		{[]string{"Retry-After", "Thu, 11 Jun 2026 11:00:00 GMT"}, 0},
		{[]string{"Retry-After", "1781179350"}, time.Minute},
		{[]string{"Retry-After", "3", "Retry-After", "9", "Retry-After", "x"}, 9 * time.Second},
		{[]string{"Retry-After-Ms", "250", "Retry-After", "9"}, 250 * time.Millisecond},
		{[]string{"Retry-After-Ms", "0.25"}, 250 * time.Microsecond},
		{[]string{"Retry-After-Ms", "-1", "Retry-After", "9"}, 9 * time.Second},
		{[]string{"Retry-After-Ms", "99999999999999999999"}, -1},
		{[]string{"Retry-After", "5s"}, -1},
		{nil, -1},
	} {
		h := http.Header{"Date": {serverDate}}
		for i := 0; i < len(row.header); i += 2 {
			h.Add(row.header[i], row.header[i+1])
		}
		got := readWait(h, false, Limits{}, noon)
		if got.Known != (row.want >= 0) || got.Known && got.Until.Sub(noon) != row.want {
			t.Errorf("%q: %v %v, want %v", row.header, got.Known, got.Until.Sub(noon), row.want)
		}
	}
	for _, value := range absurd {
		for _, name := range []string{"Retry-After", "Retry-After-Ms"} {
			if got := readWait(http.Header{name: {value}}, true, Limits{}, noon); got.Known {
				t.Errorf("%s: %q: %v", name, value, got.Until)
			}
		}
	}
}

func TestWaitForTheExhaustedDimension(t *testing.T) {
	spent := func(d time.Duration) Limit { return limit(9, 0, d) }
	left := limit(9, 1, time.Hour)
	for name, row := range map[string]struct {
		limits      Limits
		rateLimited bool
		want        Wait
	}{
		"requests":         {Limits{spent(time.Minute), left}, true, Wait{true, noon.Add(time.Minute)}},
		"tokens":           {Limits{left, spent(time.Minute)}, true, Wait{true, noon.Add(time.Minute)}},
		"both":             {Limits{spent(time.Second), spent(time.Minute)}, true, Wait{true, noon.Add(time.Minute)}},
		"a reset gone by":  {Limits{spent(-time.Minute), left}, true, Wait{true, noon}},
		"neither":          {Limits{left, left}, true, Wait{}},
		"without a reset":  {Limits{Requests: Limit{HasRemaining: true}}, true, Wait{}},
		"not a rate limit": {Limits{spent(time.Minute), left}, false, Wait{}},
	} {
		if got := readWait(nil, row.rateLimited, row.limits, noon); got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}

func TestRateLimitedCallHasItsWait(t *testing.T) {
	reset := []string{"X-RateLimit-Remaining-TPM", "0", "X-RateLimit-Reset-TPM", "2m"}
	for body, status := range map[string]int{
		`{"error":{"type":"rate_limit_error","code":"rate_limit_exceeded"}}`: 429, `{"error":{"code":429}}`: 200, ``: 429,
	} {
		start := time.Now()
		r := do(serve(t, answer(status, body, reset...)), request)
		wait := r.Wait.Until.Sub(start)
		if r.Reason != RateLimited || !r.Wait.Known || wait < 2*time.Minute || wait > 3*time.Minute {
			t.Errorf("%d %s: %+v", status, body, r)
		}
	}
	if r := do(serve(t, answer(503, "", "Retry-After", "7")), request); !r.Wait.Known || r.Class != NotProcessed {
		t.Errorf("503: %+v", r)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range append(absurd, "5", "1.5", "Thu, 11 Jun 2026 12:02:30 GMT", "Thu Jun 11 12:02:30 2026") {
		f.Add(seed, serverDate)
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms"} {
			w := readWait(http.Header{name: {value}, "Date": {date}}, true, Limits{}, noon)
			if w.Known && w.Until.Before(noon) || !w.Known && !w.Until.IsZero() {
				t.Fatalf("%s: %q: %+v", name, value, w)
			}
		}
		// A plain number of seconds is waited out, whatever the clocks say.
		w := readWait(http.Header{"Retry-After": {value}, "Date": {date}}, true, Limits{}, noon)
		if n, number := positiveNumber(value); number && n < 1e9 && (!w.Known || w.Until.Before(noon.Add(time.Duration(n*1e9)))) {
			t.Fatalf("%q: %+v is shorter than asked for", value, w)
		}
	})
}

func FuzzReset(f *testing.F) {
	for _, seed := range append(absurd, "12", "6m0s", "1d2h", "1781179350000", "2026-06-11T12:02:30Z") {
		f.Add(seed, serverDate)
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		got, ok := readReset(value, date, noon)
		if n, number := positiveNumber(value); ok && number && n < 1e9 && got.Before(noon.Add(time.Duration(n*1e9))) {
			t.Fatalf("%q: %v is too early", value, got.Sub(noon))
		}
		if d, err := time.ParseDuration(value); ok && err == nil && (d < 0 || got.Before(noon)) {
			t.Fatalf("%q: %v", value, got.Sub(noon))
		}
	})
}
