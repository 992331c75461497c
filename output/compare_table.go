package output

import (
	"io"

	"batch/store"
)

var comparedColumns = []string{"file", "line", "custom_id", "prompt", "matched_by", "state_a", "state_b", "same", "model_a", "model_b",
	"prompt_tokens_a", "prompt_tokens_b", "completion_tokens_a", "completion_tokens_b", "usage_source_a", "usage_source_b",
	"cost_a", "cost_b", "latency_ms_a", "latency_ms_b", "finish_reason_a", "finish_reason_b", "content_a", "content_b"}

// ComparedTable is a CSV file with a row for every job of two files: those of a in its order, then those of b alone. File, line,
// custom_id and prompt are those of a, where a has the job; the prompt is the text of the last user message, the models are the
// requested ones.
type ComparedTable struct {
	enc     *csvEncoder
	rec     record
	picker  *picker
	scratch []byte
}

// NewComparedTable begins a table. Raw leaves out the guard against formulas.
func NewComparedTable(w io.Writer, raw bool) (*ComparedTable, error) {
	cols := newColumns(comparedColumns)
	cols.settle()
	t := &ComparedTable{enc: newCSV(w, cols, raw), picker: newPicker()}
	return t, t.enc.header()
}

func (t *ComparedTable) write(pair *store.Pair, replies [2]reply, same *bool, prices [2]Prices) error {
	rec := &t.rec
	rec.reset()
	first := pair.A
	if first == nil {
		first = pair.B
	}
	rec.quoted("file", first.File)
	rec.int("line", int64(first.Line))
	if first.HasCustomID {
		rec.quoted("custom_id", first.CustomID)
	}
	t.scratch = t.scratch[:0]
	if req, err := t.picker.request(first.Body); err == nil {
		if prompt, err := t.picker.text(&t.scratch, req.lastUser); err == nil {
			rec.raw("prompt", prompt)
		}
	}
	rec.text("matched_by", string(pair.By))
	if same != nil {
		rec.bool("same", *same)
	}
	for i, row := range []*store.Row{pair.A, pair.B} {
		if row == nil {
			continue
		}
		names := &comparedNames[i]
		rec.text(names.state, string(row.State))
		rec.text(names.model, row.Model)
		if row.State != store.Done {
			continue
		}
		source, u, cost, known := prices[i].spent(row)
		if u.Known {
			rec.int(names.prompt, u.Prompt)
			rec.int(names.completion, u.Completion)
		}
		rec.text(names.source, source)
		rec.money(names.cost, cost, known)
		rec.int(names.latency, row.Latency.Milliseconds())
		rec.raw(names.finish, replies[i].finish)
		rec.raw(names.content, replies[i].content)
	}
	return t.enc.encode(rec)
}

// comparedNames are the columns of a and of b.
var comparedNames = [2]comparedName{namesOf("_a"), namesOf("_b")}

type comparedName struct{ state, model, prompt, completion, source, cost, latency, finish, content string }

func namesOf(file string) comparedName {
	return comparedName{"state" + file, "model" + file, "prompt_tokens" + file, "completion_tokens" + file, "usage_source" + file,
		"cost" + file, "latency_ms" + file, "finish_reason" + file, "content" + file}
}
