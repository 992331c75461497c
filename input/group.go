package input

import (
	"errors"

	"batch/runner/tokens"
)

// A group of lines is read before their tokens are counted, all at once.
const (
	groupLines = 512
	groupBytes = 4 << 20
)

// group is what was read ahead.
type group struct {
	counter  *tokens.Counter
	lines    []result
	given    int // of lines
	requests []tokens.Request
}

type result struct {
	prompt Prompt
	err    error
}

// next gives what read gives, counted.
func (g *group) next(read func() (Prompt, error)) (Prompt, error) {
	if g.given == len(g.lines) {
		g.fill(read)
	}
	l := &g.lines[g.given]
	var bad *LineError
	if l.err == nil || errors.As(l.err, &bad) {
		g.given++
	} // else it is the end, for ever
	p := l.prompt
	l.prompt = Prompt{} // not to be held any longer
	return p, l.err
}

func (g *group) fill(read func() (Prompt, error)) {
	g.lines, g.requests, g.given = g.lines[:0], g.requests[:0], 0
	for bytes := 0; len(g.lines) < groupLines && bytes < groupBytes; {
		p, err := read()
		g.lines = append(g.lines, result{p, err})
		if err == nil {
			g.requests = append(g.requests, tokens.Request{Model: p.Model, Body: p.Body, Tokens: p.Tokens, Known: p.counted})
			bytes += len(p.Body)
			continue
		}
		var bad *LineError
		if !errors.As(err, &bad) {
			break
		}
	}
	g.counter.CountAll(g.requests)
	i := 0
	for j := range g.lines {
		if g.lines[j].err == nil {
			g.lines[j].prompt.Tokens = g.requests[i].Tokens
			i++
		}
	}
	clear(g.requests)
}
