package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"batch/output"
	"batch/runner/tokens"
	"batch/store"
)

// note is a line below the table: what it is about, and what there is to say.
type note struct{ about, text string }

func writeNotes(w io.Writer, notes []note) {
	width := 0
	for _, n := range notes {
		width = max(width, len(n.about))
	}
	last := ""
	for _, n := range notes {
		about := n.about
		if about == last {
			about = ""
		}
		last = n.about
		fmt.Fprintf(w, "%-*s  %s\n", width, about, n.text)
	}
}

// notes say how the numbers are known, and how those that are not could be.
func (e *estimate) notes() []note {
	var all []note
	add := func(about, text string, args ...any) { all = append(all, note{about, fmt.Sprintf(text, args...)}) }
	f := &e.foreseen
	if s := e.sampled; s != nil {
		add("sample", "%s", e.sampleText(s))
	}
	if (e.counts.Done > 0 || e.spent.Money > 0 || e.lost > 0) && !e.free() {
		text := e.spent.Dollars() + possibly(e.possibly)
		if counted := e.money.cost.Counted(); counted.Money > 0 {
			text += ", estimated where the API reported no usage"
		}
		if p := f.Projected(e.spent).Likely; p != nil && f.Total.Jobs > 0 {
			text += ", in the end about " + p.Dollars()
		}
		add("spent so far", "%s", text)
	}
	if f.Total.Jobs == 0 {
		return all
	}
	if text := e.enoughText(); text != "" {
		add("budget", "%s", text)
	}
	e.priceNotes(add)
	add("prompts", "%s", e.countedText())
	if n := f.Total.Boundless; n > 0 {
		have := "have"
		if n == 1 {
			have = "has"
		}
		add("prompts", "%s %s images or other parts that are not counted, or %s for several answers", plural(n, "prompt"), have,
			map[bool]string{true: "asks", false: "ask"}[n == 1])
	}
	if e.lost > 0 {
		add("lost", "%s of %s had no answer: retries and what they may cost are not in these numbers", count(e.lost), plural(e.calls, "call"))
	}
	if f.Answers > 0 {
		if margin := marginText(f.Estimated, f.Reported); margin != "" {
			add("learnt", "from %s: %s", plural(f.Answers, "answer"), margin)
		}
	}
	if f.Total.Sure {
		add("bounds", "95 %% confidence, from %s", plural(f.Total.Answers, "answer"))
	} else {
		add("bounds", "%s", e.boundsText())
	}
	for _, m := range e.foreseen.Models {
		if m.Above > 0 {
			add("tiers", "%s: some prompts may be longer than %s tokens, where a dearer price begins; at most counts all at that", printable(m.Model), count(m.Above))
		}
	}
	add("time", "%s", e.timeText())
	if text := e.surerText(); text != "" {
		add("surer", "%s", text)
	}
	return all
}

func (e *estimate) sampleText(s *sampled) string {
	if s.Done+s.Failed == 0 && s.Stop == nil {
		if e.counts.Failed > 0 {
			return fmt.Sprintf("%s, answered or failed before: nothing was sent; batch retry lets the failed be sent again", plural(s.prompts, "prompt"))
		}
		return fmt.Sprintf("%s, answered before: nothing was sent", plural(s.prompts, "prompt"))
	}
	text := fmt.Sprintf("%s of %s answered", count(s.Done), plural(s.sent, "prompt"))
	if before := s.prompts - s.sent; before > 0 {
		text += fmt.Sprintf(" beside %s sent before", count(before))
	}
	if s.Failed > 0 {
		text += fmt.Sprintf(", %s failed", count(s.Failed))
	}
	if !e.free() {
		text += ", cost " + s.cost.Dollars()
		if s.counted {
			text += " (estimated)"
		}
		text += possibly(s.possibly)
	}
	if s.Done == 0 {
		return text
	}
	return text + "; batch run will not send them again"
}

// possibly says what may have been spent beside what is known.
func possibly(most output.Amount) string {
	switch {
	case most.Unknown > 0:
		return ", and possibly more"
	case most.Money > 0:
		return ", possibly " + most.Money.Dollars() + " more"
	}
	return ""
}

