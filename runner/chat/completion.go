package chat

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// reply is what a response body says, whatever the status over it.
type reply struct {
	err    *apiError // the error that the body carries, nil for none
	answer Answer    // Usage is picked up beside an error too
	done   bool      // it holds a whole completion
	flaw   string    // why it is none, in our words
}

// readReply reads a whole response body. It never fails: what is no completion and no error has a flaw.
func readReply(body []byte, status int) reply {
	text := trimJSON(body)
	switch {
	case len(text) == 0:
		return reply{flaw: "the body is empty"}
	case !validJSON(text):
		return reply{flaw: "the body is not JSON: " + excerpt(text)}
	case kindOf(text) == '[':
		for first := range eachElement(text) { // Google answers [{"error": ...}]
			return reply{err: findError(first, status), flaw: "the body is a JSON array, not an object"}
		}
	}
	if kindOf(text) != '{' {
		return reply{flaw: "the body is JSON, but not an object: " + excerpt(text)}
	}

	r := reply{flaw: "the body has no choices"}
	var choices []byte
	suspect := status >= 400 // it may have an error: looking for one is a second pass
	for name, value := range eachMember(text) {
		switch string(name) {
		case "error", "detail":
			suspect = true
		case "object":
			suspect = suspect || string(value) != `"chat.completion"`
		case "id":
			r.answer.ID = printable(textOf(value), maxName)
		case "model":
			r.answer.Model = printable(textOf(value), maxName)
		case "created":
			r.answer.Created = unixSeconds(value)
		case "usage":
			r.answer.Usage = readUsage(value)
		case "choices":
			choices = value
		}
	}
	if suspect {
		if r.err = findError(text, status); r.err != nil {
			return r
		}
	}
	r.readChoices(choices)
	return r
}

func (r *reply) readChoices(choices []byte) {
	var texts strings.Builder
	var usage []byte
	n := 0
	for choice := range eachElement(choices) {
		var message []byte
		var finish string
		for name, value := range eachMember(choice) {
			switch string(name) {
			case "message":
				message = value
			case "finish_reason":
				finish = textOf(value)
			case "error": // a router's way to say that the model behind it failed
				if n == 0 && kindOf(value) == '{' {
					r.err = errorObject(value)
				}
			case "usage":
				usage = value
			}
		}
		if n++; n == 1 {
			if r.err != nil {
				return
			}
			r.answer.FinishReason = printable(finish, maxName)
			// A model that ended without a word (a filter, a limit) has been paid for it, and would be again. Only the
			// reason "error" says that it did not end.
			if r.done = answers(message) || kindOf(message) == '{' && finish != "" && finish != "error"; !r.done {
				r.flaw = "the first choice has a message without content, tool calls, refusal or finish reason"
				if kindOf(message) != '{' {
					r.flaw = "the first choice has no message"
				}
			}
		}
		if r.answer.Usage.Known {
			return
		}
		writeTexts(&texts, message)
	}
	if n == 1 { // Moonshot's streams say it in the choice; of several that would be the usage of one
		r.answer.Usage = readUsage(usage)
	}
	if r.done && !r.answer.Usage.Known {
		r.answer.Text = texts.String()
	}
}

// answers says whether a message is an answer: it has content (an empty one counts), tool calls, a refusal or sound.
// Null content beside reasoning is one too: a model that thought until max_tokens was reached has been paid for it, and
// would be again.
func answers(message []byte) bool {
	for name, value := range eachMember(message) {
		kind := kindOf(value)
		switch string(name) {
		case "content":
			if kind == '"' || kind == '[' {
				return true
			}
		case "tool_calls":
			for range eachElement(value) {
				return true
			}
		case "function_call", "audio":
			if kind == '{' {
				return true
			}
		case "refusal", "reasoning_content", "reasoning":
			if kind == '"' && len(value) > len(`""`) {
				return true
			}
		}
	}
	return false
}

// writeTexts writes what the model wrote in a message, wherever it stands, for counting tokens.
func writeTexts(b *strings.Builder, message []byte) {
	for name, value := range eachMember(message) {
		switch string(name) {
		case "content", "refusal", "reasoning_content", "reasoning":
			b.WriteString(textOf(value))
			for part := range eachElement(value) {
				for name, value := range eachMember(part) {
					if string(name) == "text" {
						b.WriteString(textOf(value))
					}
				}
			}
		case "function_call":
			writeFunction(b, value)
		case "tool_calls":
			for call := range eachElement(value) {
				for name, value := range eachMember(call) {
					if string(name) == "function" {
						writeFunction(b, value)
					}
				}
			}
		}
	}
}

func writeFunction(b *strings.Builder, function []byte) {
	for name, value := range eachMember(function) {
		if n := string(name); n == "name" || n == "arguments" {
			b.WriteString(textOf(value))
		}
	}
}

// wholeNumber reads a JSON number that is an integer from 0 to 2^53, in whatever form it is written: 12, 12.0, 1.2e1.
func wholeNumber(v []byte) (int64, bool) {
	if len(v) == 0 || v[0] < '0' || v[0] > '9' {
		return 0, false
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, n <= maxInteger
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f != math.Trunc(f) || f > maxInteger {
		return 0, false
	}
	return int64(f), true
}

// unixSeconds reads a whole number of seconds up to the year 9999; anything else is 0.
func unixSeconds(v []byte) int64 {
	const year10000 = 253402300800
	if n, ok := wholeNumber(v); ok && n < year10000 {
		return n
	}
	return 0
}

// excerpt is the beginning of a body that is not what it should be.
func excerpt(body []byte) string {
	const most = 300
	if title := htmlTitle(body); title != "" {
		return printable(title, most)
	}
	return printable(string(body[:min(len(body), 4*most)]), most)
}

// htmlTitle is the title of an error page, "" for what is none.
func htmlTitle(body []byte) string {
	lower := bytes.ToLower(body[:min(len(body), 16<<10)])
	if !bytes.HasPrefix(bytes.TrimLeft(lower, " \t\r\n"), []byte("<")) {
		return ""
	}
	for _, tag := range []string{"title", "h1"} {
		_, rest, found := bytes.Cut(lower, []byte("<"+tag))
		if !found {
			continue
		}
		from := len(lower) - len(rest) + bytes.IndexByte(rest, '>') + 1
		if to := bytes.Index(lower[from:], []byte("</"+tag)); to > 0 {
			return strings.TrimSpace(string(body[from : from+to]))
		}
	}
	return ""
}
