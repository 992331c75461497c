package output

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"batch/store"
)

var update = flag.Bool("update", false, "write the golden files")

// ledger is a job file's record of outputs, in memory.
type ledger struct {
	outs     []store.Output
	readOnly bool
}

func (l *ledger) Writable() bool { return !l.readOnly }

func (l *ledger) Outputs(context.Context) ([]store.Output, error) { return slices.Clone(l.outs), nil }

func (l *ledger) RecordOutputs(_ context.Context, outs ...store.Output) error {
	if l.readOnly {
		return errors.New("attempt to write a readonly database")
	}
	for _, o := range outs {
		l.outs = slices.DeleteFunc(l.outs, func(old store.Output) bool { return old.Path == o.Path })
		l.outs = append(l.outs, o)
	}
	return nil
}

// source is a job file's rows. As the real one does, it hands out one row again and again.
type source struct {
	rows   []store.Row
	totals []store.UsageTotal
	bills  []store.Bill
	prices []store.Price
	err    error // comes after the last row
}

func (s *source) Rows(context.Context) iter.Seq2[*store.Row, error] {
	return func(yield func(*store.Row, error) bool) {
		var row store.Row
		var body, response, carried []byte
		for _, r := range s.rows {
			row = r
			body = append(body[:0], r.Body...)
			response = append(response[:0], r.Response...)
			carried = append(carried[:0], r.Carried...)
			row.Body, row.Response, row.Carried = body, response, carried
			if !yield(&row, nil) {
				return
			}
			clear(body)
			clear(response)
			clear(carried)
		}
		if s.err != nil {
			yield(nil, s.err)
		}
	}
}

func (s *source) Totals(context.Context) ([]store.UsageTotal, error) { return s.totals, nil }
func (s *source) Bills(context.Context) ([]store.Bill, error)        { return s.bills, nil }
func (s *source) Prices(context.Context) ([]store.Price, error)      { return s.prices, nil }

// done is an answered row: a body with one user message and the message that answered it, both as JSON.
func done(line int, prompt, message string) store.Row {
	return store.Row{
		ID: int64(line), State: store.Done, File: "prompts.jsonl", Line: line, Model: "llama-3.1-8b",
		Body:     fmt.Appendf(nil, `{"model":"llama-3.1-8b","messages":[{"role":"user","content":%s}]}`, prompt),
		Attempts: 1, Endpoint: "https://api.assisters.dev/v1", Status: 200, RequestID: "req_1", Latency: 1234 * time.Millisecond,
		Usage: store.Usage{Known: true, Prompt: 25, Completion: 8, Total: 33}, FinishReason: "stop",
		Response: fmt.Appendf(nil, `{"id":"chatcmpl-1","object":"chat.completion","created":1706745600,`+
			`"model":"llama-3.1-8b-v2","choices":[{"index":0,"message":%s,"finish_reason":"stop"}],`+
			`"usage":{"prompt_tokens":25,"completion_tokens":8,"total_tokens":33}}`, message),
	}
}

func failed(line int) store.Row {
	return store.Row{
		ID: int64(line), State: store.Failed, File: "prompts.jsonl", Line: line, CustomID: "bad", HasCustomID: true,
		Body:     []byte(`{"model":"m","messages":[{"role":"user","content":"too long"}]}`),
		Attempts: 2, Status: 400, RequestID: "req_2", PossiblyPaid: true,
		Type: "invalid_request_error", Code: "context_length_exceeded", Message: "too many tokens",
		ErrorBody: []byte("{\n  \"error\": {\"message\": \"too many tokens\", \"code\": \"context_length_exceeded\"}\n}\n"),
	}
}

