package runner

import (
	"time"

	"batch/runner/chat"
	"batch/store"
)

const (
	invalidInRow = 20 // answers in a row that are no good, of whatever jobs, that stop a run

	invalidType   = "invalid_answer"
	invalidCode   = "schema"
	truncatedCode = "truncated"
)

// invalid handles an answer that came whole, is paid for and is no good. The job is asked again under another idempotency key, or the API
// would give the same answer once more. One that was cut off by the limit of its length is not: it would be again. When nothing but such
// answers comes, what the jobs share is wrong, and each of them costs money: the run stops. Its jobs stay as they are then, as they
// were answered.
func (j *judge) invalid(o store.Outcome, res *chat.Result, flaw error) store.Outcome {
	o.Class, o.Reason = string(chat.JobFailed), store.InvalidAnswer
	if !res.Answer.Usage.Known {
		o.Class = string(chat.Unknown) // what it has cost is not known
	}
	o.Type, o.Code, o.Message, o.ErrorBody = invalidType, invalidCode, flaw.Error(), res.Body
	truncated := res.Answer.FinishReason == "length"
	if truncated {
		o.Code, o.Message = truncatedCode, "the answer was cut off by the limit of its tokens: "+o.Message
	}
	o.Generation++
	o.Invalid++
	if j.invalidRow++; j.invalidRow >= invalidInRow && !j.keepGoing {
		j.gate.close(&Stop{Cause: InvalidAnswers, Status: res.Status, Type: o.Type, Code: o.Code, Message: o.Message})
	}
	if truncated || o.Invalid > j.maxInvalid {
		o.Arrow = store.Fail
		return o
	}
	o.Arrow, o.RunAfter = store.Retry, time.Now().Add(time.Millisecond)
	return o
}
