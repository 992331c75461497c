package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

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
	for _, other := range []struct{ flag, value string }{{"--prices", cfg.fileName}, {"--price-provider", cfg.provider}} {
		if text != "" && other.value != "" {
			return cfg, usage(fmt.Errorf("--price and %s exclude each other", other.flag), "leave one of them off")
		}
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
			var p *fs.PathError
			if errors.As(err, &p) {
				err = p.Err
			}
			return cfg, usage(fmt.Errorf("%s: %w", shellQuote(cfg.fileName), err), "check the name of the price file")
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
// the built-in ones. Prices of other endpoints stay. Models that the flags should know and do not come second; their price is unknown.
func (cfg *priceConfig) inForce(kept []store.Price, endpoint string, models []string) (all []store.Price, missing []string) {
	givenBefore := map[string][]store.Price{}
	for _, p := range kept {
		switch {
		case p.Endpoint != endpoint:
			all = append(all, p)
		case p.Given && !cfg.given():
			givenBefore[p.Model] = append(givenBefore[p.Model], p)
		}
	}
	provider := cfg.provider
	if provider == "" {
		provider = tokens.ProviderOf(endpoint)
	}
	if cfg.price != nil {
		all = append(all, priceRows(cfg.price, endpoint, "", true)...)
		for _, model := range models { // what is known of a model's answers is known at any price
			if largest := tokens.Largest(provider, model); largest > 0 {
				own := *cfg.price
				own.Largest = largest
				all = append(all, priceRows(&own, endpoint, model, true)...)
			}
		}
		return all, nil
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
		if cfg.file == nil || !cfg.file.Has(model) {
			price = tokens.Builtin(provider, model)
		}
		if price == nil && (cfg.file != nil || cfg.provider != "") {
			missing = append(missing, model)
		}
		all = append(all, priceRows(price, endpoint, model, cfg.provider != "")...)
	}
	slices.SortFunc(all, func(a, b store.Price) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Above, b.Above))
	})
	return all, missing
}

// unpriced is the error of a model that the flags should know and do not.
func (cfg *priceConfig) unpriced(model string) error {
	if cfg.file != nil {
		if err := cfg.file.Problem(model); err != nil {
			return usage(err, "%s", priceHint(err))
		}
		return usage(fmt.Errorf("%s has no price of model %q", shellQuote(cfg.fileName), printable(model)), "add it there, or give one price for all models with --price IN,OUT")
	}
	return usage(fmt.Errorf("no price of model %q is built in for %s", printable(model), cfg.provider), "give it with --price IN,OUT")
}

// inForceEverywhere is inForce for every endpoint that a job file was drained at, where nothing is about to be sent: what is not known
// there is unknown, and no error.
func (cfg *priceConfig) inForceEverywhere(ctx context.Context, v *store.View) ([]store.Price, error) {
	rows, err := v.Prices(ctx)
	if err != nil || !cfg.given() {
		return rows, err
	}
	models, err := v.Models(ctx)
	if err != nil {
		return nil, err
	}
	endpoints, err := v.RunEndpoints(ctx)
	if err != nil {
		return nil, err
	}
	for _, endpoint := range endpoints {
		rows, _ = cfg.inForce(rows, endpoint, models)
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

// priceEvent is a price for programs, in dollars for a million tokens; null where it is unknown.
func priceEvent(model string, p *tokens.Price) event {
	e := event{"model": nil, "price": nil}
	if model != "" {
		e["model"] = model
	}
	if p != nil {
		r := p.Rates[0]
		e["price"] = map[string]any{"input": r.Input * 1e6, "output": r.Output * 1e6, "cached": r.Cached * 1e6, "source": p.Source}
	}
	return e
}

// perMillion is the price of a million tokens, exactly: $2, $0.60, $0.075.
func perMillion(m tokens.Money) string {
	text := "$" + (m * 1e6).String()
	if i := strings.IndexByte(text, '.'); i == len(text)-2 {
		text += "0"
	}
	return text
}
