package oracle_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"batch/output"
	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
	"batch/store"
)

func TestSound(t *testing.T) {
	if found := newWorld(t).check(); len(found) > 0 {
		t.Errorf("%q", found)
	}
}

// sql changes the job file behind everybody's back.
func (w *world) sql(script string) {
	w.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+w.path("in.batch.db")+"?_ignore_check_constraints=1")
	w.must(err)
	defer db.Close()
	_, err = db.Exec("PRAGMA ignore_check_constraints = ON; " + script)
	w.must(err)
}

// edit changes a file in its place, and has the job file take it for its own.
func (w *world) edit(name string, change func(text string) string) {
	w.t.Helper()
	text, err := os.ReadFile(w.path(name))
	w.must(err)
	changed := change(string(text))
	if changed == string(text) {
		w.t.Fatalf("nothing to change in %s:\n%s", name, text)
	}
	w.must(os.WriteFile(w.path(name), []byte(changed), 0o600))
	info, err := os.Stat(w.path(name))
	w.must(err)
	db, err := sql.Open("sqlite3", w.path("in.batch.db"))
	w.must(err)
	defer db.Close()
	_, err = db.Exec("UPDATE outputs SET size = ?, mtime_ns = ? WHERE path = ?", info.Size(), info.ModTime().UnixNano(), w.path(name))
	w.must(err)
}

func replace(old, new string) func(string) string {
	return func(text string) string { return strings.Replace(text, old, new, 1) }
}

// swap changes two lines of a file for each other.
func swap(text string) string {
	lines := strings.SplitAfter(text, "\n")
	lines[0], lines[1] = lines[1], lines[0]
	return strings.Join(lines, "")
}

