package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"batch/runner/chat"
	"batch/store"
)

// answeredFile makes a job file of prompts with these answers.
func answeredFile(t *testing.T, responses ...string) (st *store.Store, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "p.batch.db")
	st, err := store.Open(t.Context(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Import(t.Context(), store.ImportOptions{}, func(imp *store.Importer) error {
		imp.File("p.jsonl")
		for i := range responses {
			body := fmt.Appendf(nil, `{"model":"m","messages":[{"role":"user","content":"prompt %d"}]}`, i)
			key, err := chat.Key(body)
			if err != nil {
				return err
			}
			if err := imp.Add(store.Job{Line: i + 1, Model: "m", Key: key, Body: body}); err != nil {
				return err
			}
		}
		return imp.EndFile(store.Input{Path: "p.jsonl", Rows: len(responses)})
	}); err != nil {
		t.Fatal(err)
	}
	if err := st.BeginRun(t.Context(), store.Run{Started: time.Now(), Endpoint: "http://127.0.0.1/v1", Version: "test"}); err != nil {
		t.Fatal(err)
	}
	turned, err := st.Turn(t.Context(), nil, nil, store.Want{Jobs: len(responses), New: len(responses), Bytes: 1 << 20, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var outs []store.Outcome
	for i, c := range turned.Claims {
		outs = append(outs, store.Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: store.Complete, Started: time.Now(), Class: "done", Sent: true, Status: 200,
			FinishReason: "stop", Response: []byte(responses[i]), Usage: store.Usage{Known: true, Prompt: 1, Completion: 1, Total: 2}})
	}
	if _, err := st.Turn(t.Context(), outs, nil, store.Want{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return st, path
}

const goodAnswer = `{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`

// An answer that cannot be read is found also when no file was ever written from the job file.
func TestVerifyDamagedAnswer(t *testing.T) {
	st, path := answeredFile(t, goodAnswer, goodAnswer[:30], goodAnswer)
	doc, err := (&command{}).verify(t.Context(), st, path)
	if err != nil {
		t.Fatal(err)
	}
	if doc.Sound || doc.Proven || len(doc.Wrong) != 1 || !strings.HasPrefix(doc.Wrong[0], "p.jsonl:2: stored answer is damaged at byte ") {
		t.Errorf("%+v", doc)
	}
}

// However much is wrong, all of it is counted and the first of it is named.
func TestVerifyCountsAll(t *testing.T) {
	const answers = 80
	spoilt := func(change string, responses ...string) verdict {
		t.Helper()
		st, path := answeredFile(t, responses...)
		db, err := sql.Open("sqlite3", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(change); err != nil {
			t.Fatal(err)
		}
		doc, err := (&command{}).verify(t.Context(), st, path)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	good, bad := slices.Repeat([]string{goodAnswer}, answers), slices.Repeat([]string{goodAnswer[:30]}, answers)
	for name, doc := range map[string]verdict{
		"damaged answers": spoilt("SELECT 1", bad...),
		"other usage":     spoilt("UPDATE attempts SET cached_tokens = 1", good...),
		"other requests":  spoilt("UPDATE jobs SET key = randomblob(32)", good...),
	} {
		if doc.Count != answers || len(doc.Wrong) != 50 {
			t.Errorf("%s: %d wrong, of which %d are named", name, doc.Count, len(doc.Wrong))
		}
		var text strings.Builder
		if err := doc.print(&text); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.String(), "\nand 30 more\nnot sound: 80 things wrong; ") {
			t.Errorf("%s: %s", name, &text)
		}
	}
}

// Tokens in the table that are not those which the answer itself reports are found.
func TestVerifyUsage(t *testing.T) {
	st, path := answeredFile(t, goodAnswer, goodAnswer, goodAnswer)
	for _, c := range []struct{ change, wrong string }{
		{"UPDATE attempts SET total_tokens = 3 WHERE id = 2", "not so: the tokens of p.jsonl:2 are those that its answer reports"},
		{"UPDATE attempts SET total_tokens = 2 WHERE id = 2", ""},
		{"UPDATE attempts SET cached_tokens = 1 WHERE id = 3", "not so: the tokens of p.jsonl:3 are those that its answer reports"},
	} {
		db, err := sql.Open("sqlite3", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(c.change); err != nil {
			t.Fatal(err)
		}
		db.Close()
		doc, err := (&command{}).verify(t.Context(), st, path)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(doc.Wrong, "\n"); got != c.wrong {
			t.Errorf("%s: %q, want %q", c.change, got, c.wrong)
		}
	}
}
