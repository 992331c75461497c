package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
	"batch/runner/chat/sim/simtest"
	"batch/runner/tokens"
)

// What all calls used and cost is the same wherever it is told, and however many runs it took: in the usage file as JSONL and as CSV, in
// the rows, in status, in the report. It is what the server said it was, also where that gave no answer.
func TestQ9_Q10_TotalsAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		whole := newAccounts(t, seed, 30)
		whole.run(0)
		whole.check()
		pieces := newAccounts(t, seed, 30)
		for _, limit := range []int{1, 7, 12} {
			pieces.run(limit)
		}
		pieces.run(0)
		pieces.check()
		one, other := whole.told(), pieces.told()
		for name := range one {
			if one[name] != other[name] {
				t.Errorf("seed %d: %s is %s after one run, %s after four", seed, name, one[name], other[name])
			}
		}
	}
}

// accounts is a job file, and what its server said.
type accounts struct {
	*folder
	seed uint64
	url  string
	api  *sim.Server

	mu                        sync.Mutex
	prompt, completion, total int64 // of answers
	wasted                    int64 // of what was none
	silent                    int64 // answers that do not say
	cost, wastedCost          int64 // in picodollars
}

// What a token costs in picodollars: --price 2.5,10,0.5
const tokenIn, tokenOut, tokenCached = 2_500_000, 10_000_000, 500_000

func newAccounts(t *testing.T, seed uint64, prompts int) *accounts {
	t.Helper()
	a := &accounts{folder: newFolder(t), seed: seed}
	a.prompts("p.jsonl", prompts)
	var err error
	if a.api, err = sim.New(sim.Options{Script: a.answer}); err != nil {
		t.Fatal(err)
	}
	a.url = simtest.Listen(t, simtest.HTTP1, a.api).URL + "/v1"
	return a
}

