package runner

import (
	"batch/runner/chat"
	"batch/runner/tokens"
)

// learnAfter is how many answers of a model are enough to trust them more than the caution of one that has not answered.
const learnAfter = 3

// margins knows by requested model how much longer prompts may be than they were estimated. No model learns from another: each has a
// vocabulary, and a hidden prompt, of its own.
type margins map[string]*margin

func newMargins(given map[string]tokens.Margin) margins {
	m := margins{}
	for model, base := range given {
		m[model] = &margin{base: base, given: true}
	}
	return m
}

func (m margins) of(model string) *margin {
	one := m[model]
	if one == nil {
		one = &margin{base: tokens.Unlearnt}
		m[model] = one
	}
	return one
}

// margin is what holds for one model.
type margin struct {
	base  tokens.Margin // what runs before have learnt, or Unlearnt
	given bool
	over  int64         // the most tokens that a prompt of this run had beyond base
	own   tokens.Learnt // of what the surplus of base does not explain
}

// now covers every prompt that this run has seen, and is never less than what was given. A surplus is taken as one at first: were a
// hidden prompt before a short one multiplied, a long one would seem to cost a fortune.
func (m *margin) now() tokens.Margin {
	own := m.own.Margin()
	in := tokens.Margin{Factor: m.base.Factor, Surplus: m.over}
	switch {
	case m.own.Answers < learnAfter:
	case m.given:
		in = in.Or(own)
	default:
		in = own.Or(tokens.Margin{Surplus: m.over})
	}
	in.Surplus = add(in.Surplus, m.base.Surplus)
	return in
}

// learn takes in what was reported for a prompt.
func (m *margin) learn(estimated int64, usage chat.Usage) {
	if !usage.Known || usage.Prompt == 0 {
		return
	}
	m.over = max(m.over, m.base.Missing(estimated, usage.Prompt))
	m.own.Add(estimated, max(usage.Prompt-m.base.Surplus, 1))
}
