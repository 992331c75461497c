package tokens

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// countAtFirst is how many bytes of requests a Counter counts exactly before it begins to sample. Small files are counted whole.
	// It takes a fifth of a second on prose, two on text without words.
	countAtFirst = 32 << 20
	// sampleEvery is how many bytes of requests lie between two that are sampled, at least.
	sampleEvery = 16 << 10
	// sampleShare is what part of all bytes is sampled at most: 1 in so many, but of requests larger than longRequest more, so that
	// the few that hold most of a file are not missed.
	sampleShare = 16
	longRequest = 64 << 10
	// sampleFew is how many requests at least are sampled of what was met, if there are as many.
	sampleFew = 64
)

// Counter counts the requests of one import. The first 32 MB are counted exactly, and from then on a sample, drawn by size, which
// says by what factor the cheap rule of Estimate is off for the rest. What is drawn depends on nothing but the requests and their
// order, so the same file gives the same counts. It is for one goroutine.
type Counter struct {
	all    bool  // count everything
	first  int64 // bytes that are counted exactly before sampling begins
	bytes  int64 // of all requests
	lines  int64
	counts int64 // lines that were counted exactly
	exact  int64 // tokens of those
	strata map[*scheme]*stratum

	met, weighted float64 // bytes since sampling began; the same, each weighed by the size of its request up to longRequest
}

// NewCounter makes a Counter; exact asks for every request to be counted, however many there are.
func NewCounter(exact bool) *Counter {
	c := &Counter{all: exact, first: countAtFirst, strata: make(map[*scheme]*stratum)}
	for _, s := range schemes {
		c.strata[s] = new(stratum)
	}
	return c
}

// Request is one of those that CountAll counts.
type Request struct {
	Model string
	Body  []byte

	Tokens int64 // what CountAll found, or what was counted before
	Exact  bool  // it was counted, not estimated
	Known  bool  // Tokens was counted before, exactly, for a reason that lies in the request alone

	scheme *scheme
	cheap  int64
	chance float64 // of being sampled
}

// Count counts one request.
func (c *Counter) Count(model string, body []byte) int64 {
	one := []Request{{Model: model, Body: body}}
	c.CountAll(one)
	return one[0].Tokens
}

// CountAll counts requests, on all processors, to the same result as if each had been counted alone in this order.
func (c *Counter) CountAll(requests []Request) {
	for i := range requests {
		c.draw(&requests[i])
	}
	atOnce(requests)
	for i := range requests {
		c.take(&requests[i])
	}
}

// draw decides whether a request is counted exactly.
func (c *Counter) draw(r *Request) {
	c.lines++
	r.scheme = schemeOf(r.Model)
	c.bytes += int64(len(r.Body))
	r.Exact, r.chance = true, 1
	if c.all || r.Known || c.bytes <= c.first {
		return
	}
	size := float64(len(r.Body))
	c.met += size
	c.weighted += size * min(size, longRequest)
	// A request is drawn with a chance of size/every, so of all bytes weighted/met/every are; more of them while that is few requests.
	every := max(sampleEvery, min(sampleShare*c.weighted/c.met, c.met/sampleFew))
	if size < every {
		r.chance = size / every
		r.Exact = fraction(uint64(c.lines)) < r.chance
	}
}

// fraction draws a number from 0 to below 1 for a line; those of neighbours have nothing to do with each other, so that no
// order in which lines alternate can hide some of them. It is splitmix64.
func fraction(line uint64) float64 {
	x := line * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}

// atOnce counts what was drawn, and estimates all.
func atOnce(requests []Request) {
	const little = 16 << 10 // bytes that are not worth another goroutine
	size := 0
	for i := range requests {
		size += len(requests[i].Body)
	}
	var next atomic.Int64
	measure := func() {
		for i := next.Add(1) - 1; i < int64(len(requests)); i = next.Add(1) - 1 {
			requests[i].measure()
		}
	}
	var g sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(requests), 1+size/little) - 1 {
		g.Go(measure)
	}
	measure()
	g.Wait()
}

func (r *Request) measure() {
	r.cheap = Estimate(r.Body)
	if r.Exact && !r.Known {
		r.Tokens = r.scheme.count(r.Body, math.MaxInt)
	}
}

// take adds a request up, and estimates it by what was learnt before it.
func (c *Counter) take(r *Request) {
	s := c.strata[r.scheme]
	if !r.Exact {
		s.guessed += float64(r.cheap)
		r.Tokens = int64(math.Ceil(float64(r.cheap) * s.factor()))
		return
	}
	c.counts++
	c.exact += r.Tokens
	s.learn(float64(r.cheap), float64(r.Tokens), r.chance)
}

// Counted says how many requests were counted exactly, of how many in all.
func (c *Counter) Counted() (exact, all int64) { return c.counts, c.lines }

// Interval is the tokens of all requests together: the likeliest number by all that was learnt, and within what bounds the true
// one lies with 95 % confidence. They are the same number when everything was counted exactly. The sum of the single counts differs
// from the likeliest a little, as each was made with what was known by then.
func (c *Counter) Interval() (least, likely, most int64) {
	var sum, low, high, variance float64
	for _, scheme := range schemes {
		s := c.strata[scheme]
		sum += s.guessed * s.factor()
		if s.n < fewest {
			// Too few to say how far they scatter: anything from the overhead alone to a token a byte.
			low += s.guessed * s.factor()
			high += s.guessed * math.Max(0, bytesPerToken-s.factor())
			continue
		}
		z := Student(int64(s.n - 1))
		variance += z * z * s.variance()
	}
	off := math.Sqrt(variance)
	likely = c.exact + int64(math.Round(sum))
	least = c.exact + max(0, int64(math.Floor(sum-low-off)))
	most = c.exact + int64(math.Ceil(sum+high+off))
	return least, likely, most
}

// fewest is how many sampled requests say something about the rest.
const fewest = 6

// stratum is what is known of the requests that are counted by one scheme: x by the cheap rule, y exactly. A sampled request stands
// for (1-p)/p of those that were not, when its chance was p; it weighs that much (Horvitz and Thompson).
type stratum struct {
	guessed      float64 // x of what was not counted exactly
	x, y         float64 // of everything counted exactly
	n            int     // sampled
	wx, wy       float64
	vxx, vxy, vy float64 // for the variance, with weights (1-p)/p^2
}

func (s *stratum) learn(x, y, p float64) {
	s.x += x
	s.y += y
	if p >= 1 {
		return
	}
	w := (1 - p) / p
	s.n++
	s.wx += w * x
	s.wy += w * y
	s.vxx += w / p * x * x
	s.vxy += w / p * x * y
	s.vy += w / p * y * y
}

// factor is exact to cheap: of the sample, as the first lines of a file may be unlike the rest; of all that was counted while there
// are few of those.
func (s *stratum) factor() float64 {
	switch {
	case s.n >= fewest:
		return s.wy / s.wx
	case s.x > 0:
		return s.y / s.x
	}
	return 1
}

// variance is that of the guessed sum: of the residuals y - factor*x.
func (s *stratum) variance() float64 {
	f := s.factor()
	return max(0, s.vy-2*f*s.vxy+f*f*s.vxx)
}
