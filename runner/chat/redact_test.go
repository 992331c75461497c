package chat

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// X5: a server may echo the key in any of these forms; none may be kept.
func TestKeyIsRedacted(t *testing.T) {
	basic := func(user string) string { return base64.StdEncoding.EncodeToString([]byte(user + ":" + testKey)) }
	const hidden = "ask_canary\u200b/9f8e7d6c+5b4a=3210" // whole again once it is cleaned
	forms := []string{testKey, "x" + testKey + "y", url.QueryEscape(testKey), lowerHex(url.QueryEscape(testKey)), url.PathEscape(testKey), base64.StdEncoding.EncodeToString([]byte(testKey)), base64.URLEncoding.EncodeToString([]byte(testKey)),
		basic("a"), basic("ab"), basic("abc"), hidden}
	for i, form := range forms {
		for _, status := range []int{401, 200, 302, 500} {
			body := fmt.Sprintf(`{"error":{"message":"bad key %s","type":"t %s","code":"%s"}}`, form, form, form)
			r := do(serve(t, answer(status, body, "X-Request-Id", form, "Location", "https://"+url.PathEscape(testKey)+".example.com")), request)
			kept := fmt.Sprintf("%s %s %s %s", r.Message, r.Type, r.Code, r.RequestID)
			if form != hidden { // the raw body keeps it as it is: no key
				kept += string(r.Body)
			}
			if forbidden(kept, form) {
				t.Errorf("%d with form %d: kept %s", status, i, kept)
			}
			if status == 401 && !strings.Contains(r.Message, redacted) {
				t.Errorf("%d with form %d: message %q", status, i, r.Message)
			}
		}
	}
}

func forbidden(kept, form string) bool {
	return strings.Contains(kept, testKey) || strings.Contains(kept, form) || strings.Contains(kept, "9f8e7d6c") ||
		strings.Contains(kept, base64Inner(testKey, 1)) || strings.Contains(kept, base64Inner(testKey, 2))
}

func TestKeyAtTheCut(t *testing.T) {
	for back := range len(testKey) + 2 {
		body := strings.Repeat("x", maxErrorBody-back) + testKey + strings.Repeat("y", 100)
		r := do(serve(t, answer(500, body)), request)
		if strings.Contains(string(r.Body), "ask_") {
			t.Errorf("%d bytes before the cut: ...%s", back, r.Body[maxErrorBody-50:])
		}
		if len(r.Body) > maxErrorBody {
			t.Errorf("%d bytes kept", len(r.Body))
		}
	}
}

func TestOtherSecretsAreRedacted(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answer(400, `{"error":"unknown key `+r.Header.Get("Api-Key")+`"}`)(w, r)
	}, func(o *Options) {
		o.Header = http.Header{"Api-Key": {"azure-secret-1"}}
		o.Secrets = []string{"azure-secret-1"}
	})
	if r := do(client, request); r.Message != "unknown key "+redacted || strings.Contains(string(r.Body), "azure") {
		t.Errorf("%q %q", r.Message, r.Body)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "": "", "  a \r\n\t b  ": "a b", "a\x1b[31mb\x00\x7f\u009bc": "a[31mbc", "a\u202eb\u2066\u200bc\ufeff": "abc",
		"a\u2028b": "a b", "\xffb\xe2\x82": "\ufffdb\ufffd\ufffd", "äöü €": "äöü €", "12345678901": "1234567...", "€€€€": "€€...",
	} {
		if got := printable(in, 10); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("bad key ", " in line\n1", uint8(0))
	f.Add("\x1b]52;c;", "\u202e\xff", uint8(1))
	f.Add("ask_canary", "=3210", uint8(200))
	r := newRedactor(testKey)
	f.Fuzz(func(t *testing.T, before, after string, cut uint8) {
		got := r.printable(before+testKey+after, int(cut))
		if strings.Contains(got, testKey) || len(got) > int(cut) || !utf8.ValidString(got) {
			t.Fatalf("%q", got)
		}
		for _, c := range got {
			if !unicode.IsPrint(c) {
				t.Fatalf("%q holds %U", got, c)
			}
		}
		if body := r.body([]byte(before + testKey + after)); strings.Contains(string(body), testKey) {
			t.Fatalf("%q", body)
		}
	})
}