// Each of these breaks one thing, and that is what must be found, and nothing else.
func TestFindings(t *testing.T) {
	river := "(SELECT id FROM jobs WHERE line = 1)"
	last := "(SELECT attempt FROM jobs WHERE line = 1)"
	for _, test := range []struct {
		name  string
		spoil func(w *world)
		want  []string // a finding for each, which holds it
	}{
		{"two jobs at one place", func(w *world) { w.sql("UPDATE skipped SET position = 2") }, []string{"position 2 is held 2 times", "position 5 among 4", "errors.jsonl: line 4 stands after", "line 4 of in.jsonl stands at 2, not at 4", "line 5 of in.jsonl stands at 5, not at 3"}},
		{"running at the end", func(w *world) {
			w.sql("UPDATE jobs SET state = 'running' WHERE line = 3; UPDATE attempts SET class = NULL, duration_ms = NULL, status = NULL, sent = NULL WHERE job = (SELECT id FROM jobs WHERE line = 3)")
		},
			[]string{"is still running", "was left open", "errors.jsonl has 2 rows, not 1", "stands among the wrong rows", "usage.jsonl says"}},
		{"pending and held", func(w *world) { w.sql("UPDATE jobs SET state = 'pending' WHERE line = 3") }, []string{"is damaged: CHECK constraint failed in jobs"}},
		{"done without its answer", func(w *world) { w.sql("UPDATE answers SET response = x'' WHERE job = " + river) }, []string{"done without its answer", "has another answer than was sent"}},
		{"done by an attempt that is not", func(w *world) { w.sql("UPDATE attempts SET class = 'job_failed' WHERE id = " + last) }, []string{"is done, and its attempt is not", "was answered, and attempt"}},
		{"an answer to nobody", func(w *world) {
			w.sql("INSERT INTO answers SELECT 99, assembled, finish_reason, NULL, NULL, response FROM answers LIMIT 1")
		}, []string{"an answer is kept for job 99"}},
		{"failed by an answer", func(w *world) {
			w.sql("UPDATE attempts SET class = 'done' WHERE job = (SELECT id FROM jobs WHERE line = 3)")
		},
			[]string{"failed, and its attempt did not", "job 3 does not have the answer"}},
		{"an answer beside a failure", func(w *world) {
			w.sql("INSERT INTO answers SELECT (SELECT id FROM jobs WHERE line = 3), assembled, finish_reason, NULL, NULL, response FROM answers LIMIT 1")
		}, []string{"which is not done"}},
		{"a wrong count of attempts", func(w *world) { w.sql("UPDATE jobs SET attempts = 7 WHERE line = 1") }, []string{"counts 7 attempts", "line 1 has 1 attempts, the job file 7"}},
		{"a wrong count of possibly paid", func(w *world) { w.sql("UPDATE jobs SET unknown = 0 WHERE line = 2") }, []string{"0 possibly paid, and has 2 and 1"}},
		{"an attempt of no job", func(w *world) {
			w.sql("INSERT INTO attempts (id, job, run, generation, started_at) VALUES (99, 99, 1, 0, 0)")
		}, []string{"attempt 99 belongs to no job"}},
		{"a run without end", func(w *world) { w.sql("UPDATE runs SET ended_at = NULL, reason = NULL WHERE id = 2") }, []string{"run 2 has no end"}},
		{"an attempt ahead of its job", func(w *world) { w.sql("UPDATE attempts SET generation = 3 WHERE id = " + last) }, []string{"has generation 3", "no attempt is on record for", "got 0 calls"}},
		{"called after its answer", func(w *world) {
			w.sql("INSERT INTO attempts (id, job, run, generation, started_at, duration_ms, class, sent, status) SELECT 99, job, run, generation, started_at, 0, 'unknown', 1, 500 FROM attempts WHERE id = " + last +
				"; UPDATE jobs SET attempts = 2, unknown = 1 WHERE line = 1")
		}, []string{"was called again after its answer", "has 2 attempts on record", "usage.jsonl says", "line 1 has 1 attempts, the job file 2"}},
		{"a call that is not on record", func(w *world) {
			w.sql("DELETE FROM attempts WHERE class = 'unknown' AND sent = 1; UPDATE jobs SET attempts = 1, unknown = 0 WHERE line = 2")
		}, []string{"1 attempts on record at http://127.0.0.1:1/v1, which got 2 calls", "usage.jsonl says", "line 2 has 2 attempts, the job file 1"}},
		{"another body than was sent", func(w *world) {
			w.sql("UPDATE jobs SET body = CAST(replace(body, 'a river', 'a riven') AS BLOB) WHERE line = 1")
		},
			[]string{"no attempt is on record", "has 1 attempts on record at http://127.0.0.1:1/v1, which got 0 calls", "another prompt than was sent", `asks "a river", and "a riven" is kept`}},
		{"a line that is not kept", func(w *world) {
			w.sql("DELETE FROM skipped; UPDATE jobs SET position = 4 WHERE line = 5; UPDATE inputs SET rows = 4")
		}, []string{"line 4 of in.jsonl is not kept", "errors.jsonl has 2 rows, not 1", "errors.jsonl: line 4 is not in the input"}},
		{"fewer rows than were imported", func(w *world) { w.sql("UPDATE inputs SET rows = 6") }, []string{"in.jsonl was imported with 6 rows, and 5 are kept"}},
		{"lines in another order", func(w *world) {
			w.sql("UPDATE jobs SET position = 9 WHERE line = 1; UPDATE jobs SET position = 1 WHERE line = 2; UPDATE jobs SET position = 2 WHERE line = 1")
		}, []string{"line 1 of in.jsonl stands at 2, not at 1", "line 2 of in.jsonl stands at 1, not at 3", "line 3 of in.jsonl stands at 3, not at 2", "later in the input, or twice"}},
		{"a line by another name", func(w *world) { w.sql("UPDATE jobs SET custom_id = 'pond' WHERE line = 5") }, []string{`line 5 of in.jsonl is called "lake", and kept as "pond"`, "another custom_id"}},
		{"a request without a field of its line", func(w *world) {
			w.sql(`UPDATE jobs SET body = CAST(replace(body, ',"n":1', '') AS BLOB) WHERE line = 5`)
		},
			[]string{"line 5 of in.jsonl has n 1, and  is kept", "no attempt is on record", "got 0 calls"}},
		{"a request with a field that nobody asked for", func(w *world) {
			w.sql(`UPDATE jobs SET body = CAST(replace(body, ',"n":1', ',"n":1,"top_p":0.5') AS BLOB) WHERE line = 5`)
		},
			[]string{"line 5 of in.jsonl has no top_p, and 0.5 is kept", "no attempt is on record", "got 0 calls"}},
		{"a request with another turn", func(w *world) {
			w.sql(`UPDATE jobs SET body = CAST(replace(body, '[{"role":"user"', '[{"role":"system","content":"Lie."},{"role":"user"') AS BLOB) WHERE line = 5`)
		},
			[]string{"line 5 of in.jsonl has another conversation", "no attempt is on record", "got 0 calls"}},
		{"another salt, so other keys", func(w *world) { w.sql("UPDATE settings SET value = '00' WHERE name = 'salt'") }, nil},
		{"another answer than was sent", func(w *world) {
			w.sql(`UPDATE answers SET response = CAST(response || ' x' AS BLOB) WHERE job = ` + river)
		}, []string{"has another answer than was sent"}},
		{"tokens that the answer does not report", func(w *world) { w.sql("UPDATE attempts SET total_tokens = total_tokens + 1 WHERE id = " + last) }, []string{"tokens as its answer says", "usage.jsonl says", "line 1 has other tokens than its attempt", "line 1 cost 36640 pico"}},
		{"unknown tokens that the answer reports", func(w *world) {
			w.sql("UPDATE attempts SET total_tokens = NULL, prompt_tokens = NULL, completion_tokens = NULL WHERE id = " + last)
		},
			[]string{"the record says that nobody knows", "usage.jsonl says", "line 1 has its usage reported, not unknown", "line 1 cost 36640 pico"}},
		{"sent after a stop", func(w *world) {
			w.sql("UPDATE attempts SET class = 'run_stops', started_at = started_at - 5000 WHERE class = 'job_failed'; UPDATE attempts SET run = (SELECT run FROM attempts WHERE class = 'run_stops') WHERE id = " + last)
		}, []string{"ms after its run was stopped"}},
		{"sent after the end of its run", func(w *world) {
			w.sql("UPDATE runs SET started_at = started_at - 9000, ended_at = ended_at - 9000 WHERE id = 2")
		}, []string{"ms after its run had ended"}},
		{"the results out of order", func(w *world) { w.edit("in.results.jsonl", swap) }, []string{"later in the input, or twice"}},
		{"a result twice", func(w *world) {
			w.edit("in.results.jsonl", func(text string) string { return text[:strings.Index(text, "\n")+1] + text })
		}, []string{"has 4 rows, not 3", "later in the input, or twice"}},
		{"a result missing", func(w *world) {
			w.edit("in.results.jsonl", func(text string) string { return text[strings.Index(text, "\n")+1:] })
		}, []string{"has 2 rows, not 3"}},
		{"a result cut", func(w *world) { w.edit("in.results.jsonl", func(text string) string { return text[:len(text)-1] }) }, []string{"the last line is cut"}},
		{"the answer of another", func(w *world) { w.edit("in.results.jsonl", replace(`"content":"`, `"content":"Not so. `)) }, []string{"has another answer than the job file"}},
		{"the prompt of another", func(w *world) { w.edit("in.results.jsonl", replace("a river", "a brook")) }, []string{"another prompt than was sent"}},
		{"another custom_id", func(w *world) { w.edit("in.results.jsonl", replace(`"custom_id":null`, `"custom_id":"x"`)) }, []string{"another custom_id"}},
		{"a form that nobody reads", func(w *world) { w.sql("UPDATE outputs SET options = 'yaml flat' WHERE kind = 'errors'") }, []string{"in.errors.jsonl is of a form that is not known here"}},
		{"a way to write that nobody knows", func(w *world) { w.sql("UPDATE outputs SET options = 'jsonl flat every=2' WHERE kind = 'errors'") }, []string{"is written in a way that is not known here: every=2"}},
		{"a failure missing", func(w *world) {
			w.edit("in.errors.jsonl", func(text string) string { return text[strings.Index(text, "\n")+1:] })
		}, []string{"errors.jsonl has 1 rows, not 2"}},
		{"another number of attempts", func(w *world) { w.edit("in.results.jsonl", replace(`"attempts":1`, `"attempts":3`)) }, []string{"line 1 has 3 attempts, the job file 1"}},
		{"other tokens", func(w *world) { w.edit("in.results.jsonl", replace(`"total_tokens":`, `"total_tokens":1`)) }, []string{"line 1 has other tokens than its attempt"}},
		{"tokens of another source", func(w *world) { w.edit("in.results.jsonl", replace(`"reported"`, `"estimated"`)) }, []string{"line 1 has its usage estimated, not reported"}},
		{"a failure that was possibly paid", func(w *world) {
			w.edit("in.errors.jsonl", replace(`"possibly_paid":false`, `"possibly_paid":true`))
		}, []string{"line 3 is possibly paid: true, and has 0 such attempts"}},
		{"wrong prompt tokens throughout", func(w *world) {
			w.edit("in.usage.jsonl", func(text string) string { return strings.ReplaceAll(text, `"prompt_tokens":`, `"prompt_tokens":1`) })
		}, []string{"usage.jsonl says"}},
		{"wrong totals", func(w *world) { w.edit("in.usage.jsonl", replace(`"wasted_tokens":7`, `"wasted_tokens":4`)) }, []string{"the lines add up to", `usage.jsonl says of "m"`}},
		{"wrong totals throughout", func(w *world) {
			w.edit("in.usage.jsonl", func(text string) string { return strings.ReplaceAll(text, `"gone_tokens":`, `"gone_tokens":1`) })
		}, []string{"usage.jsonl says"}},
		{"wrong money throughout", func(w *world) {
			w.edit("in.usage.jsonl", func(text string) string { return strings.ReplaceAll(text, `"wasted_cost":0.0`, `"wasted_cost":0.1`) })
		}, []string{"usage.jsonl says"}},
		{"money that nobody knows", func(w *world) {
			w.edit("in.usage.jsonl", func(text string) string { return strings.ReplaceAll(text, `"gone_cost":0.`, `"gone_cost":null,"x":0.`) })
		}, []string{"usage.jsonl says"}},
		{"money of another line", func(w *world) { w.edit("in.usage.jsonl", replace(`"cost":0.`, `"cost":1.`)) }, []string{"the lines add up to", `usage.jsonl says of "m"`}},
		{"a model of another name", func(w *world) {
			w.edit("in.usage.jsonl", replace(`"requested_model":"m"`, `"requested_model":"n"`))
		}, []string{`usage.jsonl says of "n"`}},
		{"a line of usage missing", func(w *world) {
			w.edit("in.usage.jsonl", func(text string) string { return text[strings.Index(text, "\n")+1:] })
		}, []string{"the lines add up to", "lines of 0 models, the job file of 1"}},
		{"no total", func(w *world) {
			w.edit("in.usage.jsonl", func(text string) string { return text[:strings.Index(text, "\n")+1] })
		}, []string{"does not end with the total"}},
		{"answered, and not complete", func(w *world) { w.edit("in.usage.jsonl", replace(`"complete":true`, `"complete":false`)) }, []string{"says complete: false, with 0 prompts pending"}},
		{"another price of a row", func(w *world) { w.edit("in.results.jsonl", replace(`"cost":0.`, `"cost":1.`)) }, []string{"line 1 cost 1000000036640 pico and 0 unknown, not 36640"}},
		{"other prices", func(w *world) { w.sql("UPDATE prices SET reasoning = 0 WHERE above = 0") }, []string{"usage.jsonl says", "line 1 cost", "line 2 cost", "line 5 cost"}},
		{"a damaged page", func(w *world) {
			f, err := os.OpenFile(w.path("in.batch.db"), os.O_RDWR, 0)
			w.must(err)
			defer f.Close()
			_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, 4096), 4096)
			w.must(err)
		}, nil},
		{"a lock left behind", func(w *world) { w.must(os.WriteFile(w.path("in.batch.db.lock"), nil, 0o600)) }, []string{"in.batch.db.lock was left behind"}},
		{"a temporary file left behind", func(w *world) { w.must(os.WriteFile(w.path(".in.results.jsonl.batch-X.tmp"), nil, 0o600)) }, []string{".tmp was left behind"}},
		{"the key", func(w *world) { w.must(os.WriteFile(w.path("debug.txt"), []byte("Bearer "+key), 0o600)) }, []string{"debug.txt holds the API key"}},
		{"the key in a URL", func(w *world) { w.must(os.WriteFile(w.path("debug.txt"), []byte("?k="+url.QueryEscape(key)), 0o600)) }, []string{"debug.txt holds the API key"}},
		{"the key in base64, after one byte", func(w *world) {
			w.must(os.WriteFile(w.path("debug.txt"), []byte(base64.StdEncoding.EncodeToString([]byte(":"+key+"rest"))), 0o600))
		}, []string{"debug.txt holds the API key"}},
		{"the key in a page", func(w *world) {
			w.must(os.WriteFile(w.path("report.html"), []byte("<p>"+template.HTMLEscaper(key)), 0o600))
		}, []string{"report.html holds the API key"}},
		{"the key in JSON", func(w *world) {
			w.must(os.WriteFile(w.path("debug.txt"), []byte(`{"k":"`+strings.NewReplacer("+", `\u002B`, "/", `\/`).Replace(key)+`"}`), 0o600))
		}, []string{"debug.txt holds the API key"}},
		{"the key in JSON in JSON", func(w *world) {
			w.must(os.WriteFile(w.path("debug.txt"), []byte(`"{\"k\":\"`+strings.NewReplacer("+", `\\u002b`, "=", `\\u003d`).Replace(key)+`\"}"`), 0o600))
		}, []string{"debug.txt holds the API key"}},
		{"the key packed", func(w *world) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, err := z.Write([]byte(strings.Repeat("ask_", 9) + key))
			w.must(errors.Join(err, z.Close(), os.WriteFile(w.path("out.jsonl.gz"), b.Bytes(), 0o600)))
		}, []string{"out.jsonl.gz holds the API key"}},
		{"the key packed otherwise", func(w *world) {
			z, err := zstd.NewWriter(nil)
			w.must(err)
			w.must(os.WriteFile(w.path("out.jsonl.zst"), z.EncodeAll([]byte(strings.Repeat(key, 9)), nil), 0o600))
		}, []string{"out.jsonl.zst holds the API key"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.spoil(w)
			match(t, w.check(), test.want)
		})
	}
}