// enoughText says whether the budget will do.
func (e *estimate) enoughText() string {
	if e.limits.cost == 0 {
		return ""
	}
	flag := "--max-cost " + printable(e.budgetText[flagMaxCost])
	cost, spent := e.foreseen.Total.Cost, e.spent.Plus(e.possibly)
	var least tokens.Money
	if cost.Least != nil {
		least = e.spent.Money.Plus(*cost.Least)
	}
	switch {
	case cost.Least != nil && least > e.limits.cost:
		return flag + " is not enough for what all runs will cost at least, " + least.Dollars()
	case cost.Least != nil && least.Plus(e.possibly.Money) > e.limits.cost: // a budget takes what was possibly spent for spent
		return flag + " is not enough: all runs will cost at least " + least.Dollars() + ", and " + e.possibly.Money.Dollars() + " was possibly spent beside it"
	case cost.Most == nil || !spent.Known():
		return flag + ": it is not known whether it is enough"
	case spent.Money.Plus(*cost.Most) <= e.limits.cost:
		return flag + " is enough for what all runs can cost at most, " + spent.Money.Plus(*cost.Most).Dollars()
	}
	return flag + " may not be enough for all runs: at most they cost " + spent.Money.Plus(*cost.Most).Dollars()
}

// free says that nobody charges for anything, nor is to be taken to.
func (e *estimate) free() bool { return e.simulated && len(e.money.prices) == 0 }

// priceNotes says what the models cost, and how that is known.
func (e *estimate) priceNotes(add func(about, text string, args ...any)) {
	f := &e.foreseen
	const hint = "unknown; give it with --price IN,OUT or --prices FILE"
	priced := false
	for i := range f.Models {
		priced = priced || f.Models[i].Price != nil
	}
	switch p := f.Models[0].Price; {
	case !priced && e.simulated:
		add("price", "none: the answers are made up; to try one: --price IN,OUT")
		return
	case !priced:
		add("price", hint)
		return
	case p != nil && e.money.prices.Of(e.endpointName(), "") == p: // one for all
		add("price", "%s", describePrice(p))
		return
	}
	shown := e.largest()
	for _, m := range shown {
		text := hint
		if m.Price != nil {
			text = describePrice(m.Price)
		}
		if len(f.Models) > 1 {
			text = printable(m.Model) + ": " + text
		}
		add("price", "%s", text)
	}
	if more := len(f.Models) - len(shown); more > 0 {
		add("price", "and those of %s", plural(int64(more), "more model"))
	}
}

// countedText says how the prompts were counted.
func (e *estimate) countedText() string {
	byName := map[string]bool{}
	for i := range e.foreseen.Models {
		name, _ := tokens.Vocabulary(e.foreseen.Models[i].Model)
		byName[name] = true
	}
	by := "o200k_base"
	switch {
	case len(byName) > 1:
		by = "cl100k_base and o200k_base, by model"
	case byName["cl100k_base"]:
		by = "cl100k_base"
	}
	if e.counter == nil {
		return "as counted by " + by + " when they were read"
	}
	exact, all := e.counter.Counted()
	if exact == all {
		return fmt.Sprintf("each counted by %s", by)
	}
	return fmt.Sprintf("%s of %s counted by %s, the sum is right within %.2g %%; --exact counts all", count(exact), count(all), by, 100*e.countedMargin())
}

func (e *estimate) boundsText() string {
	f := &e.foreseen
	margins := map[float64]bool{}
	for i := range f.Models {
		_, margin := tokens.Vocabulary(f.Models[i].Model)
		margins[margin] = true
	}
	var shares []string
	for _, m := range slices.Sorted(maps.Keys(margins)) {
		shares = append(shares, fmt.Sprintf("%.0f %%", 100*m))
	}
	text := fmt.Sprintf("prompt tokens within %s, as no answer has told yet", strings.Join(shares, " or "))
	if f.Total.Answers > 0 && f.Total.Enough {
		text = fmt.Sprintf("from the first %s in file order, perhaps not like the rest; --sample N tells", plural(f.Total.Answers, "answer"))
	} else if f.Total.Answers > 0 {
		text = fmt.Sprintf("too few answers for a confidence: %s", count(f.Total.Answers))
		if len(f.Models) > 1 {
			text = "too few answers of some models for a confidence"
		}
	}
	switch {
	case f.Total.Bounded == f.Total.Jobs:
		text += "; completions up to what the requests allow"
	case f.Total.Completion.Most != nil:
		text += "; completions up to what the requests or the model allow"
	case f.Total.Boundless > 0 && f.Total.Boundless == f.Total.Jobs-f.Total.Bounded:
		text += "; nothing bounds the answers to those that are not counted"
	default:
		text += fmt.Sprintf("; nothing bounds the answers to %s (--max-tokens)", plural(f.Total.Jobs-f.Total.Bounded, "prompt"))
	}
	return text
}

