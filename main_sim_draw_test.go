package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// simPlan is what a seed decides before anything runs.
type simPlan struct {
	prompts int // at first
	api     apiPlan
	network netFaults
	outages []outage // of the network
	flags   []string // of every run
	budget  bool
	stream  bool
	runs    int // before all is made well
}

// outage is a time without a network.
type outage struct {
	from, to time.Duration
	kind     outageKind
}

// swarm takes some of the kinds: all at once would hide what each does.
func swarm[T any](r *rand.Rand, all []T, most int) []T {
	all = slices.Clone(all)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:r.IntN(min(most, len(all))+1)]
}

func oneOf[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

var (
	passing = []string{"429", "429", "bare 429", "425", "503", "529", "overloaded", "empty 503", "limit200", "408", "409", "500", "504", "520", "error200", "empty", "garbage", "null",
		"html 502", "hang", "reset early", "late", "lost 500", "reset", "cut", "drip", "stall", "no usage", "no done"}
	fates = []string{"400", "404", "413", "422", "context", "policy"}
	moods = []string{"401", "402", "403", "quota", "exhausted", "quota200", "redirect", "no api", "same 400", "bare 403", "503", "529", "429", "500", "hang", "reset early", "garbage", "html 502"}
)

func drawPlan(r *rand.Rand, now time.Time) simPlan {
	p := simPlan{prompts: 1 + r.IntN(40), runs: 1 + r.IntN(3)}
	a := &p.api
	for _, kind := range swarm(r, passing, 5) {
		a.faults = append(a.faults, simFault{kind, oneOf(r, 0.01, 0.05, 0.1, 0.2)})
	}
	if r.IntN(4) == 0 {
		for _, kind := range swarm(r, fates, 2) {
			a.fatal = append(a.fatal, simFault{kind, 0.05})
		}
	}
	at := now
	for range r.IntN(4) {
		at = at.Add(time.Duration(r.IntN(300)) * time.Second)
		s := spell{from: at, kind: oneOf(r, moods...)}
		at = at.Add(time.Duration(1+r.IntN(oneOf(r, 5, 60, 900))) * time.Second)
		s.to = at
		a.weather = append(a.weather, s)
	}
	a.wait, a.headers = waitStyle(r.IntN(int(waitStyles))), headerStyle(r.IntN(int(headerStyles)))
	a.keepsBad, a.ignores = r.IntN(5) == 0, r.IntN(4) == 0
	if r.IntN(3) == 0 {
		for range 1 + r.IntN(3) {
			a.rpm = append(a.rpm, 1+r.IntN(oneOf(r, 3, 20, 100)))
		}
	}
	a.latency, a.jitter = oneOf(r, 0, 10*time.Millisecond, time.Second, 8*time.Second), oneOf(r, 0, 0.5, 1)
	a.sawtooth = oneOf(r, 0, 0, 100*time.Millisecond, 30*time.Second)
	if r.IntN(3) == 0 {
		p.network = netFaults{refused: oneOf(r, 0, 0.1, 0.5), slow: oneOf(r, 0, 0.3), stalled: oneOf(r, 0, 0.05), severed: oneOf(r, 0, 0.1, 0.5)}
	}
	for range r.IntN(2) * r.IntN(3) {
		from := time.Duration(r.IntN(300_000)) * time.Millisecond
		p.outages = append(p.outages, outage{from, from + time.Duration(1+r.IntN(oneOf(r, 5, 60, 900)))*time.Second, outageKind(1 + r.IntN(4))})
	}
	p.drawFlags(r)
	return p
}

func (p *simPlan) drawFlags(r *rand.Rand) {
	add := func(words ...any) {
		for _, w := range words {
			p.flags = append(p.flags, fmt.Sprint(w))
		}
	}
	add("--concurrency", oneOf(r, 1, 2, 4, 16, 64))
	if r.IntN(3) == 0 {
		add("--max-attempts", 1+r.IntN(8))
	}
	if r.IntN(2) == 0 {
		add("--max-wait", oneOf(r, "30s", "2m", "1h"))
	}
	if r.IntN(2) == 0 {
		add("--timeout", oneOf(r, "20s", "90s"))
	}
	if r.IntN(6) == 0 {
		add("--rpm", oneOf(r, 6, 60, 600))
	}
	if r.IntN(8) == 0 {
		add("--tpm", oneOf(r, 500, 5000))
	}
	if r.IntN(8) == 0 {
		add("--keep-going")
	}
	if r.IntN(3) == 0 {
		p.stream = true
		add("--stream")
	}
	if r.IntN(8) == 0 {
		add("--dedupe")
	}
	p.budget = r.IntN(5) == 0
	if p.budget || p.prompts%2 == 0 { // without one nobody knows what it cost
		add("--price", budgetPrice)
	}
}

// simEnd is how a run of the simulation ends, if not by itself.
type simEnd struct {
	how   string // "", gently, twice, term, death
	call  int    // after this call, 0 for the start
	whole bool   // was answered, else came
	then  time.Duration
}

func drawEnd(r *rand.Rand, prompts int) simEnd {
	e := simEnd{how: oneOf(r, "", "gently", "twice", "term", "death", "death", "death")}
	if e.how == "" {
		return e
	}
	if r.IntN(4) > 0 {
		e.call, e.whole = 1+r.IntN(1+r.IntN(prompts)), r.IntN(2) == 0
	}
	e.then = time.Duration(r.Int64N(int64(oneOf(r, time.Microsecond, 3*time.Millisecond, 3*time.Millisecond, time.Second, time.Minute, 20*time.Minute))))
	return e
}
