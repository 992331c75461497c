package store

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"batch/runner/tokens"
)

// ledger sums up, attempt by attempt and in Go alone, what Bills sums up in SQL.
type ledger struct {
	prices map[[2]string]*tokens.Price // by endpoint and model
	bills  map[Bill]*Bill              // by what they do not sum up
	money  tokens.Money                // of the bills whose cost is known
	dear   int64                       // attempts whose cost is not
}

func newLedger(prices []Price) *ledger {
	l := &ledger{prices: map[[2]string]*tokens.Price{}, bills: map[Bill]*Bill{}}
	for _, p := range prices {
		at := [2]string{p.Endpoint, p.Model}
		if l.prices[at] == nil {
			l.prices[at] = &tokens.Price{}
		}
		l.prices[at].Rates = append(l.prices[at].Rates, tokens.Rates{Above: p.Above, Input: tokens.Money(p.Input), Output: tokens.Money(p.Output),
			Cached: tokens.Money(p.Cached), CacheWrite: tokens.Money(p.CacheWrite), Reasoning: tokens.Money(p.Reasoning)})
	}
	return l
}

// of is the price of a model, else that of every model at its endpoint.
func (l *ledger) of(b Bill) *tokens.Price {
	if own := l.prices[[2]string{b.Endpoint, b.Model}]; own != nil {
		return own
	}
	return l.prices[[2]string{b.Endpoint, ""}]
}

// charge adds one attempt. What kind says of it is all but its usage.
func (l *ledger) charge(kind Bill, u Usage, unbounded bool) {
	price := l.of(kind)
	if price != nil {
		kind.Above = price.For(u.Prompt).Above
	}
	if cost, known := price.Cost(tokens.Usage(u)); known {
		l.money = l.money.Plus(cost)
	} else {
		l.dear++
	}
	if u.Audio > 0 {
		kind.Usage.Audio = 1 // is priced apart
	}
	b := l.bills[kind]
	if b == nil {
		begun := kind
		begun.Usage = Usage{Known: true}
		b = &begun
		l.bills[kind] = b
	}
	b.Attempts++
	b.Usage.Prompt += u.Prompt
	b.Usage.Completion += u.Completion
	b.Usage.Total += u.Total
	b.Usage.Cached += u.Cached
	b.Usage.CacheWrite += u.CacheWrite
	b.Usage.Reasoning += u.Reasoning
	b.Usage.Audio += u.Audio
	if unbounded {
		b.Unbounded++
	}
}

func sortBills(bills []Bill) []Bill {
	slices.SortFunc(bills, func(a, b Bill) int { return cmp.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b)) })
	return bills
}

// check holds the bills against the ledger, to the token and to the picodollar.
func (l *ledger) check(t fatal, bills []Bill) {
	var want []Bill
	for _, b := range l.bills {
		want = append(want, *b)
	}
	if diff := gocmp.Diff(sortBills(want), sortBills(bills)); diff != "" {
		t.Errorf("bills: %s", diff)
	}
	var money tokens.Money
	var dear int64
	for _, b := range bills {
		price := l.of(b)
		if price == nil || b.Usage.Audio > 0 {
			dear += b.Attempts
			continue
		}
		money = money.Plus(price.At(b.Above).Cost(tokens.Usage(b.Usage)))
	}
	if money != l.money || dear != l.dear {
		t.Errorf("the bills cost %s and %d attempts an unknown amount; one by one %s and %d", money, dear, l.money, l.dear)
	}
}

