package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"batch/runner/chat/sim/oracle"
)

// outside is a folder with a batch in it that runs as a process of its own, as a user would run it.
type outside struct {
	t      testing.TB
	dir    string
	binary string
	env    []string
	said   bytes.Buffer // by every process, to either stream
	seen   []byte       // by others
}

func newOutside(t testing.TB, env ...string) *outside {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{t: t, dir: t.TempDir()}
	o.binary = filepath.Join(t.TempDir(), "batch") // by this name the tests are the command
	if err := os.Symlink(exe, o.binary); err != nil {
		t.Fatal(err)
	}
	o.env = append(os.Environ(), append([]string{"ASSISTERS_API_KEY=" + canary, "ASSISTERS_BASE_URL=", "TMPDIR=" + o.dir, "GORACE=atexit_sleep_ms=0"}, env...)...)
	return o
}

func (o *outside) write(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// prompts writes n of them to in.jsonl.
func (o *outside) prompts(n int) {
	o.t.Helper()
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `{"prompt": "Name river %d.", "model": "m"}`+"\n", i+1)
	}
	o.write("in.jsonl", text.String())
}

func (o *outside) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = o.dir, o.env, &o.said, &o.said
	return cmd
}

// batch runs one to its end, which must come with this code, and returns what it said.
func (o *outside) batch(code int, args ...string) string {
	o.t.Helper()
	before := o.said.Len()
	cmd := o.command(o.binary, args...)
	err := cmd.Run()
	said := o.said.String()[before:]
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		o.t.Errorf("batch %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, said)
	}
	return said
}

// check looks for the key in all that was said and written, and at the job files.
func (o *outside) check(died bool) {
	o.t.Helper()
	for _, wrong := range oracle.Check(oracle.Case{Folder: o.dir, Key: canary, Said: append(o.said.Bytes(), o.seen...), Missing: true, Died: died, Open: died}) {
		o.t.Error(wrong)
	}
}

// echo answers with the key that came, in every way that a server could: in headers, errors, answers, and pieces of streams.
func echo(w http.ResponseWriter, r *http.Request, body []byte, n int64) {
	auth := r.Header.Get("Authorization")
	quoted, _ := json.Marshal("you sent " + auth)
	w.Header().Set("X-Request-Id", auth)
	switch {
	case bytes.Contains(body, []byte(`"stream":true`)):
		w.Header().Set("Content-Type", "text/event-stream")
		for _, piece := range []string{auth[:len(auth)/2], auth[len(auth)/2:], " and ", auth} { // whole again once it is put together
			text, _ := json.Marshal(piece)
			fmt.Fprintf(w, `data: {"choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]}`+"\n\n", text)
			http.NewResponseController(w).Flush()
		}
		io.WriteString(w, `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
	case n%3 == 0:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"message":%s,"type":%[1]s,"code":%[1]s}}`, quoted)
	case n%3 == 1:
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "<html>%s, %[1]x</html>", quoted)
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":%s,"model":%[1]s,"choices":[{"index":0,"message":{"role":"assistant","content":%[1]s},"finish_reason":"stop"}]}`, quoted)
	}
}

// secureServer is a TLS server, and the file that makes a child believe in it.
func secureServer(t *testing.T, h2 bool, handler http.HandlerFunc) (base, trust string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = h2
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{}
	server.StartTLS()
	t.Cleanup(server.Close)
	trust = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(trust, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL + "/v1", "SSL_CERT_FILE=" + trust
}

// Not even the libraries say the key when they are told to say all they do, over either HTTP, and whatever the server makes of it.
func TestX1_MostVerbose(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		var calls, keys atomic.Int64
		base, trust := secureServer(t, h2, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Header.Get("Authorization") == "Bearer "+canary && (r.ProtoMajor == 2) == h2 {
				keys.Add(1)
			}
			echo(w, r, body, calls.Add(1))
		})
		for _, more := range [][]string{{"--json"}, {}, {"--stream"}, {"--json", "--stream"}} {
			o := newOutside(t, trust, "GODEBUG=http2debug=2,http2xconnect=1", "GOTRACEBACK=system")
			o.prompts(6)
			before := keys.Load()
			code := exitPartial
			if strings.Contains(fmt.Sprint(more), "stream") {
				code = exitOK
			}
			o.batch(code, append([]string{"run", "in.jsonl", "--base-url", base}, more...)...)
			if keys.Load() == before {
				t.Errorf("HTTP/2 %v: the server never saw the key", h2)
			}
			o.batch(exitOK, "export", "in.batch.db", "-o", "-", "--shape", "openai")
			o.batch(exitOK, "report", "in.batch.db", "-o", "report.html")
			o.batch(code, "verify", "--json", "in.batch.db")
			o.check(false)
		}
	}
}

// A process that is made to die on the spot tells where it was, but not what it knew: neither in its last words, nor in a core file, nor in
// what it leaves of the job file.
func TestX1_LastWords(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
		came, release := make(chan struct{}), make(chan struct{})
		var calls atomic.Int64
		base, trust := secureServer(t, true, func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 4 {
				close(came)
			}
			<-release
		})
		o := newOutside(t, trust, "GODEBUG=http2debug=2", "GOTRACEBACK=crash")
		o.prompts(4)
		cmd := o.command("sh", "-c", `ulimit -c unlimited; exec "$0" "$@"`, o.binary, "run", "in.jsonl", "--base-url", base)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		select {
		case <-came:
			cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
			if err == nil && !bytes.Contains(cmdline, []byte("in.jsonl")) {
				t.Errorf("%q", cmdline)
			}
			o.seen = cmdline
			cmd.Process.Signal(sig)
			<-ended
		case <-ended:
			t.Errorf("the run ended too early")
		}
		close(release)
		if !strings.Contains(o.said.String(), "goroutine ") {
			t.Errorf("%v: no stacks were told:\n%s", sig, &o.said)
		}
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.CoreDump() {
			t.Errorf("%v: a core file was written", sig)
		}
		if !dumpsCores(t) {
			t.Log("this machine writes no core files: that there is none of batch says nothing here")
		}
		o.check(true)
	}
}

// dumpsCores says whether a process that allows it leaves a core file on this machine.
func dumpsCores(t *testing.T) bool {
	cmd := exec.Command("sh", "-c", "ulimit -c unlimited; kill -ABRT $$")
	cmd.Dir = t.TempDir()
	cmd.Run()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.CoreDump()
}

// No verb has a flag that takes a key: what stands in a command stands in the list of processes and in the shell's memory.
func TestX2_NoFlagTakesAKey(t *testing.T) {
	flags := 0
	for _, verb := range newApp(&command{term: newTerminal(io.Discard)}).Commands {
		for _, flag := range verb.Flags {
			for _, name := range flag.Names() {
				flags++
				for _, word := range []string{"key", "secret", "password", "insecure", "verify", "cert"} {
					if strings.Contains(name, word) && name != "api-key-env" {
						t.Errorf("%s --%s", verb.Name, name)
					}
				}
			}
		}
	}
	if flags < 50 {
		t.Errorf("only %d flags were looked at", flags)
	}
	o := newOutside(t)
	o.prompts(1)
	o.batch(exitUsage, "run", "in.jsonl", "--api-key", canary)
	o.batch(exitUsage, "run", "in.jsonl", "--api-key="+canary)
	o.batch(exitUsage, "run", "in.jsonl", "--api-key-env", canary)
	o.check(false)
}
