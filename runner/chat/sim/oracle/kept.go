package oracle

import (
	"bytes"
	"fmt"

	"batch/runner/chat/sim"
)

// notKept are the reasons for which a whole answer is not kept, or not as one: it cannot be, or its user does not want it. One that stops
// the run, as it is not of the kind that was asked for, is not kept either.
var notKept = map[string]bool{"response_too_large": true, "invalid_answer": true}

// flaw says what is wrong with an attempt and the bytes that were sent for it, "" when nothing is.
func (t *thread) flaw(a *attempt, call sim.Call) string {
	if call.Reply == nil {
		return ""
	}
	sent := readReply(call.Reply)
	whole := call.Whole && call.Status >= 200 && call.Status < 300 && sent.completion && sent.ended && sent.content != ""
	switch {
	case a.class.String == "done":
		return t.kept(call, sent)
	case whole && a.status.Valid && a.class.String != "interrupted" && a.class.String != "run_stops" && !notKept[a.reason.String]:
		return fmt.Sprintf("was answered, and attempt %d is %s %s", a.id, a.class.String, a.reason.String)
	}
	return ""
}

// kept: the answer on record is the one that was sent, byte for byte; of a stream, what its events say.
func (t *thread) kept(call sim.Call, sent reply) string {
	w := t.j.answers[t.job.id]
	if w == nil || !plain(call.Reply) {
		return ""
	}
	got := readReply(w.response)
	switch {
	case !sent.completion:
		return "is done by what is no answer"
	case !call.Whole && !(w.assembled && sent.ended): // what comes after the finish reason of a stream may be lost
		return "is done by an answer that was cut"
	case !w.assembled && !bytes.Equal(bytes.TrimSpace(w.response), bytes.TrimSpace(call.Reply)):
		return fmt.Sprintf("has another answer than was sent:\n%.200q\n%.200q", w.response, call.Reply)
	case w.assembled && (got.content != sent.content || got.finish != sent.finish):
		return fmt.Sprintf("has another answer than was sent in pieces: %.200q %s, not %.200q %s", got.content, got.finish, sent.content, sent.finish)
	}
	return ""
}

// plain tells a body that can be read from one that is packed.
func plain(body []byte) bool {
	trimmed := bytes.TrimSpace(body)
	return len(trimmed) > 0 && trimmed[0] < 0x80 && trimmed[0] >= ' '
}