// story is a job file with a row of every sort.
func story() *source {
	plain := done(1, `"Name a river."`, `{"role":"assistant","content":"The Danube <b>&amp;</b>\u2028\ud83d\ude00 \/.","refusal":null,"annotations":[]}`)
	plain.Carried = []byte(`{"label":"=1+1","line":7,"input_line":"mine","weight":12345678901234567890,"tags":["a", "b"],"gone":null}`)
	turns := done(2, `"x"`, `{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}`)
	turns.Body = []byte(`{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"first"},` +
		`{"role":"assistant","content":"ok"},{"role":"user","content":[{"type":"text","text":"second"},` +
		`{"type":"image_url","image_url":{"url":"https://example.com/x.png"}},{"type":"text","text":"part"}]}],` +
		`"tools":[{"type":"function","function":{"name":"f"}}]}`)
	turns.CustomID, turns.HasCustomID = "r-2", true
	turns.Usage, turns.Estimated, turns.EstimatedPrompt = store.Usage{}, 40, 30
	waiting := store.Row{ID: 3, State: store.Pending, File: "prompts.jsonl", Line: 3, Body: []byte(`{}`)}
	two := done(4, `"Two answers."`, `{"role":"assistant","content":"one"}`)
	two.Response = []byte("{\n \"created\": 1.5e9,\n \"choices\": [\n  {\"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": \"o ne\"}, \"finish_reason\": null},\n" +
		"  {\"index\": 1, \"message\": {\"role\": \"assistant\", \"content\": \"two\"}, \"finish_reason\": \"length\"}\n ]\n}\n")
	two.FinishReason, two.RequestID, two.Usage = "", "", store.Usage{}
	skipped := store.Row{Skipped: true, File: "prompts.jsonl", Line: 6, CustomID: "s-6", HasCustomID: true,
		Message: `messages[0].role: "bot" is not one of system, user, assistant`}
	unreachable := failed(7)
	unreachable.Status, unreachable.Code, unreachable.Type, unreachable.ErrorBody = 0, "", "timeout", nil
	unreachable.Message, unreachable.HasCustomID, unreachable.CustomID = "no answer in 10m0s", false, ""
	unreachable.RequestID = ""
	page := failed(8)
	page.Status, page.ErrorBody, page.Type, page.Code, page.Message = 502, []byte("<html>bad gateway"), "", "", "502 Bad Gateway"
	hollow := failed(9)
	hollow.Status, hollow.ErrorBody, hollow.Type, hollow.Code, hollow.Message = 200, []byte(`{"choices":[]}`), "", "no_choices", "the answer has no choices"
	const endpoint, model = "https://api.assisters.dev/v1", "llama-3.1-8b"
	bill := func(kind store.BillKind, estimated bool, prompt, completion int64) store.Bill {
		return store.Bill{Endpoint: endpoint, Model: model, Kind: kind, Estimated: estimated, Attempts: 1,
			Usage: store.Usage{Known: true, Prompt: prompt, Completion: completion, Total: prompt + completion}}
	}
	return &source{
		prices: []store.Price{{Endpoint: endpoint, Model: model, Input: 150000, Output: 600000, Source: "--price"}}, // $0.15 and $0.60 a million
		bills: []store.Bill{bill(store.BillDone, false, 25, 8), bill(store.BillDone, true, 30, 10), bill(store.BillWasted, false, 5, 0),
			bill(store.BillGone, false, 2, 4), {Endpoint: endpoint, Model: "other", Kind: store.BillLost, Estimated: true, Attempts: 4}},
		rows: []store.Row{plain, turns, waiting, two, failed(5), skipped, unreachable, page, hollow},
		totals: []store.UsageTotal{
			{Jobs: 1, Pending: 1, Model: "m"},
			{Endpoint: "https://api.assisters.dev/v1", Model: "llama-3.1-8b", Jobs: 7, Done: 3, Failed: 4, Attempts: 11,
				Prompt: 25, Completion: 8, Total: 33, Estimated: 40, UsageUnknown: 2, Wasted: 5, Gone: 6, PossiblyPaid: 4},
		},
	}
}

// write writes src into a fresh folder and gives back the three files' texts; a missing one is "".
func write(t *testing.T, src Source, opt Options) (Report, [3]string) {
	t.Helper()
	files, _, err := Names(filepath.Join(t.TempDir(), "prompts.batch.db"), "", opt.Format)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := Write(t.Context(), src, &ledger{}, files, opt)
	if err != nil {
		t.Fatal(err)
	}
	onlyThese(t, files)
	return rep, texts(t, files)
}

func (f Files) list() []string { return f.paths(nil) }

func texts(t *testing.T, files Files) (all [3]string) {
	t.Helper()
	for i, path := range files.list() {
		b, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all[i] = string(b)
	}
	return all
}

