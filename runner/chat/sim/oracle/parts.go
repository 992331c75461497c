package oracle

// part is what the job file has of a requested model at an endpoint.
type part struct {
	sums
	charges charges
}

type partID struct{ endpoint, model string }

// charge is what a number of attempts used and cost.
type charge struct {
	attempts, tokens int64
	cost             amount
}

func (c charge) plus(o charge) charge {
	return charge{c.attempts + o.attempts, c.tokens + o.tokens, c.cost.plus(o.cost)}
}

// charges are by what became of the attempts; one can stand under several names. The names are those of the report, and open.
type charges map[string]charge

// reported is what the API reported under a name. Where it reported nothing, and answers are there all the same, that is not known.
func (c charges) reported(name string, counted ...string) amount {
	for _, beside := range counted {
		if c[name].attempts == 0 && c[beside].attempts > 0 {
			return unknownAmount
		}
	}
	return c[name].cost
}

// sums are counts of prompts and attempts, and the columns of the usage file that add up.
type sums struct {
	Jobs      int64 `json:"jobs"`
	Done      int64 `json:"done"`
	Failed    int64 `json:"failed"`
	Pending   int64 `json:"pending"`
	Attempts  int64 `json:"attempts"`
	Prompt    int64 `json:"prompt_tokens"`
	Answers   int64 `json:"completion_tokens"`
	Total     int64 `json:"total_tokens"`
	Estimated int64 `json:"estimated_tokens"`
	Unknown   int64 `json:"usage_unknown"`
	Wasted    int64 `json:"wasted_tokens"`
	Gone      int64 `json:"gone_tokens"`
	Paid      int64 `json:"possibly_paid"`
	Reused    int64 `json:"reused"`
	Spared    int64 `json:"reused_tokens"`
	money
}

// money is what the tokens cost, in the columns of the usage file.
type money struct {
	Cost          amount `json:"cost"`
	EstimatedCost amount `json:"estimated_cost"`
	WastedCost    amount `json:"wasted_cost"`
	GoneCost      amount `json:"gone_cost"`
}

func (s sums) plus(o sums) sums {
	return sums{s.Jobs + o.Jobs, s.Done + o.Done, s.Failed + o.Failed, s.Pending + o.Pending, s.Attempts + o.Attempts,
		s.Prompt + o.Prompt, s.Answers + o.Answers, s.Total + o.Total,
		s.Estimated + o.Estimated, s.Unknown + o.Unknown, s.Wasted + o.Wasted, s.Gone + o.Gone, s.Paid + o.Paid,
		s.Reused + o.Reused, s.Spared + o.Spared,
		money{s.Cost.plus(o.Cost), s.EstimatedCost.plus(o.EstimatedCost), s.WastedCost.plus(o.WastedCost), s.GoneCost.plus(o.GoneCost)}}
}

// told is the money as programs are told it.
func (m money) told() money {
	return money{m.Cost.told(), m.EstimatedCost.told(), m.WastedCost.told(), m.GoneCost.told()}
}

// where takes the total's word for what a line does not know: of one model nothing may be reported, and something of all.
func (m money) where(total money) money {
	word := func(added, total amount) amount {
		if added.unknown > 0 {
			return total
		}
		return added
	}
	return money{word(m.Cost, total.Cost), word(m.EstimatedCost, total.EstimatedCost), word(m.WastedCost, total.WastedCost), word(m.GoneCost, total.GoneCost)}
}

// usage is what the usage file has to say of the part.
func (p *part) usage() sums {
	s := p.sums
	s.money = money{p.charges.reported("done", "estimated"), p.charges["estimated"].cost, p.charges["wasted"].cost, p.charges.reported("gone", "gone_estimated")}.told()
	return s
}

// parts adds up the job file, row by row and call by call. A prompt that no call was made for belongs to the endpoint of the last run, an
// answer that was taken over to that which gave it.
func (j *jobFile) parts() map[partID]*part {
	all := map[partID]*part{}
	at := func(endpoint, model string) *part {
		p := all[partID{endpoint, model}]
		if p == nil {
			p = &part{charges: charges{}}
			all[partID{endpoint, model}] = p
		}
		return p
	}
	for _, b := range j.jobs {
		if b.position.Valid {
			at(j.endpoint(b), b.model).row(b, j.reused[b.id])
		}
		for _, a := range b.tries {
			if r := j.runs[a.run]; r != nil {
				at(r.endpoint, b.model).call(j, b, a)
			}
		}
	}
	return all
}

