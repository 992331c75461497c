package runner

import (
	"fmt"
	"time"

	"batch/runner/chat"
)

// outageAfter is how many outcomes in a row, over all workers, must say nothing but that the API did not answer.
const outageAfter = 10

// outage is the circuit breaker: while the provider is down, one probe at a time goes out, ever more rarely.
type outage struct {
	maxWait time.Duration

	failures int       // in a row
	since    time.Time // of the first of them
	said     string    // by the newest
	probes   int       // sent in vain
	due      time.Time // of the next probe
	probing  bool      // one is out
	last     bool      // it is the one that goes out when the longest wait is over
}

func (o *outage) on() bool { return o.failures >= outageAfter }

// next is when a call may go out, or a Stop when the outage has lasted too long: a last probe goes out at the very end. While a probe is
// out the answer is far off: its return wakes the gate.
func (o *outage) next(now time.Time) (time.Time, *Stop) {
	if !o.on() {
		return time.Time{}, nil
	}
	end := o.since.Add(o.maxWait)
	if o.last && !o.probing {
		return time.Time{}, &Stop{Cause: ProviderDown,
			Message: fmt.Sprintf("provider down since %s: %s", o.since.UTC().Format("15:04:05 UTC"), o.said)}
	}
	if o.probing {
		return now.Add(time.Minute), nil
	}
	if o.due.After(end) {
		return end, nil
	}
	return o.due, nil
}

// take notes that a call goes out; it reports whether that is a probe.
func (o *outage) take(now time.Time) bool {
	if o.on() {
		o.probing, o.last = true, !now.Before(o.since.Add(o.maxWait))
	}
	return o.probing
}

// observe counts an outcome.
func (o *outage) observe(now time.Time, p pass, res *chat.Result) {
	if p.probe {
		o.probing = false
	}
	if !silent(res) {
		*o = outage{maxWait: o.maxWait}
		return
	}
	if o.failures == 0 {
		o.since = now
	}
	o.failures++
	o.said = res.Message
	switch {
	case p.probe:
		o.probes++
		o.due = now.Add(probeDelay(o.probes))
	case o.failures == outageAfter:
		o.due = now.Add(probeDelay(0))
	}
}

// silent says that a result is no word of a working API. An interrupted call says nothing either way, and counts as a word so
// that a stop cannot look like an outage.
func silent(res *chat.Result) bool {
	switch res.Class {
	case chat.NotProcessed:
		return res.Reason != chat.RateLimited
	case chat.Unknown:
		return true
	}
	return false
}
