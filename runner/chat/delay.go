package chat

import (
	"net/http"
	"strings"
	"time"
)

// readWait reads how long the server asks to wait: Retry-After-Ms, then Retry-After; for a rate limit without either,
// the reset of the dimension that is used up. A value that makes no sense is none; of several the longest counts.
func readWait(h http.Header, rateLimited bool, limits Limits, now time.Time) Wait {
	if until, ok := latest(h["Retry-After-Ms"], now, func(s string) (time.Time, bool) {
		n, ok := positiveNumber(s)
		return after(now, min(n, 1e15)/1000), ok && n < 1e12
	}); ok {
		return Wait{Known: true, Until: until}
	}
	if until, ok := latest(h["Retry-After"], now, func(s string) (time.Time, bool) {
		return readRetryAfter(s, h.Get("Date"), now)
	}); ok {
		return Wait{Known: true, Until: until}
	}
	if !rateLimited {
		return Wait{}
	}
	var wait Wait
	for _, limit := range []Limit{limits.Requests, limits.Tokens} {
		if limit.HasRemaining && limit.Remaining == 0 && limit.HasReset && !limit.Reset.Before(wait.Until) {
			wait = Wait{Known: true, Until: notBefore(limit.Reset, now)}
		}
	}
	return wait
}

// readRetryAfter reads seconds, whole or not, or one of the three forms of an HTTP date. A number that can only be a
// point in time is read as one.
func readRetryAfter(s, date string, now time.Time) (time.Time, bool) {
	if _, ok := positiveNumber(s); ok {
		return readReset(s, date, now)
	}
	t, err := http.ParseTime(s)
	if err != nil {
		return time.Time{}, false
	}
	return onOurClock(t, date, now), true
}

// latest reads every value of a header and takes the longest wait, which is never in the past.
func latest(values []string, now time.Time, read func(string) (time.Time, bool)) (until time.Time, ok bool) {
	for _, value := range values {
		if t, good := read(strings.TrimSpace(value)); good && (!ok || t.After(until)) {
			until, ok = t, true
		}
	}
	return notBefore(until, now), ok
}

func notBefore(t, now time.Time) time.Time {
	if t.Before(now) {
		return now
	}
	return t
}
