package chat

import "bytes"

// asked is what a request says of the form of its answer.
type asked struct {
	stream  bool
	options bool  // it has stream_options of its own
	n       int64 // choices of a stream
}

// readAsked looks at the body only when the word stands in it, so that other requests cost no parsing.
func readAsked(body []byte) (a asked) {
	if !bytes.Contains(body, []byte(`"stream"`)) {
		return a
	}
	if body = trimJSON(body); !validJSON(body) {
		return a
	}
	for name, value := range eachMember(body) {
		switch string(name) {
		case "stream":
			a.stream = kindOf(value) == 't'
		case "stream_options":
			a.options = true
		case "n":
			a.n, _ = wholeNumber(value)
		}
	}
	return a
}

// includeUsage inserts the option before the last brace of a JSON object that has members.
func includeUsage(body []byte) []byte {
	const option = `,"stream_options":{"include_usage":true}`
	end := bytes.LastIndexByte(body, '}')
	out := make([]byte, 0, len(body)+len(option))
	out = append(out, body[:end]...)
	out = append(out, option...)
	return append(out, body[end:]...)
}
