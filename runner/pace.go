package runner

import (
	"time"

	"batch/runner/chat"
)

// pace spaces the calls evenly under the user's own --rpm and --tpm, with a burst of one: the next call may go when the last
// one's share of the minute has passed.
type pace struct {
	rpm, tpm float64 // 0 is no limit

	request time.Time // when the next request may go
	token   time.Time // when the tokens promised so far are paid off

	answers, spent int64 // answers seen, and their tokens beyond the estimated prompt
}

func (p *pace) next() time.Time { return latest(p.token, p.request) }

// take charges a call and returns the tokens reserved for it: its prompt and what an answer has cost so far.
func (p *pace) take(now time.Time, prompt int64) int64 {
	if p.answers > 0 {
		prompt += p.spent / p.answers
	}
	if p.rpm > 0 {
		p.request = latest(p.request, now).Add(time.Duration(float64(time.Minute) / p.rpm))
	}
	p.charge(now, prompt)
	return prompt
}

// settle puts what a call really used in the place of what was reserved.
func (p *pace) settle(reserved int64, res *chat.Result) {
	usage := res.Answer.Usage
	if !usage.Known {
		return
	}
	p.answers++
	used := min(usage.Total, reserved+int64(p.tpm)) // an absurd report must not hold the run for longer than a minute
	p.spent += min(max(usage.Completion, 0), used)
	p.charge(time.Time{}, used-reserved)
}

func (p *pace) charge(now time.Time, tokens int64) {
	if p.tpm > 0 {
		p.token = latest(p.token, now).Add(time.Duration(float64(tokens) / p.tpm * float64(time.Minute)))
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// quota is one dimension of the server's own limits, as its newest answer stated it. While what remains less what is in
// flight is used up, nothing goes out before the stated reset; then the knowledge is void until the next answer.
type quota struct {
	limit     int64 // as stated last, 0 when it never was
	known     bool
	seen      time.Time // start of the newest call whose answer it is from
	learned   time.Time // when that answer was read
	remaining int64
	reset     time.Time
	probed    time.Time
}

// probeEvery bounds the wait for a reset that may be a lie: the API is asked again.
const probeEvery = time.Minute

// sameReset is how far apart two answers may state the reset of one window: some give it in whole seconds, some as the time
// that is left.
const sameReset = time.Second

// learn takes what an answer states. Answers to calls that were out together overtake each other; where they speak of one window
// the lowest counts, for what remains of it only shrinks.
func (q *quota) learn(started time.Time, l chat.Limit) {
	if l.HasLimit {
		q.limit = l.Limit
	}
	if !l.HasRemaining || !l.HasReset {
		return
	}
	now := time.Now()
	switch {
	case q.known && !started.After(q.learned) && l.Reset.Sub(q.reset).Abs() < sameReset:
		q.remaining = min(q.remaining, l.Remaining)
	case started.Before(q.seen):
		return
	default:
		q.known, q.remaining, q.reset = true, l.Remaining, l.Reset
	}
	q.seen, q.learned, q.probed = latest(q.seen, started), now, now
}

// next is when a call that needs so much may go out.
func (q *quota) next(now time.Time, inFlight, need int64) time.Time {
	if !q.known {
		return time.Time{}
	}
	if !q.reset.After(now) {
		q.known = false
		return time.Time{}
	}
	left := q.remaining - inFlight
	if left >= need || inFlight == 0 && q.remaining > 0 { // a call larger than the whole limit goes out alone
		return time.Time{}
	}
	probe := q.probed.Add(probeEvery)
	if inFlight > 0 || !probe.Before(q.reset) {
		return q.reset
	}
	if probe.After(now) {
		return probe
	}
	q.probed = now
	return time.Time{}
}
