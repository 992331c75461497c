package input

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a number may have for its exact value to be computed: beyond, it would fill the memory.
const (
	maxDigits   = 1000
	maxExponent = 1000
	// plainDigits is up to where a float64 is as good as what is written.
	plainDigits = 15
	// maxPadding is the widest that Go pads to.
	maxPadding = 1_000_000
)

// printf is Go's, but that it makes no text like %!d(string=x) of what does not fit, which would be sent: that is an error. A number
// goes with any verb, also where it is a text, as in the cells of a CSV file.
func printf(format string, args []any) (string, error) {
	var b strings.Builder
	next := func() (any, error) {
		if len(args) == 0 {
			return nil, errors.New("the format has more verbs than there are values")
		}
		v := args[0]
		args = args[1:]
		return v, nil
	}
	for {
		text, rest, found := strings.Cut(format, "%")
		b.WriteString(text)
		if !found {
			break
		}
		spec := "%"
		n := len(rest) - len(strings.TrimLeft(rest, "+-# 0"))
		spec, rest = spec+rest[:n], rest[n:]
		for _, lead := range []string{"", "."} {
			if !strings.HasPrefix(rest, lead) {
				continue
			}
			rest = rest[len(lead):]
			var digits string
			if strings.HasPrefix(rest, "*") {
				v, err := next()
				if err != nil {
					return "", err
				}
				text, _ := numeral(v)
				digits, rest = text, rest[1:]
				if width, err := strconv.Atoi(digits); err != nil || width < 0 {
					return "", errors.New("the * of the format wants a whole number that is not negative")
				}
			} else {
				n := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
				digits, rest = rest[:n], rest[n:]
			}
			if width, err := strconv.Atoi(digits); digits != "" && (err != nil || width > maxPadding) {
				return "", fmt.Errorf("the format pads to more than %d", maxPadding)
			}
			spec += lead + digits
		}
		verb, size := utf8.DecodeRuneInString(rest)
		if size == 0 {
			return "", errors.New("the format ends within a verb: a percent sign is written %%")
		}
		rest = rest[size:]
		format = rest
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if !strings.ContainsRune("vsqxXtdboOcUeEfFgG", verb) {
			return "", fmt.Errorf("%%%c is no verb: %%s prints anything, %%d a whole number, %%.2f a number, and a percent sign is written %%%%", verb)
		}
		v, err := next()
		if err != nil {
			return "", err
		}
		if v, err = fit(verb, v); err != nil {
			return "", err
		}
		if verb == 'v' {
			verb = 's'
			if _, ok := v.(int64); ok {
				verb = 'd'
			}
		}
		fmt.Fprintf(&b, spec+string(verb), v)
		if b.Len() > maxRendered {
			return "", errRendered
		}
	}
	if len(args) > 0 {
		return "", errors.New("the format has fewer verbs than there are values")
	}
	return b.String(), nil
}

// fit makes of a value what goes with a verb.
func fit(verb rune, v any) (any, error) {
	switch verb {
	case 't':
		if is, ok := v.(bool); ok {
			return is, nil
		}
		return nil, errors.New("%t wants true or false")
	case 'e', 'E', 'f', 'F', 'g', 'G':
		return real(verb, v)
	case 'd', 'b', 'o', 'O':
		return whole(verb, v)
	case 'c', 'U':
		n, err := whole(verb, v)
		if err == nil && (!n.IsInt64() || n.Int64() != int64(rune(n.Int64())) || !utf8.ValidRune(rune(n.Int64()))) {
			err = fmt.Errorf("%%%c wants the number of a character", verb)
		}
		if err != nil {
			return nil, err
		}
		return rune(n.Int64()), nil
	case 'x', 'X':
		if _, ok := v.(string); !ok {
			return whole(verb, v)
		}
	case 'v':
		if n, ok := integer(v); ok {
			return n, nil
		}
	}
	return toText(v)
}

// numeral is a number as it is written, also one in a text; false for what is none.
func numeral(v any) (string, bool) {
	switch v := v.(type) {
	case int, int64:
		return fmt.Sprint(v), true
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		return text, plainNumber.MatchString(text)
	case digits:
		return string(v), true
	case string:
		text := strings.TrimSpace(v)
		return text, len(text) <= 2*maxDigits && plainNumber.MatchString(text)
	}
	return "", false
}

// measure counts the digits of a number, and tells its exponent.
func measure(text string) (digits, exponent int) {
	mantissa := text
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa = text[:i]
		exponent, _ = strconv.Atoi(strings.TrimPrefix(text[i+1:], "+")) // the largest there is, where it does not fit
	}
	for _, c := range mantissa {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits, exponent
}

// whole is a number for a verb such as %d, exactly.
func whole(verb rune, v any) (*big.Int, error) {
	text, ok := numeral(v)
	if !ok {
		return nil, fmt.Errorf("%%%c wants a number", verb)
	}
	digits, exponent := measure(text)
	if digits > maxDigits || exponent > maxExponent || exponent < -maxExponent {
		return nil, fmt.Errorf("the number has too many digits for %%%c", verb)
	}
	n, ok := new(big.Rat).SetString(text)
	if !ok || !n.IsInt() {
		return nil, fmt.Errorf("%%%c wants a whole number: %%.0f rounds one", verb)
	}
	return n.Num(), nil
}

// real is a number for a verb such as %f: a float64, or where that would lose digits, one as long as it is written.
func real(verb rune, v any) (any, error) {
	text, ok := numeral(v)
	if !ok {
		return nil, fmt.Errorf("%%%c wants a number", verb)
	}
	digits, exponent := measure(text)
	if f, err := strconv.ParseFloat(text, 64); err == nil && (digits <= plainDigits || exponent < -maxExponent || v == any(f)) {
		return f, nil
	}
	if digits > maxDigits || exponent > maxExponent || exponent < -maxExponent {
		return nil, fmt.Errorf("the number has too many digits for %%%c", verb)
	}
	// Four bits hold more than a digit, and the exponent is of ten.
	f, _, err := big.ParseFloat(text, 10, uint(4*digits+64), big.ToNearestEven)
	if err != nil {
		return nil, fmt.Errorf("%%%c wants a number", verb)
	}
	return f, nil
}
