package oracle

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// reply is what a response body says, as far as it tells whether it is an answer, and which.
type reply struct {
	completion bool // it has a choice with a message
	ended      bool // a whole body, or a stream that came to its end
	content    string
	finish     string
	usage      *usage
}

// usage is nil in a reply that does not tell it, or not in plain integers.
type usage struct{ prompt, completion, total int64 }

type message struct {
	Content json.RawMessage `json:"content"`
}

// completion takes in what a hostile server may have spelled in any way.
type completion struct {
	Error   json.RawMessage `json:"error"`
	Choices []struct {
		Message *message        `json:"message"`
		Delta   *message        `json:"delta"`
		Finish  json.RawMessage `json:"finish_reason"`
	} `json:"choices"`
	Usage json.RawMessage `json:"usage"`
}

// textOf is the text of a JSON string, "" of anything else.
func textOf(raw json.RawMessage) (text string) {
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// readReply understands a completion in one piece and one in events. What it does not understand is no completion.
func readReply(body []byte) reply {
	if trimmed := bytes.TrimSpace(body); bytes.HasPrefix(trimmed, []byte("{")) {
		var r reply
		r.completion, _ = r.read(trimmed)
		r.ended = r.completion
		return r
	}
	return readEvents(body)
}

func readEvents(body []byte) (r reply) {
	for text := range strings.Lines(string(body)) {
		data, found := strings.CutPrefix(strings.TrimRight(text, "\r\n"), "data:")
		if data = strings.TrimSpace(data); !found || data == "" {
			continue
		}
		if data == "[DONE]" {
			r.ended = true
			continue
		}
		part, sound := r.read([]byte(data))
		switch {
		case !sound && strings.HasSuffix(text, "\n"):
			return reply{}
		case part: // one that was cut in its middle is none, and takes nothing from those before it
			r.completion = true
		}
	}
	r.ended = r.ended || r.finish != ""
	return r
}

// read takes in a body or an event. It says whether that is a part of a completion, and whether it is sound: neither an error nor unreadable.
func (r *reply) read(text []byte) (part, sound bool) {
	var c completion
	if json.Unmarshal(text, &c) != nil || len(c.Error) > 0 && string(c.Error) != "null" {
		return false, false
	}
	if len(c.Choices) > 0 {
		first := c.Choices[0]
		for _, m := range []*message{first.Message, first.Delta} {
			if m != nil {
				part = true
				r.content += textOf(m.Content)
			}
		}
		if finish := textOf(first.Finish); finish != "" {
			r.finish = finish
		}
	}
	if u := readUsage(c.Usage); u != nil {
		r.usage = u
	}
	return part || len(c.Usage) > 0, true
}

func readUsage(raw json.RawMessage) *usage {
	var members struct {
		Prompt     json.RawMessage `json:"prompt_tokens"`
		Completion json.RawMessage `json:"completion_tokens"`
		Total      json.RawMessage `json:"total_tokens"`
	}
	if json.Unmarshal(raw, &members) != nil {
		return nil
	}
	var n [3]int64
	for i, member := range []json.RawMessage{members.Prompt, members.Completion, members.Total} {
		v, err := strconv.ParseInt(string(member), 10, 64)
		if err != nil || v < 0 || v > 1<<53 {
			return nil
		}
		n[i] = v
	}
	return &usage{n[0], n[1], n[2]}
}
