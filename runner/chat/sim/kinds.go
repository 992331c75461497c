package sim

import (
	"fmt"
	"net/http"
	"slices"
)

// FaultKind is one way in which a call can go wrong, for the help of `batch simulate`.
type FaultKind struct {
	Name, Meaning string
}

// FaultKinds lists every kind of fault that Faults may name.
func FaultKinds() []FaultKind {
	kinds := make([]FaultKind, len(faultTable))
	for i, k := range faultTable {
		kinds[i] = k.FaultKind
	}
	return kinds
}

func kindNames() []string {
	names := make([]string, len(faultTable))
	for i, k := range faultTable {
		names[i] = k.Name
	}
	return names
}

func kindIndex(name string) int {
	return slices.IndexFunc(faultTable, func(k faultKind) bool { return k.Name == name })
}

// faultKind is a fault with what the server does about it.
type faultKind struct {
	FaultKind
	act  faultAct
	err  apiError // of the kinds that answer with an error
	keep bool     // StoreErrors remembers it under the Idempotency-Key: work had begun when it failed
}

// faultAct is what happens to the call. Before actNone the model never answers and nothing is billed; from there on it
// has answered, which is billed and remembered under the Idempotency-Key, and only the way to the client fails.
type faultAct uint8

const (
	actError faultAct = iota
	actHTML
	actHang
	actEmpty
	actNone
	actCut
	actReset
	actSlow
	actNoUsage
	actFilter
)

func (a faultAct) answers() bool { return a >= actNone }

// status is the status that the client sees, 0 when no response begins.
func (k *faultKind) status() int {
	switch k.act {
	case actError, actHTML:
		return k.err.status
	case actHang, actReset:
		return 0
	default:
		return http.StatusOK
	}
}

// noFault lets a call pass.
var noFault = faultKind{act: actNone}

// faultTable is in the order of the help. Remembered keys refer to it by index.
var faultTable = []faultKind{
	fault("400", 400, typeInvalid, "invalid_parameter", "a parameter is refused").kept(),
	fault("401", 401, "authentication_error", "invalid_api_key", "the API key is refused"),
	fault("402", 402, "insufficient_funds_error", "insufficient_funds", "the wallet is empty"),
	fault("403", 403, "permission_error", "origin_not_allowed", "the key may not be used from here"),
	fault("404", 404, typeInvalid, "model_not_found", "the model does not exist").kept(),
	fault("408", 408, typeServer, "request_timeout", "the server gave up waiting for the request"),
	fault("409", 409, typeInvalid, "conflict", "another request is in the way"),
	fault("413", 413, typeInvalid, "request_too_large", "the request is longer than is read").kept(),
	fault("422", 422, typeInvalid, "unprocessable_entity", "the request makes no sense").kept(),
	fault("429", 429, "rate_limit_error", "rate_limit_exceeded", "too many requests, wait a second").retry(1),
	fault("500", 500, typeServer, "internal_error", "the server failed").kept(),
	other("502", actHTML, "502 with a gateway's HTML page").with(502).kept(),
	fault("503", 503, typeServer, "service_unavailable", "overloaded, wait a second").retry(1),
	fault("504", 504, typeServer, "gateway_timeout", "a gateway lost patience").kept(),
	fault("529", 529, "overloaded_error", "overloaded", "overloaded"),
	fault("quota", 429, "insufficient_quota", "insufficient_quota", "the quota is used up"),
	fault("exhausted", 429, "tokens_exhausted_error", "tokens_exhausted", "the tokens of the month are used up"),
	fault("context", 400, typeInvalid, "context_length_exceeded", "the conversation is too long for the model").kept(),
	fault("policy", 400, "content_policy_error", "content_policy_violation", "moderation refuses the prompt").kept(),
	fault("error200", 200, typeServer, "internal_error", "an error under a status that promises an answer").kept(),
	other("empty", actEmpty, "200 with an empty body"),
	other("garbage", actHTML, "200 with an HTML page").with(200),
	other("hang", actHang, "no answer until the client gives up"),
	other("cut", actCut, "the answer breaks off in the middle; it is billed"),
	other("reset", actReset, "the connection is reset before the answer; it is billed"),
	other("slow", actSlow, "the answer drips in over 5 seconds"),
	other("nousage", actNoUsage, "the answer does not say what it used"),
	other("filter", actFilter, "the answer ends with finish_reason content_filter"),
}

// fault is a kind that answers with an error in the API's shape.
func fault(name string, status int, typ, code, message string) faultKind {
	return faultKind{
		FaultKind: FaultKind{name, fmt.Sprintf("%d %s: %s", status, code, message)},
		err:       apiError{status: status, typ: typ, code: code, message: "Practice fault: " + message},
	}
}

func other(name string, act faultAct, meaning string) faultKind {
	return faultKind{FaultKind: FaultKind{name, meaning}, act: act}
}

func (k faultKind) kept() faultKind             { k.keep = true; return k }
func (k faultKind) with(status int) faultKind   { k.err.status = status; return k }
func (k faultKind) retry(seconds int) faultKind { k.err.retryAfter = seconds; return k }
