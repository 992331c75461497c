package report

import (
	"slices"

	"batch/output"
	"batch/runner/tokens"
)

func (d *Document) pricesTable() table {
	t := table{ID: "prices", Title: "Prices in force", Note: "US dollars for a million tokens",
		Head: []string{"model", "prompt above", "input", "output", "cached", "cache write", "reasoning", "source"}}
	tiers := slices.ContainsFunc(d.Prices, func(p Price) bool { return p.Above > 0 })
	for _, p := range d.Prices {
		name := d.place(p.Endpoint, p.Model)
		if p.Model == "" {
			others, all := d.others(p.Endpoint)
			if !others {
				continue
			}
			name = d.place(p.Endpoint, "all other models")
			if all {
				name = d.place(p.Endpoint, "all models")
			}
		}
		row := []cell{words(name), {Text: output.Count(p.Above), Num: true}}
		for _, m := range []tokens.Money{p.Input, p.Output, p.Cached, p.CacheWrite, p.Reasoning} {
			million := tokens.Money(0)
			if m <= tokens.Money(1<<63-1)/1e6 {
				million = m * 1e6
			}
			row = append(row, cell{Text: million.String(), Num: true})
		}
		t.Rows = append(t.Rows, append(row, words(p.Source)))
	}
	if !tiers {
		t.drop(1)
	}
	return t
}

// others says whether any model has no price of its own at an endpoint, and whether all have none.
func (d *Document) others(endpoint string) (some, all bool) {
	own := map[string]bool{}
	for _, p := range d.Prices {
		if p.Endpoint == endpoint && p.Model != "" {
			own[p.Model] = true
		}
	}
	some = len(own) == 0
	for _, m := range d.Models {
		some = some || m.Endpoint == endpoint && !own[m.Name]
	}
	return some, len(own) == 0
}

// drop leaves a column out.
func (t *table) drop(column int) {
	t.Head = slices.Delete(t.Head, column, column+1)
	for i := range t.Rows {
		t.Rows[i] = slices.Delete(t.Rows[i], column, column+1)
	}
}

// endpoints are those that the report is of, in order.
func (d *Document) endpoints() []string {
	var all []string
	add := func(endpoint string) {
		if endpoint != "" && !slices.Contains(all, endpoint) {
			all = append(all, endpoint)
		}
	}
	for _, m := range d.Models {
		add(m.Endpoint)
	}
	for _, r := range d.Runs {
		add(r.Endpoint)
	}
	for _, p := range d.Prices {
		add(p.Endpoint)
	}
	return all
}

// place names a model, and its endpoint where there is more than one.
func (d *Document) place(endpoint, model string) string {
	if model == "" {
		model = "(no model)"
	}
	if endpoint == "" || len(d.endpoints()) < 2 {
		return model
	}
	return model + " at " + endpoint
}

// asked says in a line what was called, where that is one thing; "" where the tables tell.
func (d *Document) asked() string {
	s := ""
	if len(d.Models) == 1 && d.Models[0].Name != "" {
		s = "model " + d.Models[0].Name
	}
	if all := d.endpoints(); len(all) == 1 {
		if s != "" {
			s += " at "
		}
		s += all[0]
	}
	return s
}
