package runner

import "time"

const (
	backoffBase = 500 * time.Millisecond
	backoffMax  = 60 * time.Second
)

// backoff is the wait before try number n+1 when the server named none: full jitter under a doubling ceiling, so that
// jobs that failed together do not come back together. random is in [0, 1).
func backoff(n int, random float64) time.Duration {
	return time.Duration(random * float64(ceiling(n)))
}

// ceiling doubles from backoffBase to backoffMax.
func ceiling(n int) time.Duration {
	if n > 7 { // 0.5 s x 2^7 is past the maximum
		return backoffMax
	}
	return min(backoffBase<<max(n, 0), backoffMax)
}

// probeDelay is the wait before probe number n of an outage: 1, 2, 4 ... 60 s.
func probeDelay(n int) time.Duration {
	return ceiling(n + 1)
}
