package tokens

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// Money is an amount of US dollars in picodollars: 10^12 are one dollar. A price of so much a million tokens with up to six
// decimals is a whole number of them a token, so amounts add up exactly. It stays at the largest int64, more than nine million
// dollars, instead of wrapping.
type Money int64

// Dollar is one US dollar.
const Dollar Money = 1e12

const (
	decimals   = 12
	perMillion = 6 // decimals of the dollars for a million tokens that are a whole number of picodollars a token
)

// Plus adds amounts of at least 0.
func (m Money) Plus(o Money) Money {
	return m + min(o, math.MaxInt64-m)
}

// times is the price of n tokens.
func (m Money) times(n int64) Money {
	if n <= 0 || m <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(m), uint64(n))
	if hi > 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return Money(lo)
}

// String is the exact amount in dollars as a decimal number, without a sign and without zeros that say nothing: 0, 1.5, 0.000123.
// It is a JSON number.
func (m Money) String() string {
	s := fmt.Sprintf("%d.%012d", m/Dollar, m%Dollar)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// Append appends what String gives.
func (m Money) Append(dst []byte) []byte { return append(dst, m.String()...) }

// MarshalJSON writes the exact amount as a JSON number.
func (m Money) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }

// Dollars is the amount for people, to the cent, or to two digits where it is less than ten cents: $12.30, $0.0042. What is not
// zero never looks like it.
func (m Money) Dollars() string {
	places := 2
	for unit := Dollar / 10; m < unit && m > 0 && places < decimals; unit /= 10 {
		places++
	}
	step := Money(math.Pow10(decimals - places))
	rounded := m / step
	if m%step >= (step+1)/2 {
		rounded++
	}
	scale := Money(math.Pow10(places))
	whole := fmt.Sprint(int64(rounded / scale))
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return fmt.Sprintf("$%s.%0*d", whole, places, int64(rounded%scale))
}
