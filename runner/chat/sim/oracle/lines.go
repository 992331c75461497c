package oracle

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
)

// place is where a row belongs: the input by its number, the line, and the sample where a line has several.
type place struct{ input, line, sample int64 }

// entry is what the job file knows of a line of the input.
type entry struct {
	position int64
	job      *job // nil for a skipped line
	shared   bool // the job is another line's
	skipped  bool
	customID *string
}

// among says that its row belongs to the results, or to the errors.
func (e entry) among(results bool) bool {
	if results {
		return e.job != nil && e.job.state == "done"
	}
	return e.skipped || e.job != nil && e.job.state == "failed"
}

// entries lists the present input.
func (j *jobFile) entries() map[place]entry {
	all := map[place]entry{}
	at := map[int64]*job{}
	for _, b := range j.jobs {
		if b.position.Valid {
			at[b.position.Int64] = b
			e := entry{position: b.position.Int64, job: b}
			if b.customID.Valid {
				e.customID = &b.customID.String
			}
			all[place{b.input, b.line, b.sample}] = e
		}
	}
	for _, l := range j.lines {
		e := entry{position: l.position, skipped: !l.first.Valid, shared: l.first.Valid}
		sample := int64(0)
		if e.job = at[l.first.Int64]; e.job != nil {
			sample = e.job.sample
		}
		if l.customID.Valid {
			e.customID = &l.customID.String
		}
		all[place{l.input, l.line, sample}] = e
	}
	return all
}

// prompts are the texts of the lines of a prompt file, where they say themselves what is asked: JSONL that is still what was imported.
func (j *jobFile) prompts(in input) map[int64]string {
	if filepath.Ext(in.path) != ".jsonl" || j.settings["prompt"] != "" || j.settings["template"] != "" {
		return nil
	}
	text, err := os.ReadFile(in.place)
	if err != nil {
		text, err = os.ReadFile(filepath.Join(j.dir, in.path))
	}
	if sum := sha256.Sum256(text); err != nil || !bytes.Equal(sum[:], in.sha256) {
		return nil
	}
	all := map[int64]string{}
	n := int64(0)
	for line := range bytes.Lines(text) {
		n++
		var row struct {
			Prompt *string `json:"prompt"`
		}
		if json.Unmarshal(line, &row) == nil && row.Prompt != nil {
			all[n] = *row.Prompt
		} else if said, ok := lastUser(line); ok {
			all[n] = said
		}
	}
	return all
}

// lastUser is the text of the last user message of a request, or of a line with one.
func lastUser(text []byte) (said string, ok bool) {
	type messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	var row struct {
		Messages messages `json:"messages"`
		Body     struct {
			Messages messages `json:"messages"`
		} `json:"body"`
	}
	if json.Unmarshal(text, &row) != nil {
		return "", false
	}
	for _, m := range append(row.Body.Messages, row.Messages...) {
		if m.Role == "user" {
			ok = json.Unmarshal(m.Content, &said) == nil
		}
	}
	return said, ok
}
