package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"batch/output"
	"batch/runner"
	"batch/runner/tokens"
	"batch/store"
)

const (
	redrawEvery = 500 * time.Millisecond
	lineEvery   = 10 * time.Second
	barFrame    = len("   1% ||   ") + 1 // what stands around the bar, and a column that stays free
)

// progress shows how a run stands: a bar on a terminal, a plain line now and then elsewhere.
type progress struct {
	term    *terminal
	runner  *runner.Runner
	before  store.Counts
	spent   output.Amount // of all runs before
	priced  bool
	total   int64 // jobs of this run
	started time.Time
	bar     *progressbar.ProgressBar
	// barWidth is that of the bar alone: it makes room for words on a narrow terminal.
	barWidth int
	rates    rates
	unkept   unkeptWarning
}

func newProgress(t *terminal, r *runner.Runner, before store.Counts, m *money, db string, limit int) *progress {
	p := &progress{term: t, runner: r, before: before, unkept: unkeptWarning{term: t, db: db}, spent: m.cost.Spent(), priced: len(m.prices) > 0, total: before.Pending, started: time.Now()}
	if limit > 0 {
		p.total = min(p.total, int64(limit))
	}
	p.rates.add(p.started, 0)
	if t.tty && !t.json && !t.quiet {
		p.barWidth = min(max(t.width()/8, 4), 20)
		// Over the jobs of this run alone: those of earlier ones would spoil the rate.
		p.bar = progressbar.NewOptions64(p.total, progressbar.OptionSetWriter(t.w), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false), progressbar.OptionUseANSICodes(true), progressbar.OptionSetWidth(p.barWidth),
			progressbar.OptionThrottle(0), progressbar.OptionSetRenderBlankState(false))
	}
	return p
}

// show draws until ended is closed.
func (p *progress) show(ended <-chan struct{}) {
	every := lineEvery
	if p.bar != nil {
		every = redrawEvery
		p.term.setHide(func() { p.bar.Clear() })
		defer p.term.setHide(func() {})
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			if p.bar != nil {
				p.term.clear()
			}
			return
		case <-tick.C:
			p.unkept.watch(p.runner.Progress())
			p.draw()
		}
	}
}

func (p *progress) draw() {
	if p.term.behind() {
		return
	}
	s := p.runner.Progress()
	finished := s.Done + s.Failed
	rate := p.rates.add(time.Now(), finished)
	left := "?"
	eta, foreseen := p.foresee(s, rate)
	if foreseen {
		left = eta.Round(time.Second).String()
	}
	say := says{{failedFirst, count(s.Failed) + " failed"}, {rateFirst, perSecond(rate)}, {leftFirst, left + " left"},
		{tokensFirst, count(s.PromptTokens+s.AnswerTokens) + " tokens"}}
	spent, end := p.cost(s)
	if p.priced {
		say = append(say, part{costFirst, spent.Dollars()})
		if end > 0 {
			say = append(say, part{costFirst, "in the end about " + end.Dollars()})
		}
	}
	if w := waiting(s); w != "" {
		say = append(say, part{waitingFirst, w})
	}
	if p.bar != nil {
		done := fmt.Sprintf("%s/%s", count(finished), count(p.total))
		p.term.draw(func() {
			room := p.term.width() - len(done) - barFrame - p.barWidth
			if room < 0 { // a window may have been made narrow since
				fmt.Fprintf(p.term.w, "\r\x1b[K%s", done[:min(len(done), p.term.width()-1)])
				return
			}
			p.bar.Describe(done)
			p.bar.Set64(min(finished, p.total))
			fmt.Fprintf(p.term.w, " %s\x1b[K", say.within(room))
		})
		return
	}
	e := event{"done": s.Done, "failed": s.Failed, "retried": s.Retried, "total": p.total, "in_flight": s.InFlight, "per_second": rate,
		"prompt_tokens": s.PromptTokens, "completion_tokens": s.AnswerTokens, "waiting": s.Waiting.Why,
		"unsaved": s.Unsaved, "unkept": s.Unkept}
	if p.priced {
		e["cost"] = spent.Exactly()
		if end > 0 {
			e["projected_cost"] = end
		}
	}
	if foreseen {
		e["seconds_left"] = eta.Seconds()
	}
	p.term.say("progress", e, "%s/%s, %s", count(finished), count(p.total), say)
}

// A line that does not fit its terminal is drawn anew below itself every time, so parts of it go: those that come first here.
const (
	tokensFirst = iota
	rateFirst
	failedFirst
	leftFirst
	costFirst
	waitingFirst
)

type part struct {
	goes int
	text string
}

// says are the parts of a line.
type says []part

func (s says) String() string {
	var words []string
	for _, p := range s {
		words = append(words, p.text)
	}
	return strings.Join(words, ", ")
}

// within is as much of the line as has room; what it says is ASCII.
func (s says) within(room int) string {
	s = slices.Clone(s)
	for goes := tokensFirst; goes < waitingFirst && len(s.String()) > room; goes++ {
		for i := len(s) - 1; i >= 0 && len(s.String()) > room; i-- {
			if s[i].goes == goes {
				s = slices.Delete(s, i, i+1)
			}
		}
	}
	text := s.String()
	return text[:min(len(text), max(room, 0))]
}

// foresee is how long the run will still take at this rate; one that is ending will not finish what is left.
func (p *progress) foresee(s runner.Progress, rate float64) (time.Duration, bool) {
	if rate <= 0 || s.Stop != nil {
		return 0, false
	}
	return time.Duration(float64(p.total-s.Done-s.Failed) / rate * float64(time.Second)), true
}

// cost is what all runs of the job file have cost until now, and what they will have when this one ends, if the rest costs as much a job
// as this run's have; 0 while that cannot be told.
func (p *progress) cost(s runner.Progress) (spent output.Amount, end tokens.Money) {
	now := output.Amount{Money: s.Cost}
	if !s.CostKnown {
		now.Unknown = 1
	}
	spent = p.spent.Plus(now)
	if finished := s.Done + s.Failed; finished > 0 && spent.Known() && s.Stop == nil {
		each := float64(s.Cost) / float64(finished)
		end = spent.Money.Plus(tokens.Money(each * float64(max(p.total-finished, 0))))
	}
	return spent, end
}

func perSecond(rate float64) string {
	if rate >= 10 {
		return fmt.Sprintf("%.0f/s", rate)
	}
	return fmt.Sprintf("%.1f/s", rate)
}

// rates is the speed over the last minute: the mean since the start forgets neither a pause nor a slow beginning.
type rates struct {
	at   []time.Time
	done []int64
}

const rateWindow = time.Minute

func (r *rates) add(now time.Time, done int64) float64 {
	r.at, r.done = append(r.at, now), append(r.done, done)
	for len(r.at) > 2 && now.Sub(r.at[0]) > rateWindow {
		r.at, r.done = r.at[1:], r.done[1:]
	}
	took := now.Sub(r.at[0]).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(done-r.done[0]) / took
}
