package where

import (
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var row = map[string]string{
	"finish_reason": `"stop"`, "total_tokens": `33`, "cost": `0.000000150000`, "content": `"Sorry, I can\u2019t.\nNo."`, "passed": `true`,
	"score": `"7"`, "none": `null`, "id": `12345678901234567890`, "tags": `["a","b"]`, "my col": `"x"`, "a`b": `1`, "half": `"\ud83d"`,
	"model": `"m-1"`, "requested_model": `"m"`, "far": `1e999999999`, "größe": `1`, "meta.x": `"y"`,
}

func asked(name string) []byte {
	if v, ok := row[name]; ok {
		return []byte(v)
	}
	return nil
}

func TestHolds(t *testing.T) {
	for question, want := range map[string]bool{
		`finish_reason = stop`:                         true,
		`finish_reason = "stop"`:                       true,
		`finish_reason == 'stop'`:                      true,
		`finish_reason=length`:                         false,
		`finish_reason != length`:                      true,
		`finish_reason = stop and total_tokens < 500`:  true,
		`finish_reason = stop and total_tokens < 33`:   false,
		`total_tokens <= 33 AND total_tokens >= 33`:    true,
		`total_tokens > 32.5`:                          true,
		`total_tokens = 33.0`:                          true,
		`total_tokens = 3.3e1`:                         true,
		`total_tokens = "33"`:                          true,
		`total_tokens = thirty`:                        false,
		`total_tokens != thirty`:                       true,
		`total_tokens < thirty`:                        false,
		`score > 6`:                                    true, // a cell of a table is a text
		`score > "60"`:                                 true, // and so is compared as one with another
		`score < 10`:                                   true,
		`cost < 0.0000002 and cost > 1e-9`:             true,
		`id = 12345678901234567890`:                    true,
		`id = 12345678901234567891`:                    false,
		`id < 12345678901234567891`:                    true,
		`far > 1e300`:                                  true,
		`far = 1e999999998`:                            true, // both too far away to be told apart
		`none = null`:                                  true,
		`absent = null`:                                true,
		`absent != null`:                               false,
		`finish_reason != null`:                        true,
		`absent != x`:                                  true,
		`absent = x or absent < 5 or absent > 5`:       false,
		`absent ~ ""`:                                  false,
		`absent !~ ""`:                                 true,
		`passed = true`:                                true,
		`passed = TRUE and passed != False`:            true,
		`passed = "true"`:                              false,
		`content ~ "(?i)^sorry"`:                       true,
		`content ~ "I can’t"`:                          true,
		`content ~ "\.$"`:                              true,
		`content !~ "^No"`:                             true,
		`content ~ Sorry`:                              true,
		`tags ~ '"a"'`:                                 true,
		`tags = '["a","b"]'`:                           true,
		"`my col` = x":                                 true,
		"`a``b` = 1":                                   true,
		`score = '7'`:                                  true,
		`content = 'it''s'`:                            false,
		"half = \"\uFFFD\"":                            true,
		"model != `requested_model`":                   true,
		"model = `model`":                              true,
		"total_tokens < `cost`":                        false,
		`größe = 1 and meta.x = y`:                     true,
		`not finish_reason = stop`:                     false,
		`not not finish_reason = stop`:                 true,
		`not finish_reason = length and passed = true`: true,
		`finish_reason = length or finish_reason = stop and passed = true`:        true,
		`(finish_reason = stop or finish_reason = length) and passed = false`:     false,
		`finish_reason = stop or (finish_reason = length) and passed = false`:     true,
		"\tfinish_reason\n=\u00a0stop ":                                           true,
		`finish_reason < stoq and finish_reason > stoo and finish_reason <= stop`: true,
	} {
		e, err := Parse(question)
		if err != nil {
			t.Errorf("%s: %v", question, err)
			continue
		}
		if got := e.Holds(asked); got != want {
			t.Errorf("%s: %v", question, got)
		}
	}
}

func TestNames(t *testing.T) {
	e, err := Parse("a = b and c < 5 or not `d e` = `f` and a != \"g\"")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := Parse("a < 3 or not b >= `c` and a != d"); err != nil || !slices.Equal(e.Ordered(), []string{"a", "b", "c"}) {
		t.Errorf("%v %v", e, err)
	}
	if !slices.Equal(e.Names(), []string{"a", "c", "d e", "f"}) || !slices.Equal(e.Words(), []string{"b"}) {
		t.Errorf("%q %q", e.Names(), e.Words())
	}
}

func TestWrong(t *testing.T) {
	for question, want := range map[string]string{
		``:                       `expected a name, got the end at character 1`,
		`a`:                      `expected = != < <= > >= ~ or !~ after a, got the end at character 2`,
		`a =`:                    `expected a number, a text or null after =, got the end at character 4`,
		`a = and`:                `expected a number, a text or null after =, got "and" at character 5`,
		`a = b c`:                `expected and, or, or the end, got "c" at character 7`,
		`= b`:                    `expected a name, got "=" at character 1`,
		`"a" = b`:                `expected a name, got "a" at character 1`,
		`null = b`:               `expected a name, got "null" at character 1`,
		`(a = b`:                 `expected ), got the end at character 7`,
		`a = b)`:                 `expected and, or, or the end, got ")" at character 6`,
		`é = b and`:              `expected a name, got the end at character 10`,
		`a = "b`:                 `" is not closed at character 5`,
		"`a = b":                 "` is not closed at character 1",
		`a ~ "("`:                "expected a regular expression (missing closing ): `(`), got \"(\" at character 5",
		`a ~ null`:               `expected a regular expression after ~, got "null" at character 5`,
		"a ~ `b`":                `expected a regular expression after ~, got "b" at character 5`,
		`a = b; c`:               `unexpected ";" at character 6`,
		`a = b && c = d`:         `unexpected "&" at character 7`,
		`a > TRUE`:               `true and false are neither less nor more than anything: expected = or != before them, got "TRUE" at character 5`,
		`a in (b)`:               `expected = != < <= > >= ~ or !~ after a, got "in" at character 3`,
		strings.Repeat("(", 200): `more than 100 levels, got "(" at character 102`,
	} {
		_, err := Parse(question)
		var e *Error
		if !errors.As(err, &e) || err.Error() != want {
			t.Errorf("%s: %v, want %s", question, err, want)
		}
	}
}

// Two numbers are compared as mathematics does, however they are spelled.
func TestNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spell := rapid.StringMatching(`-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?`)
		a, b := spell.Draw(t, "a"), spell.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got := numbers(a, b); got != x.Cmp(y) {
			t.Fatalf("%s and %s: %d, want %d", a, b, got, x.Cmp(y))
		}
	})
}

// Whatever is asked, the answer is an answer or an *Error; and what was understood once is understood again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`a = b`, `not (a ~ "x" or b != null) and c >= 1e5`, "`a``b` <= 'c''d'", `a = "`, `a==5`, "\xff = 1"} {
		f.Add(s, `"v"`)
	}
	f.Fuzz(func(t *testing.T, question, value string) {
		e, err := Parse(question)
		if err != nil {
			if !errors.As(err, new(*Error)) {
				t.Fatalf("%T", err)
			}
			return
		}
		v := []byte(value)
		if !json.Valid(v) {
			v = strconv.AppendQuoteToASCII(nil, "x")
		}
		same := func(string) []byte { return v }
		yes := e.Holds(same)
		opposite, err := Parse("not (" + question + ")")
		if err != nil {
			return // one level too deep
		}
		if opposite.Holds(same) == yes {
			t.Fatalf("%s and its opposite are both %v for %s", question, yes, v)
		}
	})
}
