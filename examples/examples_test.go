// Package examples_test runs every example and every command of the README, so that neither can promise what is not so.
package examples_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// scratch holds what all tests share.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if scratch, err = os.MkdirTemp("", "batch-examples-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(scratch)
		return m.Run()
	}())
}

// copyOnce copies what this repository is built from. Since every file is opened by the test itself, a cached result is
// not taken for one of a program that has changed.
var copyOnce = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(scratch, "repository")
	return dir, fs.WalkDir(os.DirFS(".."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != ".":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		case !slices.Contains([]string{".go", ".mod", ".sum", ".sql", ".json", ".html", ".jsonl", ".csv", ".txt", ".parquet", ".sh"}, filepath.Ext(name)):
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), text, info.Mode())
	})
})

func repository(t *testing.T) string {
	t.Helper()
	dir, err := copyOnce()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var buildOnce = sync.OnceValues(func() (program string, err error) {
	dir, err := copyOnce()
	if err != nil {
		return "", err
	}
	program = filepath.Join(scratch, "batch")
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
})

// program is the batch binary, built once from this very tree.
func program(t *testing.T) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// copies gives a folder that holds a copy of the examples, the way a user has them: below the current folder.
func copies(t *testing.T) string {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// environment is a user's, without a key, an endpoint or choices of their own; more is added to it.
func environment(more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "ASSISTERS_") || slices.Contains([]string{"BATCH", "FLAGS", "MODEL", "JOBS"}, name)
	})
	return append(env, more...)
}

// do runs a command in dir and returns what it wrote to standard output.
func do(t *testing.T, dir string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, environment("BATCH="+program(t))
	var out, speech bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &speech
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out.Bytes(), speech.Bytes())
	}
	return out.Bytes()
}

// promptFile is an example and the flags that it needs.
type promptFile struct {
	name  string
	rows  int
	flags []string
}

var promptFiles = []promptFile{
	{name: "rivers.jsonl", rows: 10},
	{name: "chat.jsonl", rows: 4},
	{name: "batch.jsonl", rows: 3},
	{name: "mixed.jsonl", rows: 4},
	{name: "classify.jsonl", rows: 6, flags: []string{"--model", "llama-3.1-8b"}},
	{name: "reviews.jsonl", rows: 5, flags: []string{"--model", "llama-3.1-8b"}},
	{name: "dataset.jsonl", rows: 8, flags: []string{"--model", "llama-3.1-8b"}},
	{name: "topics.csv", rows: 4, flags: []string{"--model", "llama-3.1-8b", "--prompt", "A question about {{.topic}}"}},
	{name: "questions.json", rows: 2, flags: []string{"--model", "llama-3.1-8b"}},
	{name: "haiku.txt", rows: 3, flags: []string{"--model", "llama-3.1-8b"}},
	{name: "talks.parquet", rows: 2, flags: []string{"--model", "llama-3.1-8b"}},
}

func TestEveryPromptFileIsAnswered(t *testing.T) {
	there, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range there {
		if ext := filepath.Ext(name); ext == ".go" || ext == ".sh" || strings.HasSuffix(name, ".schema.json") {
			continue
		}
		if !slices.ContainsFunc(promptFiles, func(f promptFile) bool { return f.name == name }) {
			t.Errorf("%s is run by no test", name)
		}
	}
	for _, f := range promptFiles {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			dir := copies(t)
			do(t, dir, program(t), slices.Concat([]string{"run", "--simulate", "examples/" + f.name}, f.flags)...)
			stem := "examples/" + strings.TrimSuffix(f.name, filepath.Ext(f.name)) + ".simulated"
			if rows := objects(t, filepath.Join(dir, stem+".results.jsonl")); len(rows) != f.rows {
				t.Errorf("%d rows of results, want %d", len(rows), f.rows)
			}
			if _, err := os.Stat(filepath.Join(dir, stem+".errors.jsonl")); err == nil {
				t.Error("there is a file of errors")
			}
			do(t, dir, program(t), "verify", stem+".batch.db")
		})
	}
}

// objects reads a JSONL file.
func objects(t *testing.T, name string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range bytes.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal(line, &object); err != nil {
			t.Fatalf("%s: %v in %s", filepath.Base(name), err, line)
		}
		all = append(all, object)
	}
	return all
}

func TestBatchLinesGiveBatchResults(t *testing.T) {
	t.Parallel()
	dir := copies(t)
	do(t, dir, program(t), "run", "--simulate", "examples/batch.jsonl")
	for i, row := range objects(t, filepath.Join(dir, "examples/batch.simulated.results.jsonl")) {
		response, _ := row["response"].(map[string]any)
		if row["custom_id"] != fmt.Sprintf("fr-%d", i+1) || response["status_code"] != 200. || row["error"] != nil {
			t.Errorf("row %d is no result line of the Batch API: %v", i+1, row)
		}
	}
}

