package sim

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"

	"batch/runner/tokens"
)

// preface opens every text, so that nobody mistakes it for a model's.
const preface = "[practice answer, made up by batch simulate] "

// The words of an answer. Some have letters, marks and quotes that a file format may trip over.
var words = strings.Fields(`river lantern quiet copper window seven orchard "almost" paper harbour winter thread
	naïve garden, signal, candle; marble north evening café little bridge without pepper silver meadow, 東京 carriage
	slowly island echo; amber field's velvet sudden mirror cloud, ribbon autumn stone & feather market ½ honey tower
	distant jasmine`)

// answer is a made-up completion: a function of the seed and the request's body, but for the time it was made.
type answer struct {
	id      uint64
	created int64
	choices []choice
	usage   usage
}

type choice struct {
	text, finish string
}

type usage struct {
	prompt, completion int64
}

func (u usage) total() int64 { return u.prompt + u.completion }

// compose makes up the answer to a request with this number.
func compose(number uint64, req *request) answer {
	a := answer{id: mix(number), choices: make([]choice, req.choices), usage: usage{prompt: req.prompt}}
	for i := range a.choices {
		r := rng(mix(number + uint64(i) + 1))
		c := choice{finish: "stop"}
		if req.object {
			var fits bool
			if c.text, fits = r.instance(req.schema); !fits {
				c.text = r.object()
			}
		} else {
			c.text = r.prose()
		}
		a.usage.completion += c.cut(req)
		a.choices[i] = c
	}
	return a
}

// filter is moderation stopping the answer halfway. What was not made is not used.
func (a *answer) filter(req *request) {
	a.usage.completion = 0
	for i := range a.choices {
		c := &a.choices[i]
		c.text, c.finish = clean(c.text, len(c.text)/2), "content_filter"
		a.usage.completion += tokens.CountText(req.asked, c.text)
	}
}

// cut ends the text at the first stop sequence, or where the tokens run out, whichever comes first, and counts what is left.
func (c *choice) cut(req *request) int64 {
	for _, s := range req.stop {
		if s == "" {
			continue
		}
		if i := strings.Index(c.text, s); i >= 0 {
			c.text = c.text[:i]
		}
	}
	most := req.max
	if most == 0 {
		most = math.MaxInt64
	}
	text, n := tokens.CutText(req.asked, c.text, most)
	if len(text) < len(c.text) {
		c.text, c.finish = text, "length"
	}
	return n
}

// clean is the first n bytes of s without the piece of a character at their end.
func clean(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// rng is splitmix64: small, quick, and the same everywhere.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return mix(uint64(*r))
}

func (r *rng) word() string { return words[r.next()%uint64(len(words))] }

// prose is 3 to 60 words after the preface, more often few than many.
func (r *rng) prose() string {
	var b strings.Builder
	b.Grow(512)
	b.WriteString(preface)
	for n := 3 + r.next()%(1+r.next()%58); n > 0; n-- {
		b.WriteString(r.word())
		if n > 1 {
			b.WriteByte(' ')
		}
	}
	b.WriteByte('.')
	return b.String()
}

// object is a small JSON object.
func (r *rng) object() string {
	b := append([]byte(nil), `{"practice":"made up by batch simulate","words":[`...)
	for i := range 2 + r.next()%6 {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, r.word())
	}
	return string(append(b, "]}"...))
}

// number draws all that is decided for a body from the seed: the answer, the delay, the faults. Each draws with a purpose
// of its own, so that turning faults on changes no answer.
func number(seed uint64, body *[32]byte, purpose uint64) uint64 {
	return mix(binary.LittleEndian.Uint64(body[:8]) ^ mix(seed^mix(purpose)))
}

const (
	forAnswer = iota + 1
	forDelay
	forFault
)

// share turns a number into a fraction from 0 to below 1.
func share(n uint64) float64 { return float64(n>>11) / (1 << 53) }

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
