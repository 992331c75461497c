package main

import (
	"strings"
	"testing"

	"batch/output"
	"batch/runner/tokens"
)

// What was possibly spent is held back from a budget, and yet nothing that all runs cost at least.
func TestEnoughText(t *testing.T) {
	const dollar = tokens.Money(1e12)
	amount := func(n tokens.Money) *tokens.Money { n *= dollar; return &n }
	for _, test := range []struct {
		name            string
		spent, possibly tokens.Money
		least, most     *tokens.Money
		want            string
	}{
		{"spent and to spend", 4, 0, amount(2), amount(3), "is not enough for what all runs will cost at least, $6.00"},
		{"possibly spent", 1, 5, amount(1), amount(3), "is not enough: all runs will cost at least $2.00, and $5.00 was possibly spent beside it"},
		{"possibly enough", 1, 1, amount(1), amount(4), "may not be enough for all runs: at most they cost $6.00"},
		{"enough", 1, 1, amount(1), amount(3), "is enough for what all runs can cost at most, $5.00"},
		{"no price", 1, 0, nil, nil, ": it is not known whether it is enough"},
	} {
		e := estimate{spent: output.Amount{Money: test.spent * dollar}, possibly: output.Amount{Money: test.possibly * dollar}}
		e.limits.cost = 5 * dollar
		e.budgetText = budgetConfig{flagMaxCost: "5"}
		e.foreseen.Total.Cost = output.Guess[tokens.Money]{Least: test.least, Most: test.most}
		sep := " "
		if test.least == nil {
			sep = ""
		}
		if got, want := e.enoughText(), "--max-cost 5"+sep+test.want; got != want {
			t.Errorf("%s: %q, want %q", test.name, got, want)
		}
	}
}

// A limit of the user's own is not what the API stated.
func TestTimeText(t *testing.T) {
	for _, test := range []struct {
		rpm, tpm             float64
		statedRPM, statedTPM bool
		want                 string
	}{
		{0, 0, false, false, "8 calls at a time, no limit known (--rpm, --tpm)"},
		{60, 0, false, false, "8 calls at a time, 60 requests a minute"},
		{60, 900, false, true, "8 calls at a time, 60 requests a minute, 900 tokens a minute as the API stated"},
		{60, 900, true, false, "8 calls at a time, 60 requests a minute as the API stated, 900 tokens a minute"},
	} {
		e := estimate{pace: output.Pace{Concurrency: 8, RPM: test.rpm, TPM: test.tpm}, statedRPM: test.statedRPM, statedTPM: test.statedTPM}
		if got, _, _ := strings.Cut(e.timeText(), ";"); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// Before any answer, how far off a count may be is said of each vocabulary.
func TestBoundsText(t *testing.T) {
	e := estimate{foreseen: output.Forecast{Models: []output.ModelForecast{{Model: "gpt-4o"}, {Model: "another"}}}}
	if got := e.boundsText(); !strings.HasPrefix(got, "prompt tokens within 2 % or 15 %, as no answer has told yet") {
		t.Error(got)
	}
}
