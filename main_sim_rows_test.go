package main

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"batch/runner/tokens"
)

var simRows = flag.Int("sim-rows", 3000, "how many prompts TestN18_ResetsAndBadGateways sends")

// finished wants of a run that it was not given up, and made no more than so many calls and attempts.
func (s *simulation) finished(p *simProcess, most int) {
	s.t.Helper()
	if p.code != exitOK {
		s.t.Fatalf("exit %d\n%s", p.code, s.story())
	}
	attempts := 0
	s.answers("SELECT id, '' FROM attempts", func(int64, string) { attempts++ })
	if calls := len(s.api.log()); calls > most || attempts > most {
		s.t.Errorf("%d calls and %d attempts for %d prompts", calls, attempts, len(s.lines))
	}
	s.checkEnd()
}

// TestN17_TheNetworkIsAway for ten minutes, in every way in which one can be: the run goes on by itself, and hardly tries in vain.
func TestN17_TheNetworkIsAway(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]outageKind{"refused": netRefuses, "no such host": netUnknownHost, "stalled": netStalls, "swallowed": netSwallowed} {
		t.Run(name, func(t *testing.T) {
			const rows = 600
			plan := simPlan{prompts: rows, api: apiPlan{latency: time.Second}, outages: []outage{{20 * time.Second, 20*time.Second + 10*time.Minute - time.Second, kind}}}
			simulated(t, 17, &plan, func(s *simulation) {
				s.weather()
				s.writeInput()
				s.finished(s.run(nil, simEnd{}), rows+rows/10)
				if took := time.Since(s.begun); took < 10*time.Minute-time.Second || took > 13*time.Minute {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// TestN18_ResetsAndBadGateways: one connection in a hundred is reset while it is used, and one call in a hundred meets a bad gateway. Every
// prompt is answered and paid once, with few retries.
func TestN18_ResetsAndBadGateways(t *testing.T) {
	t.Parallel()
	plan := simPlan{prompts: *simRows, api: apiPlan{latency: 100 * time.Millisecond, jitter: 0.5, faults: []simFault{{"html 502", 0.01}, {"reset", 0.01}}}}
	simulated(t, 18, &plan, func(s *simulation) {
		s.writeInput()
		s.finished(s.run(nil, simEnd{}), *simRows*103/100+10)
	})
}

// TestQ4_ABudgetThatEnds: at no moment is more charged than the budget, whatever becomes of the calls; the run stops before, and goes on with
// the command that it prints.
func TestQ4_ABudgetThatEnds(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]simFault{"good weather": nil, "bad": {{"reset", 0.05}, {"500", 0.05}, {"lost 500", 0.05}, {"no usage", 0.05}, {"cut", 0.05}}} {
		for _, ignores := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", every call is billed"}[ignores], func(t *testing.T) {
				plan := simPlan{prompts: 200, api: apiPlan{latency: time.Second, jitter: 1, faults: faults, ignores: ignores}, budget: true,
					flags: []string{"--price", budgetPrice, "--concurrency", "16"}}
				simulated(t, 4, &plan, func(s *simulation) {
					s.writeInput()
					s.budget = tokens.Dollar / 50
					s.api.worked = s.checkMoney
					p := s.run(nil, simEnd{})
					if p.code != exitStopped || !strings.Contains(p.said.String(), "the budget is reached") {
						s.t.Fatalf("exit %d\n%s", p.code, s.story())
					}
					if charged := s.charged().cost; charged < s.budget/2 {
						t.Errorf("only %s charged of %s", charged.Dollars(), s.budget.Dollars())
					}
					words := strings.Fields(p.said.String())
					i := slices.Index(words, "--max-cost")
					if i < 0 {
						t.Fatalf("no budget is named that would be enough\n%s", s.story())
					}
					enough, err := tokens.ParseMoney(words[i+1])
					if err != nil {
						t.Fatal(err)
					}
					s.budget = enough
					if p := s.run(nil, simEnd{}); p.code != exitOK && faults == nil {
						s.t.Fatalf("exit %d\n%s", p.code, s.story())
					}
				})
			})
		}
	}
}
