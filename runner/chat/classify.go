package chat

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// verdict is what a failure means.
type verdict struct {
	class  Class
	reason Reason
}

// ranks are the types and codes that say what happened whatever the status over them: a spent quota often comes as a
// 429, and anything can come inside a 200. Where type and code disagree, the one further up in ranks counts.
var ranks = []struct {
	verdict verdict
	names   string
}{
	{verdict{RunStops, QuotaSpent}, `insufficient_quota tokens_exhausted_error tokens_exhausted insufficient_funds_error
		insufficient_funds insufficient_balance insufficient_balance_error insufficient_credits insufficient_user_quota
		billing_error billing_hard_limit_reached billing_not_active billing_limit_reached payment_required
		payment_required_error exceeded_current_quota_error credit_balance_too_low credits_exhausted usage_limit_reached
		spending_limit_reached arrearage`},
	{verdict{RunStops, KeyRefused}, `invalid_api_key api_key_revoked api_key_expired expired_api_key missing_api_key
		no_api_key incorrect_api_key invalid_key authentication_error invalid_authentication invalid_authentication_error
		authenticationerror unauthenticated unauthorized account_deactivated account_suspended account_disabled
		deactivated_workspace organization_deactivated origin_not_allowed ip_not_allowed ip_not_authorized
		unsupported_country_region_territory`},
	{verdict{JobFailed, ReasonNone}, `context_length_exceeded context_window_exceeded max_tokens_exceeded
		string_above_max_length content_policy_error content_policy_violation content_policy content_filter
		content_filtered moderation_blocked invalid_model model_not_found model_not_supported request_too_large`},
	{verdict{NotProcessed, RateLimited}, `rate_limit_error rate_limit_exceeded rate_limit_reached rate_limited
		rate_limit_reached_error ratelimiterror too_many_requests resource_exhausted throttling throttlingexception
		throttling_exception requests_limit_exceeded tokens_limit_exceeded`},
	{verdict{NotProcessed, ReasonNone}, `overloaded_error overloaded engine_overloaded engine_overloaded_error
		server_overloaded model_overloaded service_unavailable service_unavailable_error serviceunavailableerror
		slow_down`},
	// Too general to outrank a status; inside a 200 there is nothing better.
	{verdict{JobFailed, ReasonNone}, `invalid_request_error badrequesterror invalid_request invalid_parameter
		missing_parameter missing_required_parameter unknown_parameter unsupported_parameter unsupported_value invalid_value
		invalid_type invalid_prompt invalid_image not_found_error notfounderror
		unprocessable_entity_error unprocessableentityerror invalid_argument`},
}

const (
	overloadRank = 4 // a 429 that speaks of overload is still a 429
	weakRank     = 5
)

var rankOf = func() map[string]int {
	m := map[string]int{}
	for rank, r := range ranks {
		for name := range strings.FieldsSeq(r.names) {
			m[name] = rank
		}
	}
	return m
}()

// rank places an error among the ranks, len(ranks) when neither its type nor its code is known.
func (e *apiError) rank() int {
	best := len(ranks)
	for _, name := range []string{e.typ, e.code} {
		if rank, ok := rankOf[strings.ToLower(name)]; ok {
			best = min(best, rank)
		}
	}
	return best
}

// judge says what a response that is no answer means: e is the error in its body, nil for none.
// The status of a stream's error event is that of the stream, 200.
func judge(status int, e *apiError) verdict {
	if e == nil {
		return byStatus(status)
	}
	if reusedKey(status, e) {
		return verdict{RunStops, KeyReused}
	}
	rank := e.rank()
	if status/100 == 2 {
		if inner := e.status(); inner != 0 {
			return judge(inner, e) // it would have been the status, had the server not begun with another
		}
		if rank == len(ranks) {
			return verdict{Unknown, ReasonNone}
		}
	} else if rank >= weakRank || rank == overloadRank && status == http.StatusTooManyRequests {
		v := byStatus(status)
		if v.reason == RateLimited && tooLarge(e.message) {
			return verdict{JobFailed, TooLarge}
		}
		if (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) && e.api && !wrongPath(status, e.message) {
			return verdict{JobFailed, ReasonNone}
		}
		return v
	}
	v := ranks[rank].verdict
	if v.reason == RateLimited && (tooLarge(e.message) || status == http.StatusRequestEntityTooLarge) {
		return verdict{JobFailed, TooLarge}
	}
	return v
}

