package tokens

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// PriceError says why a price or an amount of money is refused, and what to do about it.
type PriceError struct {
	Problem string
	Hint    string // may be empty
}

func (e *PriceError) Error() string { return e.Problem }

// maxShown bounds what an error shows of a file that somebody else wrote, in bytes.
const maxShown = 60

// shown is a part of a file as an error names it: printable, and not longer than it needs to be for finding it.
func shown[T ~string | ~[]byte](part T) string {
	text, rest := string(part), ""
	if n := maxShown; len(text) > n {
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text, rest = text[:n], "..."
	}
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(text) {
		text = strconv.Quote(text)
	}
	return text + rest
}

const (
	mostMoney     = 9_000_000 * Dollar
	mostForAToken = Dollar // a million dollars for a million tokens
)

// ParseMoney reads an amount of dollars as a person writes it: 5, 0.25, $5. The error is a *PriceError.
func ParseMoney(s string) (Money, error) {
	const hint = "write dollars as in 5 or 0.25"
	text := strings.TrimPrefix(strings.TrimSpace(s), "$")
	n, exact, err := decimal(text, decimals)
	switch {
	case text == "":
		return 0, &PriceError{"the amount is empty", hint}
	case errors.Is(err, errTooLarge) || Money(n) > mostMoney:
		return 0, &PriceError{s + " is more than $9,000,000", hint}
	case err != nil:
		return 0, &PriceError{s + " " + err.Error(), hint}
	case !exact:
		return 0, &PriceError{s + " has more than 12 decimals", hint}
	}
	return Money(n), nil
}

// ParsePrice reads what --price gives: the dollars for a million tokens of the prompt, of the completion and, when they differ
// from the prompt's, of its cached part. Nothing else is known of such a model. The error is a *PriceError.
func ParsePrice(s string) (*Price, error) {
	const hint = "write dollars for a million tokens as input,output or input,output,cached, as in 2.50,10 or 2.50,10,1.25"
	fields := strings.Split(s, ",")
	if len(fields) < 2 || len(fields) > 3 {
		return nil, &PriceError{s + " is no price: it has not two or three numbers", hint}
	}
	names := []string{"input", "output", "cached"}
	var rates [3]Money
	for i, field := range fields {
		field = strings.TrimPrefix(strings.TrimSpace(field), "$")
		n, exact, err := decimal(field, perMillion)
		switch {
		case field == "":
			return nil, &PriceError{s + ": the " + names[i] + " price is empty", hint}
		case errors.Is(err, errTooLarge) || Money(n) > mostForAToken:
			return nil, &PriceError{s + ": the " + names[i] + " price is more than $1,000,000 for a million tokens", hint}
		case err != nil:
			return nil, &PriceError{s + ": the " + names[i] + " price " + field + " " + err.Error(), hint}
		case !exact:
			return nil, &PriceError{s + ": the " + names[i] + " price has more than 6 decimals", hint + "; not for one token"}
		}
		rates[i] = Money(n)
	}
	if len(fields) == 2 {
		rates[2] = rates[0]
	}
	return &Price{
		Rates:  []Rates{{Input: rates[0], Output: rates[1], Cached: rates[2], CacheWrite: rates[0], Reasoning: rates[1]}},
		Source: "--price",
	}, nil
}
