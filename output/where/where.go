// Package where asks rows a question: finish_reason = stop and total_tokens < 500. It knows names and values only, neither files
// nor the job file: whoever has rows gives it a lookup. Nothing in it can read, run or loop.
//
// # The language
//
//	finish_reason = stop and (total_tokens < 500 or not label = "hard case")
//	content ~ "(?i)^sorry" or cost = null
//	model != `requested_model`
//
// A comparison has a name on its left. On its right stands a number, a text in double or single quotes, true, false, null, a bare word,
// which is a text, or another name in backquotes. Backquotes are also for names that are more than letters, digits, _, - and dots. The
// operators are = != < <= > >=, and ~ and !~ for regular expressions (RE2, found anywhere in the text). and binds tighter than or, not
// tighter than both; these words and true, false, null may be written in capitals.
//
// Every question has the answer yes or no. != is the opposite of =, and !~ of ~. What is absent is null, which equals null alone, and is
// neither less nor more than anything; nor are true and false. A number and a text that spells one are compared as numbers, exactly; two texts are compared byte
// by byte; values of other kinds are never equal. Arrays and objects are the text of their JSON.
package where

import (
	"slices"
	"strings"
)

// Expr is a question that was understood.
type Expr struct {
	root  node
	names []string
	words []string
	order []string
	text  string
}

// String is the question as it was asked.
func (e *Expr) String() string { return e.text }

// Names are the names that are asked for, once each in the order of the question.
func (e *Expr) Names() []string { return e.names }

// Words are the bare words that were taken for texts. One that is also a name is perhaps not what its author meant.
func (e *Expr) Words() []string { return e.words }

// Ordered are the names that are asked for being less or more than something.
func (e *Expr) Ordered() []string { return e.order }

// Holds answers the question for one row. value gives the JSON value of a name, nil where the row has none.
func (e *Expr) Holds(value func(name string) []byte) bool { return e.root.holds(value) }

type node interface {
	holds(value func(name string) []byte) bool
}

type (
	both   struct{ a, b node }
	either struct{ a, b node }
	never  struct{ a node }
)

func (n both) holds(v func(string) []byte) bool   { return n.a.holds(v) && n.b.holds(v) }
func (n either) holds(v func(string) []byte) bool { return n.a.holds(v) || n.b.holds(v) }
func (n never) holds(v func(string) []byte) bool  { return !n.a.holds(v) }

// add takes note of a name once.
func add(all []string, name string) []string {
	if slices.Contains(all, name) {
		return all
	}
	return append(all, strings.Clone(name))
}
