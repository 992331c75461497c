package sim

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Fault is a share of calls that shall go wrong in one way.
type Fault struct {
	Kind  string  // a name that FaultKinds lists
	Share float64 // of all calls that reach the model, 0 to 1
}

// Faults says which calls go wrong. Nil means none.
type Faults []Fault

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

// ParseFaults reads shares of calls as a user writes them: "429=5%,cut=0.01". The shares add up to 100 % at most.
func ParseFaults(s string) (Faults, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var faults Faults
	for part := range strings.SplitSeq(s, ",") {
		name, share, found := strings.Cut(part, "=")
		name, share = strings.TrimSpace(name), strings.TrimSpace(share)
		if !found {
			return nil, fmt.Errorf("fault %q has no share: write it as 429=5%%", clip(part))
		}
		number, percent := strings.CutSuffix(share, "%")
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil {
			return nil, fmt.Errorf("fault %q: share %q is neither a percentage like 5%% nor a fraction like 0.05", clip(name), clip(share))
		}
		if percent {
			f /= 100
		}
		faults = append(faults, Fault{Kind: name, Share: f})
	}
	return faults, faults.check()
}

// String writes the faults as ParseFaults reads them.
func (f Faults) String() string {
	parts := make([]string, len(f))
	for i, fault := range f {
		parts[i] = fault.Kind + "=" + strconv.FormatFloat(fault.Share, 'g', -1, 64)
	}
	return strings.Join(parts, ",")
}

func (f Faults) check() error {
	var sum float64
	for i, fault := range f {
		if kindIndex(fault.Kind) < 0 {
			return fmt.Errorf("unknown fault %q: known are %s", clip(fault.Kind), strings.Join(kindNames(), ", "))
		}
		if slices.ContainsFunc(f[:i], func(o Fault) bool { return o.Kind == fault.Kind }) {
			return fmt.Errorf("fault %q is given twice", fault.Kind)
		}
		if math.IsNaN(fault.Share) || fault.Share < 0 || fault.Share > 1 {
			return fmt.Errorf("fault %q: a share lies between 0%% and 100%%", fault.Kind)
		}
		sum += fault.Share
	}
	// Ten shares of 10 % add up to a hair more than 1 in floating point.
	if sum > 1+1e-9 {
		return fmt.Errorf("the shares of the faults add up to %.4g%%, which is more than 100%%", sum*100)
	}
	return nil
}

// clip keeps what a user typed short enough to be quoted in an error.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
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
	err  apiError // of the kinds that answer with an error
	act  faultAct
	keep bool // StoreErrors remembers it under the Idempotency-Key: work had begun when it failed
}

// faultAct is what happens to the call. Up to actGarbage the model never answers and nothing is billed; after it the
// model has answered, which is billed and remembered under the Idempotency-Key, and only the way to the client fails.
type faultAct uint8

const (
	actError faultAct = iota
	actError200
	actHTML
	actHang
	actEmpty
	actGarbage
	actNone
	actCut
	actReset
	actSlow
	actNoUsage
	actFilter
)

func (a faultAct) answers() bool { return a >= actNone }

// status is the status line that the client sees, 0 when there is none.
func (k *faultKind) status() int {
	switch k.act {
	case actError, actHTML:
		return k.err.status
	case actHang, actReset:
		return 0
	default:
		return 200
	}
}

func status(name, meaning string, e apiError, keep bool) faultKind {
	return faultKind{FaultKind: FaultKind{name, meaning}, err: e, keep: keep}
}

func other(name, meaning string, act faultAct) faultKind {
	return faultKind{FaultKind: FaultKind{name, meaning}, act: act}
}

// noFault lets a call pass.
var noFault = faultKind{act: actNone}

var faultTable = []faultKind{
	status("400", "400, a parameter is refused", apiError{400, typeInvalid, "invalid_parameter", "Invalid parameter (practice fault)", "temperature", 0}, true),
	status("401", "401, the API key is refused", errKey, false),
	status("402", "402, the wallet is empty", apiError{402, "insufficient_funds_error", "insufficient_funds", "Insufficient funds (practice fault)", "", 0}, false),
	status("403", "403, the key may not be used from here", apiError{403, "permission_error", "origin_not_allowed", "Origin not allowed (practice fault)", "", 0}, false),
	status("404", "404, the model does not exist", apiError{404, typeInvalid, "model_not_found", "The model does not exist (practice fault)", "model", 0}, true),
	status("408", "408, the server gave up waiting for the request", apiError{408, typeServer, "request_timeout", "Request timed out (practice fault)", "", 0}, false),
	status("409", "409, a conflict with another request", apiError{409, typeInvalid, "conflict", "Conflict (practice fault)", "", 0}, false),
	status("413", "413, the request is too large", apiError{413, typeInvalid, "request_too_large", "Request too large (practice fault)", "", 0}, true),
	status("422", "422, the request cannot be processed", apiError{422, typeInvalid, "unprocessable_entity", "Unprocessable request (practice fault)", "", 0}, true),
	status("429", "429 rate_limit_exceeded with Retry-After: 1", apiError{429, "rate_limit_error", "rate_limit_exceeded", "Rate limit exceeded", "", 1}, false),
	status("500", "500 server_error", apiError{500, typeServer, "internal_error", "Internal server error (practice fault)", "", 0}, true),
	{FaultKind: FaultKind{"502", "502 with a gateway's HTML page"}, err: apiError{status: 502}, act: actHTML, keep: true},
	status("503", "503 overloaded, with Retry-After: 1", apiError{503, typeServer, "service_unavailable", "Temporarily overloaded (practice fault)", "", 1}, false),
	status("504", "504, a gateway lost patience", apiError{504, typeServer, "gateway_timeout", "Gateway timeout (practice fault)", "", 0}, true),
	status("529", "529 overloaded", apiError{529, "overloaded_error", "overloaded", "Overloaded (practice fault)", "", 0}, false),
	status("quota", "429 insufficient_quota: no use to wait", apiError{429, "insufficient_quota", "insufficient_quota", "Quota exceeded (practice fault)", "", 0}, false),
	status("exhausted", "429 tokens_exhausted_error: the month's tokens are used up", apiError{429, "tokens_exhausted_error", "tokens_exhausted", "Monthly tokens exhausted (practice fault)", "", 0}, false),
	status("context", "400 context_length_exceeded", apiError{400, typeInvalid, "context_length_exceeded", "Context length exceeded (practice fault)", "messages", 0}, true),
	status("policy", "400 content_policy_error", apiError{400, "content_policy_error", "content_policy_violation", "Blocked by moderation (practice fault)", "", 0}, true),
	{FaultKind: FaultKind{"error200", "200 with an error in its body"}, err: apiError{200, typeServer, "internal_error", "Internal server error (practice fault)", "", 0}, act: actError200, keep: true},
	other("empty", "200 with an empty body", actEmpty),
	other("garbage", "200 with an HTML page", actGarbage),
	other("hang", "no answer until the client gives up", actHang),
	other("cut", "the answer breaks off in the middle; it is billed", actCut),
	other("reset", "the connection is reset before the answer; it is billed", actReset),
	other("slow", "the answer drips in over 5 seconds", actSlow),
	other("nousage", "the answer does not say what it used", actNoUsage),
	other("filter", "the answer ends with finish_reason content_filter", actFilter),
}
