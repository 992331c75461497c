package chat

import (
	"net/http"
	"time"
)

// Class says what an attempt means for its job, and so who pays and what happens next.
type Class string

const (
	// Done is an answer: it counts, and is paid.
	Done Class = "done"
	// NotProcessed is a call that the API certainly did not work on: nothing was paid, so a retry uses up no attempt.
	NotProcessed Class = "not_processed"
	// Unknown is a call that may have been worked on and paid although no answer came back.
	Unknown Class = "unknown"
	// JobFailed is a refusal of this very request: sending it again cannot help.
	JobFailed Class = "job_failed"
	// RunStops is a refusal that every other job would meet too (key, quota, funds, endpoint).
	RunStops Class = "run_stops"
	// Interrupted is a call that we gave up ourselves; like Unknown it may have been paid, but it uses up no attempt.
	Interrupted Class = "interrupted"
)

// Reason narrows a Class down where the runner's policy has to tell cases apart.
type Reason string

const (
	ReasonNone       Reason = ""
	RateLimited      Reason = "rate_limit"             // a 429 (or its type or code under another status) that asks to wait
	TooLarge         Reason = "over_limit"             // a 429 that says this one request is larger than the limit itself
	TimedOut         Reason = "timeout"                // the attempt's own limits ran out after the request was written
	Unreachable      Reason = "unreachable"            // refused, DNS, connect timeout: no byte was written
	NoSuchHost       Reason = "no_such_host"           // the name of the host does not exist: no byte was written
	KeyRefused       Reason = "key_refused"            // 401, or a 403 whose type or code speaks of the key
	QuotaSpent       Reason = "quota_spent"            // quota, tokens or funds are used up
	Forbidden        Reason = "forbidden"              // a 403 that says neither: JobFailed, unless it repeats over jobs
	WrongEndpoint    Reason = "wrong_endpoint"         // 3xx, or a 404/405 that no chat completions API wrote
	BadCertificate   Reason = "bad_certificate"        // TLS verification failed: the key was not sent
	KeyReused        Reason = "idempotency_key_reused" // the server saw our Idempotency-Key with another body
	ResponseTooLarge Reason = "response_too_large"     // the answer is larger than Options.MaxResponse, and would be again
	SimulatedAnswer  Reason = "simulated"              // a practice server's answer reached a run that is not simulated
)

// Result is what one attempt gave. Every field from the wire is as untrusted as the wire.
type Result struct {
	Class  Class
	Reason Reason

	Status    int           // HTTP status, 0 when no response began
	RequestID string        // x-request-id or its kin, cleaned and shortened
	Started   time.Time     // when the request was handed to the transport
	Duration  time.Duration // until the last byte was read, or the failure
	Sent      bool          // a byte of the request may have left this machine

	// The error as the API spelled it, printable and with the key redacted; empty for Done. Message is at most
	// 1,000 bytes; without an API error it says in our words what went wrong.
	Type, Code, Message string

	// Replayed says that the server answered from its Idempotency-Key store.
	Replayed bool
	// Simulated says that the answer bears Batch-Simulated: 1.
	Simulated bool

	// Body is the raw response body as received (after Content-Encoding): of a Done answer always whole; of any other
	// at most the first 64 KiB. For a stream that was Done it is the completion assembled from its chunks. A secret that
	// the server echoed is redacted in it.
	Body      []byte
	Assembled bool
	Answer    Answer // filled in when Done; Usage also when another outcome reported some

	Limits Limits // what the response's headers say of rate limits
	Wait   Wait   // how long the server asks to wait before the next call
}

// Answer is what a completion says about itself, picked from the body of a Done result.
type Answer struct {
	ID           string
	Model        string
	Created      int64  // Unix seconds, 0 when absent or absurd
	FinishReason string // of the first choice; "" for null or absent
	Usage        Usage
	Text         string // content of all choices, for counting tokens locally; only set when Usage is absent
}

// Usage is the token count that the API reported. Known is false when it did not, or reported nonsense:
// unknown is a value, zero is another.
type Usage struct {
	Known                     bool
	Prompt, Completion, Total int64
	Cached, CacheWrite        int64 // parts of Prompt: read from, and written to, the provider's cache
	Reasoning                 int64 // a part of Completion, or of what Total counts beside it
	Audio                     int64 // a part of either
}

// Wait is a server's request to wait.
type Wait struct {
	Known bool
	Until time.Time // on the local clock, monotonic where it came as a duration
}

// Limits are the rate limits that a response's headers stated, by dimension.
type Limits struct {
	Requests, Tokens Limit
}

// Limit is one dimension of a rate limit. A field that was absent or absurd is not Known.
type Limit struct {
	Limit, Remaining       int64
	HasLimit, HasRemaining bool
	Reset                  time.Time // on the local clock
	HasReset               bool
}

// Call is one request to be sent: the body byte for byte, and the key that makes a repeat of it recognisable.
type Call struct {
	Body           []byte
	IdempotencyKey string
	Header         http.Header // further headers of this call; may be nil
}
