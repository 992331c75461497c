package where

import (
	"cmp"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

type kind int

const (
	null kind = iota
	boolean
	number
	text
)

// operand is a value in a comparison: a text, a number as it was spelled, true or false, or null.
type operand struct {
	kind kind
	s    string
}

// of reads a JSON value.
func of(v []byte) operand {
	if len(v) == 0 {
		return operand{}
	}
	switch c := v[0]; {
	case c == 'n':
		return operand{}
	case c == 't' || c == 'f':
		return operand{boolean, string(v)}
	case c == '"':
		// A lone surrogate becomes U+FFFD, and is no error here.
		s, _ := jsontext.AppendUnquote(nil, v)
		return operand{text, string(s)}
	case c == '-' || c >= '0' && c <= '9':
		return operand{number, string(v)}
	}
	return operand{text, string(v)}
}

// comparison asks one name. right is a literal, or a name when isName is set.
type comparison struct {
	name   string
	op     string
	right  operand
	isName bool
	match  *regexp.Regexp
}

func (c *comparison) holds(value func(string) []byte) bool {
	a := of(value(c.name))
	if c.match != nil {
		return (a.kind != null && c.match.MatchString(a.s)) == (c.op == "~")
	}
	b := c.right
	if c.isName {
		b = of(value(b.s))
	}
	order, comparable := compare(a, b)
	switch c.op {
	case "=":
		return comparable && order == 0
	case "!=":
		return !comparable || order != 0
	case "<":
		return comparable && order < 0
	case "<=":
		return comparable && order <= 0
	case ">":
		return comparable && order > 0
	}
	return comparable && order >= 0
}

// compare puts two values in order; those of different kinds have none. Nulls and booleans can only be equal.
func compare(a, b operand) (int, bool) {
	if a.kind == number && b.kind == text && spelled(b.s) || a.kind == text && b.kind == number && spelled(a.s) {
		return numbers(a.s, b.s), true
	}
	switch {
	case a.kind != b.kind:
		return 0, false
	case a.kind == number:
		return numbers(a.s, b.s), true
	case a.kind == text:
		return cmp.Compare(a.s, b.s), true
	}
	return 0, a.s == b.s
}

// spelled says that a text is a number as JSON spells it.
func spelled(s string) bool {
	if s == "" || !strings.ContainsRune("-0123456789", rune(s[0])) {
		return false
	}
	v := jsontext.Value(s)
	return v.Kind() == '0' && v.IsValid() && strings.TrimSpace(s) == s
}

// numbers compares exactly: ids of 20 digits differ in their last one. Only what no float64 can hold apart and is longer than anybody
// writes numbers goes by its rounded value: the exact one of 1e999999999 fills the memory.
func numbers(a, b string) int {
	x, _ := strconv.ParseFloat(a, 64)
	y, _ := strconv.ParseFloat(b, 64)
	if x != y || len(a) > 100 || len(b) > 100 || farAway(a) || farAway(b) {
		return cmp.Compare(x, y)
	}
	p, ok := new(big.Rat).SetString(a)
	q, okToo := new(big.Rat).SetString(b)
	if !ok || !okToo {
		return cmp.Compare(x, y)
	}
	return p.Cmp(q)
}

func farAway(s string) bool {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return false
	}
	exponent, err := strconv.Atoi(s[i+1:])
	return err != nil || exponent > 400 || exponent < -400
}
