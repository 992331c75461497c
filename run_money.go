package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/runner"
	"batch/runner/tokens"
	"batch/store"
)

func budgetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: flagMaxCost, Usage: "stop before all runs of this job file together can cost more than so many `DOLLARS` (exit 4)", DefaultText: "none", Category: moneyFlags},
		&cli.StringFlag{Name: flagMaxTokens, Usage: "stop before all runs of this job file together can use more than `N` tokens (exit 4)", DefaultText: "none", Category: moneyFlags},
	}
}

const (
	flagMaxCost   = "max-cost"
	flagMaxTokens = "max-tokens-total"
)

// budgetConfig is what the flags say of limits over all runs of the job file, each as it was written; an empty one that is there takes
// back what an earlier run kept.
type budgetConfig map[string]string

// limits are the budget in numbers; 0 is none.
type limits struct {
	cost   tokens.Money
	tokens int64
}

func (l limits) set() bool { return l != limits{} }

func readBudgetConfig(ctx *cli.Context) (budgetConfig, error) {
	b := budgetConfig{}
	for _, flag := range []string{flagMaxCost, flagMaxTokens} {
		if ctx.IsSet(flag) {
			b[flag] = ctx.String(flag)
		}
	}
	_, err := b.limits()
	return b, err
}

func (b budgetConfig) limits() (l limits, err error) {
	if text := b[flagMaxCost]; text != "" {
		if l.cost, err = tokens.ParseMoney(text); err != nil {
			return l, usage(fmt.Errorf("--max-cost: %w", err), "%s", priceHint(err))
		}
		if l.cost == 0 {
			return l, usage(errors.New("--max-cost 0: it must be more than 0"), "leave it off for no limit; to send nothing: --dry-run")
		}
	}
	if text := b[flagMaxTokens]; text != "" {
		if l.tokens, err = strconv.ParseInt(text, 10, 64); err != nil || l.tokens < 1 {
			return l, usage(fmt.Errorf("--max-tokens-total %q: it is not a number of at least 1", text), "leave it off for no limit")
		}
	}
	return l, nil
}

// readBudget finds the limits in force: given now, or kept from an earlier run, which is said.
func (d *drain) readBudget() error {
	d.budgetText = budgetConfig{}
	var kept []string
	for _, flag := range []string{flagMaxCost, flagMaxTokens} {
		text, given := d.cfg.budget[flag]
		if !given {
			if text = d.settings[store.SettingBudget+flag]; text != "" {
				kept = append(kept, "--"+flag+" "+printable(text))
			}
		}
		if text != "" {
			d.budgetText[flag] = text
		}
	}
	if len(kept) > 0 {
		d.term.say("kept", event{"flags": kept}, "using %s of the earlier run", strings.Join(kept, ", "))
	}
	var err error
	d.limits, err = d.budgetText.limits()
	return err
}

// money is what is known of prices and of what was spent before the run.
type money struct {
	prices  output.Prices
	kept    []store.Price // as they stand in the job file
	rows    []store.Price // as they will
	cost    output.Cost   // of all runs before
	bills   []store.Bill
	seen    []store.Seen
	margins output.Margins // how long prompts can be
}

// readCost is what a job file cost, with the worst case of what may have been charged for at the margins that its answers told.
func readCost(ctx context.Context, v *store.View) (output.Cost, error) {
	margins, err := output.ReadMargins(ctx, v)
	if err != nil {
		return output.Cost{}, err
	}
	rows, err := v.Prices(ctx)
	if err != nil {
		return output.Cost{}, err
	}
	bills, err := v.BillsAt(ctx, output.Tiers(rows, margins))
	return output.NewPrices(rows).Cost(bills, margins), err
}

// settleMoney decides prices and budget, and refuses what cannot be kept to.
func (d *drain) settleMoney(ctx context.Context) error {
	if err := d.readBudget(); err != nil {
		return err
	}
	if err := d.readMoney(ctx); err != nil || d.cfg.foretell {
		return err
	}
	return d.checkBudget()
}