// byStatus judges a response that says nothing else.
func byStatus(status int) verdict {
	switch {
	case status == http.StatusUnauthorized:
		return verdict{RunStops, KeyRefused}
	case status == http.StatusPaymentRequired:
		return verdict{RunStops, QuotaSpent}
	case status == http.StatusForbidden:
		return verdict{JobFailed, Forbidden}
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status/100 == 3:
		return verdict{RunStops, WrongEndpoint}
	case status == http.StatusTooManyRequests:
		return verdict{NotProcessed, RateLimited}
	case status == http.StatusTooEarly, status == http.StatusServiceUnavailable, status == 529:
		return verdict{NotProcessed, ReasonNone}
	case status == http.StatusRequestTimeout, status == http.StatusConflict:
		return verdict{Unknown, ReasonNone}
	case status/100 == 4:
		return verdict{JobFailed, ReasonNone}
	}
	return verdict{Unknown, ReasonNone}
}

// requested finds the figures in "Limit 30000, Requested 40000": a request that no waiting lets through.
var requested = regexp.MustCompile(`(?i)\blimit:? ?([0-9][0-9,]*).*\brequested:? ?([0-9][0-9,]*)`)

func tooLarge(message string) bool {
	message = message[:min(len(message), 2*maxMessage)] // what is sent is no reason to search megabytes
	if strings.Contains(strings.ToLower(message), "request too large") {
		return true
	}
	m := requested.FindStringSubmatch(message)
	if m == nil {
		return false
	}
	limit, err1 := strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
	want, err2 := strconv.ParseInt(strings.ReplaceAll(m[2], ",", ""), 10, 64)
	return err1 == nil && err2 == nil && want > limit
}

// reusedKey recognises the refusal of an Idempotency-Key that came with another body before: a bug of ours or of the
// job file's, which every further job may share. A twin that is still running is none.
func reusedKey(status int, e *apiError) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity:
	default:
		return false
	}
	all := apart.Replace(strings.ToLower(e.typ + " " + e.code + " " + e.message))
	if !strings.Contains(all, "idempoten") {
		return false
	}
	for _, running := range []string{"in use", "in progress", "in flight", "being processed", "still processing", "still running", "concurrent"} {
		if strings.Contains(all, running) {
			return false
		}
	}
	for _, other := range []string{"different", "another", "mismatch", "not match", "reuse", "already used", "same param"} {
		if strings.Contains(all, other) {
			return true
		}
	}
	return false
}

// apart makes in_progress and in-progress of one spelling with in progress.
var apart = strings.NewReplacer("_", " ", "-", " ")

// wrongPath recognises an API that knows no such path: its 404 is about the base URL, not about a model.
func wrongPath(status int, message string) bool {
	m := strings.TrimRight(strings.ToLower(message), ".! ")
	if m == strings.ToLower(http.StatusText(status)) {
		return true
	}
	for _, begin := range []string{"invalid url", "unknown request url", "unrecognized request url"} {
		if strings.HasPrefix(m, begin) {
			return true
		}
	}
	if strings.Contains(m, "model") || strings.Contains(m, "deployment") {
		return false // some call what serves a model an endpoint
	}
	for _, words := range []string{"route not found", "no such route", "no route", "unknown route", "endpoint not found", "no such endpoint",
		"unknown endpoint", "path not found", "no such path", "unknown path", "page not found", "url not found", "cannot post "} {
		if strings.Contains(m, words) {
			return true
		}
	}
	return false
}

// speak says in words what a response without a usable message of its own was.
func speak(status int, header http.Header, body []byte, requestSize int) string {
	text := statusText(status)
	if status/100 == 3 {
		if host := redirectHost(header.Get("Location")); host != "" {
			return text + ": it points to " + host + ", and no redirect is followed"
		}
		return text + ": no redirect is followed"
	}
	if rest := excerpt(trimJSON(body)); rest != "" && rest != strings.TrimPrefix(text, "HTTP ") && !strings.Contains(rest, text) {
		text += ": " + rest
	}
	if status == http.StatusRequestEntityTooLarge {
		text += sizeNote(requestSize)
	}
	return text
}

func sizeNote(size int) string { return fmt.Sprintf(" (the request is %d bytes)", size) }

func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("HTTP %d %s", status, http.StatusText(status)))
}

// redirectHost names the target of a redirect, and nothing more of it: the rest may hold what was sent.
func redirectHost(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	if u.Host == "" && u.Scheme != "" {
		return u.Scheme + ":"
	}
	return u.Host
}
