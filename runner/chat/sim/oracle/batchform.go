package oracle

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// batchLine is a line of the openai shape.
type batchLine struct {
	CustomID string `json:"custom_id"`
	Response struct {
		Body json.RawMessage `json:"body"`
	} `json:"response"`
}

// batchLines: in input order, each by its name, and of the results each with the response as it came.
func (w *written) batchLines(path string, text []byte, results, files bool) {
	var want []place
	for p, e := range w.entries {
		if e.among(results) {
			want = append(want, p)
		}
	}
	slices.SortFunc(want, func(a, b place) int { return int(w.entries[a].position - w.entries[b].position) })
	if n := bytes.Count(text, []byte("\n")); n != len(want) {
		if w.c.Current {
			w.f.add("%s has %d lines, not %d", path, n, len(want))
		}
		return
	}
	i := 0
	for line := range bytes.Lines(text) {
		var l batchLine
		if err := json.Unmarshal(line, &l); err != nil {
			w.f.add("%s: line %d: %v", path, i+1, err)
			return
		}
		e := w.entries[want[i]]
		if name := w.nameOf(want[i], files); l.CustomID != name {
			w.f.add("%s: line %d is called %q, not %q", path, i+1, l.CustomID, name)
		}
		if results && !same(l.Response.Body, w.j.response(e.job.id)) {
			w.f.add("%s: line %d has another response than the job file: %.100q", path, i+1, l.Response.Body)
		}
		i++
	}
}

// nameOf is the custom_id of a line, or one made of its place.
func (w *written) nameOf(p place, files bool) string {
	if id := w.entries[p].customID; id != nil {
		return *id
	}
	name := "line-" + strconv.FormatInt(p.line, 10)
	for _, in := range w.j.inputs {
		if files && in.number == p.input {
			name = in.path + ":" + strconv.FormatInt(p.line, 10)
		}
	}
	if p.sample > 0 {
		name += "#" + strconv.FormatInt(p.sample, 10)
	}
	return name
}
