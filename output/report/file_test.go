package report

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"batch/store"
)

var (
	ctx   = context.Background()
	begin = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
)

const endpoint = "https://api.example.com/v1"

// prices are those of most tests: dollars for a million tokens of m 1 in, 2 out, 0.5 cached; n costs ten times as much above
// 1,000 prompt tokens; of any other model nothing is known.
var prices = []store.Price{
	{Endpoint: endpoint, Model: "m", Input: 1e6, Output: 2e6, Cached: 5e5, CacheWrite: 1e6, Reasoning: 2e6, Source: "--price", Given: true},
	{Endpoint: endpoint, Model: "n", Input: 1e6, Output: 2e6, Cached: 5e5, CacheWrite: 1e6, Reasoning: 2e6, Largest: 100, Source: "a table"},
	{Endpoint: endpoint, Model: "n", Above: 1000, Input: 1e7, Output: 2e7, Cached: 5e6, CacheWrite: 1e7, Reasoning: 2e7, Largest: 100, Source: "a table"},
}

// jobFile is one of the test's own.
type jobFile struct {
	*testing.T
	*store.Store
	at time.Time
}

func newJobFile(t *testing.T) *jobFile {
	t.Helper()
	s, err := store.Open(ctx, filepath.Join(t.TempDir(), "prompts.batch.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &jobFile{t, s, begin}
}

// prompt is a line of the input.
type prompt struct {
	id, model, text string
	maxTokens       int64
}

func (f *jobFile) load(prompts ...prompt) {
	f.Helper()
	_, err := f.Import(ctx, store.ImportOptions{AcceptChanges: true}, func(imp *store.Importer) error {
		imp.File("prompts.jsonl")
		for i, p := range prompts {
			body := fmt.Sprintf(`{"model":%s,"messages":[{"role":"user","content":%s}]}`, quoted(p.model), quoted(p.text))
			if err := imp.Add(store.Job{Line: i + 1, Model: p.model, CustomID: p.id, HasCustomID: p.id != "", Tokens: 10, MaxTokens: p.maxTokens,
				Key: sha256.Sum256([]byte(body)), Body: []byte(body)}); err != nil {
				return err
			}
		}
		return imp.EndFile(store.Input{Path: "prompts.jsonl", Place: "/prompts.jsonl", Rows: len(prompts)})
	})
	if err != nil {
		f.Fatal(err)
	}
}

// run drains what is due; decide says how each call ends. A second goes by with every call.
func (f *jobFile) run(limits store.Run, decide func(c store.Claim) (store.Outcome, time.Duration)) {
	f.Helper()
	limits.Started, limits.Endpoint, limits.Version = f.at, endpoint, "test"
	if err := f.BeginRun(ctx, limits); err != nil {
		f.Fatal(err)
	}
	for {
		turned, err := f.Turn(ctx, nil, nil, store.Want{Jobs: 1, New: 1, Bytes: 1 << 20, Now: f.at})
		if err != nil {
			f.Fatal(err)
		}
		if len(turned.Claims) == 0 {
			break
		}
		c := turned.Claims[0]
		o, took := decide(c)
		o.Job, o.Attempt, o.Started, o.Duration, o.Sent = c.Job, c.Attempt, f.at, took, true
		if _, err := f.Turn(ctx, []store.Outcome{o}, nil, store.Want{Now: f.at}); err != nil {
			f.Fatal(err)
		}
		f.at = f.at.Add(time.Second)
	}
	if err := f.EndRun(ctx, store.End{At: f.at, Reason: "finished", Waited: map[string]time.Duration{"pace": 1500 * time.Millisecond}}); err != nil {
		f.Fatal(err)
	}
}

func (f *jobFile) gather(opt Options) *Document {
	f.Helper()
	v, err := f.View(ctx)
	if err != nil {
		f.Fatal(err)
	}
	defer v.Close()
	opt.JobFile, opt.Version, opt.Now = "prompts.batch.db", "test", begin.Add(time.Hour)
	doc, err := Gather(ctx, v, opt)
	if err != nil {
		f.Fatal(err)
	}
	return doc
}

// answered is an outcome with an answer.
func answered(text, finish string, u store.Usage) store.Outcome {
	return store.Outcome{Arrow: store.Complete, Class: "done", Status: 200, RequestID: "req-ok", FinishReason: finish, Usage: u,
		Response: fmt.Appendf(nil, `{"choices":[{"index":0,"message":{"role":"assistant","content":%s}}]}`, quoted(text))}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func usage(prompt, completion int64) store.Usage {
	return store.Usage{Known: true, Prompt: prompt, Completion: completion, Total: prompt + completion}
}

// failed is an outcome without one.
func failed(arrow store.Arrow, class string, status int, code, message string) store.Outcome {
	return store.Outcome{Arrow: arrow, Class: class, Status: status, Type: "some_error", Code: code, Message: message, RequestID: "req-bad"}
}

// eventful is a job file with some of everything.
func eventful(t *testing.T) *jobFile {
	f := newJobFile(t)
	f.load(prompt{"a", "m", "first", 0}, prompt{"b", "m", "second", 20}, prompt{"c", "n", "third", 0}, prompt{"d", "n", "fourth", 30},
		prompt{"", "m", "gone", 0}, prompt{"f", "x", "of an unknown price", 0}, prompt{"g", "m", "no usage", 0})
	calls := map[int64]int{}
	f.run(store.Run{RPM: 120, TPM: 9000}, func(c store.Claim) (store.Outcome, time.Duration) {
		calls[c.Job]++
		first := calls[c.Job] == 1
		switch c.Job {
		case 1:
			return answered("one", "stop", store.Usage{Known: true, Prompt: 100, Completion: 50, Total: 160, Cached: 40, Reasoning: 5}), 120 * time.Millisecond
		case 2:
			if first {
				return failed(store.Retry, "not_processed", 429, "rate_limit_exceeded", "slow down"), 5 * time.Millisecond
			}
			return answered("cut sho", "length", usage(10, 20)), 250 * time.Millisecond
		case 3:
			if first { // possibly paid
				return failed(store.Retry, "unknown", 500, "", "the server failed"), 40 * time.Millisecond
			}
			return answered("long", "stop", usage(2000, 10)), 900 * time.Millisecond
		case 4:
			if first { // paid, and no answer
				o := failed(store.Retry, "unknown", 200, "", "no completion")
				o.Usage = usage(8, 3)
				return o, 60 * time.Millisecond
			}
			o := failed(store.Fail, "job_failed", 400, "content_policy", hostile)
			o.Usage = usage(7, 0)
			return o, 30 * time.Millisecond
		case 5:
			return answered("gone", "stop", usage(11, 4)), 70 * time.Millisecond
		case 6:
			return answered("x", "", usage(5, 5)), 80 * time.Millisecond
		}
		o := answered("no usage", "stop", store.Usage{})
		o.EstimatedPrompt, o.Estimated = 9, 12
		return o, 90 * time.Millisecond
	})
	f.load(prompt{"a", "m", "first", 0}, prompt{"b", "m", "second", 20}, prompt{"c", "n", "third", 0}, prompt{"d", "n", "fourth", 30},
		prompt{"f", "x", "of an unknown price", 0}, prompt{"g", "m", "no usage", 0}, prompt{hostile, "m", "new", 0})
	return f
}

// hostile is what nobody should be able to say through a report.
const hostile = "</script><script>alert(1)</script>\x1b[31m|=cmd()\u202eevil\u0000"
