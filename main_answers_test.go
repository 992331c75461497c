package main

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"batch/runner/chat/sim"
	"batch/runner/chat/sim/oracle"
	"batch/runner/chat/sim/simtest"
	"batch/store"
)

// literals are what a model may have written, as it stands between the quotes of its answer.
var literals = []string{
	"plain", "", "caf\u00e9 \U0001f600", `caf\u00e9 \ud83d\ude00 \/ \u003c`, "\ufeffa", "a\u2028b\u2029c", "\x7f\u009b31m\u202e",
	"\xff\xfe", "a\xe2\x82", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "ok\xffok\xc3", // not UTF-8
	`\u0000`, `a\u0000b`, `\ud800`, `\udc00\ud800`, `\ud800x`, `\u001b]52;c;Zm9v\u0007`, `\\u0000`, `\"},{\"`,
}

// What a model wrote is kept as it came, byte for byte, in the job file. In the files that are made of it, bytes that are not UTF-8 become
// U+FFFD, and escapes of JSON stay as they stood.
func TestH18_AnswersAreKeptAsTheyCame(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"answer", "answer with a mark before it", "stream"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			f.prompts("p.jsonl", len(literals))
			var want []string
			var steps [][]sim.Step
			for _, literal := range literals {
				body := `{"choices":[{"index":0,"message":{"role":"assistant","content":"` + literal + `"},"finish_reason":"stop"}]}`
				switch form {
				case "stream":
					events := ""
					for _, piece := range cutInTwo(literal) {
						events += `data: {"choices":[{"index":0,"delta":{"content":"` + piece + "\"}}]}\n\n"
					}
					steps = append(steps, []sim.Step{{Header: map[string][]string{"Content-Type": {"text/event-stream"}},
						Body: []byte(events + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")}})
					body = `{"object":"chat.completion",` + body[1:]
				case "answer with a mark before it":
					body = "\xef\xbb\xbf\r\n " + body + " \n"
					fallthrough
				default:
					steps = append(steps, []sim.Step{{Body: []byte(body)}})
				}
				want = append(want, body)
			}
			api, err := sim.New(sim.Options{Script: sim.InTurn(steps...)})
			if err != nil {
				t.Fatal(err)
			}
			url := simtest.Listen(t, simtest.HTTP1, api).URL + "/v1"
			f.batch("run", "p.jsonl", "--model", "m", "--base-url", url, "-c", "1")
			for i, row := range storedRows(t, f.path("p.batch.db")) {
				if string(row.Response) != want[i] {
					t.Errorf("%q is kept as\n%q, came as\n%q", literals[i], row.Response, want[i])
				}
			}
			for i, line := range f.lines("p.results.jsonl") {
				if content := `"content":"` + replaced(literals[i]) + `",`; !strings.Contains(line, content) || !utf8.ValidString(line) {
					t.Errorf("%q stands in the results as\n%q, not as\n%q", literals[i], line, content)
				}
			}
			f.batch("export", "p.batch.db", "-o", "x.csv")
			for i, row := range f.rows("x.csv") {
				text, _ := jsontext.AppendUnquote(nil, `"`+literals[i]+`"`)
				if content := strings.ReplaceAll(string(text), "\x00", "\ufffd"); row["content"] != content {
					t.Errorf("%q stands in the CSV as %q, not as %q", literals[i], row["content"], content)
				}
			}
			for _, wrong := range oracle.Check(oracle.Case{Folder: f.dir, Ledgers: map[string][]sim.Call{url: api.Ledger()}, Key: canary, Said: f.said.Bytes(), Ask: ask, Current: true}) {
				t.Error(wrong)
			}
		})
	}
}

// cutInTwo cuts anywhere but within an escape: so a pair of them, or the bytes of a character, may part.
func cutInTwo(literal string) []string {
	at := len(literal) / 2
	if slash := strings.LastIndexByte(literal[:at], '\\'); slash >= 0 {
		at = slash
		if at > 0 && literal[at-1] == '\\' {
			at--
		}
	}
	return []string{literal[:at], literal[at:]}
}

// replaced has U+FFFD for every byte that is no part of a character.
func replaced(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

// storedRows reads a job file's rows in the order of the input.
func storedRows(t *testing.T, path string) (all []store.Row) {
	t.Helper()
	ctx := context.Background()
	st, err := store.OpenRead(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	v, err := st.View(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for row, err := range v.Rows(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		kept := *row
		kept.Response, kept.ErrorBody = []byte(string(row.Response)), []byte(string(row.ErrorBody))
		all = append(all, kept)
	}
	return all
}

// An answer that is none, up to the last attempt, is a failure; what came is kept in the job file, as far as it is no secret.
func TestH2_H3_WhatWasNoAnswerIsKept(t *testing.T) {
	t.Parallel()
	bodies := []string{`{"choices":[]}`, `{"choices":null}`, `{}`, `null`, `[]`, `sorry`, `<html><title>Log in</title></html>`, "", "{\"choices\":[{\"message\":\xff\x00"}
	var steps [][]sim.Step
	for _, body := range bodies {
		steps = append(steps, []sim.Step{{Status: 200, Body: []byte(body)}})
	}
	api, err := sim.New(sim.Options{Script: sim.InTurn(steps...)})
	if err != nil {
		t.Fatal(err)
	}
	url := simtest.Listen(t, simtest.HTTP1, api).URL + "/v1"
	f := newFolder(t)
	f.prompts("p.jsonl", len(bodies))
	f.batch("run", "p.jsonl", "--model", "m", "--base-url", url, "-c", "1", "--max-attempts", "1")
	rows := storedRows(t, f.path("p.batch.db"))
	for i, row := range rows {
		if row.State != store.Failed || string(row.ErrorBody) != bodies[i] || row.Status != 200 || row.Message == "" {
			t.Errorf("%q: %s with status %d, %q, kept %q", bodies[i], row.State, row.Status, row.Message, row.ErrorBody)
		}
	}
	if errors := f.lines("p.errors.jsonl"); len(rows) != len(bodies) || len(errors) != len(bodies) {
		t.Errorf("%d rows, %d errors of %d", len(rows), len(errors), len(bodies))
	}
	for _, wrong := range oracle.Check(oracle.Case{Folder: f.dir, Ledgers: map[string][]sim.Call{url: api.Ledger()}, Key: canary, Said: f.said.Bytes(), Ask: ask, Current: true}) {
		t.Error(wrong)
	}
}