// readMoney decides the prices in force and reads what was spent.
func (d *drain) readMoney(ctx context.Context) error {
	if d.counts.Pending == 0 && !d.cfg.prices.given() {
		return nil // nothing is sent, and nothing is to be priced anew
	}
	v, err := d.store.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	m := &d.money
	if m.kept, err = v.Prices(ctx); err != nil {
		return err
	}
	models, err := v.Models(ctx)
	if err != nil {
		return err
	}
	for _, b := range d.backlog { // of a dry run: its jobs are not in the file
		if !slices.Contains(models, b.Model) {
			models = append(models, b.Model)
		}
	}
	var missing []string
	m.rows, missing = d.cfg.prices.inForce(m.kept, d.endpointName(), models)
	for _, model := range missing {
		if slices.ContainsFunc(d.backlog, func(b store.Backlog) bool { return b.Model == model }) {
			return d.cfg.prices.unpriced(model)
		}
		d.term.warn("unpriced", event{"model": model}, "%s; what it cost before is unknown", d.cfg.prices.unpriced(model))
	}
	m.prices = output.NewPrices(m.rows)
	if m.seen, err = v.Seen(ctx); err != nil {
		return err
	}
	if len(m.rows) == 0 && !d.limits.set() {
		return nil
	}
	if d.limits.set() {
		if m.margins, err = output.ReadMargins(ctx, v); err != nil {
			return err
		}
	}
	// At the tiers of the prices that are about to be kept, not of those that stand in the file.
	if m.bills, err = v.BillsAt(ctx, output.Tiers(m.rows, m.margins)); err != nil {
		return err
	}
	m.cost = m.prices.Cost(m.bills, m.margins)
	return nil
}

// enough is the budget that would do for all that is left, as flag and value: what was spent and the worst case of the rest, rounded up
// to two digits.
func (d *drain) enough(ctx context.Context) (flagValue, error) {
	if err := d.lookAgain(ctx); err != nil {
		return flagValue{}, err
	}
	b := d.budget()
	for _, left := range d.backlog {
		price := d.money.prices.Of(d.endpointName(), left.Model)
		margin := d.money.margins.Of(d.endpointName(), left.Model)
		prompt := margin.Together(left.Tokens, left.Jobs) + left.Jobs // each as it is reserved
		completion := left.Most
		if price != nil {
			completion += (left.Jobs - left.Bounded) * price.Largest
		}
		if d.fills["json-schema"] != "" { // each try of an answer that does not fit is paid
			tries := int64(1 + d.cfg.pool.MaxInvalid)
			prompt, completion = prompt*tries, completion*tries
		}
		if price != nil {
			b.Cost = b.Cost.Plus(price.Worst(prompt, completion))
		}
		b.Tokens += prompt + completion
	}
	if d.limits.tokens > 0 && (d.limits.cost == 0 || b.Tokens > d.limits.tokens) {
		return flagValue{flagMaxTokens, fmt.Sprint(roundUp(b.Tokens))}, nil
	}
	return flagValue{flagMaxCost, tokens.Money(roundUp(int64(b.Cost))).String()}, nil
}

type flagValue struct{ flag, value string }

// roundUp keeps two digits.
func roundUp(n int64) int64 {
	unit := int64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return (n + unit - 1) / unit * unit
}

// left is what the jobs that are pending after the run will use and cost, by what its answers told.
func (d *drain) left(ctx context.Context) (output.Forecast, error) {
	if err := d.lookAgain(ctx); err != nil {
		return output.Forecast{}, err
	}
	return d.forecast(d.counts.Pending), nil
}

// lookAgain reads after a run what was read before it.
func (d *drain) lookAgain(ctx context.Context) error {
	if err := d.readStanding(ctx); err != nil {
		return err
	}
	return d.readMoney(ctx)
}

