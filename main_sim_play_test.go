package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"batch/runner/tokens"
)

// play lets runs go on in bad weather, then in good.
func (s *simulation) play() {
	s.weather()
	if s.plan.budget {
		s.budget = 1 + tokens.Money(s.random(1).Float64()*float64(s.plan.prompts)*1e-4*float64(tokens.Dollar))
	}
	for n := range s.plan.runs {
		r := s.random(100 + n)
		if n > 0 {
			s.between(r)
		}
		s.writeInput()
		s.run(r, drawEnd(r, s.plan.prompts))
	}
	s.heal()
	s.finish()
}

// weather sets the outages of the network going.
func (s *simulation) weather() {
	for _, o := range s.plan.outages {
		time.AfterFunc(o.from, func() { s.net.set(o.kind) })
		time.AfterFunc(o.to, func() { s.net.set(netUp) })
	}
}

func (s *simulation) heal() {
	s.api.heal()
	for _, o := range s.plan.outages { // none may begin any more
		if left := time.Until(s.begun.Add(o.to)); left > 0 {
			<-time.After(left + time.Second)
		}
	}
	s.net.heal()
}

// between is what a user does between runs.
func (s *simulation) between(r *rand.Rand) {
	s.edit(r)
	<-time.After(time.Duration(r.Int64N(int64(oneOf(r, time.Second, time.Minute, time.Hour, 50*time.Hour)))))
	if _, err := os.Stat(s.jobFile()); err != nil {
		return
	}
	if r.IntN(8) == 0 {
		s.retry()
	}
	if r.IntN(8) == 0 {
		s.do([]int{exitOK}, "status", s.jobFile())
	}
	if r.IntN(8) == 0 && s.imported() { // not as Parquet: its compressor outlives a bubble
		s.export(oneOf(r, "csv", "jsonl"))
	}
	if s.plan.budget && r.IntN(2) == 0 {
		s.budget *= tokens.Money(1 + r.IntN(5))
	}
}

// export writes the results once more and holds them against the job file. Those of the last run may be older.
func (s *simulation) export(format string) {
	s.look(s.do([]int{exitOK}, "export", s.jobFile(), "-o", s.path("other."+format)), true, "in.results.jsonl", "in.errors.jsonl", "in.usage.jsonl")
	for _, name := range s.names() {
		if strings.HasPrefix(name, "other.") {
			os.Remove(s.path(name))
		}
	}
}

// retry puts failed jobs back, where the last run left the file in order.
func (s *simulation) retry() {
	s.do([]int{exitOK, exitUsage}, "retry", s.jobFile())
}

func (s *simulation) runArgs(r *rand.Rand) []string {
	args := []string{"run", s.path("in.jsonl"), "--base-url", simURL,
		"--header", "Authorization: Bearer " + simKey, "--header", fmt.Sprint(childHeader, ": ", len(s.ended)+1)}
	args = append(args, s.plan.flags...)
	if r != nil && r.IntN(6) == 0 {
		args = append(args, "--limit", strconv.Itoa(1+r.IntN(s.plan.prompts)))
	}
	if s.budget > 0 {
		args = append(args, "--max-cost", s.budget.String())
	}
	return args
}

// run is one run, and all that must hold after it.
func (s *simulation) run(r *rand.Rand, e simEnd) *simProcess {
	s.t.Helper()
	s.runs++
	p := s.start(s.runArgs(r)...)
	s.end(p, e)
	if !p.died && p.code == exitUsage && strings.Contains(p.said.String(), "--accept-changes") {
		p = s.start(append(s.runArgs(nil), "--accept-changes")...)
		s.wait(p, nil)
	}
	s.check(p)
	if s.t.Failed() {
		s.t.Fatal(s.story())
	}
	return p
}

// simTries is how often the same command is repeated until it has finished, in good weather. A wait that the API asked for in bad weather, and
// a job that a stop put behind all others, take a run each.
const simTries = 6

// finish repeats the command until everything is answered, and then holds everything against everything.
func (s *simulation) finish() {
	s.budget *= 1e6 // 1 picodollar at least was given
	retried := 0
	for try := 0; ; try++ {
		s.writeInput()
		p := s.run(nil, simEnd{})
		if p.code == exitOK {
			break
		}
		if p.code == exitPartial {
			if retried++; retried > 2 {
				s.t.Fatalf("what failed in bad weather fails in good\n%s", s.story())
			}
			s.retry()
			continue
		}
		if try >= simTries {
			s.t.Fatalf("the same command is not finished after %d runs\n%s", try, s.story())
		}
		<-time.After(25 * time.Hour) // longer than any wait that is kept
	}
	if s.seed%4 == 0 {
		calls := len(s.api.log())
		s.run(nil, simEnd{})
		if more := len(s.api.log()) - calls; more > 0 {
			s.t.Errorf("a finished run was run again and made %d calls", more)
		}
	}
	if s.seed%3 == 0 {
		s.do([]int{exitOK}, "verify", s.jobFile())
	}
	s.checkEnd()
	if s.t.Failed() {
		s.t.Fatal(s.story())
	}
}

// imported says that the job file is more than an empty one.
func (s *simulation) imported() bool {
	return slices.Contains(s.names(), "in.results.jsonl")
}
