// Package report tells what a job file came to: one Document is gathered in one pass over the attempts, and every format is
// written from it, so that they agree. It is for main; it sends nothing and changes nothing.
package report

import (
	"time"

	"batch/runner/tokens"
	"batch/store"
)

// Document is the report, and its JSON form. What is not known is null, never 0; money is an exact number of US dollars.
type Document struct {
	JobFile   string    `json:"job_file"`
	WrittenAt time.Time `json:"written_at"`
	Version   string    `json:"version"`
	Simulated bool      `json:"simulated"` // the answers are made up
	RunOn     bool      `json:"run_on"`    // a run holds the job file now
	Complete  bool      `json:"complete"`  // nothing is pending
	Skipped   int64     `json:"skipped"`   // bad lines that a run left out

	Unsaved []store.Waiting `json:"unsaved,omitempty"` // what the last run set aside, and the next one takes up

	Total   Part       `json:"total"`
	Models  []Model    `json:"models"`
	Prices  []Price    `json:"prices"`
	Unknown []Unknown  `json:"cost_unknown"` // why a cost is null
	Rate    Rate       `json:"rate"`
	Runs    []Run      `json:"runs"`
	Limits  []Limit    `json:"stated_limits"` // by the API
	Waits   []Wait     `json:"waits"`
	Errors  []Failure  `json:"errors"`
	Slowest []Answer   `json:"slowest"`
	Dearest []Answer   `json:"dearest"`
	Samples []Sample   `json:"samples"`
	Latency *Histogram `json:"latency_histogram"` // milliseconds of the answers; null without any
	Tokens  *Histogram `json:"tokens_histogram"`  // total tokens of the answers
	Time    Timeline   `json:"timeline"`
}

// Model is the part of one endpoint and requested model.
type Model struct {
	Endpoint string `json:"endpoint"`
	Name     string `json:"requested_model"`
	Part
}

// Part is what is told of one model, and of all. Jobs are those of the present input.
type Part struct {
	Jobs     Jobs             `json:"jobs"`
	Finish   map[string]int64 `json:"finish_reasons"` // of the answers; "" did not say
	Attempts Attempts         `json:"attempts"`
	Tokens   Tokens           `json:"tokens"` // of the answers, as the API reported them

	Estimated    int64 `json:"estimated_tokens"` // of the answers that came without usage
	UsageUnknown int64 `json:"usage_unknown"`    // so many of them

	Spend   Spend   `json:"spend"`
	Latency Latency `json:"latency_ms"`
}

// Jobs by state.
type Jobs struct {
	All     int64 `json:"all"`
	Done    int64 `json:"done"`
	Failed  int64 `json:"failed"`
	Pending int64 `json:"pending"`
	Running int64 `json:"running"`
	Reused  int64 `json:"reused,omitempty"` // of Done, answers taken over from other job files, which paid for them

	reusedCut int64 // of Reused, those that are cut short
}

// Attempts by outcome, those of prompts that are gone from the input among them.
type Attempts struct {
	All          int64 `json:"all"`
	Done         int64 `json:"done"`
	NotProcessed int64 `json:"not_processed"`
	Unknown      int64 `json:"unknown"`
	JobFailed    int64 `json:"job_failed"`
	RunStops     int64 `json:"run_stops"`
	Interrupted  int64 `json:"interrupted"`
	Open         int64 `json:"open"`              // in flight, or of a run that died
	Unsaved      int64 `json:"unsaved,omitempty"` // of Open, those whose outcome waits for the next run to save it
}

// Tokens by kind. Cached and CacheWrite are parts of Prompt; Reasoning is a part of what is not prompt; Beyond is what Total
// counts beside the other two, as some providers do with thought.
type Tokens struct {
	Prompt     int64 `json:"prompt"`
	Completion int64 `json:"completion"`
	Total      int64 `json:"total"`
	Cached     int64 `json:"cached"`
	CacheWrite int64 `json:"cache_write"`
	Reasoning  int64 `json:"reasoning"`
	Audio      int64 `json:"audio"`
	Beyond     int64 `json:"beyond"`
}

// Spend says where the tokens and the money went. Billed = Done + Wasted + Gone, as the API reported it; Wasted = OfFailed +
// Retried; Truncated is a part of Done. Lost is the most that attempts with an unknown outcome can have cost.
type Spend struct {
	Billed        Amount `json:"billed"`
	Done          Amount `json:"done"`
	Truncated     Amount `json:"truncated"`
	Wasted        Amount `json:"wasted"`
	OfFailed      Amount `json:"of_failed_jobs"`
	Retried       Amount `json:"retried"`
	Gone          Amount `json:"gone"`
	Estimated     Amount `json:"estimated"`
	GoneEstimated Amount `json:"gone_estimated"`
	Lost          Amount `json:"possibly_lost"`
}

