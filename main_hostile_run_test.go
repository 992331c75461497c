package main

import (
	"os"
	"path/filepath"
	"testing"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
	"batch/runner/chat/sim/simtest"
)

// answersHostile gives a hostile job file to a real run. It ends with a documented code, other than that of a defect, soon, whatever waits
// the file holds. The API that was named on the command line is the only one that hears of the key, and nobody else can read it.
func answersHostile(t *testing.T, h hostile) {
	t.Helper()
	answer := []sim.Step{{Body: []byte(`{"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Oder"}}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}`)}}
	api, err := sim.New(sim.Options{APIKey: canary, Script: func(sim.Ask) []sim.Step { return answer }})
	if err != nil {
		t.Fatal(err)
	}
	server := simtest.Listen(t, simtest.HTTP1, api)
	defer server.Close()
	t.Chdir(t.TempDir())
	if err := os.Mkdir("x", 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("x", "p"+jobSuffix)
	h.write(t, path)
	_, said := told(t, []string{"run", path, "--base-url", server.URL + "/v1", "-o", filepath.Join("x", "o.jsonl"), "--max-wait", "1ms", "--max-attempts", "2", "-c", "2"},
		exitOK, exitUsage, exitPartial, exitStopped, exitStorage)
	onlyHere(t, path)
	for _, wrong := range oracle.Check(oracle.Case{Folder: ".", Key: canary, Said: said, Missing: true, Open: true, Except: []string{path}}) {
		t.Error(wrong)
	}
}
