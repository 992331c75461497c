package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/simtest"
)

// formulas are cells that spreadsheets run, by every sign that makes one, ASCII or wide, also behind what they pass over.
var formulas = []string{"=cmd|' /C calc'!A0", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(1+1)", "\t=1+1", "\r=1+1", "＝1+1", "\n=1+1", " =1+1", "\x00=1+1"}

// formulaLike is what no cell may be: it begins with a sign of a formula and is more than a number.
var (
	formulaLike = regexp.MustCompile(`^(?:[\t\r]|[\s\x00]*[=+\-@＝＋－＠])`)
	numberLike  = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
)

// Whoever it comes from (prompts, own keys, names of files and models, answers, errors, an endpoint that somebody wrote into the job file):
// no cell of any CSV file that a verb writes is a formula.
func TestO7_NoVerbWritesFormulas(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	var answered, failing strings.Builder
	var answers, failures [][]sim.Step
	for i, formula := range formulas {
		quoted, _ := json.Marshal(formula)
		line := fmt.Sprintf(`{"custom_id":"%%s%d","prompt":%s,"model":%[2]s,"tag":%[2]s,"=key":%[2]s}`+"\n", i, quoted)
		fmt.Fprintf(&answered, line, "=")
		fmt.Fprintf(&failing, line, "@")
		answers = append(answers, []sim.Step{{Header: map[string][]string{"X-Request-Id": {"=1+1"}}, Body: fmt.Appendf(nil,
			`{"model":%s,"choices":[{"index":0,"finish_reason":%[1]s,"message":{"role":"assistant","content":%[1]s}}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}`, quoted)}})
		failures = append(failures, []sim.Step{{Status: 400, Body: fmt.Appendf(nil, `{"error":{"message":%s,"type":%[1]s,"code":%[1]s}}`, quoted)}})
	}
	for name, text := range map[string]string{"=a.jsonl": answered.String(), "@b.jsonl": failing.String()} {
		if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	api, err := sim.New(sim.Options{Script: sim.InTurn(append(answers, failures...)...)})
	if err != nil {
		t.Fatal(err)
	}
	url := simtest.Listen(t, simtest.HTTP1, api).URL + "/v1"
	cells := map[string]string{} // the columns of a file that must hold guarded formulas
	f.batch("run", "=a.jsonl", "@b.jsonl", "--db", "p.batch.db", "--base-url", url, "-c", "1", "-o", "run.csv")
	cells["run.csv"] = "file custom_id prompt content finish_reason requested_model model request_id tag '=key"
	cells["run.errors.csv"] = "file custom_id prompt type code message"
	cells["run.usage.csv"] = "requested_model"

	db := plainly(t, f.path("p.batch.db"))
	if _, err := db.Exec(`UPDATE runs SET endpoint = '=HYPERLINK("http://127.0.0.1:9")'`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	f.batch("export", "p.batch.db", "-o", "export.csv")
	cells["export.csv"], cells["export.errors.csv"] = cells["run.csv"], cells["run.errors.csv"]
	cells["export.usage.csv"] = "endpoint requested_model"
	f.batch("export", "p.batch.db", "--shape", "pairs", "-o", "pairs.csv")
	cells["pairs.csv"] = "prompt completion"
	f.batch("export", "p.batch.db", "--fields", "content=@said", "-o", "named.csv")
	cells["named.csv"] = "'@said"
	f.batch("report", "p.batch.db", "-o", "report.csv")
	cells["report.csv"] = "endpoint requested_model"
	if err := os.WriteFile(f.path("q.batch.db"), f.read("p.batch.db"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.batch("compare", "p.batch.db", "q.batch.db", "-o", "compare.csv")
	cells["compare.csv"] = "file custom_id prompt model_a model_b content_a content_b finish_reason_a finish_reason_b"

	for name, columns := range cells {
		guarded := map[string]bool{}
		for _, row := range f.rows(name) {
			for column, cell := range row {
				for _, text := range []string{column, cell} {
					if formulaLike.MatchString(text) && !numberLike.MatchString(text) {
						t.Errorf("%s: %q has the formula %q", name, column, text)
					}
				}
				guarded[column] = guarded[column] || strings.HasPrefix(cell, "'")
			}
		}
		for column := range strings.FieldsSeq(columns) {
			if !guarded[column] {
				t.Errorf("%s: no cell of %q is guarded: %v", name, column, guarded)
			}
		}
	}
}
