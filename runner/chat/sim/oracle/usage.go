package oracle

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// usageLine is a line of the usage file.
type usageLine struct {
	sums
	Endpoint string `json:"endpoint"`
	Model    string `json:"requested_model"`
	Complete bool   `json:"complete"`
	IsTotal  bool   `json:"total"`
}

func usageLines(text []byte) (all []usageLine, err error) {
	for line := range bytes.Lines(text) {
		var l usageLine
		if err := json.Unmarshal(line, &l); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// usageCells makes objects of the rows of a table.
func usageCells(text []byte) (all []usageLine, err error) {
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff")))).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, cells := range rows[min(1, len(rows)):] {
		object := map[string]any{}
		for i, name := range rows[0] {
			switch cell := cells[i]; {
			case name == "endpoint" || name == "requested_model":
				object[name] = strings.TrimPrefix(cell, "'")
			case cell == "":
				object[name] = nil
			default:
				object[name] = json.RawMessage(cell)
			}
		}
		line, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		read, err := usageLines(line)
		if err != nil {
			return nil, err
		}
		all = append(all, read...)
	}
	return all, nil
}

// usage: each line is what the attempts and the answers of its model add up to, to the token and the picodollar, and the last one is the
// sum of them all. All of them say whether the input is answered.
func (w *written) usage(path string, lines []usageLine, err error) {
	if err != nil {
		w.f.add("%s: %v", path, err)
		return
	}
	last := slices.IndexFunc(lines, func(l usageLine) bool { return l.IsTotal })
	if last < 0 || last != len(lines)-1 {
		w.f.add("%s does not end with the total", path)
		return
	}
	var added sums
	for _, l := range lines[:last] {
		added = added.plus(l.sums)
	}
	if added.money = added.told().where(lines[last].money); added != lines[last].sums {
		w.f.add("%s: the lines add up to %+v, the last says %+v", path, added, lines[last].sums)
	}
	parts := w.j.parts()
	all := total(parts)
	got, want := lines[last].sums, all.usage()
	if !w.c.Current && (want.Done != got.Done || want.Failed != got.Failed || want.Pending != got.Pending || want.Attempts != got.Attempts) {
		return // older than the job file
	}
	if got != want {
		w.f.add("%s says %s", path, difference(got, want))
	}
	for _, l := range lines {
		if complete := want.Pending == 0; l.Complete != complete {
			w.f.add("%s says complete: %t, with %d prompts pending", path, l.Complete, want.Pending)
		}
	}
	w.f.usageOfParts(path, lines[:last], parts)
}

func (f *findings) usageOfParts(path string, lines []usageLine, parts map[partID]*part) {
	for _, l := range lines {
		p := parts[partID{l.Endpoint, l.Model}]
		if p == nil {
			p = &part{}
		}
		if want := p.usage(); l.sums != want {
			f.add("%s says of %q at %s %s", path, l.Model, l.Endpoint, difference(l.sums, want))
		}
	}
	if len(lines) != len(parts) {
		f.add("%s has lines of %d models, the job file of %d", path, len(lines), len(parts))
	}
}

func difference(got, want sums) string { return fmt.Sprintf("%+v, the job file %+v", got, want) }
