package sim

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

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
	errKey      = apiError{http.StatusUnauthorized, "authentication_error", "invalid_api_key", "Invalid API key provided", "", 0}
	errModel    = apiError{http.StatusBadRequest, typeInvalid, "invalid_model", "Invalid model specified", "model", 0}
	errLimit    = apiError{http.StatusTooManyRequests, "rate_limit_error", "rate_limit_exceeded", "Rate limit exceeded", "", 0}
	errTooLarge = apiError{http.StatusRequestEntityTooLarge, typeInvalid, "request_too_large", "Request body is larger than 32 MiB", "", 0}
	errUnread   = apiError{http.StatusBadRequest, typeInvalid, "invalid_request", "Request body could not be read", "", 0}
	errJSON     = apiError{http.StatusBadRequest, typeInvalid, "invalid_request", "Request body is not a JSON object", "", 0}
	errPath     = apiError{http.StatusNotFound, typeInvalid, "not_found", "No such endpoint", "", 0}
	errMethod   = apiError{http.StatusMethodNotAllowed, typeInvalid, "method_not_allowed", "Method not allowed", "", 0}
	errBusy     = apiError{http.StatusConflict, typeInvalid, "idempotency_in_progress", "A request with this Idempotency-Key is still in progress", "", 0}
	errReused   = apiError{http.StatusUnprocessableEntity, typeInvalid, "idempotency_mismatch", "This Idempotency-Key was used with another request body", "", 0}
)

func (e *apiError) write(w http.ResponseWriter) {
	if e.retryAfter > 0 {
		w.Header()["Retry-After"] = []string{strconv.Itoa(e.retryAfter)}
	}
	writeJSON(w, e.status, e.append(nil))
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
