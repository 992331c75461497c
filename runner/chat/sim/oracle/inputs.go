package oracle

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// inputs holds the prompt files against the job file: what they ask is what is kept, line for line.
//
// Of every input the number of rows is known. The lines are those of JSONL that is still what was imported: not of standard input, nor of
// a file that was edited since or is gone, nor of one that is read in another way.
func (f *findings) inputs(j *jobFile) {
	if j.purged() {
		return
	}
	entries := j.entries()
	before := int64(0)
	for _, in := range j.inputs {
		if n := j.rowsOf(in); n != in.rows {
			f.add("%s: %s was imported with %d rows, and %d are kept", j.name, in.path, in.rows, n)
		}
		if text, ok := j.text(in); ok {
			f.input(j, in, entries, text, before)
		}
		before += in.rows
	}
}

func (j *jobFile) rowsOf(in input) (n int64) {
	for _, b := range j.jobs {
		if b.position.Valid && b.input == in.number {
			n++
		}
	}
	for _, l := range j.lines {
		if l.input == in.number {
			n++
		}
	}
	return n
}

// fill is what a flag of the run says of the lines, as JSON; "" without it.
func (j *jobFile) fill(flag string) string { return j.settings["fill."+flag] }

// text is that of JSONL as it was imported.
func (j *jobFile) text(in input) ([]byte, bool) {
	if filepath.Ext(in.path) != ".jsonl" || j.fill("input-format")+j.fill("delimiter")+j.fill("separator") != "" {
		return nil, false
	}
	text, err := os.ReadFile(in.place)
	if err != nil {
		text, err = os.ReadFile(filepath.Join(j.dir, in.path))
	}
	if sum := sha256.Sum256(text); err != nil || !bytes.Equal(sum[:], in.sha256) {
		return nil, false
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	return text, !bytes.HasPrefix(bytes.TrimSpace(text), []byte("["))
}

// input: the lines stand in the job file in their order, each as often as it has samples, and nothing stands between them.
func (f *findings) input(j *jobFile, in input, entries map[place]entry, text []byte, before int64) {
	samples, err := strconv.ParseInt(j.fill("samples"), 10, 64)
	if err != nil {
		samples = 1
	}
	position, number := before, int64(0)
	for line := range bytes.Lines(text) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		for sample := range samples {
			e, found := entries[place{in.number, number, 0}]
			switch {
			case samples > 1 && found && sample > 0:
				continue // a skipped line is one row
			case samples > 1 && !found:
				e, found = entries[place{in.number, number, sample + 1}]
			}
			if !found {
				f.add("%s: line %d of %s is not kept", j.name, number, in.path)
				continue
			}
			if e.position != position+1 {
				f.add("%s: line %d of %s stands at %d, not at %d", j.name, number, in.path, e.position, position+1)
			}
			position = e.position
			if wrong := j.asked(e, line); wrong != "" {
				f.add("%s: line %d of %s %s", j.name, number, in.path, wrong)
			}
		}
	}
}

// members are the names and values of an object.
type members map[string]json.RawMessage

func membersOf(text []byte) (m members) {
	if json.Unmarshal(text, &m) != nil {
		return nil
	}
	return m
}

// asked says what is kept otherwise than the line has it, "" when nothing is. Of a line that a template makes a prompt of, that is its name.
func (j *jobFile) asked(e entry, text []byte) string {
	line := membersOf(text)
	if line == nil || e.job == nil {
		return "" // skipped
	}
	if named, want := e.named(line); named != want {
		return fmt.Sprintf("is called %s, and kept as %s", want, named)
	}
	if j.fill("prompt")+j.fill("template") != "" {
		return ""
	}
	said, ok := lastUser(text)
	if line["prompt"] != nil {
		ok = json.Unmarshal(line["prompt"], &said) == nil && j.fill("image-column") == ""
	}
	if kept, _ := lastUser(e.job.body); ok && kept != said {
		return fmt.Sprintf("asks %.100q, and %.100q is kept", said, kept)
	}
	if e.job.origin != nil {
		return "" // retry changed the request
	}
	return j.request(line, membersOf(e.job.body))
}

// named is what the row is called, and what it should be.
func (e entry) named(line members) (named, want string) {
	named, want = "null", "null"
	if e.customID != nil {
		named = strconv.Quote(*e.customID)
	}
	var id string
	if json.Unmarshal(line["custom_id"], &id) == nil && line["custom_id"] != nil {
		if e.job.sample > 0 {
			id += "#" + strconv.FormatInt(e.job.sample, 10)
		}
		want = strconv.Quote(id)
	}
	return named, want
}

// filledIn are the request fields that flags can fill in, and those that go by one.
var filledIn = []string{"model", "temperature", "top_p", "max_tokens", "stop", "presence_penalty", "frequency_penalty", "user", "seed", "response_format"}

// streaming are the fields that say how an answer comes, not what is asked: the job of a line may be one that was kept with others.
var streaming = []string{"stream", "stream_options"}

// request: every field of the line is in the request as it stands there, and besides only what was filled in.
func (j *jobFile) request(line, kept members) string {
	fields := members{}
	written := line["body"] != nil && line["prompt"] == nil && line["messages"] == nil
	if written { // the author wrote the request whole
		fields = membersOf(line["body"])
	} else {
		for _, name := range filledIn {
			if line[name] != nil {
				fields[name] = line[name]
			}
		}
		for name, value := range membersOf(line["params"]) {
			fields[name] = value
		}
		if line["messages"] != nil {
			fields["messages"] = line["messages"]
		}
	}
	for name, value := range fields {
		switch {
		case slices.Contains(streaming, name):
		case name == "messages":
			if !j.conversation(value, kept[name], line["system"] != nil) {
				return "has another conversation than is kept"
			}
		case !same(value, kept[name]):
			return fmt.Sprintf("has %s %.100s, and %.100s is kept", name, value, kept[name])
		}
	}
	for name, value := range kept {
		if fields[name] != nil || name == "messages" || slices.Contains(streaming, name) {
			continue
		}
		fill := j.fill(strings.ReplaceAll(name, "_", "-"))
		switch {
		case !slices.Contains(filledIn, name):
			if written {
				return "has no " + name + ", and one is kept"
			}
		case name == "response_format": // is made of a schema
		case name == "seed" && j.fill("samples") != "": // each sample has its own
		case !same(value, json.RawMessage(fill)):
			return fmt.Sprintf("has no %s, and %.100s is kept instead of %.100q", name, value, fill)
		}
	}
	return ""
}

// conversation: the turns of the line are kept, with a system message in front where one was filled in. Of one that was cut to the size of a
// context the last question is kept, and no more is known.
func (j *jobFile) conversation(line, kept json.RawMessage, system bool) bool {
	var asked, sent []json.RawMessage
	if json.Unmarshal(line, &asked) != nil || json.Unmarshal(kept, &sent) != nil {
		return false
	}
	if j.fill("trim") != "" {
		return true
	}
	more := len(sent) - len(asked)
	if more < 0 || more > 1 || more == 1 && !system && j.fill("system") == "" {
		return false
	}
	return slices.EqualFunc(asked, sent[more:], same)
}

// same compares values however they are written, but for numbers.
func same(a, b json.RawMessage) bool {
	return bytes.Equal(canonical(a), canonical(b))
}

func canonical(value json.RawMessage) []byte {
	var v any
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return value
	}
	text, err := json.Marshal(v)
	if err != nil {
		return value
	}
	return text
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