func TestDatasetScript(t *testing.T) {
	t.Parallel()
	dir := copies(t)
	out := do(t, dir, "examples/dataset.sh")
	if want := "8 conversations in train.jsonl\n"; string(out) != want {
		t.Errorf("it says %q, want %q", out, want)
	}
	rows := objects(t, filepath.Join(dir, "train.jsonl"))
	if len(rows) != 8 {
		t.Errorf("%d conversations, want 8", len(rows))
	}
	for i, row := range rows {
		var roles []string
		messages, _ := row["messages"].([]any)
		for _, m := range messages {
			message, _ := m.(map[string]any)
			if text, _ := message["content"].(string); text == "" {
				t.Errorf("conversation %d has a message without content: %v", i+1, message)
			}
			roles = append(roles, fmt.Sprint(message["role"]))
		}
		if got := strings.Join(roles, " "); got != "system user assistant" {
			t.Errorf("conversation %d has the roles %q", i+1, got)
		}
	}
}

// The three steps hand their rows on, and a second run sends nothing.
func TestPipelineScript(t *testing.T) {
	t.Parallel()
	dir := copies(t)
	var before []byte
	for range 2 {
		do(t, dir, "examples/pipeline.sh")
		text, err := os.ReadFile(filepath.Join(dir, "questions.csv"))
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !bytes.Equal(text, before) {
			t.Errorf("the second run wrote\n%s, the first\n%s", text, before)
		}
		before = text
	}
	table, err := csv.NewReader(bytes.NewReader(before)).ReadAll()
	if err != nil || len(table) != 5 || !slices.Equal(table[0], []string{"topic", "level", "question", "judge"}) {
		t.Fatalf("%v in %v", err, table)
	}
	written := objects(t, filepath.Join(dir, "pipeline/written.jsonl"))
	judged := objects(t, filepath.Join(dir, "pipeline/judged.jsonl"))
	for i, row := range table[1:] {
		if row[0] != written[i]["topic"] || row[2] != written[i]["content"] || row[3] != judged[i]["content"] {
			t.Errorf("row %d: %q", i+1, row)
		}
		if prompt, _ := judged[i]["prompt"].(string); !strings.HasSuffix(prompt, row[2]) || !strings.Contains(prompt, row[1]) {
			t.Errorf("row %d is not what was judged: %q", i+1, prompt)
		}
	}
	for _, name := range []string{"written", "judged"} {
		do(t, dir, program(t), "verify", "pipeline/"+name+".batch.db")
	}
}

func TestExtractScript(t *testing.T) {
	t.Parallel()
	dir := copies(t)
	do(t, dir, "examples/extract.sh")
	f, err := os.Open(filepath.Join(dir, "facts.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := csv.NewReader(f).ReadAll()
	if err != nil || len(table) != 6 {
		t.Fatalf("%v, want a header and 5 rows (%v)", table, err)
	}
	if want := []string{"custom_id", "verdict", "sure", "topic", "label"}; !slices.Equal(table[0], want) {
		t.Errorf("columns %v", table[0])
	}
	for _, row := range table[1:] {
		if !slices.Contains([]string{"positive", "negative", "neutral"}, row[1]) || row[2] == "" || row[3] == "" {
			t.Errorf("%q", row)
		}
	}
	do(t, dir, program(t), "verify", "examples/reviews.simulated.batch.db")
}

func TestClassifyScript(t *testing.T) {
	t.Parallel()
	dir := copies(t)
	do(t, dir, "examples/classify.sh")
	f, err := os.Open(filepath.Join(dir, "labels.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(table) != 7 {
		t.Fatalf("%d lines, want a header and 6 rows", len(table))
	}
	column := func(name string) int {
		i := slices.Index(table[0], name)
		if i < 0 {
			t.Fatalf("no column %s in %v", name, table[0])
		}
		return i
	}
	id, prompt, content, label := column("custom_id"), column("prompt"), column("content"), column("label")
	for i, row := range table[1:] {
		if row[id] != fmt.Sprintf("review-%d", i+1) || row[content] == "" || row[label] == "" {
			t.Errorf("row %d: custom_id %q, content %q, label %q", i+1, row[id], row[content], row[label])
		}
		if strings.HasPrefix(row[prompt], "=") {
			t.Errorf("row %d: a spreadsheet would run %q", i+1, row[prompt])
		}
	}
	if got := strings.Count(table[5][prompt], "\n"); got != 2 {
		t.Errorf("a prompt of three lines came back with %d line breaks", got)
	}
}

func TestResumeScript(t *testing.T) {
	t.Parallel()
	dir := copies(t)
	out := string(do(t, dir, "examples/resume.sh"))
	if want := "proven: 10 prompts, each answered exactly once"; !strings.HasPrefix(out, want) {
		t.Errorf("verify says %q, want %q", out, want)
	}
	if rows := objects(t, filepath.Join(dir, "resume.simulated.results.jsonl")); len(rows) != 10 {
		t.Errorf("%d rows of results, want 10", len(rows))
	}
	var status struct{ Attempts int }
	if err := json.Unmarshal(do(t, dir, program(t), "status", "--json", "resume.simulated.batch.db"), &status); err != nil {
		t.Fatal(err)
	}
	if status.Attempts != 10 {
		t.Errorf("%d calls were made for 10 prompts", status.Attempts)
	}
	do(t, dir, "examples/resume.sh") // and again, when all is done
}

func TestEveryScriptIsRun(t *testing.T) {
	there, err := filepath.Glob("*.sh")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"classify.sh", "dataset.sh", "extract.sh", "pipeline.sh", "resume.sh"}; !slices.Equal(there, want) {
		t.Errorf("the scripts are %v, those run by a test are %v", there, want)
	}
}