// forecast is what the pending jobs will use and cost; so many of them, or all.
func (d *drain) forecast(jobs int64) output.Forecast {
	backlog := slices.Clone(d.backlog)
	if jobs < d.counts.Pending {
		backlog = share(backlog, jobs, d.counts.Pending)
	}
	return output.NewForecast(backlog, output.Known{Endpoint: d.endpointName(), Prices: d.money.prices, Seen: d.money.seen, Bills: d.money.bills})
}

// share is what a part of the jobs comes to, if every model has its part of them; each has one job at least, as its price may be
// unknown.
func share(backlog []store.Backlog, jobs, all int64) []store.Backlog {
	var met, given int64
	for i := range backlog {
		b := &backlog[i]
		met += b.Jobs
		n := max(met*jobs/all-given, 1)
		given += n
		part := func(of int64) int64 { return (of*n + b.Jobs/2) / b.Jobs }
		b.Tokens, b.Bounded, b.Most, b.Boundless, b.Jobs = part(b.Tokens), part(b.Bounded), part(b.Most), part(b.Boundless), n
	}
	return backlog
}

// guessed is a cost that is yet to come, for people; "" where nothing is known of it.
func guessed(g output.Guess[tokens.Money]) string {
	switch {
	case g.Likely != nil && g.Least != nil && g.Most != nil && *g.Least < *g.Most:
		return fmt.Sprintf("about %s (%s to %s)", g.Likely.Dollars(), g.Least.Dollars(), g.Most.Dollars())
	case g.Likely != nil:
		return "about " + g.Likely.Dollars()
	case g.Least != nil && g.Most != nil:
		return fmt.Sprintf("%s to %s", g.Least.Dollars(), g.Most.Dollars())
	case g.Least != nil:
		return "at least " + g.Least.Dollars()
	}
	return ""
}

// marginText says how the counts of prompts compare with what the API reported; "" before it has.
func marginText(estimated, reported int64) string {
	if estimated == 0 || reported == 0 {
		return ""
	}
	return fmt.Sprintf("estimated %s, reported %s, factor %.3f", count(estimated), count(reported), float64(reported)/float64(estimated))
}

// keepMoney writes the prices and the limits in force to the job file.
func (d *drain) keepMoney(ctx context.Context) error {
	if err := d.store.SetSettings(ctx, map[string]string{
		store.SettingBudget + flagMaxCost: d.budgetText[flagMaxCost], store.SettingBudget + flagMaxTokens: d.budgetText[flagMaxTokens]}); err != nil {
		return err
	}
	if d.money.prices == nil {
		return nil
	}
	d.sayRepriced()
	return d.store.SetPrices(ctx, d.money.rows)
}

// sayRepriced tells that what was answered at one price is counted at another from now on.
func (d *drain) sayRepriced() {
	before := output.NewPrices(d.money.kept)
	for _, b := range d.money.bills {
		was, is := before.Of(b.Endpoint, b.Model), d.money.prices.Of(b.Endpoint, b.Model)
		if was != nil && (is == nil || !slices.Equal(was.Rates, is.Rates)) {
			d.term.warn("repriced", event{"model": b.Model, "endpoint": b.Endpoint}, "the price of %s is another than before, and counts for earlier calls too", printable(b.Model))
			return
		}
	}
}

