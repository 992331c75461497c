// Package sim is the practice server: the chat completions API with no model behind it. `batch simulate` listens with
// it, `batch run --simulate` drains against it inside the process, and tests and benchmarks mount it wherever they
// like, since a Server is an http.Handler.
//
// # What it answers
//
//	POST /v1/chat/completions   (also without /v1)
//	GET  /v1/models             (also without /v1)
//
// Anything else is a 404 or a 405 in the API's error shape. A request is checked as the reference page describes it:
// a malformed body, a missing model, a temperature of 3 get the documented error bodies; unknown fields are let through.
// An answer is a function of the seed and the bytes of the request's body, so the same request gives the same text, and
// it is plainly made up: it begins "[practice answer, made up by batch simulate]" and every response bears
// Batch-Simulated: 1, so that nobody takes it for a model's. max_tokens, max_completion_tokens, stop, n, stream,
// stream_options.include_usage and response_format json_object and json_schema (of plain schemas: see
// instance) do what they should; tools are accepted and ignored. Usage is counted by package tokens with the vocabulary of the requested
// model, as a real API does: exactly, but for what is beyond the first 64 KiB of a request's text.
//
// # Idempotency keys
//
// Under an Idempotency-Key a request is worked on, and billed, once. The same key and body get the same answer again,
// byte for byte, with Idempotent-Replayed: true; a key that is still being worked on gives 409, a key that comes with
// another body 422. Work goes on when the client hangs up, so an answer that was cut on its way is replayed whole. The
// newest 100,000 keys are remembered, as hashes: an answer is made again, not kept. Options.KeyLife forgets them sooner,
// Options.IgnoreKeys at once. Errors are not remembered, unless Options.StoreErrors asks for it. A replay is not billed,
// does not count against the limits and meets no fault.
//
// # Limits
//
// RPM and TPM are enforced per window of a minute that begins in the second of its first call: what the documented
// headers say is what is enforced, so a client that obeys them never meets a 429, and one that does not is told in
// Retry-After how long the window still lasts. Tokens count as they are billed, prompt and answer; an answer that the
// fault filter cuts counts whole, as the window is asked before. A call counts once it is let through, whatever becomes of
// it; a refused one does not count.
//
// # Faults
//
// Options.Faults makes a share of the calls go wrong, in the ways that FaultKinds lists. Which ones is a function of the
// seed, the body, and how often that body came before, so a run of the same requests meets the same faults in whatever
// order they are sent, and a retry gets another draw.
//
// # Scripts
//
// Options.Script is the other side of the server, for tests: it says call by call what goes wrong. It is asked before
// anything else, with the request and its number, and gives the steps that the call meets: waits, a status, headers and
// bytes, all at once or dripping, a connection that is cut, reset, closed or left hanging, a kind of fault, or raw bytes
// in place of HTTP. Where no step answers, the practice server does, and so it does where there are no steps: a script can merely delay
// a call, hold it until a channel is closed, or choose its fault. What a script answers itself is not remembered under the key, is
// under no limit and billed as its steps say. Package simtest listens with a server over HTTP/1.1, TLS, HTTP/2 and pipes.
//
// # The ledger
//
// With Options.Ledger every call is kept: its key, body, reply, what was billed, and whether anything on this side kept
// the reply from its end. It is what a client's own books are to be held against.
//
// Memory does not grow with the number of calls, but for the ledger, for scripts (a counter for each body) and, while
// faults are on, a counter of some 40 bytes for each different body, which starts anew at 2 million.
package sim
