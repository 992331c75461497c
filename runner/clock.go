package runner

import "time"

// clock is the wall clock as it was when the run began, moved on by the time that has passed since. What the job file compares and keeps
// of a run is in its terms: the wall clock itself may be set while the run goes on, and waits must become neither longer nor shorter by that.
type clock struct{ began time.Time }

func newClock() clock { return clock{time.Now()} }

func (c clock) now() time.Time { return c.of(time.Now()) }

// of is a time of this process on the clock: with its monotonic reading, it is as far from the beginning as time has passed.
func (c clock) of(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return c.began.Add(t.Sub(c.began))
}

// elapsed is the time since the beginning.
func (c clock) elapsed() time.Duration { return time.Since(c.began) }
