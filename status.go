package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/runner/tokens"
	"batch/store"
)

func statusCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "tell where a job file stands, also while a run is on",
		ArgsUsage:   "prompts.batch.db",
		Description: "Counts the jobs by state, the attempts and the tokens. Nothing is changed.",
		Flags:       []cli.Flag{jsonFlag()},
		Action:      func(ctx *cli.Context) error { return c.statusVerb(ctx) },
	}
}

// jsonFlag is --json of the verbs that print one document.
func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "one JSON document on standard output"}
}

// status is how a job file stands, as a document.
type status struct {
	JobFile   string `json:"job_file"`
	Simulated bool   `json:"simulated"`
	Running   bool   `json:"run_on"` // a run holds the job file now

	Jobs    int64           `json:"jobs"`
	Done    int64           `json:"done"`
	Failed  int64           `json:"failed"`
	Pending int64           `json:"pending"`
	InWork  int64           `json:"running"`
	Unsaved []store.Waiting `json:"unsaved,omitempty"` // of the jobs that are running here
	Skipped int64           `json:"skipped"`
	Shared  int64           `json:"shared,omitempty"` // lines whose answer is that of an equal one

	Attempts     int64 `json:"attempts"`
	Prompt       int64 `json:"prompt_tokens"`
	Completion   int64 `json:"completion_tokens"`
	Total        int64 `json:"total_tokens"`
	Estimated    int64 `json:"estimated_tokens"`
	UsageUnknown int64 `json:"usage_unknown"`
	Wasted       int64 `json:"wasted_tokens"`
	Gone         int64 `json:"gone_tokens"`
	PossiblyPaid int64 `json:"possibly_paid"`

	Cost          *tokens.Money `json:"cost"` // of all that was reported, in dollars; null where a part is unknown, or nothing was reported
	EstimatedCost *tokens.Money `json:"estimated_cost"`
	PossiblySpent *tokens.Money `json:"possibly_spent"` // at most, for calls with an unknown outcome or none yet
	cost          output.Cost

	Projected output.Guess[tokens.Money] `json:"projected_cost"` // of all runs, when everything is answered
	MaxCost   *tokens.Money              `json:"max_cost"`       // the budget that a run without another keeps to
	MaxTokens *int64                     `json:"max_tokens_total"`
	// Prompt tokens of the answers that reported them, as they were estimated and as they were.
	PromptEstimated int64 `json:"prompt_tokens_estimated"`
	PromptReported  int64 `json:"prompt_tokens_reported"`

	FinishReasons map[string]int64 `json:"finish_reasons"`
	Failures      map[string]int64 `json:"failures"`
	Endpoints     map[string]int64 `json:"endpoints"`
	LastRun       *lastRun         `json:"last_run"`
}

type lastRun struct {
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended"`
	Endpoint string     `json:"endpoint"`
	Reason   string     `json:"reason,omitempty"`
}

func (c *command) statusVerb(ctx *cli.Context) error {
	name, err := oneJobFile(ctx)
	if err != nil {
		return err
	}
	st, err := store.OpenRead(ctx.Context, name)
	if err != nil {
		return err
	}
	defer st.Close()
	s, err := readStatus(ctx, st, name)
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		return output.WriteJSON(c.stdout, s)
	}
	return s.print(c.stdout)
}

