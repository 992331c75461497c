package oracle_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"batch/output"
	"batch/output/report"
	"batch/runner/chat"
	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
	"batch/store"
)

const (
	endpoint = "http://127.0.0.1:1/v1"
	key      = "ask_canary_Q7~x+9/Zw3=="
)

// world is a folder in which everything holds: five prompts, one of them answered at the second try, one after a death, one refused, one
// skipped and one gone from the input.
type world struct {
	t      *testing.T
	dir    string
	server *sim.Server
	lines  []string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir()}
	var err error
	w.server, err = sim.New(sim.Options{Ledger: true, Script: w.script})
	w.must(err)
	w.lines = []string{`{"prompt":"a river"}`, `{"prompt":"twice"}`, `{"prompt":"refused"}`, `{"prompt":""}`,
		`{"custom_id":"lake","body":{"model":"m","messages":[{"role":"user","content":"a lake"}],"n":1,"user":"u"}}`, `{"prompt":"gone"}`}
	w.run(true)
	w.lines = w.lines[:5]
	w.run(false)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) script(a sim.Ask) []sim.Step {
	switch {
	case bytes.Contains(a.Body, []byte("twice")) && a.Try == 1:
		return []sim.Step{{Status: 500, Body: []byte(`{"error":{"message":"later"}}`)}}
	case bytes.Contains(a.Body, []byte("refused")):
		return []sim.Step{{Status: 400, Body: []byte(`{"error":{"message":"no"}}`)}}
	}
	return nil
}

// run imports the lines and drains them; one that dies has a call out for the prompt "a lake".
func (w *world) run(dies bool) {
	w.t.Helper()
	ctx := w.t.Context()
	text := []byte{}
	for _, line := range w.lines {
		text = append(append(text, line...), '\n')
	}
	w.must(os.WriteFile(w.path("in.jsonl"), text, 0o600))
	st, err := store.Open(ctx, w.path("in.batch.db"), true)
	w.must(err)
	_, err = st.Recover(ctx)
	w.must(err)
	_, err = st.Import(ctx, store.ImportOptions{Settings: map[string]string{"fill.model": `"m"`}}, func(imp *store.Importer) error { return w.load(imp, text) })
	w.must(err)
	w.must(st.BeginRun(ctx, store.Run{Started: time.Now(), Endpoint: endpoint, Version: "test"}))
	w.must(st.SetPrices(ctx, []store.Price{
		{Endpoint: endpoint, Model: "m", Input: 300, Output: 1100, Cached: 70, CacheWrite: 400, Reasoning: 900, Largest: 50, Source: "test"},
		{Endpoint: endpoint, Model: "m", Above: 1000, Input: 600, Output: 2200, Cached: 140, CacheWrite: 800, Reasoning: 1800, Source: "test"},
	}))
	w.drain(st, dies)
	if !dies {
		w.must(st.EndRun(ctx, store.End{At: time.Now(), Reason: "done"}))
		w.write(st)
	}
	w.must(st.Close())
}

func (w *world) load(imp *store.Importer, text []byte) error {
	imp.File("in.jsonl")
	for i, line := range w.lines {
		var l struct {
			Prompt   string
			CustomID string `json:"custom_id"`
			Body     json.RawMessage
		}
		w.must(json.Unmarshal([]byte(line), &l))
		if l.Prompt == "" && l.Body == nil {
			w.must(imp.Skip(store.Skipped{Line: i + 1, Message: "prompt: is empty"}))
			continue
		}
		body := []byte(l.Body)
		if body == nil {
			body = fmt.Appendf(nil, `{"model":"m","messages":[{"role":"user","content":%q}]}`, l.Prompt)
		}
		key, err := chat.Key(body)
		w.must(err)
		w.must(imp.Add(store.Job{Line: i + 1, CustomID: l.CustomID, HasCustomID: l.CustomID != "", Model: "m", Key: key, Body: body}))
	}
	return imp.EndFile(store.Input{Path: "in.jsonl", Place: w.path("in.jsonl"), SHA256: sha256.Sum256(text), Size: int64(len(text)), Rows: len(w.lines)})
}

