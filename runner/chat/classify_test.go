package chat

import (
	"fmt"
	"strings"
	"testing"
)

// ofStatus is the class of a response that says nothing but its status.
func ofStatus(status int) verdict {
	switch status {
	case 401:
		return verdict{RunStops, KeyRefused}
	case 402:
		return verdict{RunStops, QuotaSpent}
	case 403:
		return verdict{JobFailed, Forbidden}
	case 404, 405:
		return verdict{RunStops, WrongEndpoint}
	case 408, 409:
		return verdict{Unknown, ReasonNone}
	case 425, 503, 529:
		return verdict{NotProcessed, ReasonNone}
	case 429:
		return verdict{NotProcessed, RateLimited}
	}
	switch status / 100 {
	case 3:
		return verdict{RunStops, WrongEndpoint}
	case 4:
		return verdict{JobFailed, ReasonNone}
	}
	return verdict{Unknown, ReasonNone}
}

// Every status from 100 to 999 has a class, with no body, with an API's error and with a gateway's page.
func TestH21_EveryStatusHasAClass(t *testing.T) {
	for status := 100; status <= 999; status++ {
		want := ofStatus(status)
		if got := judge(status, nil); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
		if status == 404 || status == 405 {
			want = verdict{JobFailed, ReasonNone}
		}
		e := findError([]byte(`{"error":{"message":"no","type":"some_error","code":null}}`), status)
		if got := judge(status, e); got != want {
			t.Errorf("%d with an API error: %v, want %v", status, got, want)
		}
	}
}

func TestH1_Q3_TypesAndCodesOutrankTheStatus(t *testing.T) {
	for _, row := range []struct {
		name string // type or code, alone
		want verdict
	}{
		{"insufficient_quota", verdict{RunStops, QuotaSpent}},
		{"tokens_exhausted_error", verdict{RunStops, QuotaSpent}},
		{"insufficient_funds_error", verdict{RunStops, QuotaSpent}},
		{"billing_hard_limit_reached", verdict{RunStops, QuotaSpent}},
		{"invalid_api_key", verdict{RunStops, KeyRefused}},
		{"api_key_revoked", verdict{RunStops, KeyRefused}},
		{"authentication_error", verdict{RunStops, KeyRefused}},
		{"origin_not_allowed", verdict{RunStops, KeyRefused}},
		{"rate_limit_error", verdict{NotProcessed, RateLimited}},
		{"rate_limit_exceeded", verdict{NotProcessed, RateLimited}},
		{"context_length_exceeded", verdict{JobFailed, ReasonNone}},
		{"content_policy_error", verdict{JobFailed, ReasonNone}},
		{"content_policy_violation", verdict{JobFailed, ReasonNone}},
		{"invalid_model", verdict{JobFailed, ReasonNone}},
		{"Model_Not_Found", verdict{JobFailed, ReasonNone}},
	} {
		for _, status := range []int{200, 201, 400, 401, 402, 403, 404, 422, 429, 500, 502, 503, 529} {
			for _, body := range []string{
				`{"error":{"message":"m","type":%q,"code":null}}`, `{"error":{"message":"m","type":"invalid_request_error","code":%q}}`,
				`{"error":"m","code":%q}`, `{"object":"error","message":"m","type":%q,"code":1}`,
			} {
				body = fmt.Sprintf(body, row.name)
				if got := judge(status, readReply([]byte(body), status).err); got != row.want {
					t.Errorf("%d %s: %v, want %v", status, body, got, row.want)
				}
			}
		}
	}
}