func readStatus(ctx *cli.Context, st *store.Store, name string) (status, error) {
	s := status{JobFile: name, Running: store.Held(name)}
	var err error
	if s.Unsaved, err = waitingIn(ctx.Context, st, name); err != nil {
		return s, err
	}
	settings, err := st.Settings(ctx.Context)
	if err != nil {
		return s, err
	}
	s.Simulated = settings[store.SettingSimulated] == "true"
	budget, err := budgetConfig{flagMaxCost: settings[store.SettingBudget+flagMaxCost], flagMaxTokens: settings[store.SettingBudget+flagMaxTokens]}.limits()
	if err != nil {
		return s, err
	}
	if budget.cost > 0 {
		s.MaxCost = &budget.cost
	}
	if budget.tokens > 0 {
		s.MaxTokens = &budget.tokens
	}
	v, err := st.View(ctx.Context)
	if err != nil {
		return s, err
	}
	defer v.Close()
	c, err := v.Counts(ctx.Context)
	if err != nil {
		return s, err
	}
	s.Jobs, s.Done, s.Failed, s.Pending, s.InWork, s.Skipped, s.Shared = c.Jobs, c.Done, c.Failed, c.Pending, c.Running, c.Skipped, c.Shared
	totals, err := v.Totals(ctx.Context)
	if err != nil {
		return s, err
	}
	for _, t := range totals {
		s.Attempts += t.Attempts
		s.Prompt += t.Prompt
		s.Completion += t.Completion
		s.Total += t.Total
		s.Estimated += t.Estimated
		s.UsageUnknown += t.UsageUnknown
		s.Wasted += t.Wasted
		s.Gone += t.Gone
		s.PossiblyPaid += t.PossiblyPaid
	}
	prices, err := v.Prices(ctx.Context)
	if err != nil {
		return s, err
	}
	seen, err := v.Seen(ctx.Context)
	if err != nil {
		return s, err
	}
	margins, err := output.ReadMargins(ctx.Context, v)
	if err != nil {
		return s, err
	}
	bills, err := v.BillsAt(ctx.Context, output.Tiers(prices, margins))
	if err != nil {
		return s, err
	}
	backlog, err := v.Unanswered(ctx.Context)
	if err != nil {
		return s, err
	}
	known := output.Known{Prices: output.NewPrices(prices), Seen: seen, Bills: bills}
	s.cost = known.Prices.Cost(bills, margins)
	s.Cost, s.EstimatedCost, s.PossiblySpent = s.cost.Told().Exactly(), s.cost.Counted().Exactly(), s.cost.Possibly().Exactly()
	for _, b := range seen {
		s.PromptEstimated += b.Estimated
		s.PromptReported += b.Prompt
	}
	var finish, failures, endpoints []store.Tally
	finish, err1 := v.FinishReasons(ctx.Context)
	failures, err2 := v.Failures(ctx.Context)
	endpoints, err3 := v.Endpoints(ctx.Context)
	if err := errors.Join(err1, err2, err3); err != nil {
		return s, err
	}
	s.FinishReasons, s.Failures, s.Endpoints = byKind(finish), byKind(failures), byKind(endpoints)
	run, err := st.LastRun(ctx.Context)
	switch {
	case isNotFound(err):
		return s, nil
	case err != nil:
		return s, err
	}
	known.Endpoint = run.Endpoint
	f := output.NewForecast(backlog, known)
	s.Projected = f.Projected(s.cost.Spent())
	s.LastRun = &lastRun{Started: run.Started.UTC(), Endpoint: run.Endpoint, Reason: run.Reason}
	if !run.Ended.IsZero() {
		ended := run.Ended.UTC()
		s.LastRun.Ended = &ended
	}
	return s, nil
}

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }

func byKind(tallies []store.Tally) map[string]int64 {
	all := map[string]int64{}
	for _, t := range tallies {
		all[t.Kind] = t.N
	}
	return all
}

