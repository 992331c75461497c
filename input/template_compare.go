package input

import (
	"cmp"
	"errors"
	"math/big"
	"strings"
)

var errMixed = errors.New("a text and a number are not compared: number makes a number of a text, printf \"%v\" a text of a number")

// equal says that a value is the same as one of the others; Go's own does not compare 5 with 5.0.
func equal(v any, others ...any) (bool, error) {
	if len(others) == 0 {
		return false, errors.New("there is nothing to compare it with")
	}
	for _, other := range others {
		if isNull(v) || isNull(other) {
			if isNull(v) && isNull(other) {
				return true, nil
			}
			continue
		}
		if a, ok := v.(bool); ok {
			if b, ok := other.(bool); ok {
				if a == b {
					return true, nil
				}
				continue
			}
		}
		if order, err := ordered(v, other); err != nil || order == 0 {
			return err == nil, err
		}
	}
	return false, nil
}

func isNull(v any) bool {
	_, is := v.(null)
	return v == nil || is
}

// ordered compares two texts or two numbers, as cmp.Compare does.
func ordered(a, b any) (int, error) {
	for _, v := range []any{a, b} {
		switch v.(type) {
		case nil, null:
			return 0, errNull
		case torn:
			return 0, errTorn
		case object, list, bool:
			return 0, errors.New("only texts are compared with texts, and numbers with numbers")
		}
	}
	s, isText := a.(string)
	t, alsoText := b.(string)
	switch {
	case isText && alsoText:
		return strings.Compare(s, t), nil
	case isText || alsoText:
		return 0, errMixed
	}
	return orderedNumbers(a, b)
}

func orderedNumbers(a, b any) (int, error) {
	if x, ok := integer(a); ok {
		if y, ok := integer(b); ok {
			return cmp.Compare(x, y), nil
		}
	}
	x, err := exactly(a)
	if err != nil {
		return 0, err
	}
	y, err := exactly(b)
	if err != nil {
		return 0, err
	}
	return x.Cmp(y), nil
}

// exactly is a number as it is written: 0.1 is 0.1 wherever it comes from.
func exactly(v any) (*big.Rat, error) {
	text, ok := numeral(v)
	if !ok {
		return nil, errors.New("is no number")
	}
	if digits, exponent := measure(text); digits > maxDigits || exponent > maxExponent || exponent < -maxExponent {
		return nil, errors.New("a number has too many digits to be compared")
	}
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, errors.New("is no number")
	}
	return n, nil
}
