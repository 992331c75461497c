package chat

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// apiError is an error as an API spelled it, still raw.
type apiError struct {
	typ, code, message string
	// api says that a chat completions API wrote it, and not something in front of one.
	api bool
}

// findError looks in a JSON object for an error, in the shapes that compatible servers use. A body under a status that
// is no failure only has one when it says so.
func findError(object []byte, status int) *apiError {
	var e, top apiError
	var found, isError bool
	var title string
	for name, value := range eachMember(object) {
		switch string(name) {
		case "error":
			e, found = readError(value)
		case "object":
			isError = textOf(value) == "error" // vLLM
		case "type":
			top.typ = scalar(value)
		case "code":
			top.code = scalar(value)
		case "message", "msg":
			top.message = textOf(value)
		case "title": // RFC 9457; Cloudflare's own errors have nothing else
			title = textOf(value)
		case "detail":
			if detail := readDetail(value); detail.message != "" { // FastAPI
				top.message = detail.message
				top.typ, top.code = first(top.typ, detail.typ), first(top.code, detail.code)
				isError = isError || detail.api
			}
		}
	}
	switch {
	case found:
		e.message = first(e.message, top.message)
		if e.typ == "" && top.typ != "error" {
			e.typ = top.typ
		}
		e.code = first(e.code, top.code)
		// A framework's own page for an unknown path is JSON too, as in {"status":404,"error":"Not Found"}.
		e.api = !strings.EqualFold(e.message, http.StatusText(status))
		return &e
	case isError:
		top.api = true
		return &top
	case status >= 400 && (top != apiError{} || title != ""):
		top.message = first(top.message, title)
		return &top
	}
	return nil
}

// readError reads the value of "error"; null, false, "" and {} are none.
func readError(value []byte) (e apiError, found bool) {
	switch kindOf(value) {
	case '{':
		for range eachMember(value) {
			return *errorObject(value), true
		}
	case '"':
		e.message = textOf(value)
		return e, e.message != ""
	case 't':
		return e, true
	case 'n', 'f', 0:
	default:
		e.code = scalar(value)
		return e, true
	}
	return e, false
}

func errorObject(object []byte) *apiError {
	e := &apiError{api: true}
	for name, value := range eachMember(object) {
		switch string(name) {
		case "type":
			e.typ = scalar(value)
		case "code":
			e.code = scalar(value)
		case "message":
			e.message = first(textOf(value), e.message)
		case "msg", "detail", "error", "error_message":
			e.message = first(e.message, textOf(value))
		case "status": // Google's name for a type, as in RESOURCE_EXHAUSTED
			e.typ = first(e.typ, textOf(value))
		}
	}
	return e
}

// readDetail reads FastAPI's {"detail": "..."}, {"detail": {...}} and {"detail": [{"loc": [...], "msg": "..."}]}.
func readDetail(value []byte) (e apiError) {
	switch kindOf(value) {
	case '"':
		e.message = textOf(value)
	case '{':
		e = *errorObject(value)
		for name, inner := range eachMember(value) {
			if string(name) == "error" && kindOf(inner) == '{' {
				e = *errorObject(inner)
			}
		}
	case '[':
		var b strings.Builder
		for item := range eachElement(value) {
			var path []byte
			var text string
			for name, inner := range eachMember(item) {
				switch string(name) {
				case "loc":
					path = nil
					for step := range eachElement(inner) {
						if path = append(append(path, scalar(step)...), '.'); len(path) > maxMessage {
							break
						}
					}
				case "msg":
					text = textOf(inner)
				}
			}
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(strings.TrimSuffix(string(path), ".") + ": " + text)
			if b.Len() > 2*maxMessage {
				break
			}
		}
		e = apiError{message: b.String(), api: true}
	}
	return e
}

// scalar is a string, or a number as written; "" for anything else.
func scalar(value []byte) string {
	switch kindOf(value) {
	case '"':
		return textOf(value)
	case '{', '[', 'n', 't', 'f', 0:
		return ""
	}
	return string(value)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// status is the HTTP status that an error names as its code, 0 for none: {"error": {"code": 429}}.
func (e *apiError) status() int {
	if n, err := strconv.Atoi(e.code); err == nil && n >= 300 && n <= 999 {
		return n
	}
	return 0
}

// sseError finds the error of a failure that was sent as an event stream.
func sseError(body []byte, status int) *apiError {
	for line := range bytes.Lines(body) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if data = trimJSON(data); validJSON(data) {
				return findError(data, status)
			}
		}
	}
	return nil
}