// answer decides by the request, and by how often it came, what it gets; so the order of calls decides nothing.
func (a *accounts) answer(ask sim.Ask) []sim.Step {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := sha256.Sum256(ask.Body)
	dice := rand.New(rand.NewPCG(a.seed, binary.LittleEndian.Uint64(sum[:])+uint64(ask.Try)))
	prompt, completion := dice.Int64N(5000), dice.Int64N(900)
	cached := dice.Int64N(prompt + 1)
	usage := fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d},`+
		`"completion_tokens_details":{"reasoning_tokens":%d}}`, prompt, completion, prompt+completion, cached, dice.Int64N(completion+1))
	cost := (prompt-cached)*tokenIn + cached*tokenCached + completion*tokenOut
	kind := dice.IntN(8)
	if ask.Try > 1 {
		kind = 7
	}
	switch kind {
	case 0:
		return []sim.Step{{Status: 429, Header: map[string][]string{"Retry-After-Ms": {"1"}}}}
	case 1, 2:
		a.wasted += prompt + completion
		a.wastedCost += cost
		if kind == 1 {
			return []sim.Step{{Status: 400, Body: []byte(`{"error":{"code":"content_policy_violation","message":"no"},` + usage + `}`)}}
		}
		return []sim.Step{{Body: []byte(`{"choices":[],` + usage + `}`)}}
	case 3:
		a.silent++
		return []sim.Step{{Body: []byte(`{"choices":[{"message":{"content":"Rhine"},"finish_reason":"stop"}]}`)}}
	}
	a.prompt, a.completion, a.total = a.prompt+prompt, a.completion+completion, a.total+prompt+completion
	a.cost += cost
	finish := []string{"length", "content_filter", "stop", "stop"}[kind-4]
	return []sim.Step{{Body: []byte(`{"choices":[{"message":{"content":"Rhine"},"finish_reason":"` + finish + `"}],` + usage + `}`)}}
}

// run asks what is left, or so many of it.
func (a *accounts) run(limit int) {
	args := []string{"run", "p.jsonl", "--model", "m", "--base-url", a.url, "--price", "2.5,10,0.5", "-c", "8"}
	if limit > 0 {
		args = append(args, "--limit", strconv.Itoa(limit))
	}
	a.batch(args...)
}

// told is what the last row of the usage file says, as text by name.
func (a *accounts) told() map[string]string {
	rows := a.lines("p.usage.jsonl")
	return a.object([]byte(rows[len(rows)-1]))
}

func (a *accounts) object(text []byte) map[string]string {
	a.t.Helper()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		a.t.Fatalf("%v: %s", err, text)
	}
	all := map[string]string{}
	for name, value := range raw {
		all[name] = string(value)
	}
	return all
}

// check holds what is told against what the server said, and each teller against the other.
func (a *accounts) check() {
	a.t.Helper()
	told := a.told()
	for name, want := range map[string]string{
		"prompt_tokens": fmt.Sprint(a.prompt), "completion_tokens": fmt.Sprint(a.completion), "total_tokens": fmt.Sprint(a.total),
		"wasted_tokens": fmt.Sprint(a.wasted), "usage_unknown": fmt.Sprint(a.silent), "cost": tokens.Money(a.cost).String(),
		"wasted_cost": tokens.Money(a.wastedCost).String(),
	} {
		if told[name] != want {
			a.t.Errorf("seed %d: %s is %s, the server said %s", a.seed, name, told[name], want)
		}
	}
	a.batch("export", "p.batch.db", "-o", "x.csv")
	table := a.rows("x.usage.csv")
	status := a.object(a.batch("status", "--json", "p.batch.db"))
	for name, want := range told {
		if want == "null" {
			want = ""
		}
		if got := table[len(table)-1][name]; got != want {
			a.t.Errorf("seed %d: %s is %q as CSV, %q as JSONL", a.seed, name, got, want)
		}
		if got, there := status[name]; there && got != want && name != "cost" {
			a.t.Errorf("seed %d: %s is %q in status, %q in the usage file", a.seed, name, got, want)
		}
	}
	billed := a.money(told["cost"]) + a.money(told["wasted_cost"])
	if got := a.money(status["cost"]); got != billed {
		a.t.Errorf("seed %d: status says %s was spent, the usage file %s", a.seed, got, billed)
	}
	var report struct {
		Total struct {
			Tokens struct{ Prompt, Completion, Total int64 }
			Spend  struct{ Billed struct{ Cost json.Number } }
		}
	}
	if err := json.Unmarshal(a.batch("report", "--json", "p.batch.db"), &report); err != nil {
		a.t.Fatal(err)
	}
	if got := report.Total.Tokens; got.Prompt != a.prompt || got.Completion != a.completion || got.Total != a.total {
		a.t.Errorf("seed %d: the report says %+v, the server %d, %d, %d", a.seed, got, a.prompt, a.completion, a.total)
	}
	if got := a.money(report.Total.Spend.Billed.Cost.String()); got != billed {
		a.t.Errorf("seed %d: the report says %s was spent, the usage file %s", a.seed, got, billed)
	}
	a.checkRows(a.money(told["cost"]) + a.money(told["estimated_cost"]))
	a.batch("verify", "p.batch.db")
	for _, wrong := range oracle.Check(oracle.Case{Folder: a.dir, Ledgers: map[string][]sim.Call{a.url: a.api.Ledger()}, Key: canary, Said: a.said.Bytes(), Ask: ask, Current: true}) {
		a.t.Errorf("seed %d: %s", a.seed, wrong)
	}
}

// checkRows adds the rows up.
func (a *accounts) checkRows(cost tokens.Money) {
	a.t.Helper()
	var sum tokens.Money
	var total int64
	for _, row := range a.rows("x.csv") {
		sum += a.money(row["cost"])
		if row["usage_source"] == "reported" {
			n, err := strconv.ParseInt(row["total_tokens"], 10, 64)
			if err != nil {
				a.t.Fatal(err)
			}
			total += n
		}
	}
	if sum != cost || total != a.total {
		a.t.Errorf("seed %d: the rows add up to %s and %d tokens, the totals are %s and %d", a.seed, sum, total, cost, a.total)
	}
}

func (a *accounts) money(text string) tokens.Money {
	a.t.Helper()
	m, err := tokens.ParseMoney(text)
	if err != nil {
		a.t.Fatalf("%q: %v", text, err)
	}
	return m
}
