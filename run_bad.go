package main

import (
	"errors"
	"fmt"
	"strings"

	"batch/input"
	"batch/store"
)

// badLinesNamed is how many bad lines are named before the rest are counted.
const badLinesNamed = 50

// badLine is a bad line as it is told.
type badLine struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Field   string `json:"field,omitempty"`
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"`
}

func (b badLine) String() string {
	text := (&input.LineError{File: b.File, Line: b.Line, Field: b.Field, Problem: b.Problem}).Error()
	if b.Hint != "" {
		text += " (" + b.Hint + ")"
	}
	return text
}

func (imp *importer) note(b badLine) {
	if imp.badCount++; len(imp.bad) < badLinesNamed {
		imp.bad = append(imp.bad, b)
	}
}

func (imp *importer) checkDuplicates(table *store.Importer) error {
	dups, n, err := table.Duplicates(badLinesNamed)
	if err != nil || n == 0 {
		return err
	}
	for _, dup := range dups {
		imp.note(badLine{File: dup.ThisFile, Line: dup.ThisLine, Field: "custom_id",
			Problem: fmt.Sprintf("%q is already used at %s:%d", dup.CustomID, dup.FirstFile, dup.FirstLine)})
	}
	imp.badCount += n - len(dups)
	imp.twice = n
	if !imp.skipBad {
		return nil
	}
	return table.SkipDuplicates()
}

// refuse names the bad lines.
func (imp *importer) refuse() error {
	var lines []string
	for _, b := range imp.bad {
		lines = append(lines, b.String())
	}
	if more := imp.badCount - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %s", plural(int64(more), "more bad line")))
	}
	return usage(errors.New(strings.Join(lines, "\n")), "nothing was sent; mend the lines, or leave them out with --skip-invalid")
}
