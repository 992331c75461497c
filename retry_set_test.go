package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"batch/runner/chat"
	"batch/runner/tokens"
	"batch/store"
)

// Only the field that is set changes; every other byte of a body stays, however it was spelled.
func TestFieldChanges(t *testing.T) {
	for _, c := range []struct{ set, body, want string }{
		{"max_tokens=2x", `{"max_tokens": 20 ,"a":1}`, `{"max_tokens": 40 ,"a":1}`},
		{"max_tokens=1.5x", `{"max_tokens":3}`, `{"max_tokens":5}`},
		{"max_tokens=.5x", `{"max_tokens":1}`, `{"max_tokens":1}`},
		{"max_tokens=2x", `{"max_completion_tokens":7}`, `{"max_completion_tokens":14}`},
		{"max_tokens=9", `{"max_completion_tokens":7,"x":"max_tokens"}`, `{"max_completion_tokens":9,"x":"max_tokens"}`},
		{"temperature=2x", `{"temperature":0.35}`, `{"temperature":0.7}`},
		{"temperature=2x", `{"temperature":1.0}`, `{"temperature":2}`},
		{"temperature=0.20", `{ "messages":[{"temperature":1}] }`, `{ "messages":[{"temperature":1}],"temperature":0.20 }`},
		{"temperature=0.2", `{ }`, `{"temperature":0.2 }`},
		{"model=other", `{"m\u006fdel" : "m"}`, `{"m\u006fdel" : "other"}`},
		{"model=3", `{"model":"m"}`, `{"model":"3"}`},
		{"user=none", `{"user":"a" , "model":"m"}`, `{"model":"m"}`},
		{"user=none", `{"model":"m" , "user":"a" }`, `{"model":"m" }`},
		{"user=none", `{ "user":"a" }`, `{ }`},
		{"user=none", `{"model":"m"}`, `{"model":"m"}`},
		{"stop=###", `{"stop":["a","b"]}`, `{"stop":"###"}`},
		{`stop=["x", "y"]`, `{}`, `{"stop":["x", "y"]}`},
		{"top_k=40", `{"a":1}`, `{"a":1,"top_k":40}`},
		{"seed=null", `{"seed":5}`, `{"seed":null}`},
	} {
		set, err := readFieldChanges([]string{c.set})
		if err != nil {
			t.Errorf("%s: %v", c.set, err)
			continue
		}
		if got, err := set[0].apply([]byte(c.body)); string(got) != c.want {
			t.Errorf("%s of %s: %s (%v), want %s", c.set, c.body, got, err, c.want)
		}
	}
}

func TestWrongFieldChanges(t *testing.T) {
	for set, want := range map[string]string{
		"temperature":    "it is no field=value",
		"=3":             "it is no field=value",
		"max_tokens=":    "it is no field=value",
		"max_tokens=0x":  "nothing would be left of it",
		"max_tokens=abc": "is not an integer",
		"max_tokens=1.5": "is not an integer",
		"top_p=2":        "is not between 0 and 1",
		"Temperature=1":  "no request field is called that",
		"prompt=x":       "what is asked comes from the input alone",
		"model=none":     "a request needs its model",
	} {
		if _, err := readFieldChanges([]string{set}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: %v, want %s", set, err, want)
		}
	}
	if _, err := readFieldChanges([]string{"n=1", "n=2"}); err == nil {
		t.Error("a field that is set twice is taken")
	}
	for body, set := range map[string]string{`{}`: "max_tokens=2x", `{"temperature":1.5}`: "temperature=2x", `{"max_tokens":"5"}`: "max_tokens=2x", `{"n":null}`: "n=3x"} {
		changes, err := readFieldChanges([]string{set})
		if err != nil {
			t.Fatal(err)
		}
		var p *problem
		if _, err := changes.apply(&store.Row{File: "p.jsonl", Line: 4, Body: []byte(body)}, tokens.NewCounter(false)); !errors.As(err, &p) || p.code != exitUsage || !strings.HasPrefix(err.Error(), "p.jsonl:4: ") {
			t.Errorf("%s of %s: %v", set, body, err)
		}
	}
}

// Whatever a body holds, a change leaves a request that says the same but for the field.
func FuzzFieldChanges(f *testing.F) {
	for _, s := range []string{`{"a":1}`, "{ }", `{"max_tokens":5 , "b":{"max_tokens":1}}`, `{"x":"\ud800","max_tokens":1e2}`, `{"b":[],"max_tokens":7}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := chat.Key(body); err != nil || !json.Valid(body) {
			return
		}
		before := map[string]json.RawMessage{}
		if err := json.Unmarshal(body, &before); err != nil {
			return
		}
		if bytes.Count(body, []byte(`:`)) > 0 && len(before) == 0 {
			return
		}
		for _, set := range []string{"user=none", `user="z"`} {
			changes, err := readFieldChanges([]string{set})
			if err != nil {
				t.Fatal(err)
			}
			got, err := changes[0].apply(body)
			if err != nil {
				t.Fatal(err)
			}
			m, err := findMember(got, "user")
			if err != nil || !json.Valid(got) {
				t.Fatalf("%q became %q (%v)", body, got, err)
			}
			if set != "user=none" && string(m.value) != `"z"` {
				t.Fatalf("%q became %q", body, got)
			}
			after := map[string]json.RawMessage{}
			if err := json.Unmarshal(got, &after); err != nil {
				t.Fatal(err)
			}
			for name, value := range before {
				if name != "user" && !bytes.Equal(after[name], value) {
					t.Fatalf("%q became %q", body, got)
				}
			}
		}
	})
}
