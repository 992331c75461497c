package tokens

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

var (
	errNoNumber = errors.New("is not a number")
	errNegative = errors.New("is negative")
	errTooLarge = errors.New("is too large")
)

// decimal reads a decimal number in any spelling (2.5, .5, 7.5e-08) as a whole number of 10^-places. It counts digits instead of
// going through a float, so that it is exact; what lies below the last place is rounded, half up, and then exact is false.
func decimal(text string, places int) (n int64, exact bool, err error) {
	digits, negative := strings.CutPrefix(text, "-")
	digits, power, spelled := cutAny(digits, "eE")
	shift := 0
	if spelled {
		if shift, err = strconv.Atoi(power); err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, false, errNoNumber
		}
		shift = max(min(shift, math.MaxInt32), math.MinInt32) // Atoi gives the nearest for what is out of range
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false, errNoNumber
	}
	point := len(whole) + shift + places // how many of the digits are before the last place
	zeros := len(digits) - len(strings.TrimLeft(digits, "0"))
	digits, point = strings.TrimRight(digits[zeros:], "0"), point-zeros
	switch {
	case digits == "":
		return 0, true, nil
	case negative:
		return 0, false, errNegative
	case point < 0:
		return 0, false, nil
	case point > 19:
		return 0, false, errTooLarge
	case point >= len(digits):
		digits, exact = digits+strings.Repeat("0", point-len(digits)), true
	}
	if point > 0 {
		if n, err = strconv.ParseInt(digits[:point], 10, 64); err != nil {
			return 0, false, errTooLarge
		}
	}
	if !exact && digits[point] >= '5' && n < math.MaxInt64 {
		n++
	}
	return n, exact, nil
}

// cutAny cuts text at the first of some characters.
func cutAny(text, any string) (before, after string, found bool) {
	if i := strings.IndexAny(text, any); i >= 0 {
		return text[:i], text[i+1:], true
	}
	return text, "", false
}
