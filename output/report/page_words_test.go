package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"batch/runner/tokens"
	"batch/store"
)

// What was billed, what was not reported and what may have been spent stand apart, and what is not known is never $0.00.
func TestCards(t *testing.T) {
	cents := func(n, attempts int64) Amount {
		return Amount{Attempts: attempts, Tokens: 7 * attempts, AtLeast: tokens.Money(n) * tokens.Dollar / 100}
	}
	unknown := func(attempts int64) Amount {
		return Amount{Attempts: attempts, Tokens: 7 * attempts, Unknown: attempts}
	}
	for _, test := range []struct {
		name                               string
		prices                             bool
		billed, wasted, estimated, lost    Amount
		cost, costNote, wasted1, wasteNote string
	}{
		{"all is known", true, cents(10, 3), cents(5, 1), Amount{}, Amount{}, "$0.10", "as reported", "$0.050", "reported, for 7 tokens of attempts without an answer"},
		{"some did not report", true, cents(10, 3), Amount{}, cents(2, 1), Amount{}, "$0.10", "as reported; about $0.020 more was not reported",
			"$0.00", "reported, for attempts without an answer"},
		{"some may have been paid", true, cents(10, 3), Amount{}, Amount{}, cents(29, 2), "$0.10", "as reported; up to $0.29 more for 2 calls with an unknown outcome",
			"$0.00", "reported, for attempts without an answer; up to $0.29 more for 2 calls with an unknown outcome"},
		{"nothing bounds what may have been paid", true, cents(10, 3), Amount{}, Amount{}, unknown(1), "$0.10",
			"as reported; possibly more for 1 call with an unknown outcome", "$0.00",
			"reported, for attempts without an answer; possibly more for 1 call with an unknown outcome"},
		{"no price", false, unknown(3), Amount{}, unknown(1), unknown(1), "unknown",
			"3 attempts without a known price; 1 answer did not report usage; possibly more for 1 call with an unknown outcome", "–",
			"reported, for attempts without an answer; possibly more for 1 call with an unknown outcome"},
		{"no price, and nothing reported", false, Amount{}, Amount{}, Amount{}, unknown(1), "–", "no usage was reported; possibly more for 1 call with an unknown outcome", "–",
			"reported, for attempts without an answer; possibly more for 1 call with an unknown outcome"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &Document{Total: Part{Attempts: Attempts{All: 10, Done: 5, Unknown: 2, Open: 3},
				Spend: Spend{Billed: test.billed, Wasted: test.wasted, Estimated: test.estimated, Lost: test.lost}}}
			if test.prices {
				d.Prices = []Price{{Model: "m"}}
			}
			d.Total.Spend.finish()
			cards := d.cards()
			got := []string{cards[1].Note, cards[2].Cells[0].Text, cards[2].Note, cards[4].Cells[0].Text, cards[4].Note, cards[5].Note}
			want := []string{"2 attempts without an answer", test.cost, test.costNote, test.wasted1, test.wasteNote, "no answers yet"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func titled(d *Document, id string) *table {
	for _, t := range d.tables() {
		if t.ID == id {
			return &t
		}
	}
	return nil
}

// One model at one endpoint is named once. Where there are more, every line names both.
func TestPlaces(t *testing.T) {
	d := &Document{Models: []Model{{Endpoint: "https://one", Name: "m"}}, Prices: []Price{{Endpoint: "https://one"}}}
	if d.asked() != "model m at https://one" || titled(d, "models") != nil {
		t.Errorf("%q, %v", d.asked(), titled(d, "models"))
	}
	prices := titled(d, "prices")
	if prices.Rows[0][0].Text != "all models" || slices.Contains(prices.Head, "prompt above") {
		t.Errorf("%+v", prices)
	}
	d.Prices = append(d.Prices, Price{Endpoint: "https://one", Model: "m", Above: 5})
	if prices = titled(d, "prices"); len(prices.Rows) != 1 || prices.Rows[0][0].Text != "m" || !slices.Contains(prices.Head, "prompt above") {
		t.Errorf("the others, of which there are none, have a price: %+v", prices)
	}
	d.Models = append(d.Models, Model{Endpoint: "https://two", Name: "n"}, Model{Endpoint: "https://one"})
	if d.asked() != "" {
		t.Errorf("only %q is named", d.asked())
	}
	var names []string
	for _, row := range append(titled(d, "models").Rows, titled(d, "prices").Rows...) {
		names = append(names, row[0].Text)
	}
	want := []string{"m at https://one", "n at https://two", "(no model) at https://one", "all other models at https://one", "m at https://one"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// A text report fits the screens that people have.
func TestLines(t *testing.T) {
	for line := range strings.Lines(string(written(t, million(), Text))) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > lineWidth {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
}

// The slowest answers are told where they stand out, and of too few or equal ones nothing is.
func TestRanksThatSayNothing(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers int64
		last    time.Duration
		told    bool
	}{
		{"one stands out", 30, 2 * time.Second, true},
		{"all alike", 30, 1020 * time.Millisecond, false},
		{"few", 19, 2 * time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newJobFile(t)
			var input []prompt
			for range test.answers {
				input = append(input, prompt{"", "m", strings.Repeat("x", len(input)), 0})
			}
			f.load(input...)
			f.run(store.Run{}, func(c store.Claim) (store.Outcome, time.Duration) {
				if c.Job == test.answers {
					return answered("y", "stop", usage(10, test.last.Milliseconds()/100)), test.last
				}
				return answered("y", "stop", usage(10, 10)), time.Second
			})
			d := f.gather(Options{})
			for _, id := range []string{"slowest", "dearest"} {
				if told := titled(d, id) != nil; told != test.told {
					t.Errorf("%s: told is %v", id, told)
				}
			}
			if len(d.Slowest) == 0 {
				t.Error("the document leaves them out")
			}
		})
	}
}

// What an attempt is called that had a good status and no good answer; and why more answers were cut short than were billed for it.
func TestNames(t *testing.T) {
	for _, test := range []struct {
		f    Failure
		want string
	}{
		{Failure{Class: "unknown", Status: ptr(200)}, "answer cut off or unusable"},
		{Failure{Class: "unknown", Status: ptr(200), Reason: "timeout"}, "timeout"},
		{Failure{Class: "unknown", Status: ptr(200), Code: "overloaded"}, "200 overloaded"},
		{Failure{Class: "unknown", Status: ptr(500)}, "500 outcome unknown"},
		{Failure{Class: "unknown"}, "outcome unknown"},
		{Failure{Class: "job_failed", Status: ptr(400), Type: "bad"}, "400 bad"},
	} {
		if got := test.f.name(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	d := &Document{Total: Part{Finish: map[string]int64{"length": 20}, Spend: Spend{Truncated: Amount{Attempts: 17}}}}
	if got := d.spendTable().Rows[1][0].Text; got != "cut short (length); 3 more reported no usage" {
		t.Error(got)
	}
}

// An early bird does not press all others into one bar, and is not lost.
func TestHistogramEnds(t *testing.T) {
	all := tally{2: 1, 9000: 1}
	for i := range int64(98) {
		all[500+i]++
	}
	h := all.histogram()
	n, drawn := h.Under+h.Rest, 0
	for _, b := range h.Bins {
		if n += b.N; b.N > 0 {
			drawn++
		}
	}
	if n != 100 || h.Under == 0 || h.Rest == 0 || h.Bins[0].From < 400 || drawn < 10 {
		t.Errorf("%d answers, %d bars: %+v", n, drawn, h)
	}
	if h := (tally{1: 5, 40: 5, 90: 5}).histogram(); h.Bins[0].From != 0 || h.Under != 0 {
		t.Errorf("values that begin near 0 do not: %+v", h)
	}
}