// match: every wish is in a finding, and every finding holds a wish; nil is any, but some.
func match(t *testing.T, found, want []string) {
	t.Helper()
	if len(found) == 0 {
		t.Error("nothing was found")
	}
	if want == nil {
		return
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(found, "\n"), w) {
			t.Errorf("not found: %s\nin %q", w, found)
		}
	}
	for _, f := range found {
		named := false
		for _, w := range want {
			named = named || strings.Contains(f, w)
		}
		if !named {
			t.Errorf("found besides: %s", f)
		}
	}
}

// In a bubble nothing is excused by a busy machine.
func TestSentAfterStop(t *testing.T) {
	w := newWorld(t)
	w.sql("UPDATE attempts SET class = 'run_stops' WHERE class = 'job_failed';" +
		"UPDATE attempts SET started_at = (SELECT started_at + duration_ms + 2 FROM attempts WHERE class = 'run_stops'), run = (SELECT run FROM attempts WHERE class = 'run_stops') WHERE id = (SELECT attempt FROM jobs WHERE line = 1)")
	if found := w.check(); len(found) > 0 {
		t.Errorf("%q", found)
	}
	c := w.theCase()
	c.Virtual = true
	match(t, oracle.Check(c), []string{"ms after its run was stopped"})
}

// What a death excuses is a finding where nobody died.
func TestNobodyDied(t *testing.T) {
	c := newWorld(t).theCase()
	c.Died = false
	match(t, oracle.Check(c), []string{"has no outcome, and nobody died"})
}

