package sim

import "github.com/go-json-experiment/json/jsontext"

const (
	typeInvalid = "invalid_request_error"
	typeServer  = "server_error"
)

// apiError is an error as the API spells it. Code and type are the documented ones wherever there is one.
type apiError struct {
	status             int
	typ, code, message string
	param              string // only where one parameter is to blame
	retryAfter         int    // seconds, 0 for none
}

var (
	errKey    = apiError{status: 401, typ: "authentication_error", code: "invalid_api_key", message: "Invalid API key provided"}
	errLimit  = apiError{status: 429, typ: "rate_limit_error", code: "rate_limit_exceeded", message: "Rate limit exceeded"}
	errModel  = apiError{status: 400, typ: typeInvalid, code: "invalid_model", message: "Invalid model specified", param: "model"}
	errUnread = invalid(400, "invalid_request", "Request body could not be read")
	errJSON   = invalid(400, "invalid_request", "Request body is not a JSON object")
	errLarge  = invalid(413, "request_too_large", "Request body is larger than 32 MiB")
	errPath   = invalid(404, "not_found", "No such endpoint")
	errMethod = invalid(405, "method_not_allowed", "Method not allowed")
	errBusy   = invalid(409, "idempotency_in_progress", "A request with this Idempotency-Key is still in progress")
	errReused = invalid(422, "idempotency_mismatch", "This Idempotency-Key was used with another request body")
)

func invalid(status int, code, message string) apiError {
	return apiError{status: status, typ: typeInvalid, code: code, message: message}
}

func badField(param, message string) *apiError {
	return &apiError{status: 400, typ: typeInvalid, code: "invalid_parameter", message: message, param: param}
}

func missing(param string) *apiError {
	return &apiError{status: 400, typ: typeInvalid, code: "missing_parameter", message: "Missing required parameter: " + param, param: param}
}

func (e *apiError) append(b []byte) []byte {
	b = appendString(append(b, `{"error":{"message":`...), e.message)
	b = appendString(append(b, `,"type":`...), e.typ)
	b = appendString(append(b, `,"code":`...), e.code)
	if e.param != "" {
		b = appendString(append(b, `,"param":`...), e.param)
	}
	return append(b, "}}"...)
}

// appendString appends a JSON string. Invalid UTF-8 is replaced, which AppendQuote reports but does all the same.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
