package runner

import (
	"fmt"
	"time"

	"batch/runner/chat"
)

// pause is the pool's wait after a 429. The answers of all calls that were out when it began belong to one episode.
type pause struct {
	maxWait time.Duration
	spread  int // calls that are spread out after a pause, so that it does not end in a stampede

	began, until time.Time
	episodes     int       // since a job was last answered
	since        time.Time // of the first 429 since then

	left  int       // calls still to be spread
	after time.Time // when the next of them may go
}

// spreadOver is how long the first calls of a run, and those after a pause, take to go out, one for each worker: all at once they would be
// refused all at once. The first answer ends it: the API does take calls, and an API that is quick must not be waited for.
const spreadOver = time.Second

// spreadApart is the most that two of the first calls of a run are apart: a few at once are no burst, and a few prompts are not worth a second.
const spreadApart = 20 * time.Millisecond

// next is when a call may go out that has to keep its distance to the one before.
func (p *pause) next() time.Time {
	if p.left > 0 {
		return p.after
	}
	return time.Time{}
}

// take notes that a call goes out.
func (p *pause) take(now time.Time) {
	if p.left > 0 {
		p.left--
		apart := spreadOver / time.Duration(max(p.spread, 1))
		if p.until.IsZero() { // nothing was refused yet
			apart = min(apart, spreadApart)
		}
		p.after = now.Add(apart)
	}
}

// begin takes a 429 of a call that started at started. It returns the end of the pause, the number of the episode since the last
// answer (0 when the call belongs to an episode that is on already), and a Stop when the wait is too long.
func (p *pause) begin(now, started time.Time, wait chat.Wait, random float64) (until time.Time, episode int, stop *Stop) {
	if p.since.IsZero() {
		p.since = now
	}
	if !p.began.IsZero() && !started.After(p.began) {
		if wait.Known && wait.Until.After(p.until) { // never earlier than the server asked
			p.until = wait.Until
		}
		return p.until, 0, p.tooLong(now)
	}
	p.episodes++
	p.began = now
	end := now.Add(backoff(p.episodes, random))
	if wait.Known {
		end = wait.Until
		if p.episodes > 1 { // it said so before, and was wrong: a wait of nothing must not become a storm
			end = latest(end, now.Add(backoff(p.episodes-1, random)))
		}
	}
	p.until = latest(p.until, end) // a call of an episode before may have been asked for more since this one went out
	p.left = p.spread
	return p.until, p.episodes, p.tooLong(now)
}

// inSeconds rounds a wait up: one that is longer than allowed is said to be.
func inSeconds(wait time.Duration) time.Duration {
	return (wait + time.Second - 1).Truncate(time.Second)
}

func (p *pause) tooLong(now time.Time) *Stop {
	stop := &Stop{Cause: RateLimit, Status: 429, Until: p.until}
	switch {
	case p.until.Sub(now) > p.maxWait:
		stop.Message = fmt.Sprintf("the API asks to wait %s, longer than %s", inSeconds(p.until.Sub(now)), p.maxWait)
	case now.Sub(p.since) > p.maxWait:
		stop.Message = fmt.Sprintf("nothing but rate limit errors for %s", p.maxWait)
	default:
		return nil
	}
	return stop
}

// answered ends the count of episodes: the API does work.
func (p *pause) answered(started time.Time) {
	p.episodes, p.since = 0, time.Time{}
	if !started.Before(p.until) {
		p.left = 0
	}
}