// An answer that came whole is not to be asked for again, whatever the record says of the attempt.
func TestPaidTwice(t *testing.T) {
	w := newWorld(t)
	w.sql("UPDATE attempts SET class = 'unknown', sent = 1, status = 200 WHERE class = 'unknown' AND sent IS NULL")
	match(t, w.check(), []string{"was answered, and attempt"})
}

// A call that its server saw and no job file knows.
func TestForeignCall(t *testing.T) {
	w := newWorld(t)
	c := w.theCase()
	for server, calls := range c.Ledgers {
		foreign := calls[0]
		foreign.Key = "batch-0"
		c.Ledgers[server] = append(calls, foreign)
	}
	match(t, oracle.Check(c), []string{"a call that no attempt is on record for"})
	for server, calls := range c.Ledgers {
		calls[len(calls)-1].Key = ""
		c.Ledgers[server] = calls
	}
	match(t, oracle.Check(c), []string{"a call without Idempotency-Key"})
}

func TestTwoBodies(t *testing.T) {
	w := newWorld(t)
	c := w.theCase()
	c.Ledgers[endpoint][0].Body[0]++
	match(t, oracle.Check(c), []string{"was sent with another body than is kept"})
}

func TestCutAnswer(t *testing.T) {
	w := newWorld(t)
	c := w.theCase()
	for i := range c.Ledgers[endpoint] {
		if call := &c.Ledgers[endpoint][i]; call.Status == 200 {
			call.Whole = false
			break
		}
	}
	match(t, oracle.Check(c), []string{"is done by an answer that was cut"})
}

