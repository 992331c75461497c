package output

import (
	"context"
	"encoding/csv"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"batch/store"
)

// sideBySide are pairs that a test made up.
type sideBySide []store.Pair

func (s sideBySide) Pairs(context.Context) iter.Seq2[*store.Pair, error] {
	return func(yield func(*store.Pair, error) bool) {
		for i := range s {
			if !yield(&s[i], nil) {
				return
			}
		}
	}
}

// messageRow is a row whose first choice has this message.
func messageRow(line int, message string) *store.Row {
	return &store.Row{State: store.Done, File: "p.jsonl", Line: line, Model: "m", Endpoint: "e", FinishReason: "stop",
		Response: []byte(`{"choices":[{"message":` + message + `,"finish_reason":"stop"}]}`)}
}

func compareRows(t *testing.T, pairs ...store.Pair) *Compared {
	t.Helper()
	doc := &Compared{}
	if err := CompareFiles(t.Context(), sideBySide(pairs), doc, [2]Prices{}, nil); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSameAnswers(t *testing.T) {
	for _, test := range []struct {
		name, a, b string
		same       bool
	}{
		{"text", `{"content":"x"}`, `{"role":"assistant","content":"x","annotations":[]}`, true},
		{"spelled otherwise", `{"content":"caf\u00e9\/"}`, `{"content":"café/"}`, true},
		{"text in parts", `{"content":[{"type":"text","text":"x"},{"type":"text","text":"y"}]}`, `{"content":"x\ny"}`, true},
		{"another text", `{"content":"x"}`, `{"content":"X"}`, false},
		{"a space more", `{"content":"x"}`, `{"content":"x "}`, false},
		{"no text", `{"content":null}`, `{"content":""}`, true},
		{"a refusal", `{"content":"no"}`, `{"content":null,"refusal":"no"}`, false},
		{"the ids of calls", `{"content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}`,
			`{"tool_calls":[{"index":0,"function":{"arguments":"{}","name":"f"},"id":"2"}]}`, true},
		{"what is called", `{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}`, `{"tool_calls":[{"function":{"name":"g","arguments":"{}"}}]}`, false},
		{"what it is called with", `{"tool_calls":[{"function":{"name":"f","arguments":"1"}}]}`, `{"tool_calls":[{"function":{"name":"f","arguments":"2"}}]}`, false},
		{"one call more", `{"content":"x","tool_calls":[]}`, `{"content":"x","tool_calls":[{"function":{"name":"f"}}]}`, false},
		{"a call of old", `{"function_call":{"name":"f","arguments":"{}"}}`, `{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}`, true},
		{"a custom tool", `{"tool_calls":[{"custom":{"name":"f","input":"a"}}]}`, `{"tool_calls":[{"custom":{"name":"f","input":"b"}}]}`, false},
		{"strange calls", `{"content":"x","tool_calls":{"a":1},"function_call":3}`, `{"content":"x","tool_calls":[null,3,{"function":7}],"function_call":null}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			doc := compareRows(t, store.Pair{A: messageRow(1, test.a), B: messageRow(1, test.b), By: store.MatchedKey})
			if same := doc.Same == 1 && doc.Changed == 0; same != test.same {
				t.Errorf("%d the same, %d changed: %v", doc.Same, doc.Changed, doc.Changes)
			}
			if doc.A.Damaged+doc.B.Damaged > 0 {
				t.Error("an answer counts as damaged")
			}
		})
	}
}

func TestChanges(t *testing.T) {
	var pairs []store.Pair
	for i := range 12 {
		long := fmt.Sprintf(`{"content":"日本%s"}`, strings.Repeat("語", 100+i))
		pairs = append(pairs, store.Pair{A: messageRow(i+1, long), B: messageRow(i+1, `{"content":"日月"}`), By: store.MatchedCustomID})
	}
	pairs[0] = store.Pair{A: messageRow(1, `{"content":"longer"}`), B: messageRow(1, `{"content":"long"}`), By: store.MatchedKey}
	pairs[0].A.CustomID, pairs[0].A.HasCustomID = "id", true
	doc := compareRows(t, pairs...)
	if len(doc.Changes) != 10 || doc.Changed != 12 || doc.MatchedByCustomID != 11 || doc.MatchedByKey != 1 {
		t.Errorf("%d of %d changes: %+v", len(doc.Changes), doc.Changed, doc)
	}
	id := "id"
	want := []Change{{"p.jsonl", 1, &id, "…er", "…"}, {"p.jsonl", 2, nil, "…本" + strings.Repeat("語", excerptRunes-1) + "…", "…月"}}
	if diff := cmp.Diff(want, doc.Changes[:2]); diff != "" {
		t.Error(diff)
	}
}

// Only what can be read is an answer; what is not known of a cost is never shown as the whole.
func TestComparedFiles(t *testing.T) {
	damagedRow := messageRow(2, `{"content":`)
	priced := messageRow(1, `{"content":"x"}`)
	priced.Body = []byte(`{"messages":[{"role":"user","content":"first"},{"role":"user","content":[{"type":"text","text":"Name a river."}]},{"role":"assistant","content":"x"}]}`)
	priced.Usage = store.Usage{Known: true, Prompt: 2, Completion: 3, Total: 5}
	elsewhere := messageRow(3, `{"content":"z"}`)
	elsewhere.Usage, elsewhere.Model = store.Usage{Known: true, Prompt: 20, Completion: 30, Total: 50}, "n"
	guessed := messageRow(4, `{"content":"z"}`)
	guessed.EstimatedPrompt, guessed.Estimated = 1, 2
	pairs := sideBySide{
		{A: priced, B: priced, By: store.MatchedKey},
		{A: damagedRow, B: messageRow(2, `{"content":"y"}`), By: store.MatchedKey},
		{A: guessed, B: &store.Row{State: store.Failed, Line: 4}, By: store.MatchedKey},
		{A: &store.Row{State: store.Running, Line: 5}, B: &store.Row{State: store.Pending, Line: 5}, By: store.MatchedKey},
		{A: &store.Row{State: store.Failed, Line: 6}},
		{B: elsewhere},
	}
	for i, p := range pairs {
		for _, row := range []*store.Row{p.A, p.B} {
			if row != nil {
				row.Latency = time.Duration(i+1) * time.Second
			}
		}
	}
	price := NewPrices([]store.Price{{Endpoint: "e", Model: "m", Input: 10, Output: 100, Reasoning: 100}})
	doc := &Compared{}
	var out strings.Builder
	table, err := NewComparedTable(&out, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := CompareFiles(t.Context(), pairs, doc, [2]Prices{price, price}, table); err != nil {
		t.Fatal(err)
	}
	a, b := doc.A, doc.B
	if a.Jobs != 5 || a.Done != 3 || a.Failed != 1 || a.Pending != 1 || a.Damaged != 1 || b.Jobs != 5 || b.Done != 3 || b.Failed != 1 || b.Pending != 1 {
		t.Errorf("%+v\n%+v", a, b)
	}
	if doc.Same != 1 || doc.Changed != 0 || doc.OnlyA != 1 || doc.OnlyB != 2 || doc.JobsOnlyA != 1 || doc.JobsOnlyB != 1 || doc.MatchedByKey != 4 {
		t.Errorf("%+v", doc)
	}
	if a.Total != 5 || a.Estimated != 2 || a.UsageUnknown != 2 || a.Cost == nil || *a.Cost != 320 || a.EstimatedCost == nil || *a.EstimatedCost != 110 {
		t.Errorf("%+v", a)
	}
	if b.Total != 55 || b.Cost != nil || b.Spent.Money != 320 || b.Spent.Unknown != 1 {
		t.Errorf("%+v", b)
	}
	if both := a.Both; both.Total != 5 || both.Estimated != 0 || both.UsageUnknown != 0 || both.Cost == nil || *both.Cost != 320 || *both.Latency.P99 != 1000 {
		t.Errorf("of what both answered: %+v", both)
	}
	if both := b.Both; both.Total != 5 || both.Cost == nil || *both.Cost != 320 {
		t.Errorf("of what both answered: %+v", both)
	}
	if diff := cmp.Diff(map[string]int64{"m": 3, "": 2}, a.Models); diff != "" {
		t.Error(diff)
	}
	if l := a.Latency; *l.P50 != 2000 || *l.P90 != 3000 || *l.P99 != 3000 {
		t.Errorf("%d %d %d", *l.P50, *l.P90, *l.P99)
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows[1:] {
		got = append(got, strings.Join(r, "|"))
	}
	want := []string{
		"p.jsonl|1||Name a river.|key|done|done|true|m|m|2|2|3|3|reported|reported|0.00000000032|0.00000000032|1000|1000|stop|stop|x|x",
		"p.jsonl|2|||key|done|done||m|m|||||unknown|unknown|||2000|2000||stop||y",
		"p.jsonl|4|||key|done|failed||m||1||1||estimated||0.00000000011||3000||stop||z|",
		"|5|||key|running|pending|||||||||||||||||",
		"|6||||failed||||||||||||||||||",
		"p.jsonl|3|||||done|||n||20||30||reported||||6000||stop||z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Where no answer reports what it used, the cost is unknown, and not nothing.
func TestComparedUnreported(t *testing.T) {
	silent := messageRow(1, `{"content":"x"}`)
	silent.EstimatedPrompt, silent.Estimated = 1, 2
	said := messageRow(2, `{"content":"x"}`)
	said.Usage = store.Usage{Known: true}
	reused := messageRow(3, `{"content":"x"}`)
	reused.Reused = true
	price := NewPrices([]store.Price{{Endpoint: "e", Model: "m", Input: 10, Output: 100}})
	for _, test := range []struct {
		name   string
		row    *store.Row
		cost   string
		silent bool
	}{
		{"not reported", silent, "unknown", true},
		{"reported as nothing", said, "$0.00", false},
		{"of another file", reused, "$0.00", false},
	} {
		doc := &Compared{}
		if err := CompareFiles(t.Context(), sideBySide{{A: test.row}}, doc, [2]Prices{price, price}, nil); err != nil {
			t.Fatal(err)
		}
		if got := doc.A.Spent.Dollars(); got != test.cost || (doc.A.Cost == nil) != test.silent {
			t.Errorf("%s: cost %s, %v in the document; want %s", test.name, got, doc.A.Cost, test.cost)
		}
	}
}

// Two models are told apart by name, and how much more the second took by percent, of what both answered alone too.
func TestComparedText(t *testing.T) {
	row := func(line int, model string, prompt, completion int64, latency time.Duration) *store.Row {
		r := messageRow(line, fmt.Sprintf(`{"content":"of %c\n%d"}`, model[len(model)-1], line))
		r.Model, r.Latency, r.Usage = model, latency, store.Usage{Known: true, Prompt: prompt, Completion: completion, Total: prompt + completion}
		return r
	}
	pairs := sideBySide{
		{A: row(1, "m", 10, 20, time.Second), B: row(1, "\x1bn", 10, 25, 3*time.Second), By: store.MatchedMessages},
		{A: row(2, "m", 10, 20, time.Second), B: &store.Row{State: store.Failed, Model: "o", Line: 2}, By: store.MatchedCustomID},
	}
	price := NewPrices([]store.Price{{Endpoint: "e", Model: "m", Input: 1e6, Output: 1e6}})
	doc := &Compared{A: ComparedFile{JobFile: "a.db"}, B: ComparedFile{JobFile: "b.db", RunOn: true, Simulated: true}}
	if err := CompareFiles(t.Context(), pairs, doc, [2]Prices{price, {}}, nil); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := doc.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	want := `a: a.db, model m
b: b.db, models \u001bn, o; a run is on; the answers are made up

                                   a         b   b to a
prompts                            2         2
  answered                         2         1
  failed                           0         1
  finish stop                      2         1
of all answers
  prompt tokens                   20        10  -50.0 %
  completion tokens               40        25  -37.5 %
  cost                     $0.000060   unknown
  latency p50               1,000 ms  3,000 ms   +200 %
  latency p90               1,000 ms  3,000 ms   +200 %
  latency p99               1,000 ms  3,000 ms   +200 %
of the 1 answered in both
  prompt tokens                   10        10     same
  completion tokens               20        25  +25.0 %
  cost                     $0.000030   unknown
  latency p50               1,000 ms  3,000 ms   +200 %
  latency p90               1,000 ms  3,000 ms   +200 %
  latency p99               1,000 ms  3,000 ms   +200 %

prompts: 0 in both by their request, 1 by custom_id, 1 by their messages, 0 only in a, 0 only in b
answers: 0 the same, 1 changed, 1 only in a, 0 only in b

changed answers, from where they part:
p.jsonl:1
  a: …m\n1
  b: …n\n1
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestComparePercentiles(t *testing.T) {
	hundred := map[int64]int64{}
	for i := int64(1); i <= 100; i++ {
		hundred[i]++
	}
	for _, test := range []struct {
		of   map[int64]int64
		want [3]int64
	}{
		{map[int64]int64{7: 1}, [3]int64{7, 7, 7}},
		{map[int64]int64{1: 1, 9: 1}, [3]int64{1, 9, 9}},
		{hundred, [3]int64{50, 90, 99}},
		{map[int64]int64{3: 98, 5: 2}, [3]int64{3, 3, 5}},
	} {
		l := percentiles(test.of)
		if got := [3]int64{*l.P50, *l.P90, *l.P99}; got != test.want {
			t.Errorf("%v of %v", got, test.of)
		}
	}
	if l := percentiles(nil); l != (ComparedLatency{}) {
		t.Error("none have percentiles")
	}
}