// fatal is what testing.T and rapid.T have in common.
type fatal interface {
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

func viewOf(t fatal, s *Store) *View {
	v, err := s.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// somePrices leave some models without a price of their own, and give some of them tiers. At one endpoint every model has a price.
func somePrices(endpoints, models []string) []Price {
	var all []Price
	for i, e := range endpoints {
		for j, m := range append([]string{""}, models...) {
			if m == "" && i != 2 || m != "" && (i+j)%4 == 3 {
				continue
			}
			rate := int64(1 + 1_000_003*i + 31*j)
			for k, above := range []int64{0, 50, 80}[:1+(i+2*j)%3] {
				n := int64(k + 1)
				all = append(all, Price{Endpoint: e, Model: m, Above: above, Input: n * rate, Output: n*4*rate + 1, Cached: n*rate/10 + 3,
					CacheWrite: n*rate + 7, Reasoning: n * 5 * rate, Source: "test"})
			}
		}
	}
	return all
}

// past is a job file whose every attempt is known to the test too.
type past struct {
	t      *rapid.T
	s      *Store
	run    string // the endpoint of this run
	jobs   map[int64]*oldJob
	lines  []Job
	cost   int64 // attempts that stand in a bill
	frees  int64 // and those that cost nothing
	claims []Claim

	unknown int64 // attempts whose outcome is unknown
}

// oldJob is what the test knows of a job.
type oldJob struct {
	Job
	past []oldAttempt
}

type oldAttempt struct {
	endpoint  string
	answered  bool // the job, with this attempt
	lost      bool
	open      bool // in flight when the story ends
	usage     Usage
	estimated Usage
}

// someUsage is a report whose parts lie inside what they are parts of.
func someUsage(t *rapid.T) Usage {
	u := Usage{Known: true, Prompt: rapid.Int64Range(0, 100).Draw(t, "prompt"), Completion: rapid.Int64Range(0, 50).Draw(t, "completion")}
	u.Total = u.Prompt + u.Completion + rapid.SampledFrom([]int64{0, 0, 7}).Draw(t, "thought beside")
	if rapid.Bool().Draw(t, "parts") {
		u.Cached = rapid.Int64Range(0, u.Prompt).Draw(t, "cached")
		u.CacheWrite = rapid.Int64Range(0, u.Prompt-u.Cached).Draw(t, "cache write")
		u.Reasoning = rapid.Int64Range(0, u.Total-u.Prompt).Draw(t, "reasoning")
		u.Audio = rapid.SampledFrom([]int64{0, 0, 0, 3}).Draw(t, "audio")
	}
	return u
}

func (p *past) importSome() {
	keep := rapid.SliceOfN(rapid.Bool(), len(p.lines), len(p.lines)).Draw(p.t, "keep")
	_, err := p.s.Import(ctx, ImportOptions{AcceptChanges: true}, func(imp *Importer) error {
		imp.File("p.jsonl")
		n := 0
		for i, line := range p.lines {
			if len(p.jobs) == 0 || keep[i] {
				n++
				if err := imp.Add(line); err != nil {
					return err
				}
			}
		}
		return imp.EndFile(Input{Path: "p.jsonl", Rows: n})
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *past) beginRun(endpoint string) {
	p.run = endpoint
	if err := p.s.BeginRun(ctx, Run{Started: time.Now(), Endpoint: endpoint, Version: "test"}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *past) turn(want int, outcomes ...Outcome) {
	turned, err := p.s.Turn(ctx, outcomes, nil, Want{Jobs: want, New: want, Bytes: 1 << 20, Now: time.Now()})
	if err != nil {
		p.t.Fatal(err)
	}
	p.claims = append(p.claims, turned.Claims...)
}

// end ends a claim in some way.
func (p *past) end(c Claim) {
	job := p.jobs[c.Job]
	o := Outcome{Job: c.Job, Attempt: c.Attempt, Started: time.Now(), Used: c.Used, Generation: c.Generation, Sent: true}
	a := oldAttempt{endpoint: p.run}
	switch how := rapid.SampledFrom([]string{"done", "done", "done without usage", "done, not counted", "failed", "failed with usage", "unknown",
		"unknown with usage", "unknown and failed", "not processed", "interrupted", "interrupted unsent", "handed back", "stops"}).Draw(p.t, "how"); how {
	case "done":
		o.Arrow, o.Class, o.Usage = Complete, "done", someUsage(p.t)
		a.answered = true
	case "done without usage":
		o.Arrow, o.Class, o.EstimatedPrompt = Complete, "done", rapid.Int64Range(0, 100).Draw(p.t, "estimated prompt")
		o.Estimated = o.EstimatedPrompt + rapid.Int64Range(0, 50).Draw(p.t, "estimated")
		a.answered, a.estimated = true, Usage{Known: true, Prompt: o.EstimatedPrompt, Completion: o.Estimated - o.EstimatedPrompt, Total: o.Estimated}
	case "done, not counted":
		o.Arrow, o.Class = Complete, "done"
		a.answered, a.estimated = true, Usage{Known: true}
	case "failed", "failed with usage":
		o.Arrow, o.Class, o.Status = Fail, "job_failed", 400
		if how != "failed" {
			o.Usage = someUsage(p.t)
		}
	case "unknown", "unknown with usage":
		o.Arrow, o.Class = Retry, "unknown"
		if a.lost = how == "unknown"; !a.lost {
			o.Usage = someUsage(p.t)
		}
	case "unknown and failed":
		o.Arrow, o.Class, a.lost = Fail, "unknown", true
	case "not processed":
		o.Arrow, o.Class = Retry, "not_processed"
	case "interrupted", "interrupted unsent":
		o.Arrow, o.Class, o.Sent = Release, "interrupted", how == "interrupted"
		a.lost = o.Sent
	case "handed back":
		o.Arrow = HandBack
		p.turn(0, o)
		return
	case "stops":
		o.Arrow, o.Class, o.Last = Release, "run_stops", true
	}
	if o.Arrow == Complete {
		o.Response = []byte("{}")
	}
	a.usage = o.Usage
	p.unknown += int64(o.possiblyPaid())
	job.past = append(job.past, a)
	p.turn(0, o)
}

// charge makes the ledger of all that happened.
func (p *past) charge(prices []Price) *ledger {
	gone := map[int64]bool{}
	rows, err := p.s.read.Query("SELECT id FROM jobs WHERE position IS NULL")
	if err != nil {
		p.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			p.t.Fatal(err)
		}
		gone[id] = true
	}
	l := newLedger(prices)
	for id, job := range p.jobs {
		for _, a := range job.past {
			b := Bill{Endpoint: a.endpoint, Model: job.Model, Kind: BillWasted}
			if a.answered && gone[id] {
				b.Kind = BillGone
			} else if a.answered {
				b.Kind = BillDone
			}
			p.cost++
			switch {
			case a.usage.Known:
				l.charge(b, a.usage, false)
			case a.answered:
				b.Estimated = true
				l.charge(b, a.estimated, false)
			case a.lost || a.open:
				b.Kind, b.Estimated = BillLost, true
				if a.open {
					b.Kind = BillOpen
				}
				most := Usage{Known: true, Prompt: job.Tokens, Completion: job.MaxTokens, Total: job.Tokens + job.MaxTokens}
				l.charge(b, most, job.MaxTokens == 0)
			default:
				p.cost--
				p.frees++
			}
		}
	}
	return l
}

func TestBills(t *testing.T) {
	endpoints := []string{"https://a.example/v1", "https://b.example/v1", "https://c.example/v1"}
	models := []string{"m", "n", "o", "p"}
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		s, err := Open(ctx, filepath.Join(dir, fmt.Sprint(n, ".db")), true)
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		if _, err := s.conn.ExecContext(ctx, "PRAGMA synchronous=OFF"); err != nil { // hundreds of commits a story
			rt.Fatal(err)
		}
		prices := somePrices(endpoints, models)
		if rapid.Bool().Draw(rt, "no tiers") {
			prices = slices.DeleteFunc(prices, func(p Price) bool { return p.Above > 0 })
		}
		if err := s.SetPrices(ctx, prices); err != nil {
			rt.Fatal(err)
		}
		p := &past{t: rt, s: s, jobs: map[int64]*oldJob{}}
		for i := range rapid.IntRange(1, 12).Draw(rt, "jobs") {
			line := job(i+1, fmt.Sprint("line ", i))
			line.Model = rapid.SampledFrom(models).Draw(rt, "model")
			line.Tokens = rapid.Int64Range(0, 120).Draw(rt, "tokens")
			line.MaxTokens = rapid.SampledFrom([]int64{0, 1, 90}).Draw(rt, "max tokens")
			p.lines = append(p.lines, line)
		}
		p.importSome()
		for i := range p.lines {
			p.jobs[int64(i+1)] = &oldJob{Job: p.lines[i]}
		}
		for range rapid.IntRange(1, 4).Draw(rt, "runs") {
			p.beginRun(rapid.SampledFrom(endpoints).Draw(rt, "endpoint"))
			for range rapid.IntRange(0, 12).Draw(rt, "turns") {
				p.turn(rapid.IntRange(1, 3).Draw(rt, "claims"))
				for len(p.claims) > 0 && !(len(p.claims) == 1 && rapid.Bool().Draw(rt, "stays in flight")) {
					p.end(p.claims[0])
					p.claims = p.claims[1:]
				}
			}
			running := len(p.claims)
			for _, c := range p.claims { // the run dies, now or at the end of the story
				p.jobs[c.Job].past = append(p.jobs[c.Job].past, oldAttempt{endpoint: p.run, lost: true})
				p.unknown++
			}
			p.claims = nil
			if dies := rapid.Bool().Draw(rt, "dies"); dies || running > 0 {
				if n, err := s.Recover(ctx); err != nil || n != int64(running) {
					rt.Fatal(n, err)
				}
			} else if err := s.EndRun(ctx, End{At: time.Now(), Reason: "finished"}); err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "edit") {
				p.importSome()
			}
			if rapid.Bool().Draw(rt, "retry failed") {
				if _, err := s.RetryFailed(ctx); err != nil {
					rt.Fatal(err)
				}
			}
		}
		p.turn(rapid.IntRange(0, 2).Draw(rt, "in flight"))
		for _, c := range p.claims {
			p.jobs[c.Job].past = append(p.jobs[c.Job].past, oldAttempt{endpoint: p.run, open: true})
		}
		v := viewOf(rt, s)
		defer v.Close()
		bills, err := v.Bills(ctx)
		if err != nil {
			rt.Fatal(err)
		}
		p.charge(prices).check(rt, bills)
		var attempts int64
		if err := v.tx.QueryRow("SELECT count(*) FROM attempts").Scan(&attempts); err != nil {
			rt.Fatal(err)
		}
		if attempts != p.cost+p.frees {
			rt.Errorf("%d attempts are charged, %d free, of %d", p.cost, p.frees, attempts)
		}
		checkTotals(rt, v, bills, p.unknown)
	})
}

// checkTotals holds the totals of the usage file against the bills. Possibly paid are all attempts whose outcome is unknown, also
// those that reported usage.
func checkTotals(t fatal, v *View, bills []Bill, possiblyPaid int64) {
	type sums struct{ Prompt, Completion, Total, Estimated, Unknown, Wasted, Gone int64 }
	want, got := map[[2]string]sums{}, map[[2]string]sums{}
	for _, b := range bills {
		at := [2]string{b.Endpoint, b.Model}
		s := want[at]
		switch {
		case b.Kind == BillDone && b.Estimated:
			s.Estimated += b.Usage.Total
			s.Unknown += b.Attempts
		case b.Kind == BillDone:
			s.Prompt, s.Completion, s.Total = s.Prompt+b.Usage.Prompt, s.Completion+b.Usage.Completion, s.Total+b.Usage.Total
		case b.Kind == BillGone && !b.Estimated:
			s.Gone += b.Usage.Total
		case b.Kind == BillWasted:
			s.Wasted += b.Usage.Total
		}
		if s != (sums{}) {
			want[at] = s
		}
	}
	totals, err := v.Totals(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range totals {
		possiblyPaid -= l.PossiblyPaid
		s := sums{l.Prompt, l.Completion, l.Total, l.Estimated, l.UsageUnknown, l.Wasted, l.Gone}
		if s != (sums{}) {
			got[[2]string{l.Endpoint, l.Model}] = s
		}
	}
	if possiblyPaid != 0 {
		t.Errorf("the totals count %d possibly paid attempts too few", possiblyPaid)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("totals are not those of the bills: %s", diff)
	}
}