func TestErrorBodies(t *testing.T) {
	for _, row := range []struct {
		about               string
		status              int
		body                string
		want                verdict
		typ, code, message_ string // message_ is a part of the message
	}{
		{"rate_limit", 429, `{"error":{"type":"insufficient_quota","code":"rate_limit_exceeded","message":"spent"}}`, verdict{RunStops, QuotaSpent}, "insufficient_quota", "rate_limit_exceeded", "spent"},
		{"H1_inside_200", 200, `{"error":{"code":429,"message":"slow"}}`, verdict{NotProcessed, RateLimited}, "", "429", "slow"},
		{"H1_inside_200", 200, `{"error":{"code":"401","message":"no key"}}`, verdict{RunStops, KeyRefused}, "", "401", "no key"},
		{"H1_inside_200", 200, `{"error":{"code":503,"message":"down"},"choices":[]}`, verdict{NotProcessed, ReasonNone}, "", "503", "down"},
		{"H1_inside_200", 200, `{"error":{"type":"overloaded_error","message":"busy"}}`, verdict{NotProcessed, ReasonNone}, "overloaded_error", "", "busy"},
		{"H1_inside_200", 200, `{"error":{"type":"invalid_request_error","message":"bad"}}`, verdict{JobFailed, ReasonNone}, "invalid_request_error", "", "bad"},
		{"H1_inside_200", 200, `{"error":{"type":"server_error","message":"oops"}}`, verdict{Unknown, ReasonNone}, "server_error", "", "oops"},
		{"H1_inside_200", 200, `{"error":{"code":429,"type":"invalid_request_error","message":"slow"}}`, verdict{NotProcessed, RateLimited}, "invalid_request_error", "429", "slow"},
		{"H1_inside_200", 200, `{"error":{"code":"401","type":"invalid_request_error","message":"key"}}`, verdict{RunStops, KeyRefused}, "invalid_request_error", "401", "key"},
		{"H1_inside_200", 200, `{"error":{"code":500,"type":"invalid_request_error","message":"oops"}}`, verdict{Unknown, ReasonNone}, "invalid_request_error", "500", "oops"},
		{"H1_inside_200", 200, `{"error":{"code":400,"type":"invalid_request_error","message":"bad"}}`, verdict{JobFailed, ReasonNone}, "invalid_request_error", "400", "bad"},
		{"H1_inside_200", 200, `{"error":{"code":429,"type":"overloaded_error","message":"busy"}}`, verdict{NotProcessed, RateLimited}, "overloaded_error", "429", "busy"},
		{"H1_inside_200", 200, `{"error":{"code":429,"type":"insufficient_quota","message":"spent"}}`, verdict{RunStops, QuotaSpent}, "insufficient_quota", "429", "spent"},
		{"H1_inside_200", 200, `{"error":{"code":7,"type":"invalid_request_error","message":"bad"}}`, verdict{JobFailed, ReasonNone}, "invalid_request_error", "7", "bad"},
		{"H1_inside_200", 200, `{"error":{"code":404,"message":"Not Found"}}`, verdict{RunStops, WrongEndpoint}, "", "404", "Not Found"},
		{"H1_inside_200", 200, `{"error":"it broke"}`, verdict{Unknown, ReasonNone}, "", "", "it broke"},
		{"H1_inside_200", 200, `{"error":true}`, verdict{Unknown, ReasonNone}, "", "", "without a message"},
		{"H1_inside_200", 200, `{"choices":[{"error":{"code":502,"message":"behind"},"message":{"content":""}}]}`, verdict{Unknown, ReasonNone}, "", "502", "behind"},
		{"H1_inside_200", 200, `{"detail":"what"}`, verdict{Unknown, ReasonNone}, "", "", "no choices"},
		{"rate_limit", 429, `{"error":{"type":"overloaded_error","message":"busy"}}`, verdict{NotProcessed, RateLimited}, "overloaded_error", "", "busy"},
		{"shapes", 500, `{"error":{"type":"overloaded_error","message":"busy"}}`, verdict{NotProcessed, ReasonNone}, "overloaded_error", "", "busy"},
		{"shapes", 401, `{"error":{"type":"invalid_request_error","code":"invalid_request","message":"?"}}`, verdict{RunStops, KeyRefused}, "invalid_request_error", "invalid_request", "?"},
		{"shapes", 403, `{"error":{"type":"permission_error","message":"not yours"}}`, verdict{JobFailed, Forbidden}, "permission_error", "", "not yours"},
		{"H9_unknown_model", 404, `{"object":"error","message":"The model does not exist.","type":"NotFoundError","code":404}`, verdict{JobFailed, ReasonNone}, "NotFoundError", "404", "does not exist"},
		{"wrong_path", 404, `{"detail":"Not Found"}`, verdict{RunStops, WrongEndpoint}, "", "", "Not Found"},
		{"wrong_path", 404, `{"timestamp":1,"status":404,"error":"Not Found","path":"/v1/x"}`, verdict{RunStops, WrongEndpoint}, "", "", "Not Found"},
		{"wrong_path", 404, `{"message":"no Route matched with those values"}`, verdict{RunStops, WrongEndpoint}, "", "", "no Route"},
		{"wrong_path", 404, `{"error":{"message":"Invalid URL (POST /chat/completions)","type":"invalid_request_error"}}`, verdict{RunStops, WrongEndpoint}, "invalid_request_error", "", "Invalid URL"},
		{"wrong_path", 404, `{"error":"Route not found"}`, verdict{RunStops, WrongEndpoint}, "", "", "Route not found"},
		{"wrong_path", 404, `{"error":{"message":"No such endpoint: POST /v2/chat/completions"}}`, verdict{RunStops, WrongEndpoint}, "", "", "No such endpoint"},
		{"wrong_path", 404, `{"error":{"message":"Cannot POST /chat/completions","type":"not_found_error"}}`, verdict{RunStops, WrongEndpoint}, "not_found_error", "", "Cannot POST"},
		{"wrong_path", 405, `{"error":"Method not allowed."}`, verdict{RunStops, WrongEndpoint}, "", "", "not allowed"},
		{"wrong_path", 404, `{"error":"Not found."}`, verdict{RunStops, WrongEndpoint}, "", "", "Not found"},
		{"H9_unknown_model", 404, `{"error":{"message":"No endpoints found for m-1."}}`, verdict{JobFailed, ReasonNone}, "", "", "No endpoints"},
		{"H9_unknown_model", 404, `{"error":{"message":"The model m-1 has no such endpoint"}}`, verdict{JobFailed, ReasonNone}, "", "", "m-1"},
		{"wrong_path", 404, `<html><head><title>404 page</title>`, verdict{RunStops, WrongEndpoint}, "", "", "HTTP 404 Not Found: 404 page"},
		{"shapes", 422, `{"detail":[{"loc":["body","messages",0],"msg":"field required","type":"value_error"}]}`, verdict{JobFailed, ReasonNone}, "", "", "body.messages.0: field required"},
		{"H8_context_length", 400, `{"detail":{"error":{"message":"deep","code":"context_length_exceeded"}}}`, verdict{JobFailed, ReasonNone}, "", "context_length_exceeded", "deep"},
		{"shapes", 400, `[{"error":{"code":400,"message":"listed","status":"INVALID_ARGUMENT"}}]`, verdict{JobFailed, ReasonNone}, "INVALID_ARGUMENT", "400", "listed"},
		{"rate_limit", 429, `[{"error":{"code":429,"message":"listed","status":"RESOURCE_EXHAUSTED"}}]`, verdict{NotProcessed, RateLimited}, "RESOURCE_EXHAUSTED", "429", "listed"},
		{"shapes", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"nested"}}`, verdict{JobFailed, ReasonNone}, "invalid_request_error", "", "nested"},
		{"H7_too_large", 413, `{"error":{"message":"big"}}`, verdict{JobFailed, ReasonNone}, "", "", "big (the request is 77 bytes)"},
		{"H7_too_large", 413, ``, verdict{JobFailed, ReasonNone}, "", "", "HTTP 413 Request Entity Too Large (the request is 77 bytes)"},
		{"rate_limit", 413, `{"error":{"code":"rate_limit_exceeded","type":"tokens","message":"too many tokens"}}`, verdict{JobFailed, TooLarge}, "tokens", "rate_limit_exceeded", "too many"},
		{"rate_limit", 429, `{"error":{"code":"rate_limit_exceeded","message":"Request too large for m: Limit 30000, Requested 40000."}}`, verdict{JobFailed, TooLarge}, "", "rate_limit_exceeded", "too large"},
		{"rate_limit", 429, `{"error":{"message":"Rate limit reached on tokens per min (TPM): Limit 30,000, Used 0, Requested 40,000."}}`, verdict{JobFailed, TooLarge}, "", "", "reached"},
		{"rate_limit", 429, `{"error":{"message":"Rate limit reached on tokens per min. Limit: 10000 / min. Used 9000, Requested 2000."}}`, verdict{NotProcessed, RateLimited}, "", "", "reached"},
		{"H11_key_reused", 409, `{"error":{"type":"idempotency_error","message":"Keys for idempotent requests can only be used with the same parameters"}}`, verdict{RunStops, KeyReused}, "idempotency_error", "", "same param"},
		{"H11_key_reused", 422, `{"error":{"message":"Idempotency-Key was used with a different request body"}}`, verdict{RunStops, KeyReused}, "", "", "different"},
		{"H10_conflict", 409, `{"error":{"message":"Conflict","type":"conflict_error"}}`, verdict{Unknown, ReasonNone}, "conflict_error", "", "Conflict"},
		{"H10_request_timeout", 408, ``, verdict{Unknown, ReasonNone}, "", "", "HTTP 408 Request Timeout"},
		{"H10_twin_in_progress", 409, `{"error":{"type":"idempotency_error","message":"There is currently another in-progress request using this Idempotent Key"}}`, verdict{Unknown, ReasonNone}, "idempotency_error", "", "in-progress"},
		{"H10_twin_in_progress", 409, `{"error":{"code":"idempotency_key_in_use","message":"another request with this Idempotency-Key is in progress"}}`, verdict{Unknown, ReasonNone}, "", "idempotency_key_in_use", "in progress"},
		{"H5_gateway_page", 502, "<!DOCTYPE html>\n<html><head>\n<TITLE>502\nBad Gateway</TITLE></head>", verdict{Unknown, ReasonNone}, "", "", "HTTP 502 Bad Gateway"},
		{"H5_gateway_page", 502, "<html><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>", verdict{Unknown, ReasonNone}, "", "", "HTTP 502 Bad Gateway"},
		{"H6_cloudflare", 524, `{"title":"Error 524: A timeout occurred","status":524,"detail":null}`, verdict{Unknown, ReasonNone}, "", "", "Error 524: A timeout occurred"},
		{"H5_gateway_page", 503, "<html><title>Down for a minute</title>", verdict{NotProcessed, ReasonNone}, "", "", "HTTP 503 Service Unavailable: Down for a minute"},
		{"H6_cloudflare", 521, "<title>api.example | 521: Web server is down</title>", verdict{Unknown, ReasonNone}, "", "", "HTTP 521: api.example | 521: Web server is down"},
		{"H6_cloudflare", 522, "error code: 522", verdict{Unknown, ReasonNone}, "", "", "HTTP 522: error code: 522"},
		{"H6_cloudflare", 523, "", verdict{Unknown, ReasonNone}, "", "", "HTTP 523"},
		{"H6_cloudflare", 524, `{"type":"https://developers.cloudflare.com/","title":"Error 524: A timeout occurred","status":524}`, verdict{Unknown, ReasonNone}, "https://developers.cloudflare.com/", "", "A timeout occurred"},
		{"H6_cloudflare", 520, "<h1>Web server is down</h1>", verdict{Unknown, ReasonNone}, "", "", "HTTP 520: Web server is down"},
		{"H5_gateway_page", 503, "upstream connect error\x1b[2J\u202e or disconnect", verdict{NotProcessed, ReasonNone}, "", "", "HTTP 503 Service Unavailable: upstream connect error[2J or disconnect"},
		{"shapes", 500, "event: error\ndata: {\"error\":{\"type\":\"insufficient_quota\",\"message\":\"spent\"}}\n\n", verdict{RunStops, QuotaSpent}, "insufficient_quota", "", "spent"},
	} {
		t.Run(fmt.Sprintf("%s/%d", row.about, row.status), func(t *testing.T) {
			var r Result
			c := &Client{redact: newRedactor(testKey)}
			if r.Status = row.status; row.status == 200 {
				r.settle(readReply([]byte(row.body), 200))
			} else {
				r.refused([]byte(row.body), false, nil, 77)
			}
			c.clean(&r)
			if got := (verdict{r.Class, r.Reason}); got != row.want || r.Type != row.typ || r.Code != row.code || !strings.Contains(r.Message, row.message_) {
				t.Errorf("%d %s\n got %v type %q code %q message %q\nwant %v type %q code %q message %q",
					row.status, row.body, got, r.Type, r.Code, r.Message, row.want, row.typ, row.code, row.message_)
			}
		})
	}
}
