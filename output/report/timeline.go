package report

import (
	"slices"
	"time"

	"batch/output"
)

// widths of the cells in milliseconds. Each divides the next, so that narrow ones can be put together into wide ones.
var widths = []int64{100, 500, 1000, 5000, 10_000, 60_000, 300_000, 600_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000,
	day, 5 * day, 20 * day, 100 * day, 1000 * day}

const day = 86_400_000

// rounds are the lengths of a bucket that people like.
var rounds = []int64{100, 200, 500, 1000, 2000, 3000, 5000, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000, 180_000, 300_000, 600_000,
	900_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000, 14_400_000, 21_600_000, 43_200_000, day, 2 * day, 5 * day, 10 * day,
	20 * day, 50 * day, 100 * day, 1000 * day}

const (
	mostCells     = 3000 // kept while the calls pass
	mostBuckets   = 120  // told
	mostStretches = 6
)

// clock gathers what happened when, in cells that widen as the time does, so that it stays small.
type clock struct {
	width int // index into widths
	cells map[int64]*Bucket
	spans map[int64]*span // by run
}

// span is from the first to the last moment of something, in Unix milliseconds.
type span struct{ from, to int64 }

func newClock() *clock { return &clock{cells: map[int64]*Bucket{}, spans: map[int64]*span{}} }

// at is the cell of a moment.
func (c *clock) at(ms int64) *Bucket {
	key := floor(ms, widths[c.width])
	if b := c.cells[key]; b != nil {
		return b
	}
	for len(c.cells) >= mostCells && c.width < len(widths)-1 {
		c.width++
		c.cells = regroup(c.cells, widths[c.width])
	}
	key = floor(ms, widths[c.width])
	b := c.cells[key]
	if b == nil {
		b = &Bucket{}
		c.cells[key] = b
	}
	return b
}

func floor(ms, width int64) int64 { return ms - (ms%width+width)%width }

func regroup(cells map[int64]*Bucket, width int64) map[int64]*Bucket {
	wide := map[int64]*Bucket{}
	for at, b := range cells {
		key := floor(at, width)
		if wide[key] == nil {
			wide[key] = &Bucket{}
		}
		wide[key].add(b)
	}
	return wide
}

func (b *Bucket) add(o *Bucket) {
	b.Calls += o.Calls
	b.Answers += o.Answers
	b.Failures += o.Failures
	b.Prompt = output.Plus(b.Prompt, o.Prompt)
	b.Completion = output.Plus(b.Completion, o.Completion)
	b.Spent = b.Spent.Plus(o.Spent)
	b.CostUnknown += o.CostUnknown
}

// call notes when a call of a run was under way.
func (c *clock) call(run, from, to int64) {
	s := c.spans[run]
	if s == nil {
		c.spans[run] = &span{from, to}
		return
	}
	s.from, s.to = min(s.from, from), max(s.to, to)
}

// stretches are the runs, put together where little time lies between them.
func (c *clock) stretches() (all []span, active int64) {
	for _, s := range c.spans {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b span) int { return int(max(min(a.from-b.from, 1), -1)) })
	all = join(all, 0)
	for _, s := range all {
		active += s.to - s.from
	}
	pause := max(active/20, widths[c.width])
	joined := join(all, pause)
	for len(joined) > mostStretches {
		pause *= 2
		joined = join(all, pause)
	}
	return joined, active
}

func join(all []span, pause int64) []span {
	var joined []span
	for _, s := range all {
		if n := len(joined); n > 0 && s.from-joined[n-1].to <= pause {
			joined[n-1].to = max(joined[n-1].to, s.to)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// bucket is the shortest round length that gives few enough buckets, and that cells fit into.
func (c *clock) bucket(all []span) int64 {
	cell := widths[c.width]
	for _, w := range rounds {
		n := int64(0)
		for _, s := range all {
			n += (floor(s.to, w)-floor(s.from, w))/w + 1
		}
		if w%cell == 0 && n <= mostBuckets {
			return w
		}
	}
	return rounds[len(rounds)-1]
}

// timeline brings the cells into buckets of one length, as many as can be looked at.
func (c *clock) timeline() (Timeline, int64) {
	all, active := c.stretches()
	if len(all) == 0 {
		return Timeline{Stretches: []Stretch{}}, 0
	}
	w := c.bucket(all)
	cells := regroup(c.cells, w)
	t := Timeline{BucketMillis: w}
	next := int64(0) // two stretches may share a bucket: it is the earlier one's
	for i, s := range all {
		stretch := Stretch{Start: moment(s.from), End: moment(s.to)}
		at := floor(s.from, w)
		if i > 0 {
			at = max(at, next)
		}
		for ; at <= s.to; at += w {
			b := Bucket{}
			if cells[at] != nil {
				b = *cells[at]
			}
			b.At = moment(at)
			stretch.Buckets = append(stretch.Buckets, b)
		}
		if next = at; len(stretch.Buckets) > 0 {
			t.Stretches = append(t.Stretches, stretch)
		}
	}
	return t, active
}

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