// onlyThese fails when something else lies in the folder, such as a temporary file.
func onlyThese(t *testing.T, files Files) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(files.Usage))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if path := filepath.Join(filepath.Dir(files.Usage), e.Name()); !slices.Contains(files.list(), path) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// The files of every shape and format, as users see them.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  Options
	}{
		{"flat.jsonl", Options{}},
		{"files.jsonl", Options{ShowFile: true, Simulated: true}},
		{"openai.jsonl", Options{Shape: OpenAI}},
		{"openai-files.jsonl", Options{Shape: OpenAI, ShowFile: true, Simulated: true}},
		{"chat.jsonl", Options{Shape: Chat}},
		{"flat.csv", Options{Format: CSV}},
		{"files.csv", Options{Format: CSV, ShowFile: true, Simulated: true}},
		{"raw.csv", Options{Format: CSV, CSVRaw: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := write(t, story(), c.opt)
			for i, kind := range []string{kindResults, kindErrors, KindUsage} {
				stem, ext := splitExt(c.name)
				path := filepath.Join("testdata", stem+"."+kind+ext)
				if *update {
					if err := os.WriteFile(path, []byte(got[i]), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got[i]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
		})
	}
}

func TestReport(t *testing.T) {
	rep, got := write(t, story(), Options{})
	for i := range rep.Written {
		rep.Written[i].Path = filepath.Base(rep.Written[i].Path)
	}
	want := Report{
		Rows: 9, Done: 3, Failed: 4, Skipped: 1, Pending: 1,
		Finish: map[string]int64{"stop": 2, "": 1},
		Prompt: 25, Completion: 8, Total: 33, Estimated: 40, UsageUnknown: 2,
		Cost: Cost{Done: Amount{Money: 8_550_000, Attempts: 1}, Estimated: Amount{Money: 10_500_000, Attempts: 1}, Wasted: Amount{Money: 750_000, Attempts: 1},
			Gone: Amount{Money: 2_700_000, Attempts: 1}, Lost: Amount{Unknown: 4, Attempts: 4}},
		Written: []Written{
			{kindResults, "prompts.results.jsonl", 3, int64(len(got[0]))},
			{kindErrors, "prompts.errors.jsonl", 5, int64(len(got[1]))},
			{KindUsage, "prompts.usage.jsonl", 3, int64(len(got[2]))},
		},
	}
	if diff := cmp.Diff(want, rep); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// A server that makes up finish reasons fills the report no further than it can be read.
func TestReportIsBounded(t *testing.T) {
	src := &source{}
	for i := range 100 {
		row := done(i+1, `"q"`, `{"role":"assistant","content":"a"}`)
		row.FinishReason = fmt.Sprint("reason", i)
		row.Usage = store.Usage{Known: true, Total: 1 << 62}
		src.rows = append(src.rows, row)
	}
	rep, _ := write(t, src, Options{})
	if len(rep.Finish) != 21 || rep.Finish["other"] != 80 {
		t.Errorf("finish reasons: %v", rep.Finish)
	}
	if rep.Total != 1<<63-1 {
		t.Errorf("total tokens wrapped around: %d", rep.Total)
	}
}

func TestStdout(t *testing.T) {
	var out bytes.Buffer
	files, format, err := Names(filepath.Join(t.TempDir(), "p.batch.db"), "-", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(t.Context(), story(), &ledger{}, files, Options{Format: format, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d result lines on standard output, want 3", n)
	}
	got := texts(t, files)
	if got[1] == "" || got[2] == "" {
		t.Error("errors and usage files are missing")
	}
	onlyThese(t, files)
}

// What a job file holds is judged again: damage that is no answer's ends the writing, is named by its place, and no text of it
// gets into the error.
func TestDamagedRow(t *testing.T) {
	for name, spoil := range map[string]func(*store.Row){
		"request":  func(r *store.Row) { r.Body = []byte(`["secret"]`) },
		"own keys": func(r *store.Row) { r.Carried = []byte(`{"secret":`) },
	} {
		for _, opt := range []Options{{}, {Shape: Chat}, {Format: CSV}} {
			if opt.Shape == Chat && name == "own keys" {
				continue // not looked at
			}
			t.Run(fmt.Sprint(name, opt.Format, opt.Shape), func(t *testing.T) {
				row := done(12, `"q"`, `{"role":"assistant","content":"secret"}`)
				spoil(&row)
				files, _, _ := Names(filepath.Join(t.TempDir(), "p.batch.db"), "", opt.Format)
				_, err := Write(t.Context(), &source{rows: []store.Row{row}}, nil, files, opt)
				if err == nil || !strings.HasPrefix(err.Error(), "prompts.jsonl:12: stored ") || strings.Contains(err.Error(), "secret") {
					t.Errorf("error: %v", err)
				}
				onlyThese(t, Files{Usage: files.Usage})
			})
		}
	}
}

// A damaged answer withholds no other row: it becomes one of the errors file, in every shape.
func TestDamagedAnswer(t *testing.T) {
	for name, response := range map[string]string{
		"cut": `{"choices":[{"message":{"content":"secret`, "none": "", "twice": `{"a":"secret"}{}`, "no object": `["secret"]`,
	} {
		for _, opt := range []Options{{}, {Shape: OpenAI}, {Shape: Chat}, {Shape: Pairs}, {Format: CSV}} {
			t.Run(fmt.Sprint(name, opt.Format, opt.Shape), func(t *testing.T) {
				src := &source{}
				for i := range 3 {
					src.rows = append(src.rows, done(i+1, `"q"`, `{"role":"assistant","content":"a"}`))
				}
				src.rows[1].Response = []byte(response)
				rep, got := write(t, src, opt)
				if rep.Rows != 3 || rep.Done != 2 || rep.Damaged != 1 || rep.Failed != 0 || rep.Finish["stop"] != 2 || rep.Total != 99 {
					t.Errorf("%+v", rep)
				}
				if rep.Written[0].Rows != 2 || rep.Written[1].Rows != 1 || strings.Contains(got[0]+got[1], "secret") {
					t.Errorf("%q", got[:2])
				}
				for _, want := range []string{"damaged_answer", "the stored answer is damaged"} {
					if !strings.Contains(got[1], want) || opt.Shape != OpenAI && !strings.Contains(got[1], "batch_error") {
						t.Errorf("%s is not in %s", want, got[1])
					}
				}
				if opt.Shape == OpenAI && !strings.Contains(got[1], `"response":null`) {
					t.Errorf("it looks like an answer: %s", got[1])
				}
			})
		}
	}
}
