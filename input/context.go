package input

import (
	"strconv"

	"batch/runner/tokens"

	"github.com/go-json-experiment/json/jsontext"
)

// Context bounds the length of conversations: the tokens of a prompt together with those that its request allows for an answer.
type Context struct {
	Max  int64 // 0 for no bound
	Trim bool  // drop the oldest turns of a longer one until it fits
}

// fitted is what fit found.
type fitted struct {
	tokens int64 // of the prompt, exactly
	known  bool  // they were counted
	turns  int   // that were dropped
}

// fit judges the length of the request in r.body, and drops its oldest turns where that is asked for and makes it fit.
func (r *Reader) fit() (fitted, *LineError) {
	answer := longest(r.sent)
	// A token has a byte at least, and a message more than its overhead counts for: what has few bytes need not be counted.
	if r.context.Max == 0 || int64(len(r.body))+answer <= r.context.Max {
		return fitted{}, nil
	}
	var rest int64
	r.each, rest = tokens.CountEach(r.model, r.body, r.each[:0])
	prompt := rest
	for _, n := range r.each {
		prompt += n
	}
	if prompt+answer <= r.context.Max {
		return fitted{tokens: prompt, known: true}, nil
	}
	c := r.conversation()
	least, n := prompt, 0
	for turns := c.tokens(r.each); n < c.old && least+answer > r.context.Max; n++ {
		least -= turns[n]
	}
	if least+answer > r.context.Max || !r.context.Trim {
		return fitted{}, r.tooLong(prompt, least, answer, c.old)
	}
	whole := len(r.body)
	r.body = c.without(r.body, n)
	if r.seedAt > 0 { // it stands behind the messages, as all that is filled in
		r.seedAt -= whole - len(r.body)
	}
	return fitted{tokens: least, known: true, turns: n}, nil
}

// tooLong says by how much a conversation is too long, and what would help: least is what is left of its tokens without its old turns,
// or without as many of them as need to go.
func (r *Reader) tooLong(prompt, least, answer int64, old int) *LineError {
	bad := &LineError{Field: r.conversationField(), Hint: "shorten it"}
	if r.context.Trim && old > 0 {
		prompt = least
		bad.Problem = "even without its " + thousands(int64(old)) + " older turns, "
		if old == 1 {
			bad.Problem = "even without its older turn, "
		}
	}
	bad.Problem += r.context.over(prompt, answer, boundField(r.sent))
	if answer > 0 {
		bad.Hint += ", lower " + boundField(r.sent)
	}
	if !r.context.Trim && least+answer <= r.context.Max {
		bad.Hint += ", or drop old turns with --trim"
	}
	return bad
}

// over is what is wrong with a request of so many tokens, whose answer is bounded by that field.
func (c Context) over(prompt, answer int64, field string) string {
	also := ""
	if answer > 0 {
		also = "+ " + thousands(answer) + " " + field + " "
	}
	return thousands(prompt) + " prompt tokens " + also + "are more than --max-context " + thousands(c.Max)
}

// TooLong says by how much a request that was put together elsewhere is too long; "" when it is not. sent is as for MaxTokens.
func (c Context) TooLong(model string, body []byte, sent func(name string) jsontext.Value) string {
	answer := longest(sent)
	if c.Max == 0 || int64(len(body))+answer <= c.Max {
		return ""
	}
	if n := tokens.Count(model, body); n+answer > c.Max {
		return c.over(n, answer, boundField(sent))
	}
	return ""
}

// conversationField names what holds the conversation in the line; "" where a template made it.
func (r *Reader) conversationField() string {
	switch {
	case r.prompt != nil:
		return ""
	case r.line.batch:
		return "body.messages"
	case find(r.line.top, "messages") != nil:
		return "messages"
	}
	return "prompt"
}

// thousands writes a number with a comma between groups of three digits.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
