package chat

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// Whatever a stream holds: an outcome, which is the same however the bytes arrive, and an answer of just the words that it said.
func FuzzStream(f *testing.F) {
	f.Add([]byte(helloStream))
	f.Add([]byte(chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"{"}},{"index":-1}]}`, `"stop"`)))
	f.Add([]byte("\ufeff" + helloStream))
	f.Add([]byte("event: error\ndata: {\"message\":1}\n\n"))
	f.Add([]byte("data: {\"choices\":[{\"delta\":{\"a\":{\"b\":[[]]},\"\\u0061\":{\"b\":[{\"index\":1}]}}}]}\r\rdata:[DONE]"))
	f.Add([]byte("data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"a\"}},{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n"))
	f.Add([]byte(strings.ReplaceAll(helloStream, "\n", "\r\n")))
	c := &Client{redact: newRedactor(testKey)}
	c.opt.Timeout, c.opt.IdleTimeout = time.Hour, time.Hour
	read := func(t *testing.T, source io.Reader) (Result, bool) {
		a := &attempt{client: c, parent: t.Context(), ctx: t.Context(), timer: time.NewTimer(time.Hour)}
		defer a.timer.Stop()
		b := &bodyReader{a: a, r: source, left: 1 << 20}
		r := Result{Status: 200}
		head, err := b.begin(-1)
		told := isStream("text/plain", head)
		c.readStream(b, head, err, asked{stream: true}, &r)
		return r, told
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, told := read(t, bytes.NewReader(body))
		if r.Class == "" || r.Class == Done && (!validJSON(r.Body) || !r.Assembled) || r.Class == Interrupted {
			t.Fatalf("%q: %v %q", body, r.Class, r.Body)
		}
		for name, source := range map[string]io.Reader{
			"byte by byte": iotest.OneByteReader(bytes.NewReader(body)), "with its end": iotest.DataErrReader(bytes.NewReader(body)),
		} {
			other, toldOther := read(t, source)
			if told != toldOther {
				t.Fatalf("%q, read %s, counts as a stream: %v, at once: %v", body, name, toldOther, told)
			}
			if r.Class != Done { // what is kept of a failure is as much as had come when it was known
				if !bytes.HasPrefix(body, other.Body) {
					t.Fatalf("%q, read %s, is kept as %q", body, name, other.Body)
				}
				other.Body = r.Body
			}
			if diff := cmp.Diff(r, other); diff != "" {
				t.Fatalf("%q, read %s (-at once):\n%s", body, name, diff)
			}
		}
		if said, ok := joined(string(body)); ok && r.Class == Done {
			if got := contents(t, r.Body); got != said {
				t.Fatalf("%q says %q, and is kept as %q", body, said, got)
			}
		}
	})
}

// said is what a chunk or a completion says.
type said struct {
	Choices []struct {
		Index   uint8 `json:"index"`
		Delta   words `json:"delta"`
		Message words `json:"message"`
	} `json:"choices"`
}

type words struct {
	Content string `json:"content"`
}

// joined is what the first choice of a stream of plain chunks says, and false for a stream of anything else.
func joined(stream string) (content string, ok bool) {
	for event := range strings.SplitSeq(stream, "\n\n") {
		var data []string
		for line := range strings.Lines(event) {
			text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "data: ")
			if !ok || strings.Contains(line, "\r") {
				return "", false
			}
			data = append(data, text)
		}
		whole := strings.Join(data, "\n")
		if whole == "[DONE]" {
			return content, true
		}
		var chunk said
		if whole != "" && json.Unmarshal([]byte(whole), &chunk) != nil { // strictly: no name twice, no lone surrogate
			return "", false
		}
		for _, choice := range chunk.Choices {
			if choice.Message.Content != "" {
				return "", false
			}
			if choice.Index == 0 {
				content += choice.Delta.Content
			}
		}
	}
	return content, true
}

func contents(t *testing.T, completion []byte) string {
	t.Helper()
	var c said
	if err := json.Unmarshal(completion, &c); err != nil || len(c.Choices) == 0 {
		t.Fatalf("%s: %v", completion, err)
	}
	if c.Choices[0].Index != 0 {
		return ""
	}
	return c.Choices[0].Message.Content
}
