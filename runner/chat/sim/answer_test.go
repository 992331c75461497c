package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"batch/runner/chat/sim"
	"batch/runner/tokens"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// with is a request with a prompt of its own and further fields.
func with(i int, fields string) string {
	return fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"prompt %d"}]%s}`, i, fields)
}

func TestMaxTokensCutsTheAnswer(t *testing.T) {
	s := newServer(t, sim.Options{})
	cut := 0
	for i := range 60 {
		whole := decode(t, post(s, with(i, "")).body)
		for _, field := range []string{"max_tokens", "max_completion_tokens"} {
			c := decode(t, post(s, with(i, fmt.Sprintf(`,"%s":%d`, field, 1+i))).body)
			text, finish := c.Choices[0].Message.Content, *c.Choices[0].FinishReason
			if c.Usage.Completion > int64(1+i) || c.Usage.Completion != tokens.CountText("m", text) || !utf8.ValidString(text) {
				t.Errorf("max %d: %d tokens of %q", 1+i, c.Usage.Completion, text)
			}
			switch finish {
			case "length":
				cut++
			case "stop":
				if !strings.HasSuffix(text, ".") {
					t.Errorf("stopped without an end: %q", text)
				}
			default:
				t.Errorf("finish_reason %s", finish)
			}
		}
		if *whole.Choices[0].FinishReason != "stop" {
			t.Errorf("uncut: %s", *whole.Choices[0].FinishReason)
		}
	}
	if cut < 40 || cut > 119 {
		t.Errorf("%d of 120 cut by length", cut)
	}
}

func TestStopSequences(t *testing.T) {
	s := newServer(t, sim.Options{})
	for fields, want := range map[string]string{
		`,"stop":","`:                                "[practice answer",
		`,"stop":["nowhere","made",","]`:             "[practice answer",
		`,"stop":["","simulate\u005d"]`:              "[practice answer, made up by batch ",
		`,"stop":"[practice"`:                        "",
		`,"stop":"made","max_tokens":1`:              "[p",
		`,"max_tokens":2,"max_completion_tokens":9`:  "[practice",
		`,"max_completion_tokens":2,"max_tokens":9`:  "[practice",
		`,"stop":"answer","max_completion_tokens":3`: "[practice ",
	} {
		c := decode(t, post(s, with(1, fields)).body)
		if got := c.Choices[0].Message.Content; got != want {
			t.Errorf("%s: %q, want %q", fields, got, want)
		}
		wantFinish := "stop"
		if strings.Contains(fields, "max_tokens") {
			wantFinish = "length"
		}
		if got := *c.Choices[0].FinishReason; got != wantFinish {
			t.Errorf("%s: finish_reason %s", fields, got)
		}
	}
}

func TestSeveralChoices(t *testing.T) {
	c := decode(t, post(newServer(t, sim.Options{}), with(1, `,"n":3`)).body)
	texts := map[string]bool{}
	var sum int64
	for i, ch := range c.Choices {
		if ch.Index != i {
			t.Errorf("choice %d has index %d", i, ch.Index)
		}
		texts[ch.Message.Content] = true
		sum += tokens.CountText("m", ch.Message.Content)
	}
	if len(texts) != 3 || c.Usage.Completion != sum {
		t.Errorf("%d different choices, usage %d, want 3 and %d", len(texts), c.Usage.Completion, sum)
	}
}

func TestJSONObject(t *testing.T) {
	s := newServer(t, sim.Options{})
	for _, kind := range []string{"json_object", "json_schema"} {
		c := decode(t, post(s, with(1, `,"response_format":{"type":"`+kind+`"}`)).body)
		var o map[string]jsontext.Value
		if err := json.Unmarshal([]byte(c.Choices[0].Message.Content), &o); err != nil || !strings.Contains(string(o["practice"]), "made up") {
			t.Errorf("%s: %v in %q", kind, err, c.Choices[0].Message.Content)
		}
	}
}

func TestAnswerIsAFunctionOfSeedAndBody(t *testing.T) {
	text := func(seed uint64, body string) string {
		return decode(t, post(newServer(t, sim.Options{Seed: seed}), body).body).Choices[0].Message.Content
	}
	answer := text(1, hello)
	if text(1, hello) != answer {
		t.Error("the same seed and body, another answer")
	}
	if text(2, hello) == answer {
		t.Error("another seed, the same answer")
	}
	if text(1, hello+" ") == answer {
		t.Error("another body, the same answer")
	}
}

// Whatever a client sends, it gets a JSON object of one of the two shapes, and model comes back as it was sent.
func TestNothingBreaksTheServer(t *testing.T) {
	s := newServer(t, sim.Options{})
	rapid.Check(t, func(rt *rapid.T) {
		model, _ := jsontext.AppendQuote(nil, rapid.String().Draw(rt, "model"))
		value := rapid.SampledFrom([]string{"null", "1", "-1", "1e400", `""`, `"\ud800"`, "[]", "[[", "{}", `{"type":1}`, "true", "9999999999999999999999"}).Draw(rt, "value")
		field := rapid.SampledFrom([]string{"n", "stop", "stream", "max_tokens", "user", "response_format", "stream_options", "x", "model"}).Draw(rt, "field")
		body := `{"model":` + string(model) + `,"messages":[{"role":"user","content":"Hi"}],"` + field + `":` + value + `}`
		res := post(s, body)
		if res.header.Get("Content-Type") == "text/event-stream" {
			return
		}
		var c completion
		if err := json.Unmarshal([]byte(res.body), &c, jsontext.AllowInvalidUTF8(true)); err != nil {
			rt.Fatalf("%v in %q for %q", err, res.body, body)
		}
		if (res.status == 200) != (c.Error == nil) || res.status >= 500 {
			rt.Fatalf("%d %s", res.status, res.body)
		}
		if res.status == 200 && field != "model" && !strings.Contains(res.body, `"model":`+string(model)) {
			rt.Fatalf("model %s came back as %s", model, res.body)
		}
	})
}
