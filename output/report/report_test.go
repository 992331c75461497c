package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"batch/output"
	"batch/runner/tokens"
	"batch/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	doc := eventful(t).gather(Options{Prices: prices})
	for _, format := range []Format{Text, JSON, CSV, Markdown} {
		name := filepath.Join("testdata", "eventful."+map[Format]string{Text: "txt"}[format]+strings.TrimPrefix(string(format), "text"))
		got := written(t, doc, format)
		if *update {
			if err := os.WriteFile(name, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func written(t *testing.T, doc *Document, f Format) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := doc.Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSpend(t *testing.T) {
	doc := eventful(t).gather(Options{Prices: prices})
	dollars := func(a Amount) string {
		if a.Cost == nil {
			return "unknown, at least " + a.AtLeast.String()
		}
		return a.Cost.String()
	}
	m, n := doc.Models[0].Spend, doc.Models[1].Spend
	for _, c := range []struct{ what, got, want string }{
		// 60 in, 40 cached, 60 out of which 5 are thought; and 10 in, 20 out
		{"done of m", dollars(m.Done), "0.00025"},
		{"cut short", dollars(m.Truncated), "0.00005"},
		{"gone", dollars(m.Gone), "0.000019"},
		{"estimated", dollars(m.Estimated), "0.000015"},
		{"done of n, in its upper tier", dollars(n.Done), "0.0202"},
		{"failed job: both its attempts", dollars(n.OfFailed), "0.000021"},
		{"wasted", dollars(n.Wasted), "0.000021"},
		{"lost: as long a prompt as one turned out, and the largest answer of the model", dollars(n.Lost), "0.024"},
		{"all", dollars(doc.Total.Spend.Billed), "unknown, at least 0.02049"},
		{"of x", dollars(doc.Models[2].Spend.Billed), "unknown, at least 0"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
		}
	}
	if len(doc.Unknown) != 1 || doc.Unknown[0].Model != "x" || doc.Unknown[0].Attempts != 1 {
		t.Errorf("what is unknown: %+v", doc.Unknown)
	}
	if text := string(written(t, doc, Text)); !strings.Contains(text, "at least $0.020") {
		t.Errorf("an unknown cost is not said:\n%s", text)
	}
}

// TestSums holds the report against sums made apart from it: of the outcomes as they happened, of the bills, of the usage totals.
func TestSums(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		f := newJobFile(t)
		var input []prompt
		for i := range 60 {
			input = append(input, prompt{"", []string{"m", "n"}[i%2], strings.Repeat("x", i), int64(rng.IntN(2) * 50)})
		}
		f.load(input...)
		var want struct {
			billed, done, failed, retried, gone int64
			latencies                           []int64
		}
		goneFrom := int64(50) // jobs are numbered from 1; the last ten lines are taken out afterwards
		wastedOf := map[int64]int64{}
		f.run(store.Run{}, func(c store.Claim) (store.Outcome, time.Duration) {
			u := usage(rng.Int64N(3000), rng.Int64N(200))
			u.Cached = rng.Int64N(u.Prompt + 1)
			u.Total += rng.Int64N(3)
			took := time.Duration(rng.Int64N(300)) * time.Millisecond
			switch dice := rng.IntN(10); {
			case dice < 5:
				want.billed += u.Total
				if c.Job > goneFrom {
					want.gone += u.Total
				} else {
					want.done += u.Total
					want.latencies = append(want.latencies, took.Milliseconds())
				}
				want.retried += wastedOf[c.Job]
				return answered("y", "stop", u), took
			case dice < 7:
				o := failed(store.Retry, "unknown", 500, "", "")
				if rng.IntN(2) == 0 {
					o.Usage = u
					want.billed += u.Total
					wastedOf[c.Job] += u.Total
				}
				return o, took
			case dice < 9:
				return failed(store.Retry, "not_processed", 429, "", ""), took
			}
			o := failed(store.Fail, "job_failed", 400, "", "")
			o.Usage = u
			want.billed += u.Total
			want.failed += u.Total + wastedOf[c.Job]
			return o, took
		})
		f.load(input[:goneFrom]...)
		doc := f.gather(Options{Prices: prices})
		s := doc.Total.Spend
		for _, c := range []struct {
			what      string
			got, want int64
		}{
			{"billed", s.Billed.Tokens, want.billed}, {"done", s.Done.Tokens, want.done}, {"of failed jobs", s.OfFailed.Tokens, want.failed},
			{"retried", s.Retried.Tokens, want.retried}, {"gone", s.Gone.Tokens, want.gone}, {"answers", doc.Total.Jobs.Done, int64(len(want.latencies))},
		} {
			if c.got != c.want {
				t.Errorf("seed %d: %s: %d, want %d", seed, c.what, c.got, c.want)
			}
		}
		slices.Sort(want.latencies)
		for percent, got := range map[int]*int64{50: doc.Total.Latency.P50, 90: doc.Total.Latency.P90, 99: doc.Total.Latency.P99} {
			rank := (len(want.latencies)*percent + 99) / 100
			if *got != want.latencies[rank-1] {
				t.Errorf("seed %d: p%d is %d, want %d", seed, percent, *got, want.latencies[rank-1])
			}
		}
		agrees(t, f, doc)
	}
}

// agrees compares a report with the bills and the usage totals of its job file, and with itself.
func agrees(t *testing.T, f *jobFile, doc *Document) {
	t.Helper()
	v, err := f.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	bills, err := v.Bills(ctx)
	if err != nil {
		t.Fatal(err)
	}
	margins, err := output.ReadMargins(ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	// The job file has no prices of its own here, so its bills know no tiers: the sums of tokens must agree, and all of the money
	// of those that are in one tier.
	s := doc.Total.Spend
	for _, c := range []struct {
		kind store.BillKind
		got  Amount
	}{{store.BillDone, s.Done}, {store.BillWasted, s.Wasted}, {store.BillGone, s.Gone}} {
		var attempts, total int64
		for _, b := range bills {
			if b.Kind == c.kind && !b.Estimated {
				attempts, total = attempts+b.Attempts, total+b.Usage.Total
			}
		}
		if c.got.Attempts != attempts || c.got.Tokens != total {
			t.Errorf("%s: %d attempts, %d tokens; the bills say %d, %d", c.kind, c.got.Attempts, c.got.Tokens, attempts, total)
		}
	}
	if bills, err = v.BillsAt(ctx, output.Tiers(prices, margins)); err != nil {
		t.Fatal(err)
	}
	if want := output.NewPrices(prices).Cost(bills, margins).Lost; s.Lost.AtLeast != want.Money || s.Lost.Unknown != want.Unknown {
		t.Errorf("lost: %v and %d, the bills say %v and %d", s.Lost.AtLeast, s.Lost.Unknown, want.Money, want.Unknown)
	}
	totals, err := v.Totals(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range totals {
		m := doc.Models[i]
		if m.Endpoint != u.Endpoint || m.Name != u.Model || m.Jobs.All != u.Jobs || m.Jobs.Done != u.Done || m.Jobs.Failed != u.Failed ||
			m.Jobs.Pending+m.Jobs.Running != u.Pending || m.Attempts.All != u.Attempts || m.Tokens.Prompt != u.Prompt ||
			m.Tokens.Completion != u.Completion || m.Tokens.Total != u.Total || m.Estimated != u.Estimated || m.UsageUnknown != u.UsageUnknown ||
			m.Spend.Wasted.Tokens != u.Wasted || m.Spend.Gone.Tokens != u.Gone {
			t.Errorf("the usage totals say %+v, the report %+v", u, m)
		}
	}
	if billed := s.Done.AtLeast.Plus(s.Wasted.AtLeast).Plus(s.Gone.AtLeast); billed != s.Billed.AtLeast {
		t.Errorf("billed %v is not done + wasted + gone, %v", s.Billed.AtLeast, billed)
	}
	if wasted := s.OfFailed.AtLeast.Plus(s.Retried.AtLeast); wasted != s.Wasted.AtLeast {
		t.Errorf("wasted %v is not of failed jobs + retried, %v", s.Wasted.AtLeast, wasted)
	}
	var calls, prompt, completion int64
	var spent tokens.Money
	for _, stretch := range doc.Time.Stretches {
		for _, b := range stretch.Buckets {
			calls, prompt, completion, spent = calls+b.Calls, prompt+b.Prompt, completion+b.Completion, spent.Plus(b.Spent)
		}
	}
	if calls != doc.Total.Attempts.All || prompt+completion != s.Billed.Tokens || spent != s.Billed.AtLeast {
		t.Errorf("the timeline has %d calls, %d tokens, %v; the totals %d, %d, %v", calls, prompt+completion, spent,
			doc.Total.Attempts.All, s.Billed.Tokens, s.Billed.AtLeast)
	}
	for what, h := range map[string]*Histogram{"latency": doc.Latency, "tokens": doc.Tokens} {
		if h == nil {
			continue
		}
		n := h.Rest
		for _, b := range h.Bins {
			n += b.N
		}
		if n != doc.Total.Jobs.Done {
			t.Errorf("the histogram of %s has %d answers of %d", what, n, doc.Total.Jobs.Done)
		}
	}
}

func TestEmpty(t *testing.T) {
	f := newJobFile(t)
	for _, what := range []string{"no prompts", "no answers"} {
		if what == "no answers" {
			f.load(prompt{"a", "m", "first", 0})
		}
		doc := f.gather(Options{})
		if doc.Total.Latency.P50 != nil || doc.Rate.Calls != nil || doc.Latency != nil {
			t.Errorf("%s: a latency or a rate of nothing: %+v", what, doc)
		}
		for _, format := range []Format{Text, JSON, CSV, Markdown, HTML} {
			if len(written(t, doc, format)) == 0 {
				t.Errorf("%s: no %s", what, format)
			}
		}
		if page := string(written(t, doc, HTML)); strings.Contains(page, "<svg") || !strings.Contains(page, "No call was made yet") ||
			strings.Contains(page, `class="card"`) || strings.Contains(page, `class="chart"`) {
			t.Errorf("%s: there are cards or charts of nothing", what)
		}
		if bytes.Contains(written(t, doc, JSON), []byte(": null,\n  \"runs\"")) {
			t.Errorf("%s: a list is null", what)
		}
	}
}

// TestStatedLimits draws what the API said where the user set no limit, and says whose it is.
func TestStatedLimits(t *testing.T) {
	f := newJobFile(t)
	f.load(prompt{"a", "m", "first", 0})
	if err := f.BeginRun(ctx, store.Run{Started: begin, Endpoint: endpoint}); err != nil {
		t.Fatal(err)
	}
	turned, err := f.Turn(ctx, nil, nil, store.Want{Jobs: 1, New: 1, Bytes: 1 << 20, Now: begin})
	if err != nil {
		t.Fatal(err)
	}
	o := answered("one", "stop", usage(1, 1))
	o.Job, o.Attempt, o.Started, o.Duration = turned.Claims[0].Job, turned.Claims[0].Attempt, begin, 400*time.Millisecond
	if _, err := f.Turn(ctx, []store.Outcome{o}, nil, store.Want{Now: begin}); err != nil {
		t.Fatal(err)
	}
	if err := f.EndRun(ctx, store.End{At: begin.Add(time.Second), Reason: "finished", Limits: store.Limits{Requests: 500}}); err != nil {
		t.Fatal(err)
	}
	doc := f.gather(Options{})
	if len(doc.Limits) != 1 || *doc.Limits[0].Requests != 500 || doc.Limits[0].Tokens != nil {
		t.Errorf("limits: %+v", doc.Limits)
	}
	if page := string(written(t, doc, HTML)); !strings.Contains(page, "limit, as the API stated it") || !strings.Contains(page, "500 calls, as stated") {
		t.Error("the page does not say that the API stated the limit")
	}
}

func TestSimulatedIsSaid(t *testing.T) {
	doc := eventful(t).gather(Options{Simulated: true})
	for format, want := range map[Format]string{Text: "simulated", Markdown: "simulated", HTML: "Simulated:", JSON: `"simulated": true`, CSV: "true\r\n"} {
		if !strings.Contains(string(written(t, doc, format)), want) {
			t.Errorf("%s does not say that the answers are made up", format)
		}
	}
}

func TestHostile(t *testing.T) {
	f := newJobFile(t)
	f.load(prompt{hostile, "=cmd()|" + hostile, hostile, 0}, prompt{"b", "m", "second", 0})
	f.run(store.Run{}, func(c store.Claim) (store.Outcome, time.Duration) {
		if c.Job == 1 {
			return answered(hostile, hostile, usage(1, 1)), time.Millisecond
		}
		return failed(store.Fail, "job_failed", 400, hostile, hostile), time.Millisecond
	})
	doc := f.gather(Options{Prices: prices})
	doc.JobFile = hostile
	for _, format := range []Format{Text, CSV, Markdown, HTML} {
		text := string(written(t, doc, format))
		if at := strings.IndexAny(text, "\x1b\x00\u202e"); at >= 0 && format != CSV {
			t.Errorf("%s holds control characters: %q", format, text[max(at-100, 0):at+20])
		}
		switch format {
		case HTML:
			if strings.Contains(text, "<script") || strings.Contains(text, "alert(1)</") {
				t.Error("the page holds a script")
			}
		case Markdown:
			for line := range strings.Lines(text) {
				if bare := strings.ReplaceAll(line, `\|`, ""); strings.Contains(line, "alert") && strings.HasPrefix(line, "|") && strings.Count(bare, "|") > 13 {
					t.Errorf("a pipe ends a cell: %s", line)
				}
			}
			if strings.Contains(text, "<script") {
				t.Error("Markdown holds a script")
			}
		case CSV:
			rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			if got := rows[1][1]; !strings.HasPrefix(got, "'=cmd()") || strings.Contains(text, "\x00") {
				t.Errorf("a spreadsheet would run %q", got)
			}
		}
	}
	if err := json.Unmarshal(written(t, doc, JSON), &map[string]any{}); err != nil {
		t.Error(err)
	}
}

// TestRunGoesOn reads beside a run: all that the report says is of one moment.
func TestRunGoesOn(t *testing.T) {
	f := newJobFile(t)
	f.load(prompt{"a", "m", "first", 0}, prompt{"b", "m", "second", 0})
	if err := f.BeginRun(ctx, store.Run{Started: begin, Endpoint: endpoint}); err != nil {
		t.Fatal(err)
	}
	turned, err := f.Turn(ctx, nil, nil, store.Want{Jobs: 1, New: 1, Bytes: 1 << 20, Now: begin})
	if err != nil {
		t.Fatal(err)
	}
	v, err := f.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := v.Counts(ctx); err != nil { // the picture is taken
		t.Fatal(err)
	}
	o := answered("one", "stop", usage(1, 1))
	o.Job, o.Attempt, o.Started = turned.Claims[0].Job, turned.Claims[0].Attempt, begin
	if _, err := f.Turn(ctx, []store.Outcome{o}, nil, store.Want{Now: begin}); err != nil {
		t.Fatal(err)
	}
	doc, err := Gather(ctx, v, Options{RunOn: true, Now: begin})
	if err != nil {
		t.Fatal(err)
	}
	if j := doc.Total.Jobs; j.Running != 1 || j.Pending != 1 || j.Done != 0 || doc.Total.Attempts.Open != 1 {
		t.Errorf("the report mixes two moments: %+v, %+v", j, doc.Total.Attempts)
	}
	if text := string(written(t, doc, Text)); !strings.Contains(text, "a run is on") {
		t.Errorf("the report does not say that a run is on:\n%s", text)
	}
}

// A call whose answer waits beside the job file may have cost something, like one that was out when the run died; one that was refused has not.
func TestUnsaved(t *testing.T) {
	f := newJobFile(t)
	f.load(prompt{"a", "m", "first", 0}, prompt{"b", "m", "second", 0}, prompt{"c", "m", "third", 0})
	if err := f.BeginRun(ctx, store.Run{Started: begin, Endpoint: endpoint}); err != nil {
		t.Fatal(err)
	}
	turned, err := f.Turn(ctx, nil, nil, store.Want{Jobs: 3, New: 3, Bytes: 1 << 20, Now: begin})
	if err != nil {
		t.Fatal(err)
	}
	o := answered("one", "stop", usage(1, 1))
	o.Job, o.Attempt, o.Started = turned.Claims[0].Job, turned.Claims[0].Attempt, begin
	refused := store.Outcome{Job: turned.Claims[1].Job, Attempt: turned.Claims[1].Attempt, Started: begin, Arrow: store.Release, Class: "not_processed", Sent: true}
	if _, err := f.SetAside([]store.Outcome{o, refused}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenRead(ctx, f.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	waits, err := s.Foresee(ctx)
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	doc, err := Gather(ctx, v, Options{Unsaved: waits, Now: begin})
	if err != nil {
		t.Fatal(err)
	}
	if a := doc.Total.Attempts; a.Open != 3 || a.Unsaved != 2 || doc.Total.Spend.Lost.Attempts != 2 {
		t.Errorf("%+v, and %d are possibly lost", a, doc.Total.Spend.Lost.Attempts)
	}
	for _, form := range []Format{Text, Markdown, HTML} {
		if text := string(written(t, doc, form)); !strings.Contains(text, "known, and waiting for the next run") || strings.Contains(text, "in work") {
			t.Errorf("%v: the report does not say what waits:\n%s", form, text)
		}
	}
}

func TestRanking(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := ranking{by: func(a, b ranked) int { return int(a.millis - b.millis) }}
	var all []ranked
	for i := range int64(500) {
		one := ranked{job: i, millis: rng.Int64N(40)}
		all = append(all, one)
		r.offer(one)
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return int(b.millis - a.millis) })
	if diff := cmp.Diff(all[:mostAnswers], r.top, cmp.AllowUnexported(ranked{})); diff != "" {
		t.Error(diff)
	}
}

// TestClock puts a week of calls, with a pause, into few buckets without losing one.
func TestClock(t *testing.T) {
	c := newClock()
	at := begin.UnixMilli()
	const calls = 20_000
	for i := range int64(calls) {
		c.at(at).Calls++
		c.call(i/(calls/2), at, at+500)
		if at += 30_000; i == calls/2-1 {
			at += 40 * day
		}
	}
	line, active := c.timeline()
	buckets, n := 0, int64(0)
	for _, s := range line.Stretches {
		for _, b := range s.Buckets {
			buckets, n = buckets+1, n+b.Calls
		}
	}
	if len(line.Stretches) != 2 || n != calls || buckets > mostBuckets || buckets < mostBuckets/5 || len(c.cells) > mostCells {
		t.Errorf("%d stretches, %d calls, %d buckets of %d ms, %d cells", len(line.Stretches), n, buckets, line.BucketMillis, len(c.cells))
	}
	if active > 8*day {
		t.Errorf("active for %d ms: the pause is in it", active)
	}
}