// checkBudget refuses a limit that could not be kept: without a price there is no cost, and without a bound on the answer no worst
// case to reserve.
func (d *drain) checkBudget() error {
	if !d.limits.set() || d.counts.Pending == 0 {
		return nil
	}
	flag := "--max-tokens-total"
	if d.limits.cost > 0 {
		flag = "--max-cost"
	}
	for _, b := range d.backlog {
		price := d.money.prices.Of(d.endpointName(), b.Model)
		if price == nil && d.limits.cost > 0 {
			return usage(fmt.Errorf("--max-cost: the price of model %q is unknown", printable(b.Model)), "give it with --price IN,OUT or --prices FILE")
		}
		if b.Boundless > 0 {
			return usage(fmt.Errorf("%s: there is no worst case to reserve for %s: parts that are no text are not counted, nor several answers (n) without max_tokens",
				flag, plural(b.Boundless, "prompt")), "send them in a run of their own without a budget")
		}
		if open := b.Jobs - b.Bounded; open > 0 && (price == nil || price.Largest == 0) {
			hint := "bound them with --max-tokens N"
			if d.counts.Done > 0 {
				hint = fmt.Sprintf("--max-tokens N would bound them, but make other requests of all lines, so %s would be paid again; max_output_tokens of the model in a --prices FILE bounds them as they are",
					plural(d.counts.Done, "answer"))
			}
			return usage(fmt.Errorf("%s: nothing bounds the answers to %s, so there is no worst case to reserve", flag, plural(open, "prompt")), "%s", hint)
		}
	}
	if _, open := d.spentTokens(); open > 0 {
		return usage(fmt.Errorf("%s: nothing bounds what %s of an earlier run may have used", flag, plural(open, "call")),
			"max_output_tokens of the model in a --prices FILE bounds them, if all of their parts are text")
	}
	for _, b := range d.money.bills {
		if d.limits.cost > 0 && d.money.prices.Cost([]store.Bill{b}, d.money.margins).Most().Unknown > 0 {
			return usage(fmt.Errorf("--max-cost: what %s to %s at %s cost is not known", plural(b.Attempts, "call"), printable(b.Model), printable(b.Endpoint)),
				"batch export %s --price IN,OUT keeps a price of every model at every endpoint", shellQuote(d.cfg.db))
		}
	}
	return nil
}

// spentTokens is what all runs before have used or may have used, and the number of calls that nothing bounds.
func (d *drain) spentTokens() (spent spending, unbounded int64) {
	for _, b := range d.money.bills {
		margin := d.money.margins.Of(b.Endpoint, b.Model)
		switch b.Kind {
		case store.BillLost, store.BillOpen:
			prompt, completion, known := output.WorstTokens(b, d.money.prices.Of(b.Endpoint, b.Model), margin)
			if !known {
				unbounded += b.Attempts
			}
			spent.tokens += prompt + completion
			spent.possibly += prompt + completion
		default:
			spent.tokens += b.Usage.Total
			if b.Estimated { // as careful as the run that counted them
				spent.tokens += margin.Worst(b.Usage.Total) - b.Usage.Total
			}
		}
	}
	return spent, unbounded
}

// spending is a number of tokens, and what of it is only possibly spent.
type spending struct{ tokens, possibly int64 }

// budget is what the pool is to keep to.
func (d *drain) budget() runner.Budget {
	spent, _ := d.spentTokens()
	c := d.money.cost
	most := c.Most().Money
	for _, b := range d.money.bills {
		if margin := d.money.margins.Of(b.Endpoint, b.Model); b.Estimated && b.Kind != store.BillLost && b.Kind != store.BillOpen {
			cost := d.money.prices.Cost([]store.Bill{b}, nil).Most().Money
			most = most.Plus(tokens.Money(margin.Worst(int64(cost))) - cost)
		}
	}
	margins := map[string]tokens.Margin{}
	for _, s := range d.money.seen {
		if s.Endpoint == d.endpointName() {
			margins[s.Model] = d.money.margins.Of(s.Endpoint, s.Model)
		}
	}
	return runner.Budget{
		MaxCost: d.limits.cost, MaxTokens: d.limits.tokens,
		Cost: most, PossiblyCost: c.Lost.Plus(c.Open).Money,
		Tokens: spent.tokens, PossiblyTokens: spent.possibly,
		Margins: margins,
		Prices:  func(model string) *tokens.Price { return d.money.prices.Of(d.endpointName(), model) },
	}
}