// A stream is an answer once it has told how it finished: what is cut off after that is no loss.
func TestCutStream(t *testing.T) {
	w := newWorld(t)
	c := w.theCase()
	var call *sim.Call
	for i := range c.Ledgers[endpoint] {
		if c.Ledgers[endpoint][i].Status == 200 {
			call = &c.Ledgers[endpoint][i]
			break
		}
	}
	call.Whole = false
	w.sql("UPDATE answers SET assembled = 1 WHERE CAST(response AS TEXT) = '" + strings.ReplaceAll(string(call.Reply), "'", "''") + "'")
	var said struct {
		Choices []struct {
			Message      struct{ Content string }
			FinishReason string `json:"finish_reason"`
		}
	}
	w.must(json.Unmarshal(call.Reply, &said))
	event := fmt.Appendf(nil, "data: {\"choices\":[{\"delta\":{\"content\":%q}}]}\n\n", said.Choices[0].Message.Content)
	finish := fmt.Appendf(slices.Clone(event), "data: {\"choices\":[{\"delta\":{},\"finish_reason\":%q}]}\n\n", said.Choices[0].FinishReason)
	for reply, want := range map[string]string{
		string(finish): "",
		string(finish) + "data: {\"choices\":[]}\n\ndata: [DONE]\n\n": "",
		string(finish) + `data: {"usage":{"promp`:                     "",
		string(event):                   "is done by an answer that was cut",
		string(event) + `data: {"choi`:  "is done by an answer that was cut",
		string(event) + "data: {\"ch\n": "is done by what is no answer",
	} {
		call.Reply = []byte(reply)
		if found := oracle.Check(c); want == "" && len(found) > 0 {
			t.Errorf("%q: %q", reply, found)
		} else if want != "" {
			match(t, found, []string{want})
		}
	}
}

