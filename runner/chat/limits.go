package chat

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The dialects of limit headers, the more telling one later: it wins, field by field. No two headers have dialect,
// dimension and field in common, so the order in which they come does not matter.
const (
	unsuffixed      = iota // X-RateLimit-Remaining: of requests
	draft                  // RateLimit-Remaining: of requests
	draftSpelledOut        // RateLimit-Remaining-Requests
	draftPerMinute         // RateLimit-Remaining-RPM
	anthropic              // Anthropic-RateLimit-Requests-Remaining
	spelledOut             // X-RateLimit-Remaining-Requests
	perMinute              // X-RateLimit-Remaining-RPM
	dialects
)

// readLimits reads every spelling of rate-limit headers that is in use; what is absurd is unknown. now is the time at
// which the headers came.
func readLimits(h http.Header, now time.Time) Limits {
	var requests, tokens [dialects]Limit
	for name, values := range h {
		dimension, field, dialect := limitHeader(name)
		if field == "" {
			continue
		}
		limit := &requests[dialect]
		if dimension == 't' {
			limit = &tokens[dialect]
		}
		for _, value := range values {
			if limit.read(field, value, h.Get("Date"), now) {
				break
			}
		}
	}
	return Limits{Requests: strongest(requests), Tokens: strongest(tokens)}
}

// read sets a field, and says whether the value made sense.
func (l *Limit) read(field, value, date string, now time.Time) (ok bool) {
	switch field {
	case "Limit":
		l.Limit, l.HasLimit = headerNumber(value)
		return l.HasLimit
	case "Remaining":
		l.Remaining, l.HasRemaining = headerNumber(value)
		return l.HasRemaining
	case "Reset":
		l.Reset, l.HasReset = readReset(value, date, now)
		return l.HasReset
	}
	return true
}

// limitHeader takes a canonical header name apart; field is "" for one that states no limit.
func limitHeader(name string) (dimension byte, field string, dialect int) {
	if rest, ok := strings.CutPrefix(name, "Anthropic-Ratelimit-"); ok {
		kind, field, _ := strings.Cut(rest, "-")
		if kind == "Requests" || kind == "Tokens" {
			return dimensionOf(kind), field, anthropic
		}
		return 0, "", 0
	}
	of := [3]int{unsuffixed, spelledOut, perMinute}
	rest, ok := strings.CutPrefix(name, "X-Ratelimit-")
	if !ok {
		if rest, ok = strings.CutPrefix(name, "Ratelimit-"); !ok {
			return 0, "", 0
		}
		of = [3]int{draft, draftSpelledOut, draftPerMinute}
	}
	field, suffix, _ := strings.Cut(rest, "-")
	switch suffix {
	case "":
		return 'r', field, of[0]
	case "Requests", "Tokens":
		return dimensionOf(suffix), field, of[1]
	case "Rpm", "Tpm":
		return dimensionOf(suffix), field, of[2]
	}
	return 0, "", 0 // of a day, of images: not ours to know
}

func dimensionOf(name string) byte { return name[0] | 0x20 }

func strongest(all [dialects]Limit) (l Limit) {
	for _, d := range all {
		if d.HasLimit {
			l.Limit, l.HasLimit = d.Limit, true
		}
		if d.HasRemaining {
			l.Remaining, l.HasRemaining = d.Remaining, true
		}
		if d.HasReset {
			l.Reset, l.HasReset = d.Reset, true
		}
	}
	return l
}

// headerNumber reads an integer from 0 to 2^53; of "100, 100;w=60" it is the first.
func headerNumber(s string) (int64, bool) {
	if i := strings.IndexAny(s, ",;"); i >= 0 {
		s = s[:i]
	}
	return wholeNumber([]byte(strings.TrimSpace(s)))
}

// readReset reads when a limit is renewed: a Go duration as in 6m0s, seconds, a Unix time in seconds or milliseconds,
// or an RFC 3339 time. Points in time are taken on the server's clock, which its Date header shows, and moved to ours.
func readReset(s, date string, now time.Time) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if n, ok := positiveNumber(s); ok {
		switch {
		case n < 1e9:
			return after(now, n), true
		case n < 1e11:
			return onOurClock(unixTime(n), date, now), true
		case n < 1e14:
			return onOurClock(unixTime(n/1000), date, now), true
		}
		return time.Time{}, false
	}
	if d, ok := goDuration(s); ok {
		return now.Add(d), true
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return onOurClock(t, date, now), true
	}
	return time.Time{}, false
}

// goDuration reads 6m0s, 20ms, and also 1d2h.
func goDuration(s string) (time.Duration, bool) {
	var days int64
	if before, rest, found := strings.Cut(s, "d"); found {
		n, ok := wholeNumber([]byte(before))
		if !ok || n > 10_000 {
			return 0, false
		}
		if days, s = n, rest; s == "" {
			s = "0s"
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > math.MaxInt64/2 {
		return 0, false
	}
	return time.Duration(days)*24*time.Hour + d, true
}

// positiveNumber reads a plain decimal number, with a fraction or without. ParseFloat alone would also take NaN, Inf,
// hexadecimal, and in some places underscores.
func positiveNumber(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// after is now and so many seconds, rounded up: never earlier than the server asked.
func after(now time.Time, seconds float64) time.Time {
	return now.Add(time.Duration(math.Ceil(seconds * 1e9)))
}

func unixTime(seconds float64) time.Time {
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(math.Ceil(fraction*1e9)))
}

// onOurClock moves a point in time of the server's clock to ours. A Date header has whole seconds, rounded down, so the
// moved time is late by up to one, never early.
func onOurClock(t time.Time, date string, now time.Time) time.Time {
	server, err := http.ParseTime(date)
	if err != nil {
		server = now
	}
	return now.Add(t.Sub(server))
}
