package runner

import (
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat"
)

func TestQuotaOfAnswersThatOvertakeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := func(remaining int64, reset time.Time) chat.Limit {
			return chat.Limit{Remaining: remaining, HasRemaining: true, Reset: reset, HasReset: true}
		}
		start := time.Now()
		reset := start.Add(30 * time.Second)
		check := func(q *quota, inFlight int64, wait bool) {
			t.Helper()
			if got := q.next(time.Now(), inFlight, 1).After(time.Now()); got != wait {
				t.Errorf("remaining %d, in flight %d: waits %t, want %t", q.remaining, inFlight, got, wait)
			}
		}
		// Three calls went out together; the server took the second first.
		var q quota
		<-time.After(time.Millisecond)
		q.learn(start, limit(1, reset))
		q.learn(start.Add(time.Microsecond), limit(2, reset))
		check(&q, 1, true)
		q.learn(start, limit(0, reset))
		check(&q, 0, true)

		// A call that went out after all of this was read knows better, also where the reset has not moved.
		<-time.After(time.Second)
		asked := time.Now()
		<-time.After(time.Millisecond)
		q.learn(asked, limit(5, reset))
		check(&q, 4, false)

		// A late answer of the window before says nothing of this one.
		<-time.After(30 * time.Second)
		asked = time.Now()
		<-time.After(time.Millisecond)
		q.learn(asked, limit(3, reset.Add(time.Minute)))
		q.learn(start, limit(0, reset))
		check(&q, 2, false)
	})
}
