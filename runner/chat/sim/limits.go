package sim

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limiter counts calls and tokens in fixed windows. The first call of a window begins it, at a whole second because the
// headers state the reset in those.
type limiter struct {
	rpm, tpm int64 // 0 for no limit
	window   time.Duration

	mu            sync.Mutex
	began         time.Time
	calls, tokens int64
}

// window is where a limiter stood at one moment.
type window struct {
	calls, tokens int64 // left
	reset         time.Time
}

func (l *limiter) on() bool { return l.rpm > 0 || l.tpm > 0 }

// admit counts a call, or says that the window has no room for it.
func (l *limiter) admit(now time.Time, cost int64) (window, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll(now)
	ok := (l.rpm == 0 || l.calls < l.rpm) && (l.tpm == 0 || l.tokens+cost <= l.tpm)
	if ok {
		l.calls++
		l.tokens += cost
	}
	return l.left(), ok
}

// look is admit for a response that counts as nothing.
func (l *limiter) look(now time.Time) window {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.roll(now)
	return l.left()
}

func (l *limiter) roll(now time.Time) {
	// A clock that was set back must not leave the window open for longer than it lasts.
	if now.Before(l.began) || !now.Before(l.began.Add(l.window)) {
		l.began = now.Truncate(time.Second)
		l.calls, l.tokens = 0, 0
	}
}

func (l *limiter) left() window {
	return window{max(0, l.rpm-l.calls), max(0, l.tpm-l.tokens), l.began.Add(l.window)}
}

// wait is the time until the reset in whole seconds, rounded up.
func (w window) wait(now time.Time) int {
	return max(1, int((w.reset.Sub(now)+time.Second-1)/time.Second))
}

// head states the limits in the documented headers.
func (l *limiter) head(h http.Header, w window) {
	reset := []string{strconv.FormatInt(w.reset.Unix(), 10)}
	if l.rpm > 0 {
		h["X-Ratelimit-Limit-Rpm"] = []string{strconv.FormatInt(l.rpm, 10)}
		h["X-Ratelimit-Remaining-Rpm"] = []string{strconv.FormatInt(w.calls, 10)}
		h["X-Ratelimit-Reset-Rpm"] = reset
	}
	if l.tpm > 0 {
		h["X-Ratelimit-Limit-Tpm"] = []string{strconv.FormatInt(l.tpm, 10)}
		h["X-Ratelimit-Remaining-Tpm"] = []string{strconv.FormatInt(w.tokens, 10)}
		h["X-Ratelimit-Reset-Tpm"] = reset
	}
}
