package tokens

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestQ8_MoneyIsExact(t *testing.T) {
	for m, want := range map[Money][2]string{
		0:                          {"0", "$0.00"},
		1:                          {"0.000000000001", "$0.000000000001"},
		4_200_000_000:              {"0.0042", "$0.0042"},
		994_999_999_999:            {"0.994999999999", "$0.99"},
		995_000_000_000:            {"0.995", "$1.00"},
		Dollar:                     {"1", "$1.00"},
		12*Dollar + 300_000_000_00: {"12.03", "$12.03"},
		1_234_567*Dollar + 5e11:    {"1234567.5", "$1,234,567.50"},
		math.MaxInt64:              {"9223372.036854775807", "$9,223,372.04"},
	} {
		if m.String() != want[0] || m.Dollars() != want[1] {
			t.Errorf("%d: %s %s, want %v", int64(m), m.String(), m.Dollars(), want)
		}
		if b, err := json.Marshal(m); err != nil || string(b) != want[0] {
			t.Errorf("%s: %v", b, err)
		}
	}
}

func TestMoneyIsReadAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Money(rapid.Int64Range(0, int64(mostMoney)).Draw(t, "m"))
		for _, text := range []string{m.String(), "$" + m.String(), " 0" + m.String() + " "} {
			if got, err := ParseMoney(text); err != nil || got != m {
				t.Fatalf("%q: %d, %v, want %d", text, got, err, m)
			}
		}
	})
}

func TestParseMoney(t *testing.T) {
	for text, want := range map[string]Money{
		"5": 5 * Dollar, "0.25": Dollar / 4, "$5": 5 * Dollar, ".5": Dollar / 2, "5.": 5 * Dollar, "1e3": 1000 * Dollar, "0": 0,
		"0.000000000001": 1, "0.0000000000010000": 1, "9000000": mostMoney, "-0": 0,
	} {
		if got, err := ParseMoney(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "$": "empty", "-1": "-1 is negative", "NaN": "NaN is not a number", "Inf": "is not a number", "1,000": "is not a number",
		"0x10": "is not a number", "1e": "is not a number", "e5": "is not a number", ".": "is not a number", "--1": "is not a number",
		"1_000": "is not a number", "5 dollars": "is not a number", "+5": "is not a number", "1.2.3": "is not a number",
		"9000000.01": "more than $9,000,000", "1e99999999999999999999": "more than $9,000,000", "9223372036854775808": "more than",
		"0.0000000000001": "more than 12 decimals", "1e-99999999999999999999": "more than 12 decimals",
	} {
		_, err := ParseMoney(text)
		var refused *PriceError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) || refused.Hint == "" {
			t.Errorf("%q: %v, want %q and a hint", text, err, want)
		}
	}
}

// Decimal is held against rational arithmetic.
func TestDecimalRoundsHalfUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{0,6}\.?[0-9]{1,16}([eE][+-]?[0-9]{1,2})?`).Draw(t, "text")
		places := rapid.IntRange(0, 12).Draw(t, "places")
		n, exact, err := decimal(text, places)
		value, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Skip()
		}
		value.Mul(value, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)))
		rounded := new(big.Rat).Add(value, big.NewRat(1, 2))
		want := new(big.Int).Div(rounded.Num(), rounded.Denom())
		switch {
		case errors.Is(err, errTooLarge):
			if want.IsInt64() {
				t.Fatalf("%q at %d places is refused, is %s", text, places, want)
			}
		case err != nil || !want.IsInt64() || want.Int64() != n || exact != value.IsInt():
			t.Fatalf("%q at %d places: %d %v %v, want %s", text, places, n, exact, err, want)
		}
	})
}

func TestSumsOfMoneyDoNotWrap(t *testing.T) {
	if m := Money(math.MaxInt64 - 1).Plus(5); m != math.MaxInt64 {
		t.Error(int64(m))
	}
	if m := Money(Dollar).times(1 << 53); m != math.MaxInt64 {
		t.Error(int64(m))
	}
	if m := Money(1024).times(1 << 53); m != math.MaxInt64 {
		t.Error(int64(m)) // 2^63 is one too many
	}
	if m := Money(1023).times(1 << 53); strconv.FormatInt(int64(m), 10) != "9214364837600034816" {
		t.Error(int64(m))
	}
}