func TestSaidKey(t *testing.T) {
	w := newWorld(t)
	c := w.theCase()
	c.Said = []byte("GET /?key=" + url.QueryEscape(key))
	match(t, oracle.Check(c), []string{"what was said holds the API key"})
}

// A file that may be older than its job file is named, and no other may be.
func TestOlder(t *testing.T) {
	w := newWorld(t)
	w.edit("in.results.jsonl", func(text string) string { return text[strings.Index(text, "\n")+1:] })
	c := w.theCase()
	c.Except = []string{"in.errors.jsonl"}
	match(t, oracle.Check(c), []string{"has 2 rows, not 3"})
	c.Except = []string{"in.results.jsonl"}
	if found := oracle.Check(c); len(found) > 0 {
		t.Errorf("%q", found)
	}
}

// An input that was edited after it was imported says nothing of what was.
func TestEditedInput(t *testing.T) {
	w := newWorld(t)
	w.must(os.WriteFile(w.path("in.jsonl"), []byte(`{"prompt":"another"}`), 0o600))
	if found := w.check(); len(found) > 0 {
		t.Errorf("%q", found)
	}
}

// The other forms of the files are held against the job file like the first.
func TestForms(t *testing.T) {
	for _, test := range []struct {
		name, out string
		shape     output.Shape
		change    func(string) string
		want      string
	}{
		{"sound", "o.csv", output.Flat, nil, ""},
		{"sound", "o.jsonl", output.OpenAI, nil, ""},
		{"the prompt of another", "o.csv", output.Flat, replace("a river", "a brook"), "line 1 has another prompt than was sent"},
		{"another custom_id", "o.csv", output.Flat, replace(",lake,", ",pond,"), "line 5 has another custom_id"},
		{"another custom_id", "o.jsonl", output.OpenAI, replace(`"lake"`, `"pond"`), `line 3 is called "pond", not "lake"`},
		{"the answer of another", "o.jsonl", output.OpenAI, replace(`"content":"`, `"content":"Not so. `), "line 1 has another response"},
		{"another price", "o.csv", output.Flat, replace(",reported,0.", ",reported,1."), "line 1 cost 1000000036640 pico"},
		{"a line missing", "o.jsonl", output.OpenAI, func(text string) string { return text[strings.Index(text, "\n")+1:] }, "o.jsonl has 2 lines, not 3"},
	} {
		t.Run(test.name+" in "+test.out, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			st, err := store.Open(t.Context(), w.path("in.batch.db"), true)
			w.must(err)
			v, err := st.View(t.Context())
			w.must(err)
			files, format, err := output.Names(w.path("in.batch.db"), w.path(test.out), "")
			w.must(err)
			_, err = output.Write(t.Context(), v, st, files, output.Options{Format: format, Shape: test.shape})
			w.must(err)
			v.Close()
			w.must(st.Close())
			if test.change == nil {
				if found := w.check(); len(found) > 0 {
					t.Errorf("%q", found)
				}
				return
			}
			w.edit(test.out, test.change)
			match(t, w.check(), []string{test.want})
		})
	}
}

