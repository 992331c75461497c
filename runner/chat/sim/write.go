package sim

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	typeJSON   = []string{"application/json"}
	typeEvents = []string{"text/event-stream"}
	typeHTML   = []string{"text/html; charset=utf-8"}
)

// headJSON is what the head of a response says of a JSON body of n bytes.
func headJSON(w http.ResponseWriter, n int) {
	h := w.Header()
	h["Content-Type"] = typeJSON
	h["Content-Length"] = []string{strconv.Itoa(n)}
}

// appendCompletion appends a chat.completion as the reference page shows it.
func appendCompletion(b []byte, a *answer, model jsontext.Value, withUsage bool) []byte {
	b = a.appendHead(b, "chat.completion", model)
	for i, c := range a.choices {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"index":`...), int64(i), 10)
		b = appendString(append(b, `,"message":{"role":"assistant","content":`...), c.text)
		b = appendString(append(b, `},"finish_reason":`...), c.finish)
		b = append(b, '}')
	}
	b = append(b, ']')
	if withUsage {
		b = a.usage.append(b)
	}
	return append(b, '}')
}

// appendEvents appends the chunks of a stream, an SSE event each, and returns the end of each event in b. Of each choice
// the first chunk has the role, the last an empty delta and the finish reason.
func appendEvents(b []byte, a *answer, model jsontext.Value, withUsage bool) ([]byte, []int) {
	var ends []int
	head := a.appendHead([]byte("data: "), "chat.completion.chunk", model)
	chunk := func(i int, delta func([]byte) []byte, finish string) {
		b = append(b, head...)
		b = strconv.AppendInt(append(b, `{"index":`...), int64(i), 10)
		b = delta(append(b, `,"delta":{`...))
		b = append(b, `},"finish_reason":`...)
		if finish == "" {
			b = append(b, "null"...)
		} else {
			b = appendString(b, finish)
		}
		b = append(b, "}]}\n\n"...)
		ends = append(ends, len(b))
	}
	for i, c := range a.choices {
		chunk(i, func(b []byte) []byte { return append(b, `"role":"assistant","content":""`...) }, "")
		for text := c.text; text != ""; {
			piece := text[:pieceEnd(text)]
			text = text[len(piece):]
			chunk(i, func(b []byte) []byte { return appendString(append(b, `"content":`...), piece) }, "")
		}
		chunk(i, func(b []byte) []byte { return b }, c.finish)
	}
	if withUsage {
		b = append(append(b, head...), ']')
		b = append(a.usage.append(b), "}\n\n"...)
		ends = append(ends, len(b))
	}
	b = append(b, "data: [DONE]\n\n"...)
	return b, append(ends, len(b))
}

// pieceEnd is where a streamed text is cut next: after three words, as a token or two at a time costs a system call each.
func pieceEnd(text string) int {
	end := 0
	for range 3 {
		i := strings.IndexByte(text[end:], ' ')
		if i < 0 {
			return len(text)
		}
		end += i + 1
	}
	return end
}

func (a *answer) appendHead(b []byte, object string, model jsontext.Value) []byte {
	const hex = "0123456789abcdef"
	b = append(b, `{"id":"chatcmpl-`...)
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hex[a.id>>shift&15])
	}
	b = append(append(append(b, `","object":"`...), object...), `","created":`...)
	b = strconv.AppendInt(b, a.created, 10)
	b = append(append(b, `,"model":`...), model...)
	return append(b, `,"choices":[`...)
}

func (u usage) append(b []byte) []byte {
	b = strconv.AppendInt(append(b, `,"usage":{"prompt_tokens":`...), u.prompt, 10)
	b = strconv.AppendInt(append(b, `,"completion_tokens":`...), u.completion, 10)
	b = strconv.AppendInt(append(b, `,"total_tokens":`...), u.total(), 10)
	return append(b, '}')
}
