package main

import (
	"bytes"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rogpeppe/go-internal/testscript"
)

// pick prints some columns of a file, whose others vary from run to run: pick FILE COLUMN...
//
// Of JSON documents a COLUMN is a key, or a path as in error.code or choices.0; every document prints as a line of its values as
// they are written, with a blank between; what is not there prints as a dash. The whole file must be JSON. Of a CSV file it is a
// name in the first row.
func pick(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: pick FILE COLUMN...")
	}
	text := ts.ReadFile(args[0])
	out := ts.Stdout()
	if strings.HasSuffix(args[0], ".csv") {
		pickCSV(ts, out, text, args[1:])
		return
	}
	dec := jsontext.NewDecoder(strings.NewReader(text))
	for {
		doc, err := dec.ReadValue()
		if err == io.EOF {
			return
		}
		ts.Check(err)
		var row []string
		for _, column := range args[1:] {
			row = append(row, valueAt(ts, doc, column))
		}
		io.WriteString(out, strings.Join(row, " ")+"\n")
	}
}

// valueAt finds a value by its path.
func valueAt(ts *testscript.TestScript, doc jsontext.Value, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		var found jsontext.Value
		dec := jsontext.NewDecoder(bytes.NewReader(doc))
		kind, err := dec.ReadToken()
		ts.Check(err)
		for i := 0; (kind.Kind() == '{' || kind.Kind() == '[') && dec.PeekKind() != '}' && dec.PeekKind() != ']'; i++ {
			key := strconv.Itoa(i)
			if kind.Kind() == '{' {
				token, err := dec.ReadToken()
				ts.Check(err)
				key = token.String()
			}
			v, err := dec.ReadValue()
			ts.Check(err)
			if key == name {
				found = v.Clone()
			}
		}
		if found == nil {
			return "-"
		}
		doc = found
	}
	return string(doc)
}

func pickCSV(ts *testscript.TestScript, out io.Writer, text string, columns []string) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	ts.Check(err)
	if len(rows) == 0 {
		ts.Fatalf("the CSV file is empty")
	}
	w := csv.NewWriter(out)
	for _, row := range rows {
		var picked []string
		for _, column := range columns {
			i := slices.Index(rows[0], column)
			if i < 0 {
				ts.Fatalf("no column %s", column)
			}
			picked = append(picked, row[i])
		}
		ts.Check(w.Write(picked))
	}
	w.Flush()
}
