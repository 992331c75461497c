package output

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"batch/store"
)

// jobFile makes a job file of n prompts and a skipped line 4, with a run begun.
func jobFile(t *testing.T, n int) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "prompts.batch.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Import(t.Context(), store.ImportOptions{}, func(imp *store.Importer) error {
		imp.File("prompts.jsonl")
		for i := 1; i <= n; i++ {
			if i == 4 {
				if err := imp.Skip(store.Skipped{Line: i, Message: "prompt: is empty"}); err != nil {
					return err
				}
				continue
			}
			body := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"prompt %d"}]}`, i)
			if err := imp.Add(store.Job{Line: i, Model: "m", Key: sha256.Sum256([]byte(body)), Body: []byte(body),
				Carried: fmt.Appendf(nil, `{"label":"l%d"}`, i)}); err != nil {
				return err
			}
		}
		return imp.EndFile(store.Input{Path: "prompts.jsonl", Rows: n})
	}); err != nil {
		t.Fatal(err)
	}
	if err := st.BeginRun(t.Context(), store.Run{Started: time.Now(), Endpoint: "http://127.0.0.1/v1", Version: "test"}); err != nil {
		t.Fatal(err)
	}
	return st
}

// answer claims n jobs and ends them: every third fails, the others are answered, some without usage.
func answerJobs(t *testing.T, st *store.Store, n int) {
	t.Helper()
	turned, err := st.Turn(t.Context(), nil, nil, store.Want{Jobs: n, New: n, Bytes: 1 << 20, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var outs []store.Outcome
	for _, c := range turned.Claims {
		o := store.Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: store.Complete, Started: time.Now(), Class: "done", Sent: true,
			Status: 200, FinishReason: "stop", Usage: store.Usage{Known: true, Prompt: 10, Completion: c.Job, Total: 10 + c.Job},
			Response: fmt.Appendf(nil, `{"model":"m-1","choices":[{"message":{"role":"assistant","content":"answer to %d"},"finish_reason":"stop"}]}`, c.Job)}
		switch c.Job % 3 {
		case 0:
			o.Arrow, o.Class, o.Status, o.Code, o.Message = store.Fail, "job_failed", 400, "bad", "not this one"
			o.Response, o.FinishReason, o.Usage = nil, "", store.Usage{}
			o.ErrorBody = []byte(`{"error":{"message":"not this one","code":"bad"}}`)
		case 1:
			o.Usage, o.Estimated, o.EstimatedPrompt = store.Usage{}, 7, 4
		}
		outs = append(outs, o)
	}
	if _, err := st.Turn(t.Context(), outs, nil, store.Want{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

func export(t *testing.T, st *store.Store, files Files, opt Options) Report {
	t.Helper()
	v, err := st.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	rep, err := Write(t.Context(), v, st, files, opt)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// From a job file half way through to its end: the files follow, are known again after the job file was closed, and
// agree with one another to the token.
func TestOverStore(t *testing.T) {
	const n = 20
	st := jobFile(t, n)
	opt := Options{JobFile: st.Path(), Inputs: []string{"prompts.jsonl"}}
	files, _, err := Names(st.Path(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(t.Context(), st, files, opt); err != nil {
		t.Fatal(err)
	}
	answerJobs(t, st, 8)
	rep := export(t, st, files, opt)
	if rep.Rows != n || rep.Skipped != 1 || rep.Done+rep.Failed != 8 || rep.Pending != n-9 || rep.Complete {
		t.Errorf("half way: %+v", rep)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if st, err = store.Open(t.Context(), st.Path(), false); err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := st.BeginRun(t.Context(), store.Run{Started: time.Now(), Endpoint: "http://127.0.0.1/v1", Version: "test"}); err != nil {
		t.Fatal(err)
	}
	answerJobs(t, st, n)
	rep = export(t, st, files, opt)
	if !rep.Complete || rep.Done+rep.Failed+rep.Skipped != n {
		t.Errorf("at the end: %+v", rep)
	}
	tables, _, err := Names(st.Path(), "", CSV)
	if err != nil {
		t.Fatal(err)
	}
	optCSV := opt
	optCSV.Format = CSV
	if diff := cmp.Diff(rep.Finish, export(t, st, tables, optCSV).Finish); diff != "" {
		t.Error(diff)
	}
	outs, err := st.Outputs(t.Context())
	if err != nil || len(outs) != 6 {
		t.Fatalf("%d outputs on record: %v", len(outs), err)
	}
	for _, o := range outs {
		recipe, err := ParseRecipe(o.Options)
		if err != nil || o.Prev != (store.Identity{}) && recipe.Format == CSV {
			t.Errorf("%+v: %v", o, err)
		}
		if info, err := os.Lstat(o.Path); err != nil || identity(info) != o.Now {
			t.Errorf("%s does not stand as recorded: %v", o.Path, err)
		}
	}
	agree(t, files, tables, rep)
}

// agree checks that results, usage totals, report and tables tell the same tokens.
func agree(t *testing.T, files, tables Files, rep Report) {
	t.Helper()
	var reported, estimated int64
	last := 0
	for line := range strings.Lines(texts(t, files)[0]) {
		var row struct {
			Line   int
			Label  string
			Prompt string
			Total  int64  `json:"total_tokens"`
			Source string `json:"usage_source"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if row.Line <= last || row.Prompt != fmt.Sprint("prompt ", row.Line) || row.Label != fmt.Sprint("l", row.Line) {
			t.Errorf("row out of order or not its own: %s", line)
		}
		last = row.Line
		switch row.Source {
		case "reported":
			reported += row.Total
		case "estimated":
			estimated += row.Total
		}
	}
	lines := strings.Split(strings.TrimSpace(texts(t, files)[2]), "\n")
	var total struct {
		Done      int64
		Total     int64 `json:"total_tokens"`
		Estimated int64 `json:"estimated_tokens"`
		Complete  bool
		IsTotal   bool `json:"total"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &total); err != nil {
		t.Fatal(err)
	}
	if !total.IsTotal || !total.Complete || total.Total != reported || total.Estimated != estimated || total.Done != rep.Done {
		t.Errorf("totals %+v, rows %d reported, %d estimated", total, reported, estimated)
	}
	if rep.Total != reported || rep.Estimated != estimated || reported == 0 || estimated == 0 {
		t.Errorf("report %+v, rows %d reported, %d estimated", rep, reported, estimated)
	}
	cells, err := csv.NewReader(strings.NewReader(texts(t, tables)[2])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for c, name := range cells[0] {
		if name == "total_tokens" && cells[len(cells)-1][c] != strconv.FormatInt(reported, 10) {
			t.Errorf("the table's total is %s, want %d", cells[len(cells)-1][c], reported)
		}
	}
}

// One damaged answer among good ones in a real job file: the good ones get their rows, whoever looks for damage finds it.
func TestDamagedAnswerInStore(t *testing.T) {
	st := jobFile(t, 3)
	turned, err := st.Turn(t.Context(), nil, nil, store.Want{Jobs: 3, New: 3, Bytes: 1 << 20, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var outs []store.Outcome
	for i, c := range turned.Claims {
		response := "\uFEFF" + `{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`
		if i == 1 {
			response = response[:30]
		}
		outs = append(outs, store.Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: store.Complete, Started: time.Now(), Class: "done",
			Sent: true, Status: 200, FinishReason: "stop", Response: []byte(response), Estimated: 3, EstimatedPrompt: 2})
	}
	if _, err := st.Turn(t.Context(), outs, nil, store.Want{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	files, _, _ := Names(st.Path(), "", "")
	rep := export(t, st, files, Options{JobFile: st.Path()})
	got := texts(t, files)
	if rep.Done != 2 || rep.Damaged != 1 || strings.Count(got[0], "\n") != 2 || !strings.HasPrefix(got[1], `{"line":2,`) {
		t.Errorf("%+v\n%q", rep, got)
	}
	v, err := st.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	wrong, err := DamagedAnswers(t.Context(), v)
	if err != nil || wrong.Count != 1 || !strings.HasPrefix(wrong.Named[0], "prompts.jsonl:2: stored answer is damaged at byte ") {
		t.Errorf("%+v, %v", wrong, err)
	}
}

// An export sees one moment, whatever a run commits meanwhile, in both passes of CSV; and holds up no writer.
func TestO9_Snapshot(t *testing.T) {
	st := jobFile(t, 20)
	answerJobs(t, st, 8)
	files, _, _ := Names(st.Path(), "", CSV)
	opt := Options{Format: CSV, JobFile: st.Path()}
	want := export(t, st, files, opt)
	v, err := st.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	created := 0
	opt.disk = hooked{realDisk{}, func(op string) error {
		if op != "create" {
			return nil
		}
		if created++; created == 2 { // the first is that of the check; this one comes after the first pass
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := st.Turn(ctx, nil, nil, store.Want{Jobs: 1, New: 1, Bytes: 1 << 20, Now: time.Now()}); err != nil {
				t.Error(err)
			}
			answerJobs(t, st, 1)
		}
		return nil
	}}
	got, err := Write(t.Context(), v, st, files, opt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Some thousand rows of the real thing: what the report says of the bytes and the rows is so.
func TestManyRows(t *testing.T) {
	st := jobFile(t, 3000)
	for range 6 {
		answerJobs(t, st, 500)
	}
	var out bytes.Buffer
	files, _, _ := Names(st.Path(), Stdout, "")
	rep := export(t, st, files, Options{JobFile: st.Path(), Stdout: &out})
	if rep.Rows != 3000 || int64(bytes.Count(out.Bytes(), []byte("\n"))) != rep.Done || rep.Written[0].Bytes != int64(out.Len()) {
		t.Errorf("%+v", rep)
	}
}
