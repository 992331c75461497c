package main

import (
	"batch/output"
	"batch/runner/tokens"
)

// estimated is an estimate as a document; null is unknown.
type estimated struct {
	JobFile   *string `json:"job_file"` // null when there is none yet
	Endpoint  string  `json:"endpoint"`
	Simulated bool    `json:"simulated"`

	Prompts int64 `json:"prompts"`
	Done    int64 `json:"done"`
	Failed  int64 `json:"failed"`
	Skipped int64 `json:"skipped"`
	Pending int64 `json:"pending"` // what is estimated

	Models []modelEstimate       `json:"models"`
	Total  modelEstimate         `json:"total"`
	Time   output.Guess[float64] `json:"seconds"`

	Spent     *tokens.Money              `json:"spent"`          // until now, wasted and gone included
	Possibly  *tokens.Money              `json:"possibly_spent"` // beside it, at most, for calls with an unknown outcome
	Calls     int64                      `json:"calls"`
	Lost      int64                      `json:"lost_calls"` // without an answer, yet possibly charged for
	Projected output.Guess[tokens.Money] `json:"projected_cost"`

	Counted *countedBy   `json:"counted"` // null when the counts are those of an earlier run
	Learnt  *learnt      `json:"learnt"`  // null before an answer has told
	Sample  *sampleTold  `json:"sample"`  // null without --sample
	Pace    paceDocument `json:"pace"`
}

type modelEstimate struct {
	Model      *string                    `json:"model"` // null is all
	Pending    int64                      `json:"pending"`
	Bounded    int64                      `json:"bounded"`   // requests that bound their answer
	Uncounted  int64                      `json:"uncounted"` // prompts with parts that are not counted, or several answers of no given length
	Answers    int64                      `json:"answers"`   // seen, that completions are judged by
	Confidence *float64                   `json:"confidence"`
	Prompt     output.Guess[int64]        `json:"prompt_tokens"`
	Completion output.Guess[int64]        `json:"completion_tokens"`
	Cost       output.Guess[tokens.Money] `json:"cost"`
	Price      *priceDocument             `json:"price,omitempty"`
	Vocabulary string                     `json:"vocabulary,omitempty"`
}

type priceDocument struct {
	Source string          `json:"source"`
	Rates  []rateOfADollar `json:"rates"` // dollars a token
}

type rateOfADollar struct {
	Above      int64        `json:"above_prompt_tokens"`
	Input      tokens.Money `json:"input"`
	Output     tokens.Money `json:"output"`
	Cached     tokens.Money `json:"cached"`
	CacheWrite tokens.Money `json:"cache_write"`
	Reasoning  tokens.Money `json:"reasoning"`
}

type countedBy struct {
	Prompts int64   `json:"prompts"`
	Exactly int64   `json:"exactly"`
	Margin  float64 `json:"margin"` // of the others together, with 95 % confidence
}

type learnt struct {
	Answers   int64   `json:"answers"`
	Estimated int64   `json:"estimated_prompt_tokens"`
	Reported  int64   `json:"reported_prompt_tokens"`
	Factor    float64 `json:"factor"`
}

type sampleTold struct {
	Prompts  int64         `json:"prompts"` // in the sample
	Done     int64         `json:"done"`    // this time
	Failed   int64         `json:"failed"`
	Cost     *tokens.Money `json:"cost"`           // of this time
	Possibly *tokens.Money `json:"possibly_spent"` // beside it, at most
	Stopped  string        `json:"stopped,omitempty"`
}

type paceDocument struct {
	Concurrency int      `json:"concurrency"`
	RPM         *float64 `json:"rpm"`
	TPM         *float64 `json:"tpm"`
	Stated      bool     `json:"stated_by_the_api"`
}

// confidence is that of a forecast's bounds, once they are more than what the requests allow.
const confidence = 0.95

func (e *estimate) document() estimated {
	f, c := &e.foreseen, e.counts
	doc := estimated{Endpoint: e.endpointName(), Simulated: e.simulated, Prompts: c.Jobs, Done: c.Done, Failed: c.Failed, Skipped: c.Skipped,
		Pending: c.Pending, Models: []modelEstimate{}, Total: documentOf(&f.Total), Time: f.Seconds(),
		Spent: e.spent.Exactly(), Possibly: e.possibly.Exactly(), Calls: e.calls, Lost: e.lost, Projected: f.Projected(e.spent),
		Pace: paceDocument{Concurrency: e.pace.Concurrency, RPM: orNull(e.pace.RPM), TPM: orNull(e.pace.TPM), Stated: e.statedRPM || e.statedTPM}}
	if e.kept {
		doc.JobFile = &e.cfg.db
	}
	for i := range f.Models {
		m := &f.Models[i]
		one := documentOf(m)
		one.Model = &m.Model
		one.Vocabulary, _ = tokens.Vocabulary(m.Model)
		doc.Models = append(doc.Models, one)
	}
	if e.counter != nil {
		exact, all := e.counter.Counted()
		doc.Counted = &countedBy{Prompts: all, Exactly: exact, Margin: e.countedMargin()}
	}
	if f.Answers > 0 {
		doc.Learnt = &learnt{Answers: f.Answers, Estimated: f.Estimated, Reported: f.Reported, Factor: f.Factor()}
	}
	if s := e.sampled; s != nil {
		doc.Sample = &sampleTold{Prompts: s.prompts, Done: s.Done, Failed: s.Failed, Cost: s.cost.Exactly(), Possibly: s.possibly.Exactly()}
		if s.Stop != nil {
			doc.Sample.Stopped = string(s.Stop.Cause)
		}
	}
	return doc
}

func documentOf(m *output.ModelForecast) modelEstimate {
	one := modelEstimate{Pending: m.Jobs, Bounded: m.Bounded, Uncounted: m.Boundless, Answers: m.Answers, Prompt: m.Prompt, Completion: m.Completion, Cost: m.Cost}
	if m.Sure {
		sure := confidence
		one.Confidence = &sure
	}
	if m.Price != nil {
		p := priceDocument{Source: m.Price.Source}
		for _, r := range m.Price.Rates {
			p.Rates = append(p.Rates, rateOfADollar{Above: r.Above, Input: r.Input, Output: r.Output, Cached: r.Cached, CacheWrite: r.CacheWrite, Reasoning: r.Reasoning})
		}
		one.Price = &p
	}
	return one
}

func orNull(n float64) *float64 {
	if n == 0 {
		return nil
	}
	return &n
}
