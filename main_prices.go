package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/runner/tokens"
	"batch/store"
)

// priceConfig is what the flags say of prices.
type priceConfig struct {
	price    *tokens.Price // of every model
	file     *tokens.PriceFile
	fileName string
	provider string // whose built-in prices are meant
	forget   bool   // take back what was given to an earlier run
}

const moneyFlags = "Money"

func priceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "price", Usage: "dollars for a million tokens, `IN,OUT[,CACHED]`, of every model", DefaultText: "built-in, by the host of the base URL", Category: moneyFlags},
		&cli.StringFlag{Name: "prices", Usage: "prices by model from a JSON `FILE` in LiteLLM's form", Category: moneyFlags},
		&cli.StringFlag{Name: "price-provider", Usage: "use the built-in prices of this provider, by `NAME`", Category: moneyFlags},
	}
}

func readPriceConfig(ctx *cli.Context) (priceConfig, error) {
	cfg := priceConfig{fileName: ctx.String("prices"), provider: ctx.String("price-provider")}
	text := ctx.String("price")
	cfg.forget = ctx.IsSet("price") && text == "" || ctx.IsSet("prices") && cfg.fileName == ""
	if text != "" && cfg.fileName != "" {
		return cfg, usage(errors.New("--price and --prices exclude each other"), "leave one of them off")
	}
	var err error
	if text != "" {
		if cfg.price, err = tokens.ParsePrice(text); err != nil {
			return cfg, usage(fmt.Errorf("--price: %w", err), "%s", priceHint(err))
		}
	}
	if cfg.fileName != "" {
		data, err := os.ReadFile(cfg.fileName)
		if err != nil {
			return cfg, readError(err)
		}
		if cfg.file, err = tokens.ParsePriceFile(printable(filepath.Base(cfg.fileName)), data); err != nil {
			return cfg, usage(err, "%s", priceHint(err))
		}
	}
	if known := tokens.Providers(); cfg.provider != "" && !slices.Contains(known, cfg.provider) {
		return cfg, usage(fmt.Errorf("--price-provider %q: no such provider", cfg.provider), "known are %s", strings.Join(known, ", "))
	}
	return cfg, nil
}

func priceHint(err error) string {
	var bad *tokens.PriceError
	errors.As(err, &bad)
	return bad.Hint
}

// given says that a flag names prices.
func (cfg *priceConfig) given() bool {
	return cfg.price != nil || cfg.file != nil || cfg.provider != "" || cfg.forget
}

// inForce is what the prices of a job file become: those that the flags name, else those that were given to an earlier run, else
// the built-in ones. Prices of other endpoints stay. A model that the flags should know and do not is an error.
func (cfg *priceConfig) inForce(kept []store.Price, endpoint string, models []string) ([]store.Price, error) {
	var all []store.Price
	givenBefore := map[string][]store.Price{}
	for _, p := range kept {
		switch {
		case p.Endpoint != endpoint:
			all = append(all, p)
		case p.Given && !cfg.given():
			givenBefore[p.Model] = append(givenBefore[p.Model], p)
		}
	}
	if cfg.price != nil {
		return append(all, priceRows(cfg.price, endpoint, "", true)...), nil
	}
	provider := cfg.provider
	if provider == "" {
		provider = tokens.ProviderOf(endpoint)
	}
	all = append(all, givenBefore[""]...)
	for _, model := range models {
		var price *tokens.Price
		if cfg.file != nil {
			price = cfg.file.Of(model)
		}
		switch {
		case price != nil:
			all = append(all, priceRows(price, endpoint, model, true)...)
			continue
		case len(givenBefore[model]) > 0:
			all = append(all, givenBefore[model]...)
			continue
		case len(givenBefore[""]) > 0:
			continue
		}
		price = tokens.Builtin(provider, model)
		if price == nil && cfg.file != nil {
			return nil, usage(fmt.Errorf("%s has no price of model %q", shellQuote(cfg.fileName), printable(model)), "add it there, or give one price for all models with --price IN,OUT")
		}
		if price == nil && cfg.provider != "" {
			return nil, usage(fmt.Errorf("no price of model %q is built in for %s", printable(model), cfg.provider), "give it with --price IN,OUT")
		}
		all = append(all, priceRows(price, endpoint, model, cfg.provider != "")...)
	}
	slices.SortFunc(all, func(a, b store.Price) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Above, b.Above))
	})
	return all, nil
}

// inForceEverywhere is inForce for every endpoint that a job file was drained at.
func (cfg *priceConfig) inForceEverywhere(ctx context.Context, v *store.View) ([]store.Price, error) {
	rows, err := v.Prices(ctx)
	if err != nil || !cfg.given() {
		return rows, err
	}
	models, err := v.Models(ctx)
	if err != nil {
		return nil, err
	}
	bills, err := v.Bills(ctx)
	if err != nil {
		return nil, err
	}
	var done []string
	for _, b := range bills {
		if slices.Contains(done, b.Endpoint) {
			continue
		}
		done = append(done, b.Endpoint)
		if rows, err = cfg.inForce(rows, b.Endpoint, models); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// priceRows is a price as the job file keeps it; none has no rows.
func priceRows(p *tokens.Price, endpoint, model string, given bool) []store.Price {
	if p == nil {
		return nil
	}
	var rows []store.Price
	for _, r := range p.Rates {
		rows = append(rows, store.Price{Endpoint: endpoint, Model: model, Above: r.Above, Input: int64(r.Input), Output: int64(r.Output),
			Cached: int64(r.Cached), CacheWrite: int64(r.CacheWrite), Reasoning: int64(r.Reasoning), Largest: p.Largest, Source: p.Source, Given: given})
	}
	return rows
}

// describePrice says what a model costs and how we know: $0.15 in, $0.60 out, $0.075 cached per million tokens (--price).
func describePrice(p *tokens.Price) string {
	r := p.Rates[0]
	text := fmt.Sprintf("%s in, %s out", perMillion(r.Input), perMillion(r.Output))
	if r.Cached != r.Input {
		text += ", " + perMillion(r.Cached) + " cached"
	}
	text += " per million tokens"
	if len(p.Rates) > 1 {
		text += fmt.Sprintf(", more above %s prompt tokens", count(p.Rates[1].Above))
	}
	return text + " (" + printable(p.Source) + ")"
}

func perMillion(m tokens.Money) string { return "$" + (m * 1e6).String() }

// exactly is a cost for programs: null where a part of it is not known.
func exactly(a output.Amount) *tokens.Money {
	if !a.Known() {
		return nil
	}
	return &a.Money
}

// amount is a cost for people: a part that is not known is said.
func amount(a output.Amount) string {
	switch {
	case a.Known():
		return a.Money.Dollars()
	case a.Money == 0:
		return "unknown"
	}
	return "at least " + a.Money.Dollars()
}
