package chat

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// variables is an environment.
type variables map[string]string

func (v variables) get(name string) string { return v[name] }

const mine = "ask_mine_0123456789"

func TestEndpoints(t *testing.T) {
	key := variables{"ASSISTERS_API_KEY": mine}
	for name, row := range map[string]struct {
		opt  EndpointOptions
		env  variables
		want Endpoint
	}{
		"the default": {
			EndpointOptions{}, key,
			Endpoint{BaseURL: "https://api.assisters.dev/v1", Host: "api.assisters.dev", APIKey: mine, Assisters: true},
		},
		"the variable": {
			EndpointOptions{}, variables{"ASSISTERS_API_KEY": mine, "ASSISTERS_BASE_URL": "https://assisters.dev/api/v1/"},
			Endpoint{BaseURL: "https://assisters.dev/api/v1", Host: "assisters.dev", APIKey: mine, Assisters: true},
		},
		"the variable outranks what was not given now": {
			EndpointOptions{BaseURL: "https://old.example.com"}, variables{"ASSISTERS_API_KEY": mine, "ASSISTERS_BASE_URL": "https://new.example.com"},
			Endpoint{BaseURL: "https://new.example.com", Host: "new.example.com", APIKey: mine},
		},
		"the flag outranks the variable": {
			EndpointOptions{BaseURL: "https://LLM.Example.com:443/v1//", Explicit: true}, variables{"ASSISTERS_API_KEY": " " + mine + "\n", "ASSISTERS_BASE_URL": "https://x.y"},
			Endpoint{BaseURL: "https://llm.example.com/v1", Host: "llm.example.com", APIKey: mine},
		},
		"the whole address": {
			EndpointOptions{BaseURL: "https://llm.example.com:8443/v1/chat/completions/", Explicit: true}, key,
			Endpoint{BaseURL: "https://llm.example.com:8443/v1", Host: "llm.example.com:8443", APIKey: mine},
		},
		"loopback without a key": {
			EndpointOptions{BaseURL: "http://localhost:8000/v1", Explicit: true}, nil,
			Endpoint{BaseURL: "http://localhost:8000/v1", Host: "localhost:8000"},
		},
		"loopback by address, with the key": {
			EndpointOptions{BaseURL: "http://[::1]:80", Explicit: true}, key,
			Endpoint{BaseURL: "http://[::1]", Host: "[::1]", APIKey: mine},
		},
		"another provider with its own key": {
			EndpointOptions{BaseURL: "https://api.openai.com/v1", Explicit: true, APIKeyEnv: "OPENAI_API_KEY"},
			variables{"ASSISTERS_API_KEY": mine, "OPENAI_API_KEY": "sk-theirs"},
			Endpoint{BaseURL: "https://api.openai.com/v1", Host: "api.openai.com", APIKey: "sk-theirs"},
		},
		"another variable for Assisters": {
			EndpointOptions{APIKeyEnv: "WORK_KEY"}, variables{"WORK_KEY": "asst_sk_1"},
			Endpoint{BaseURL: DefaultBaseURL, Host: "api.assisters.dev", APIKey: "asst_sk_1", Assisters: true},
		},
		"plain http where it is allowed": {
			EndpointOptions{BaseURL: "HTTP://10.0.0.1:8000", Explicit: true, AllowHTTP: true}, key,
			Endpoint{BaseURL: "http://10.0.0.1:8000", Host: "10.0.0.1:8000", APIKey: mine},
		},
		"headers, one of them the credentials": {
			EndpointOptions{BaseURL: "https://x.openai.azure.com/openai/v1", Explicit: true, Headers: []string{"api-key: env:AZ", "x-team:a b", "X-Team: c", "x-auth: env:B"}},
			variables{"ASSISTERS_API_KEY": mine, "AZ": "az-1", "B": "Bearer tok"},
			Endpoint{BaseURL: "https://x.openai.azure.com/openai/v1", Host: "x.openai.azure.com", Secrets: []string{"az-1", "tok"},
				Header: http.Header{"Api-Key": {"az-1"}, "X-Team": {"a b", "c"}, "X-Auth": {"Bearer tok"}}},
		},
		"a name that only looks like Assisters": {
			EndpointOptions{BaseURL: "https://notassisters.dev", Explicit: true}, key,
			Endpoint{BaseURL: "https://notassisters.dev", Host: "notassisters.dev", APIKey: mine},
		},
	} {
		row.opt.Getenv = row.env.get
		got, err := ResolveEndpoint(row.opt)
		if diff := cmp.Diff(row.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestX6_X9_N12_RefusedEndpoints(t *testing.T) {
	secret := "s3cret"
	flag := func(base string) EndpointOptions { return EndpointOptions{BaseURL: base, Explicit: true} }
	key := variables{"ASSISTERS_API_KEY": mine, "OPENAI_API_KEY": "sk-theirs", "EMPTY": "  "}
	with := func(value string) variables { return variables{"ASSISTERS_API_KEY": value} }
	named := func(o EndpointOptions, name string) EndpointOptions { o.APIKeyEnv = name; return o }
	headers := func(lines ...string) EndpointOptions { return EndpointOptions{Headers: lines} }
	for _, row := range []struct {
		opt           EndpointOptions
		env           variables
		problem, hint string // parts
	}{
		{flag("https://u:" + secret + "@x.com"), key, "user or password", "--api-key-env"},
		{flag("https://x.com/v1?key=" + secret), key, "query", "--header"},
		{flag("https://x.com/#" + secret), key, "fragment", ""},
		{flag("https://x.com/v1?"), key, "query", ""},
		{flag("api.x.com/v1"), key, "must begin with https://", DefaultBaseURL},
		{flag("localhost:8000"), key, "must begin with https://", DefaultBaseURL},
		{flag("ftp://x.com"), key, "must begin with https://", ""},
		{flag("https://"), key, "must begin with https://", ""},
		{flag("https://x.com:port"), key, "cannot be read", ""},
		{flag("http://x.com"), key, "plain http", "--allow-http"},
		{flag("http://localhost.evil.com"), key, "plain http", ""},
		{flag("http://127.0.0.1.evil.com"), key, "plain http", ""},
		{EndpointOptions{}, nil, "ASSISTERS_API_KEY is not set", "export"},
		{flag("https://x.com"), nil, "ASSISTERS_API_KEY is not set", ""},
		{flag("https://api.openai.com/v1"), key, "another provider", "--api-key-env OPENAI_API_KEY"},
		{flag("https://API.GROQ.com./v1"), key, "another provider", "--api-key-env GROQ_API_KEY"},
		{named(flag("https://api.openai.com/v1"), "ASSISTERS_API_KEY"), key, "would be sent to", "OPENAI_API_KEY"},
		{named(EndpointOptions{}, "OPENAI_API_KEY"), key, "key of another provider", "--base-url"},
		{named(flag("https://x.com"), "EMPTY"), key, "EMPTY is not set", ""},
		{named(flag("http://localhost"), "UNSET"), key, "UNSET is not set", ""},
		{EndpointOptions{BaseURL: "https://x.com"}, key, "not named for this command", "--base-url"},
		{EndpointOptions{}, with(secret + "\n" + secret), "no API key has", ""},
		{EndpointOptions{}, with(secret + " x"), "no API key has", ""},
		{EndpointOptions{}, with(secret + "\x1b"), "no API key has", ""},
		{EndpointOptions{}, with("\ufeff" + secret), "no API key has", ""},
		{EndpointOptions{}, with(secret + "\r\nX-Evil: 1"), "no API key has", ""},
		{EndpointOptions{}, with(secret + "\u200b"), "no API key has", ""},
		{EndpointOptions{}, with("'" + secret + "'"), "quotation marks", ""},
		{EndpointOptions{}, with(secret + "\x00"), "no API key has", ""},
		{named(flag("https://x.com"), secret), key, "NAME is not set", "export NAME="},
		{headers("X: env:" + secret), key, "NAME, which is not set", ""},
		{EndpointOptions{}, with("\"" + secret + "\""), "quotation marks", ""},
		{EndpointOptions{}, with("Bearer " + secret), "Bearer", ""},
		{headers(secret), key, "Name: value", ""},
		{headers("X Y: " + secret), key, "Name: value", ""},
		{headers(": " + secret), key, "Name: value", ""},
		{headers("X: " + secret + "\r\nY: z"), key, "control character", ""},
		{headers("X: env:UNSET"), key, "UNSET, which is not set", ""},
		{headers("idempotency-key: " + secret), key, "Idempotency-Key cannot be set", ""},
		{headers("HOST: " + secret), key, "Host cannot be set", ""},
	} {
		row.opt.Getenv = row.env.get
		_, err := ResolveEndpoint(row.opt)
		refusal, ok := errors.AsType[*EndpointError](err)
		if !ok {
			t.Errorf("%+v: %v", row.opt, err)
			continue
		}
		if !strings.Contains(refusal.Problem, row.problem) || !strings.Contains(refusal.Hint, row.hint) {
			t.Errorf("%+v: %q, hint %q", row.opt, refusal.Problem, refusal.Hint)
		}
		for _, word := range []string{secret, mine, "sk-theirs"} {
			if strings.Contains(refusal.Problem+refusal.Hint, word) {
				t.Errorf("%+v shows a secret: %q, hint %q", row.opt, refusal.Problem, refusal.Hint)
			}
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{"localhost": true, "LOCALHOST.": true, "a.localhost": true, "127.0.0.1": true, "127.9.9.9": true,
		"::1": true, "::ffff:127.0.0.1": true, "0.0.0.0": false, "10.0.0.1": false, "localhost.com": false, "127.0.0.1.com": false, "": false} {
		if IsLoopback(host) != want {
			t.Errorf("IsLoopback(%q) = %v", host, !want)
		}
	}
}

func TestEndpointOptions(t *testing.T) {
	e := Endpoint{BaseURL: "http://localhost/v1", APIKey: "k", Header: http.Header{"A": {"b"}}, Secrets: []string{"s"}}
	if o := e.Options(); o.BaseURL != e.BaseURL || o.APIKey != "k" || o.Header.Get("A") != "b" || !o.IncludeUsage || len(o.Secrets) != 1 {
		t.Errorf("%+v", o)
	}
	if e.Assisters = true; e.Options().IncludeUsage {
		t.Error("the Assisters API is asked for what it does not document")
	}
}

func TestSecretHeaders(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "PROXY-authorization": true, "api-key": true, "X-API-Key": true, "Cookie": true, "X-Goog-Api-KEY": true,
		"X-Auth-Token": true, "X-Client-Secret": true, " Cookie ": true, "X-Team": false, "Key": false, "X-Keys": false, "X-Token-Id": false, "": false,
	} {
		if SecretHeader(name) != want {
			t.Errorf("SecretHeader(%q) = %v", name, !want)
		}
	}
	basic := base64.StdEncoding.EncodeToString([]byte("me:pass:word"))
	for line, want := range map[string][]string{
		"authorization: Bearer tok-1":           {"tok-1"},
		"Authorization: tok-1":                  {"tok-1"},
		"Authorization: Basic " + basic:         {basic, "pass:word"},
		"X-API-KEY: k-1":                        {"k-1"},
		"x-auth-token: env:TOKEN":               {"from-env"},
		"X-Team: env:TOKEN":                     {"from-env"},
		`Cookie: a=one; session="two=2"; three`: {"one", "two=2", "three"},
		"X-Team: research":                      nil,
		"X-API-Key:":                            nil,
	} {
		e, err := ResolveEndpoint(EndpointOptions{BaseURL: "http://localhost/v1", Explicit: true, Headers: []string{line},
			Getenv: func(name string) string {
				if name == "TOKEN" {
					return "from-env"
				}
				return ""
			}})
		if err != nil || !slices.Equal(e.Secrets, want) {
			t.Errorf("%s: %q %v, want %q", line, e.Secrets, err, want)
		}
	}
}