func (s status) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, n int64) {
		if n > 0 {
			fmt.Fprintf(tw, "%s\t%s\n", name, count(n))
		}
	}
	state := "no run is on"
	if s.Running {
		state = "a run is on"
	}
	if s.Simulated {
		state += "; the answers are made up"
	}
	fmt.Fprintf(tw, "%s: %s\n\n", printable(s.JobFile), state)
	fmt.Fprintf(tw, "prompts\t%s\n", count(s.Jobs))
	row("  answered", s.Done)
	row("  failed", s.Failed)
	row("  pending", s.Pending)
	switch {
	case s.Running:
		row("  in work", s.InWork)
	default:
		died := s.InWork
		for _, waits := range s.Unsaved {
			died -= waits.Jobs
		}
		row("  out when a run died, possibly paid", died)
		for _, waits := range s.Unsaved {
			row("  out, and what is known of them waits for the next run", waits.Jobs)
			fmt.Fprintf(tw, "    in\t%s\n", printable(underHere(waits.Path)))
		}
	}
	row("lines skipped", s.Skipped)
	row("lines that share an answer", s.Shared)
	row("attempts", s.Attempts)
	row("  possibly paid, without an answer", s.PossiblyPaid)
	if s.Total+s.Wasted+s.Gone > 0 {
		fmt.Fprintf(tw, "tokens\t%s\t(%s prompt + %s completion)\n", count(s.Total), count(s.Prompt), count(s.Completion))
	}
	if margin := marginText(s.PromptEstimated, s.PromptReported); margin != "" {
		fmt.Fprintf(tw, "  prompts\t%s\n", margin)
	}
	row("  of attempts without an answer", s.Wasted)
	row("  of answers no longer in the input", s.Gone)
	if s.UsageUnknown > 0 {
		fmt.Fprintf(tw, "  estimated\t%s\t(%s did not report theirs)\n", count(s.Estimated), plural(s.UsageUnknown, "answer"))
	}
	s.printCost(tw)
	printTallies(tw, "finish reason", s.FinishReasons)
	printTallies(tw, "failure", s.Failures)
	if s.LastRun != nil {
		ended := "not ended"
		if s.LastRun.Ended != nil {
			ended = fmt.Sprintf("took %s, %s", s.LastRun.Ended.Sub(s.LastRun.Started).Round(time.Second), printable(s.LastRun.Reason))
		}
		fmt.Fprintf(tw, "last run\t%s\t%s\n", s.LastRun.Started.Format("2006-01-02 15:04:05 UTC"), ended)
		fmt.Fprintf(tw, "endpoint\t%s\n", printable(s.LastRun.Endpoint))
	}
	return tw.Flush()
}

// printCost prints what all runs cost, and the budget.
func (s status) printCost(w io.Writer) {
	// Nobody charges for answers that are made up, unless they were given a price.
	if most := s.cost.Most(); most.Money > 0 || !most.Known() && !s.Simulated {
		s.printSpent(w)
	}
	if s.MaxCost != nil {
		fmt.Fprintf(w, "budget\t$%s\n", *s.MaxCost)
	}
	if s.MaxTokens != nil {
		fmt.Fprintf(w, "budget\t%s tokens\n", count(*s.MaxTokens))
	}
	if end := guessed(s.Projected); s.Pending > 0 && end != "" {
		fmt.Fprintf(w, "cost in the end\t%s\n", end)
	}
}

// printSpent prints what was spent, and beside that what was not reported: of what nothing is known, a word says all.
func (s status) printSpent(w io.Writer) {
	beside := func(what, about string, a output.Amount) {
		switch {
		case !a.Known():
			fmt.Fprintf(w, "  beside it, %s\t%s\n", what, unknownWord)
		case a.Money > 0:
			fmt.Fprintf(w, "  beside it, %s\t%s %s\n", what, about, a.Dollars())
		}
	}
	if spent := s.cost.Spent(); spent.Money == 0 {
		fmt.Fprintf(w, "cost so far\t%s\n", spent.Dollars())
	} else {
		fmt.Fprintf(w, "cost so far\t%s\n", s.cost.Told().Dollars())
		beside("not reported", "about", s.cost.Counted())
	}
	beside("possibly spent", "at most", s.cost.Lost)
	open := "out when a run died"
	if s.Running {
		open = "in flight"
	}
	beside(open, "at most", s.cost.Open)
}

func printTallies(w io.Writer, name string, all map[string]int64) {
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		shown := strings.TrimSpace(printable(kind))
		if shown == "" {
			shown = "none"
		}
		fmt.Fprintf(w, "%s %s\t%s\n", name, shown, count(all[kind]))
	}
}