// What batch is asked about a job file has to be what the job file says.
func TestTold(t *testing.T) {
	w := newWorld(t)
	c := w.theCase()
	for _, test := range []struct{ verb, old, new, want string }{
		{"", "", "", ""},
		{"status", `"done":3`, `"done":2`, "status says {Jobs:4 Done:2"},
		{"status", `"possibly_paid":2`, `"possibly_paid":1`, "status says {Jobs:4 Done:3"},
		{"status", `"cost":0.0`, `"cost":0.1`, "status says {Jobs:4 Done:3"},
		{"status", `"cost":0.`, `"cost":null,"x":0.`, "status says {Jobs:4 Done:3"},
		{"status", `"skipped":1`, `"skipped":0`, "status says that 0 lines were skipped, and 1 were"},
		{"status", `"skipped":1`, `"skipped":1,"shared":1`, "status says that 1 lines share an answer, and 0 do"},
		{"status", `"skipped":1`, `"skipped":1,"running":1,"pending":-1`, "status says that 1 jobs are running, and 0 are"},
		{"status", `"possibly_spent":0.0000001`, `"possibly_spent":0.0000000`, "may be lost, which is at least 110000 pico"},
		{"status", `"possibly_spent":0.`, `"possibly_spent":null,"x":0.`, "status says that at most 0 pico and 1 unknown may be lost"},
		{"status", `{`, ``, "invalid character"},
		{"report", `"complete":true`, `"complete":false`, "the report says complete: false, with 0 prompts pending"},
		{"report", `"failed":1`, `"failed":2`, "the report says in all: {Jobs:4 Done:3 Failed:2"},
		{"report", `"at_least":0.`, `"at_least":1.`, "the report says in all: billed is"},
		{"report", `"wasted":`, `"retried":`, "the report says in all: wasted is"},
		{"report", `"requested_model":"m"`, `"requested_model":"n"`, "the report says n at " + endpoint},
		{"report", `"possibly_lost":{"attempts":2`, `"possibly_lost":{"attempts":1`, "1 attempts are possibly lost, and 2 are"},
	} {
		c.Ask = func(args ...string) ([]byte, error) {
			text, err := w.ask(args...)
			changed := strings.Replace(string(text), test.old, test.new, 1)
			if args[0] == test.verb && changed == string(text) {
				t.Fatalf("nothing to change:\n%s", text)
			}
			if args[0] != test.verb {
				return text, err
			}
			return []byte(changed), err
		}
		found := oracle.Check(c)
		if test.want == "" && len(found) > 0 || test.want != "" && !strings.Contains(strings.Join(found, "\n"), test.want) {
			t.Errorf("%s with %s instead of %s: %q", test.verb, test.new, test.old, found)
		}
	}
	c.Ask = func(...string) ([]byte, error) { return nil, errors.New("exit 5") }
	match(t, oracle.Check(c), []string{"exit 5"})
}