// total is the sum of parts.
func total(parts map[partID]*part) *part {
	all := &part{charges: charges{}}
	for _, p := range parts {
		all.sums = all.sums.plus(p.sums)
		for name, c := range p.charges {
			all.charges[name] = all.charges[name].plus(c)
		}
	}
	return all
}

func (j *jobFile) endpoint(b *job) string {
	if a := b.held(); a != nil && j.runs[a.run] != nil {
		return j.runs[a.run].endpoint
	}
	if o := j.reused[b.id]; o != nil {
		return o.endpoint
	}
	last := int64(0)
	for id := range j.runs {
		last = max(last, id)
	}
	if r := j.runs[last]; r != nil {
		return r.endpoint
	}
	return ""
}

func (p *part) row(b *job, reused *original) {
	p.Jobs++
	switch b.state {
	case "done":
		p.Done++
	case "failed":
		p.Failed++
	default:
		p.Pending++
	}
	if reused != nil {
		p.Reused++
		p.Spared += reused.total.Int64
	}
}

// call adds an attempt.
func (p *part) call(j *jobFile, b *job, a *attempt) {
	p.Attempts++
	if a.possiblyPaid() {
		p.Paid++
	}
	used, names := j.spent(b, a)
	for _, name := range names {
		cost := j.price(b, a).cost(used)
		if name == "possibly_lost" || name == "open" {
			cost = j.price(b, a).least(b)
		}
		p.charges[name] = p.charges[name].plus(charge{1, used.total, cost})
		switch name {
		case "done":
			p.Prompt += used.prompt
			p.Answers += used.completion
			p.Total += used.total
		case "estimated":
			p.Estimated += used.total
		case "wasted":
			p.Wasted += used.total
		case "gone":
			p.Gone += used.total
		}
	}
	if b.answeredBy(a) && b.position.Valid && !a.total.Valid {
		p.Unknown++
	}
}

// spent is what an attempt used, and under what names that is charged; none where it cost nothing.
func (j *jobFile) spent(b *job, a *attempt) (tokens, []string) {
	if a.total.Valid {
		return a.used(), b.charged(a, j.answers[b.id])
	}
	w := j.answers[b.id]
	switch {
	case b.answeredBy(a) && (w == nil || !w.estimated.Valid):
	case b.answeredBy(a) && b.position.Valid:
		return w.counted(), []string{"estimated"}
	case b.answeredBy(a):
		return w.counted(), []string{"gone_estimated"}
	case !a.class.Valid:
		return tokens{}, []string{"open"}
	case a.possiblyPaid():
		return tokens{}, []string{"possibly_lost"}
	}
	return tokens{}, nil
}

// charged are the names of what the API reported.
func (b *job) charged(a *attempt, w *answer) []string {
	switch {
	case b.answeredBy(a) && !b.position.Valid:
		return []string{"billed", "gone"}
	case b.answeredBy(a) && w != nil && w.finish.String == "length":
		return []string{"billed", "done", "truncated"}
	case b.answeredBy(a):
		return []string{"billed", "done"}
	case b.state == "failed":
		return []string{"billed", "wasted", "of_failed_jobs"}
	}
	return []string{"billed", "wasted", "retried"}
}

// answeredBy says that the job has its answer of this attempt.
func (b *job) answeredBy(a *attempt) bool { return b.state == "done" && a.id == b.attempt.Int64 }

// counted are the tokens of an answer that did not report them.
func (w *answer) counted() tokens {
	return tokens{prompt: w.estimatedPrompt.Int64, completion: w.estimated.Int64 - w.estimatedPrompt.Int64, total: w.estimated.Int64}
}

// used is what the API reported.
func (a *attempt) used() tokens {
	return tokens{a.prompt.Int64, a.completion.Int64, a.total.Int64, a.cached, a.written, a.thought, a.audio}
}

// price is that of the model where the attempt was made, else that of every model there; nil is unknown.
func (j *jobFile) price(b *job, a *attempt) *price {
	r := j.runs[a.run]
	if r == nil {
		return nil
	}
	if own := j.prices[partID{r.endpoint, b.model}]; own != nil {
		return own
	}
	return j.prices[partID{r.endpoint, ""}]
}
