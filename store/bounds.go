package store

import (
	"database/sql"
	"math"
	"time"
)

// What batch writes is judged before it is written. But a job file may come from anybody, and readers add up and divide what they get:
// times, durations and tokens are brought within these bounds, which are beyond all that is real.
const (
	maxDuration = math.MaxInt64 / int64(time.Millisecond)
	maxTime     = 253402300799999 - maxDuration // Unix milliseconds; JSON's times end with the year 9999
	maxTokens   = 1 << 53
)

func within(n, most int64) int64 { return min(max(n, 0), most) }

// tokensOf makes a usage of its columns: prompt, completion, total and the parts cached, written to a cache, thought, audio.
func tokensOf(prompt, completion, total, cached, written, thought, audio sql.NullInt64) Usage {
	n := func(column sql.NullInt64) int64 { return within(column.Int64, maxTokens) }
	return Usage{Known: total.Valid, Prompt: n(prompt), Completion: n(completion), Total: n(total),
		Cached: n(cached), CacheWrite: n(written), Reasoning: n(thought), Audio: n(audio)}
}
