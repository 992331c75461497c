package input

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// resultColumns are what the results of a run have and no prompt file.
var resultColumns = []string{"content", "finish_reason", "usage_source", "latency_ms"}

// isResultHeader says that a table was written by a run.
func isResultHeader(header []string) bool {
	return !slices.ContainsFunc(resultColumns, func(name string) bool { return !slices.Contains(header, name) })
}

// unguarded takes off a cell of our results the apostrophe that keeps a spreadsheet from running it: it is no part of the text.
func unguarded(cell string) string {
	if rest := strings.TrimLeft(cell, "'"); len(rest) < len(cell) && rest != "" && formula(rest) {
		return cell[1:]
	}
	return cell
}

// plainNumber is a number as people write it, which is no formula although it may begin with a sign.
var plainNumber = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// formula says that the results have such a cell behind an apostrophe: after what a spreadsheet passes over it begins with a sign of
// a formula, and is more than a number. A tab or a carriage return in front is itself such a sign.
func formula(cell string) bool {
	if cell[0] == '\t' || cell[0] == '\r' {
		return true
	}
	for i, r := range cell {
		if strings.ContainsRune("=+-@＝＋－＠", r) {
			return !plainNumber.MatchString(cell[i:])
		}
		if !unicode.IsSpace(r) && !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) {
			return false
		}
	}
	return false
}
