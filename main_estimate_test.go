package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"batch/runner/tokens"
	"batch/store"
)

// What an estimate says of 10,000 prompts is what comes true: within 5 % for the prompts before anything is sent, and for the rest after
// a sample of 300.
func TestEstimateComesTrue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePrompts(t, filepath.Join(dir, "p.jsonl"), 10_000)
	batch := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command("batch", args...)
		cmd.Dir = dir
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("batch %s: %v\n%s", strings.Join(args, " "), err, &said)
		}
		return out
	}
	sim := []string{"--simulate", "--latency=0", "--seed=7", "-c=64", "p.jsonl"}

	before := read(t, batch(append([]string{"estimate", "--json", "--price=0.15,0.60"}, sim...)...))
	if before.known("total.completion_tokens.likely") || before.known("total.cost.likely") || before.known("seconds.likely") {
		t.Error("what nobody can know yet is known")
	}
	if _, err := os.Stat(filepath.Join(dir, "p.simulated.batch.db")); err == nil {
		t.Error("an estimate made a job file")
	}
	after := read(t, batch(append([]string{"estimate", "--json", "--sample=300", "--price=0.15,0.60"}, sim...)...))
	if after.n("sample.done") != 300 || after.n("done") != 300 || after.n("pending") != 9_700 {
		t.Fatalf("sample of 300: %v sent, %v answered, %v pending", after.n("sample.done"), after.n("done"), after.n("pending"))
	}
	sampled := read(t, batch("status", "--json", "p.simulated.batch.db"))
	batch(append([]string{"run", "--quiet"}, sim...)...)
	whole := read(t, batch("status", "--json", "p.simulated.batch.db"))
	if whole.n("done") != 10_000 || whole.n("attempts") != 10_000 {
		t.Fatalf("%v of 10,000 answered in %v attempts", whole.n("done"), whole.n("attempts"))
	}

	near := func(what string, guess, truth float64) {
		t.Helper()
		off := guess/truth - 1
		t.Logf("%s: %.6g, in truth %.6g (%+.2f %%)", what, guess, truth, 100*off)
		if !(math.Abs(off) <= 0.05) {
			t.Errorf("%s: %.6g, in truth %.6g", what, guess, truth)
		}
	}
	near("prompt tokens before", before.n("total.prompt_tokens.likely"), whole.n("prompt_tokens"))
	prompt := sampled.n("prompt_tokens") + after.n("total.prompt_tokens.likely")
	completion := sampled.n("completion_tokens") + after.n("total.completion_tokens.likely")
	near("prompt tokens", prompt, whole.n("prompt_tokens"))
	near("completion tokens", completion, whole.n("completion_tokens"))
	near("total tokens", prompt+completion, whole.n("total_tokens"))
	near("cost", after.n("projected_cost.likely"), whole.n("cost"))

	within := func(what string, doc document, path string, truth float64) {
		t.Helper()
		if least, most := doc.n(path+".least"), doc.n(path+".most"); !(least <= truth && truth <= most) {
			t.Errorf("%s: %v is not within %v and %v", what, truth, least, most)
		}
	}
	within("prompt tokens before", before, "total.prompt_tokens", whole.n("prompt_tokens"))
	within("prompt tokens", after, "total.prompt_tokens", whole.n("prompt_tokens")-sampled.n("prompt_tokens"))
	within("completion tokens", after, "total.completion_tokens", whole.n("completion_tokens")-sampled.n("completion_tokens"))
	within("cost", after, "projected_cost", whole.n("cost"))
}

// writePrompts writes prompts of all lengths for several models, some of which bound their answers.
func writePrompts(t *testing.T, name string, lines int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("river lantern quiet copper window seven orchard almost naïve 東京 paper, harbour; \"winter\" {thread} garden() 3.14 candle")
	models := []string{"llama-3.1-8b", "mistral-7b", "assisters-chat-v1", "gpt-4o-mini"}
	var b bytes.Buffer
	for range lines {
		text := make([]string, 1+int(math.Exp(3+r.NormFloat64())))
		for i := range text {
			text[i] = words[r.IntN(len(words))]
		}
		prompt, _ := json.Marshal(strings.Join(text, " "))
		fmt.Fprintf(&b, `{"prompt": %s, "model": %q`, prompt, models[r.IntN(len(models))])
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, `, "max_tokens": %d`, []int{5, 30, 200}[r.IntN(3)])
		}
		b.WriteString("}\n")
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// document is what a verb printed with --json.
type document struct {
	t   *testing.T
	doc map[string]any
}

func read(t *testing.T, text []byte) document {
	t.Helper()
	d := document{t: t}
	if err := json.Unmarshal(text, &d.doc); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return d
}

func (d document) at(path string) any {
	d.t.Helper()
	var value any = d.doc
	for name := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		found, there := object[name]
		if !there {
			d.t.Fatalf("there is no %s", path)
		}
		value = found
	}
	return value
}

func (d document) known(path string) bool { return d.at(path) != nil }

func (d document) n(path string) float64 {
	d.t.Helper()
	n, known := d.at(path).(float64)
	if !known {
		d.t.Errorf("%s is not known", path)
	}
	return n
}

// Of a large file, whose prompts are counted by what was learnt until they came, the sum is the one that is known at the end.
func TestEstimateEvensOut(t *testing.T) {
	t.Parallel()
	e := estimate{drain: drain{counter: tokens.NewCounter(false)}}
	b := store.Backlog{Model: "gpt-4o"}
	for i := range 12_000 {
		text := strings.Repeat("one two three ", 200)
		if i > 11_000 {
			text = strings.Repeat("東京と京都 ", 200)
		}
		b.Jobs++
		b.Tokens += e.counter.Count(b.Model, fmt.Appendf(nil, `{"messages":[{"role":"user","content":%q}]}`, text))
	}
	e.backlog = []store.Backlog{b}
	e.counts = store.Counts{Jobs: b.Jobs, Pending: b.Jobs, PendingTokens: b.Tokens}
	_, likely, _ := e.counter.Interval()
	if b.Tokens == likely {
		t.Fatal("nothing to even out")
	}
	if e.evenOut(); e.backlog[0].Tokens != likely {
		t.Errorf("%d tokens, want %d", e.backlog[0].Tokens, likely)
	}
}

// Durations are told in units that people think in.
func TestLasting(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", time.Millisecond: "0.1 s", 440 * time.Millisecond: "0.4 s", 9940 * time.Millisecond: "9.9 s", 9960 * time.Millisecond: "10 s",
		12 * time.Second: "12 s", 59600 * time.Millisecond: "1 min", 185 * time.Second: "3 min 5 s", 59*time.Minute + 59600*time.Millisecond: "1 h",
		130 * time.Minute: "2 h 10 min", 24 * time.Hour: "1 day", 25 * time.Hour: "1 day 1 h", 76 * time.Hour: "3 days 4 h", 240 * time.Hour: "10 days",
	} {
		if got := lasting(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