func (e *estimate) timeText() string {
	p := e.pace
	parts := []string{plural(int64(p.Concurrency), "call") + " at a time"}
	limit := func(n float64, noun string, stated bool) {
		text := trimmed(n, noun) + " a minute"
		if stated {
			text += " as the API stated"
		}
		if n > 0 {
			parts = append(parts, text)
		}
	}
	limit(p.RPM, "request", e.statedRPM)
	limit(p.TPM, "token", e.statedTPM)
	if len(parts) == 1 {
		parts = append(parts, "no limit known (--rpm, --tpm)")
	}
	text := strings.Join(parts, ", ")
	if e.foreseen.Time.Likely == nil {
		text += "; how long an answer takes is not known yet"
	}
	return text
}

// trimmed writes a limit without a fraction that says nothing.
func trimmed(n float64, noun string) string {
	if n == float64(int64(n)) {
		return plural(int64(n), noun)
	}
	return fmt.Sprintf("%v %ss", n, noun)
}

// goodEnough is a spread about what is likely that nobody needs to pay to narrow.
const goodEnough = 0.05

// surer is a sample that would narrow the estimate; of no prompts where none would.
type surer struct {
	sample, send int64
	forecast     output.Forecast // of what it sends
}

// findSurer finds a sample worth its price, and asks the store what it would send.
func (e *estimate) findSurer(ctx context.Context, v *store.View, known output.Known) error {
	f := &e.foreseen
	e.surer = surer{}
	likely, most := f.Total.Completion.Likely, f.Total.Completion.Most
	switch {
	case f.Total.Jobs == 0, e.noUsage(), e.sampled != nil && (e.sampled.Stop != nil || e.sampled.Done == 0 && e.sampled.Failed > 0):
		return nil
	case likely != nil && most != nil && f.Total.Sure && float64(*most-*likely) <= goodEnough*float64(*likely):
		return nil
	}
	sample := int64(20 * len(f.Models))
	if f.Total.Sure {
		sample = 4 * f.Answers
	}
	sample = max(sample, 2*f.Answers) // at least half of it is new
	if f.Answers == 0 {               // of a small file not all of it: that would be the run
		sample = min(sample, f.Total.Jobs/2)
	}
	if sample == 0 || sample >= e.counts.Jobs {
		return nil
	}
	var chosen []store.Backlog
	if e.imported && e.cfg.dryRun { // the prompts are not in the job file, as nothing is to be changed
		send := min(sample, f.Total.Jobs)
		chosen = share(slices.Clone(e.backlog), send, f.Total.Jobs)
	} else {
		var err error
		if chosen, err = v.Choice(ctx, sample); err != nil {
			return err
		}
	}
	e.surer = surer{sample: sample, forecast: output.NewForecast(chosen, known)}
	for _, b := range chosen {
		e.surer.send += b.Jobs
	}
	if e.surer.send == f.Total.Jobs {
		e.surer = surer{}
	}
	return nil
}

// noUsage says that there are answers, and that no usage was reported with any.
func (e *estimate) noUsage() bool { return e.counts.Done > 0 && len(e.money.seen) == 0 }

// surerText says what would narrow the estimate, and at what price.
func (e *estimate) surerText() string {
	switch s := e.surer; {
	case e.sampled != nil && e.sampled.Stop == nil && e.counts.Done == 0 && e.sampled.Failed > 0:
		return "not by this sample: every prompt of it failed"
	case e.sampled != nil && e.sampled.Stop == nil && e.noUsage():
		return "not by a sample: the API reports no usage"
	case s.send == 0:
		return ""
	default:
		return fmt.Sprintf("--sample %d sends %s and learns from the answers, %s", s.sample, plural(s.send, "prompt"), e.costOf(s.forecast))
	}
}