// drain calls for every job until nothing is left, or it dies.
func (w *world) drain(st *store.Store, dies bool) {
	w.t.Helper()
	var outs []store.Outcome
	for {
		turned, err := st.Turn(context.Background(), outs, nil, store.Want{Jobs: 10, New: 10, Bytes: 1 << 20, Now: time.Now()})
		w.must(err)
		if len(turned.Claims) == 0 {
			return
		}
		outs = nil
		for _, c := range turned.Claims {
			if o := w.call(c); !dies || !bytes.Contains(c.Body, []byte("a lake")) {
				outs = append(outs, o)
			}
		}
		if dies && len(turned.Claims) == 1 {
			_, err := st.Turn(context.Background(), outs, nil, store.Want{Now: time.Now()})
			w.must(err)
			return
		}
	}
}

func (w *world) call(c store.Claim) store.Outcome {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", bytes.NewReader(c.Body))
	r.Header.Set("Idempotency-Key", c.IdempotencyKey)
	rec := httptest.NewRecorder()
	o := store.Outcome{Job: c.Job, Attempt: c.Attempt, Started: time.Now(), Sent: true}
	w.server.ServeHTTP(rec, r)
	o.Status = rec.Code
	switch rec.Code {
	case 200:
		var said struct {
			Usage struct {
				Prompt     int64 `json:"prompt_tokens"`
				Completion int64 `json:"completion_tokens"`
				Total      int64 `json:"total_tokens"`
			}
		}
		w.must(json.Unmarshal(rec.Body.Bytes(), &said))
		o.Arrow, o.Class, o.Response = store.Complete, "done", rec.Body.Bytes()
		o.Usage = store.Usage{Known: true, Prompt: said.Usage.Prompt, Completion: said.Usage.Completion, Total: said.Usage.Total, Cached: 2, CacheWrite: 1, Reasoning: 3}
	case 500:
		o.Arrow, o.Class = store.Retry, "unknown"
	default:
		o.Arrow, o.Class = store.Fail, "job_failed"
		o.Usage = store.Usage{Known: true, Prompt: 5, Completion: 2, Total: 7}
	}
	return o
}

func (w *world) write(st *store.Store) {
	w.t.Helper()
	v, err := st.View(w.t.Context())
	w.must(err)
	defer v.Close()
	files, format, err := output.Names(w.path("in.batch.db"), "", "")
	w.must(err)
	_, err = output.Write(w.t.Context(), v, st, files, output.Options{Format: format})
	w.must(err)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// check asks the oracle about the folder as it is.
func (w *world) check() []string {
	return oracle.Check(w.theCase())
}

func (w *world) theCase() oracle.Case {
	return oracle.Case{Folder: w.dir, Ledgers: map[string][]sim.Call{endpoint: w.server.Ledger()}, Key: key, Died: true, Current: true}
}

// ask answers as batch does.
func (w *world) ask(args ...string) ([]byte, error) {
	w.t.Helper()
	doc := w.report()
	if args[0] == "report" {
		return json.Marshal(doc)
	}
	text, err := os.ReadFile(w.path("in.usage.jsonl"))
	w.must(err)
	status := map[string]any{}
	w.must(json.Unmarshal(text[bytes.LastIndexByte(bytes.TrimSpace(text), '\n')+1:], &status))
	status["skipped"], status["cost"], status["possibly_spent"] = doc.Skipped, doc.Total.Spend.Billed.Cost, doc.Total.Spend.Lost.Cost
	delete(status, "wasted_cost")
	delete(status, "gone_cost")
	return json.Marshal(status)
}

func (w *world) report() *report.Document {
	w.t.Helper()
	st, err := store.OpenRead(w.t.Context(), w.path("in.batch.db"))
	w.must(err)
	defer st.Close()
	v, err := st.View(w.t.Context())
	w.must(err)
	defer v.Close()
	prices, err := v.Prices(w.t.Context())
	w.must(err)
	doc, err := report.Gather(w.t.Context(), v, report.Options{Prices: prices})
	w.must(err)
	return doc
}
