package examples_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is a fenced block of the README. Its info string says what a test does with it:
//
//	sh            is run, all of them in order, in one copy of this repository
//	sh real       needs an endpoint, sh slow needs minutes: only what they name is looked for
//	text says     is what the block before it must have said
//	text NAME     is held against the program
type block struct {
	info string
	text string
}

func readme(t *testing.T) (text string, blocks []block) {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text = string(b)
	for _, m := range regexp.MustCompile("(?ms)^```([a-z ]+)\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	if n := strings.Count(text, "```"); n != 2*len(blocks) {
		t.Fatalf("%d fences make %d blocks", n, len(blocks))
	}
	return text, blocks
}

// named gives the block of that info string.
func named(t *testing.T, info string) string {
	t.Helper()
	_, blocks := readme(t)
	i := slices.IndexFunc(blocks, func(b block) bool { return b.info == info })
	if i < 0 {
		t.Fatalf("README has no block %q", info)
	}
	return blocks[i].text
}

func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	bin := t.TempDir()
	env := environment("GOBIN="+bin, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	port := freePort(t)
	_, blocks := readme(t)
	ran, said := 0, ""
	for _, b := range blocks {
		switch b.info {
		case "sh":
			script := strings.ReplaceAll(b.text, "8080", port)
			// This very test is one of them.
			script = strings.ReplaceAll(script, "go test ./...\n", "")
			cmd := exec.Command("sh", "-eu", "-c", script)
			cmd.Dir, cmd.Env = dir, env
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s\nsays\n%s", err, script, out)
			}
			ran, said = ran+1, string(out)
		case "text says":
			for line := range strings.Lines(b.text) {
				_, rest, found := strings.Cut(said, line)
				if !found {
					t.Errorf("the command does not say %q, but\n%s", line, said)
				}
				said = rest
			}
		}
	}
	if ran < 5 {
		t.Errorf("only %d blocks of commands were found", ran)
	}
	text, _ := readme(t)
	for _, must := range []string{"\ngo run . run --simulate examples/rivers.jsonl\n", "\ngo test ./...\n"} {
		if !strings.Contains(text, must) {
			t.Errorf("README does not have the command %q", strings.TrimSpace(must))
		}
	}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

var longFlag = regexp.MustCompile(`--[a-z][a-z-]*`)

// Every flag of batch run is in the README, and every flag in the README is one of the verb it is given to.
func TestReadmeFlags(t *testing.T) {
	t.Parallel()
	text, blocks := readme(t)
	verbs := regexp.MustCompile(`(?m)^   ([a-z]+)  +`).FindAllStringSubmatch(string(do(t, ".", program(t), "--help")), -1)
	if len(verbs) < 8 {
		t.Fatalf("batch --help lists %v", verbs)
	}
	flags := map[string][]string{}
	all := []string{"--help", "--version"}
	for _, m := range verbs {
		verb := m[1]
		flags[verb] = longFlag.FindAllString(string(do(t, ".", program(t), verb, "--help")), -1)
		all = append(all, flags[verb]...)
		if verb != "help" && !strings.Contains(text, "`batch "+verb) {
			t.Errorf("README says nothing of batch %s", verb)
		}
	}
	mentioned := longFlag.FindAllString(text, -1)
	for _, flag := range flags["run"] {
		if !slices.Contains(mentioned, flag) && flag != "--help" {
			t.Errorf("README says nothing of batch run %s", flag)
		}
	}
	for _, flag := range mentioned {
		if !slices.Contains(all, flag) && !slices.Contains([]string{"--install"}, flag) {
			t.Errorf("README has %s, which no verb knows", flag)
		}
	}
	for _, b := range blocks {
		if !strings.HasPrefix(b.info, "sh") {
			continue
		}
		for _, call := range regexp.MustCompile(`(?m)(?:\bbatch|go run \.) ([a-z]+) ([^|&\n]*)`).FindAllStringSubmatch(b.text, -1) {
			for _, flag := range longFlag.FindAllString(call[2], -1) {
				if !slices.Contains(flags[call[1]], flag) {
					t.Errorf("batch %s has no flag %s", call[1], flag)
				}
			}
		}
	}
}