// Amount is what a number of attempts used and cost. Cost is null as soon as that of one attempt is not known; AtLeast is what
// the others cost.
type Amount struct {
	Attempts int64         `json:"attempts"`
	Tokens   int64         `json:"tokens"`
	Cost     *tokens.Money `json:"cost"`
	AtLeast  tokens.Money  `json:"at_least"`
	Unknown  int64         `json:"cost_unknown"` // attempts

	// Of Lost alone: attempts whose answer nothing bounds, so that even the tokens may be more.
	Unbounded int64 `json:"unbounded"`
}

// Latency of the answers: exact, by nearest rank. Null without answers.
type Latency struct {
	P50 *int64 `json:"p50"`
	P90 *int64 `json:"p90"`
	P99 *int64 `json:"p99"`
	Max *int64 `json:"max"`
}

// Price is what a token costs in US dollars.
type Price struct {
	Endpoint   string       `json:"endpoint"`
	Model      string       `json:"requested_model"` // "" is every other
	Above      int64        `json:"above"`           // prompt tokens of the call
	Input      tokens.Money `json:"input"`
	Output     tokens.Money `json:"output"`
	Cached     tokens.Money `json:"cached"`
	CacheWrite tokens.Money `json:"cache_write"`
	Reasoning  tokens.Money `json:"reasoning"`
	Source     string       `json:"source"`
}

// Unknown says why the cost of some attempts is not known.
type Unknown struct {
	Endpoint string `json:"endpoint"`
	Model    string `json:"requested_model"`
	Why      string `json:"why"`
	Attempts int64  `json:"attempts"`
}

// Rate is over the time in which calls were made; without any, null.
type Rate struct {
	ActiveMillis int64    `json:"active_ms"`
	Calls        *float64 `json:"calls_per_minute"`
	Answers      *float64 `json:"answers_per_minute"`
	Tokens       *float64 `json:"tokens_per_minute"`
}

// Run is one invocation.
type Run struct {
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended"` // null while it goes on, or when it died
	Endpoint string     `json:"endpoint"`
	Reason   string     `json:"reason"`
	Attempts int64      `json:"attempts"`
	RPM      *float64   `json:"rpm"` // the user's own limits; null is none
	TPM      *float64   `json:"tpm"`
}

// Limit is what an API stated last that it allows in a window; null is not stated.
type Limit struct {
	Endpoint string `json:"endpoint"`
	Requests *int64 `json:"requests"`
	Tokens   *int64 `json:"tokens"`
}

// Wait is how long the first in line was held, and by what.
type Wait struct {
	Why    string `json:"why"`
	Millis int64  `json:"ms"`
}

// Failure is a number of attempts that failed alike, with an example.
type Failure struct {
	Class    string  `json:"class"`
	Reason   string  `json:"reason"`
	Status   *int    `json:"status"` // null without an answer
	Type     string  `json:"type"`
	Code     string  `json:"code"`
	Attempts int64   `json:"attempts"`
	Jobs     int64   `json:"failed_jobs"` // that it failed for good
	Example  Example `json:"example"`
}

// Example is the first of the attempts that failed alike.
type Example struct {
	Where
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// Where is where a prompt stands.
type Where struct {
	File     string  `json:"file"`
	Line     int     `json:"line"`
	CustomID *string `json:"custom_id"`
}

// Answer is one of the slowest or the dearest.
type Answer struct {
	Where
	Model    string        `json:"requested_model"`
	Attempts int           `json:"attempts"` // of the job; the rest is of the answer alone
	Millis   int64         `json:"latency_ms"`
	Tokens   int64         `json:"total_tokens"`
	Cost     *tokens.Money `json:"cost"`
}

// Sample is an answer with its prompt, both shortened.
type Sample struct {
	Where
	Model  string `json:"requested_model"`
	Finish string `json:"finish_reason"`
	Prompt string `json:"prompt"`
	Text   string `json:"content"`
}

// Histogram counts values. A bin holds those from From up to the From of the next.
type Histogram struct {
	Bins  []Bin `json:"bins"`
	Step  int64 `json:"step"`
	Under int64 `json:"under"` // values below the first bin
	Rest  int64 `json:"rest"`  // values beyond the last bin
}

// Bin is a number of values.
type Bin struct {
	From int64 `json:"from"`
	N    int64 `json:"n"`
}

// Timeline is the time in which calls were made, in buckets of equal length. Between two stretches nothing was going on.
type Timeline struct {
	BucketMillis int64     `json:"bucket_ms"`
	Stretches    []Stretch `json:"stretches"`
}

// Stretch is a time without long pauses.
type Stretch struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Buckets []Bucket  `json:"buckets"`
}

// Bucket counts calls when they began, and what they brought when they ended.
type Bucket struct {
	At          time.Time    `json:"at"`
	Calls       int64        `json:"calls"`
	Answers     int64        `json:"answers"`
	Failures    int64        `json:"failures"`
	Prompt      int64        `json:"prompt_tokens"`
	Completion  int64        `json:"completion_tokens"` // all that is not prompt
	Spent       tokens.Money `json:"spent"`             // of what was reported and has a price
	CostUnknown int64        `json:"cost_unknown"`      // attempts
}
