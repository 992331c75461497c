package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"batch/runner/chat"
	"batch/store"
)

// An answer that cannot be read is found also when no file was ever written from the job file.
func TestVerifyDamagedAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.batch.db")
	st, err := store.Open(t.Context(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Import(t.Context(), store.ImportOptions{}, func(imp *store.Importer) error {
		imp.File("p.jsonl")
		for i := range 3 {
			body := fmt.Appendf(nil, `{"model":"m","messages":[{"role":"user","content":"prompt %d"}]}`, i)
			key, err := chat.Key(body)
			if err != nil {
				return err
			}
			if err := imp.Add(store.Job{Line: i + 1, Model: "m", Key: key, Body: body}); err != nil {
				return err
			}
		}
		return imp.EndFile(store.Input{Path: "p.jsonl", Rows: 3})
	}); err != nil {
		t.Fatal(err)
	}
	if err := st.BeginRun(t.Context(), store.Run{Started: time.Now(), Endpoint: "http://127.0.0.1/v1", Version: "test"}); err != nil {
		t.Fatal(err)
	}
	turned, err := st.Turn(t.Context(), nil, nil, store.Want{Jobs: 3, New: 3, Bytes: 1 << 20, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var outs []store.Outcome
	for i, c := range turned.Claims {
		response := `{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`
		if i == 1 {
			response = response[:30]
		}
		outs = append(outs, store.Outcome{Job: c.Job, Attempt: c.Attempt, Arrow: store.Complete, Started: time.Now(), Class: "done",
			Sent: true, Status: 200, FinishReason: "stop", Response: []byte(response), Usage: store.Usage{Known: true, Prompt: 1, Completion: 1, Total: 2}})
	}
	if _, err := st.Turn(t.Context(), outs, nil, store.Want{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	doc, err := (&command{}).verify(t.Context(), st, path)
	if err != nil {
		t.Fatal(err)
	}
	if doc.Sound || doc.Proven || len(doc.Wrong) != 1 || !strings.HasPrefix(doc.Wrong[0], "p.jsonl:2: stored answer is damaged at byte ") {
		t.Errorf("%+v", doc)
	}
}