// The slow commands are benchmarks; here it is enough that they exist.
func TestReadmeBenchmarks(t *testing.T) {
	t.Parallel()
	commands := regexp.MustCompile(`-bench '?([A-Za-z|]+)'?`).FindAllStringSubmatch(named(t, "sh slow"), -1)
	if len(commands) == 0 {
		t.Fatal("README runs no benchmark")
	}
	source := allText(t, "../*_test.go")
	for _, m := range commands {
		for name := range strings.SplitSeq(m[1], "|") {
			if !strings.Contains(source, "func Benchmark"+name+"(") {
				t.Errorf("there is no Benchmark%s", name)
			}
		}
	}
}

func allText(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	return text.String()
}

func TestReadmeExitCodes(t *testing.T) {
	t.Parallel()
	text, _ := readme(t)
	var documented, defined []string
	_, section, _ := strings.Cut(text, "\n## Exit codes\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(section, -1) {
		documented = append(documented, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^\texit[A-Z]\w+ += (\d+)`).FindAllStringSubmatch(allText(t, "../main.go"), -1) {
		defined = append(defined, m[1])
	}
	if !slices.Equal(documented, defined) || len(defined) < 9 {
		t.Errorf("README has the codes %v, main.go %v", documented, defined)
	}
}

func TestReadmeStates(t *testing.T) {
	t.Parallel()
	source := strings.ReplaceAll(allText(t, "../store/types.go"), "//\t", "")
	if !strings.Contains(source, named(t, "text states")) {
		t.Error("the states of README are not those of store/types.go")
	}
}

// The columns of README are those of real rows, in their order, in both encodings.
func TestReadmeColumns(t *testing.T) {
	t.Parallel()
	dir := copies(t)
	prompts := `{"prompt": "a", "model": "m"}` + "\n" + `{"prompt": 7, "model": "m"}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "p.jsonl"), []byte(prompts), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t), "run", "--simulate", "--skip-invalid", "p.jsonl")
	cmd.Dir, cmd.Env = dir, environment()
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("%v\n%s", err, out)
	}
	do(t, dir, program(t), "export", "p.simulated.batch.db", "-o", "p.csv")
	for _, kind := range []string{"results", "errors", "usage"} {
		want := strings.FieldsFunc(named(t, "text "+kind), func(r rune) bool { return r == ',' || r == '\n' || r == ' ' })
		want = append(want, "simulated")
		if got := keys(t, filepath.Join(dir, "p.simulated."+kind+".jsonl")); !slices.Equal(got, want) {
			t.Errorf("%s have the columns\n%v, README says\n%v", kind, got, want)
		}
		table := filepath.Join(dir, "p."+kind+".csv")
		if kind == "results" {
			table = filepath.Join(dir, "p.csv")
		}
		f, err := os.Open(table)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, err := csv.NewReader(f).Read(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s as CSV have the columns\n%v (%v), README says\n%v", kind, got, err, want)
		}
	}
}

// keys are those of the first row, in order.
func keys(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	var all []string
	for key := true; ; key = !key {
		token, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case token == json.Delim('{'):
			key = false
		case token == json.Delim('}'):
			return all
		case key:
			all = append(all, fmt.Sprint(token))
		}
	}
}

// Every room of the house is there, and none is left out.
func TestReadmeHouse(t *testing.T) {
	t.Parallel()
	var listed []string
	for line := range strings.Lines(named(t, "text house")) {
		room, _, _ := strings.Cut(line, " ")
		if _, err := os.Stat(filepath.Join("..", room)); err != nil {
			t.Error(err)
		}
		listed = append(listed, strings.TrimSuffix(room, "/"))
	}
	out, err := exec.Command("go", "list", "-C", "..", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for room := range strings.FieldsSeq(string(out)) {
		if room = strings.TrimPrefix(room, "batch/"); room != "batch" && !slices.Contains(listed, room) {
			t.Errorf("README leaves %s out of the house", room)
		}
	}
}
