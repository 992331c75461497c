package oracle

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// outputs holds the files that were written from a job file against it. What somebody else has put in their
// place is not looked at, nor is a selection of columns or rows.
func (f *findings) outputs(j *jobFile, c Case) {
	if j.purged() {
		return
	}
	w := written{f: f, j: j, c: c, entries: j.entries()}
	for _, o := range j.outputs {
		if name, err := filepath.Rel(c.Folder, o.path); err == nil && slices.Contains(c.Except, name) {
			continue
		}
		if text, ours := o.read(); ours {
			w.check(o, text)
		}
	}
}

// read returns the file where it is still the one that was written.
func (o *output) read() (text []byte, ours bool) {
	info, err := os.Stat(o.path)
	if err != nil {
		return nil, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int64(st.Dev) != o.dev || int64(st.Ino) != o.inode || info.Size() != o.size || info.ModTime().UnixNano() != o.mtime {
		return nil, false
	}
	text, err = os.ReadFile(o.path)
	return text, err == nil
}

type written struct {
	f       *findings
	j       *jobFile
	c       Case
	entries map[place]entry
}

func (w *written) check(o output, text []byte) {
	words := strings.Fields(o.options)
	if len(words) < 2 || !w.c.Current && w.c.Died {
		return // it may be older than the job file
	}
	for _, word := range words[2:] {
		switch name, _, _ := strings.Cut(word, "="); name {
		case "simulated", "files", "extract", "csv-raw":
		case "fields", "where", "split":
			if o.kind != "errors" && o.kind != "usage" { // these are whole all the same
				return
			}
		case "compression":
			return
		default:
			w.f.add("%s is written in a way that is not known here: %s", o.path, word)
			return
		}
	}
	switch how := words[0] + " " + words[1]; {
	case o.kind == "results" && how == "jsonl flat":
		w.rows(o.path, flatRows(text), true)
	case o.kind == "results" && how == "csv flat":
		w.rows(o.path, csvRows(text), true)
	case o.kind == "errors" && how == "jsonl flat":
		w.rows(o.path, flatRows(text), false)
	case o.kind == "errors" && how == "csv flat":
		w.rows(o.path, csvRows(text), false)
	case (o.kind == "results" || o.kind == "errors") && how == "jsonl openai":
		w.batchLines(o.path, text, o.kind == "results", slices.Contains(words, "files"))
	case o.kind == "usage" && words[0] == "jsonl":
		lines, err := usageLines(text)
		w.usage(o.path, lines, err)
	case o.kind == "usage" && words[0] == "csv":
		lines, err := usageCells(text)
		w.usage(o.path, lines, err)
	case words[0] == "parquet", words[1] == "chat", words[1] == "pairs": // only the key is searched for in them
	default:
		w.f.add("%s is of a form that is not known here: %s %s", o.path, o.kind, how)
	}
}

// row is what is held against the job file.
type row struct {
	File     *string `json:"file"`
	Line     int64   `json:"line"`
	Sample   int64   `json:"sample"`
	CustomID *string `json:"custom_id"`
	Prompt   *string `json:"prompt"`
	Content  *string `json:"content"`
	Total    *int64  `json:"total_tokens"`
	Source   string  `json:"usage_source"`
	Cost     amount  `json:"cost"`
	Attempts *int64  `json:"attempts"`
	Paid     *bool   `json:"possibly_paid"`
	Type     string  `json:"type"`
	guarded  bool    // its texts are made harmless for spreadsheets
}

type rowReader func() (row, error) // io.EOF after the last

func flatRows(text []byte) rowReader {
	return func() (r row, err error) {
		if len(text) == 0 {
			return r, io.EOF
		}
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		if text = rest; !ended {
			return r, errors.New("the last line is cut")
		}
		return r, json.Unmarshal(line, &r)
	}
}

func csvRows(text []byte) rowReader {
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	head, _ := in.Read()
	number := func(cells []string, name string) *int64 {
		if i := slices.Index(head, name); i >= 0 {
			if n, err := strconv.ParseInt(cells[i], 10, 64); err == nil {
				return &n
			}
		}
		return nil
	}
	cell := func(cells []string, name string) *string {
		if i := slices.Index(head, name); i >= 0 && cells[i] != "" {
			return &cells[i]
		}
		return nil
	}
	return func() (r row, err error) {
		cells, err := in.Read()
		if err != nil {
			return r, err
		}
		r.guarded = true
		if n := number(cells, "line"); n != nil {
			r.Line = *n
		}
		if n := number(cells, "sample"); n != nil {
			r.Sample = *n
		}
		if i := slices.Index(head, "file"); i >= 0 {
			r.File = &cells[i]
		}
		if i := slices.Index(head, "type"); i >= 0 {
			r.Type = cells[i]
		}
		if i := slices.Index(head, "usage_source"); i >= 0 {
			r.Source = cells[i]
		}
		if i := slices.Index(head, "cost"); i >= 0 {
			if err := r.Cost.cell(cells[i]); err != nil {
				return r, err
			}
		}
		r.Total, r.Attempts = number(cells, "total_tokens"), number(cells, "attempts")
		r.CustomID, r.Prompt, r.Content = cell(cells, "custom_id"), cell(cells, "prompt"), cell(cells, "content")
		if paid := cell(cells, "possibly_paid"); paid != nil {
			r.Paid = new(*paid == "true")
		}
		return r, nil
	}
}

// rows: in input order, once each, with what belongs to them. Where nothing changed since, all that should be there is.
func (w *written) rows(path string, next rowReader, results bool) {
	var read []row
	for {
		r, err := next()
		if err == io.EOF {
			break
		}
		if err != nil {
			w.f.add("%s: after %d rows: %v", path, len(read), err)
			return
		}
		read = append(read, r)
	}
	switch {
	case !w.c.Current && !w.fresh(read, results):
		return
	case len(read) != w.expected(results) && !damaged(read):
		w.f.add("%s has %d rows, not %d", path, len(read), w.expected(results))
	}
	last := int64(0)
	for _, r := range read {
		e, found := w.entry(r)
		if !found {
			w.f.add("%s: line %d is not in the input", path, r.Line)
			continue
		}
		if e.position <= last {
			w.f.add("%s: line %d stands after one that comes later in the input, or twice", path, r.Line)
		}
		last = e.position
		w.row(path, r, e, results)
	}
}

// fresh tells rows that are those of the job file from rows that are older.
func (w *written) fresh(read []row, results bool) bool {
	for _, r := range read {
		if e, found := w.entry(r); !found || !e.among(results) {
			return false
		}
	}
	return len(read) == w.expected(results)
}

// damaged: a stored answer that cannot be read any more is a row among the errors.
func damaged(rows []row) bool {
	return slices.ContainsFunc(rows, func(r row) bool { return r.Type == "batch_error" })
}

// expected is how many rows the results, or the errors, are to have.
func (w *written) expected(results bool) (n int) {
	for _, e := range w.entries {
		if e.among(results) {
			n++
		}
	}
	return n
}

func (w *written) entry(r row) (entry, bool) {
	for _, in := range w.j.inputs {
		if r.File == nil && len(w.j.inputs) > 1 || r.File != nil && *r.File != in.path {
			continue
		}
		e, found := w.entries[place{in.number, r.Line, r.Sample}]
		return e, found
	}
	return entry{}, false
}

func (w *written) row(path string, r row, e entry, results bool) {
	if !e.among(results) && !damaged([]row{r}) {
		w.f.add("%s: line %d stands among the wrong rows", path, r.Line)
		return
	}
	if !r.named(e) {
		w.f.add("%s: line %d has another custom_id than the job file", path, r.Line)
	}
	if e.job == nil {
		return
	}
	if said, ok := lastUser(e.job.body); ok && r.Prompt != nil && !r.says(*r.Prompt, said) {
		w.f.add("%s: line %d has another prompt than was sent: %.100q, not %.100q", path, r.Line, *r.Prompt, said)
	}
	w.spending(path, r, e, results)
	if !results {
		return
	}
	if got := readReply(w.j.response(e.job.id)); r.Content != nil && got.content != "" && !r.says(*r.Content, got.content) {
		w.f.add("%s: line %d has another answer than the job file: %.100q, not %.100q", path, r.Line, *r.Content, got.content)
	}
}

// named: the row bears the custom_id of its line. An empty one and none are the same cell.
func (r row) named(e entry) bool {
	switch {
	case r.CustomID == nil || e.customID == nil:
		return r.CustomID == nil && (e.customID == nil || r.guarded && *e.customID == "")
	case r.Sample > 0:
		return true
	}
	return r.says(*r.CustomID, *e.customID)
}

// says compares texts; those of CSV as far as a spreadsheet's guard and its reader leave them.
func (r row) says(got, want string) bool {
	if !r.guarded {
		return got == want
	}
	want = strings.ReplaceAll(strings.ReplaceAll(want, "\r\n", "\n"), "\x00", "\ufffd")
	got = strings.ReplaceAll(got, "\x00", "\ufffd")
	return got == want || got == "'"+want
}

// spending: the row tells the attempts of its job, what they used, and whether some of them may have been paid for in vain.
func (w *written) spending(path string, r row, e entry, results bool) {
	attempts, unknown := e.job.attempts, e.job.unknown
	if e.shared {
		attempts, unknown = 0, 0
	}
	if r.Attempts != nil && *r.Attempts != attempts {
		w.f.add("%s: line %d has %d attempts, the job file %d", path, r.Line, *r.Attempts, attempts)
	}
	if !results && r.Paid != nil && *r.Paid != (unknown > 0) {
		w.f.add("%s: line %d is possibly paid: %t, and has %d such attempts", path, r.Line, *r.Paid, unknown)
	}
	if results {
		w.usageOf(path, r, e)
	}
}

// usageOf: the row has the tokens of its answer, says where they are known from, and what they cost.
func (w *written) usageOf(path string, r row, e entry) {
	a := e.job.held()
	if a != nil && a.total.Valid && w.j.reused[e.job.id] == nil && (r.Total == nil || *r.Total != a.total.Int64) {
		w.f.add("%s: line %d has other tokens than its attempt, which used %d", path, r.Line, a.total.Int64)
	}
	source, cost := w.source(e, a)
	if r.Source != source {
		w.f.add("%s: line %d has its usage %s, not %s", path, r.Line, r.Source, source)
	}
	if r.Cost != cost.told() {
		w.f.add("%s: line %d cost %s, not %s", path, r.Line, r.Cost, cost.told())
	}
}

// source: whose tokens the row of an answer has, and what they cost there.
func (w *written) source(e entry, a *attempt) (string, amount) {
	answer := w.j.answers[e.job.id]
	switch {
	case e.shared:
		return "shared", amount{}
	case w.j.reused[e.job.id] != nil:
		return "reused", amount{}
	case a != nil && a.total.Valid:
		return "reported", w.j.price(e.job, a).cost(a.used())
	case a != nil && answer != nil && answer.estimated.Valid:
		return "estimated", w.j.price(e.job, a).cost(answer.counted())
	}
	return "unknown", unknownAmount
}
