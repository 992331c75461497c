// Package chat speaks the chat completions API: what a request may say, one attempt to have it answered, and what the
// answer or the failure means.
//
// [Client.Do] makes exactly one HTTP call and never a second one: no retry, no redirect, no re-send by the transport
// when a kept-alive connection dies. It returns a [Result] and never an error, since a failed call is data: its [Class]
// says who pays and what happens next, and the policy (retries, pauses, stopping) belongs to the caller.
//
// Done is said only of a whole answer. A cut body, a stream without an end, a 2xx that is no completion are Unknown;
// a type or code that the API spelled out outranks the HTTP status, also inside a 200 and inside a stream.
//
// Duplicate keys in an answer: the last one counts. Keys are matched by exact case. The raw body is kept byte for byte;
// a stream is assembled into the completion that a call without streaming would have given.
//
// Everything that comes from the wire is bounded in size, judged before it is used, made printable where it is text,
// and freed of the API key where a server echoes it.
//
// The package imports nothing else of this module.
package chat
