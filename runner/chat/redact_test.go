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
func TestX5_KeyIsRedacted(t *testing.T) {
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

// Base64 has two alphabets, and three forms of a text by where in it the text begins.
func TestX5_KeyInBase64(t *testing.T) {
	const key = "ask_~~~???>>>~~~???>>>"
	r := newRedactor(key)
	for name, encoding := range map[string]*base64.Encoding{"standard": base64.RawStdEncoding, "of URLs": base64.RawURLEncoding} {
		for _, before := range []string{"", "a", "ab"} {
			text := encoding.EncodeToString([]byte(before + key))
			middle := text[8 : len(text)-4]
			if !strings.ContainsAny(middle, "+/-_") {
				t.Fatalf("%s does not tell the alphabets apart", middle)
			}
			if kept := string(r.bytes([]byte("key=" + text + "."))); strings.Contains(kept, middle) {
				t.Errorf("%s, behind %q: kept %s", name, before, kept)
			}
		}
	}
}

func forbidden(kept, form string) bool {
	return strings.Contains(kept, testKey) || strings.Contains(kept, form) || strings.Contains(kept, "9f8e7d6c") ||
		strings.Contains(kept, base64Inner(testKey, 1)) || strings.Contains(kept, base64Inner(testKey, 2))
}

// Escapes hide a key from a search of the bytes, not from whoever reads the JSON.
func TestX5_ErrorBodyWithAnEscapedKeyIsDropped(t *testing.T) {
	once := escaped(testKey)
	for _, form := range []string{once, strings.ToUpper(once[:6]) + once[6:], testKey[:5] + escaped(testKey[5:6]) + testKey[6:], strings.ReplaceAll(testKey, "/", `\/`),
		strings.ReplaceAll(once, `\`, `\\`), strings.ReplaceAll(once, `\`, `\\\\`), once + testKey} {
		form = strings.ReplaceAll(form, `\U`, `\u`)
		for name, r := range map[string]Result{
			"refused": do(serve(t, answer(401, `{"error":{"message":"bad key `+form+`","type":"invalid_api_key"}}`)), request),
			"cut":     do(serve(t, answer(500, `{"error":{"message":"bad key `+form)), request),
			"stream":  do(serve(t, answer(200, `data: {"error":{"message":"bad key `+form+`"}}`+"\n\n")), streamRequest),
			"far":     do(serve(t, answer(500, `{"error":{"note":"`+strings.Repeat("x", maxErrorBody-20)+form+`","message":"bad key `+form+`"}}`)), request),
		} {
			if len(r.Body) > 0 || r.Class == Done || !strings.Contains(r.Message, redacted) && name != "cut" {
				t.Errorf("%s with %s: %q, body %.200s", name, form, r.Message, r.Body)
			}
			if all := r.Message + r.Type; forbidden(string(unescape(unescape(unescape([]byte(all))))), testKey) {
				t.Errorf("%s with %s: %q", name, form, r.Message)
			}
		}
	}
	kept := `{"error":{"message":"\u00e4 \/ \u0061sk_canary"}}`
	if r := do(serve(t, answer(400, kept)), request); string(r.Body) != kept {
		t.Errorf("a body without the key: %q", r.Body)
	}
}

func TestX5_KeyAtTheCut(t *testing.T) {
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

// escaped writes every character of s as JSON may.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\u%04x`, s[i])
	}
	return b.String()
}

func TestX5_KeyInAnAnswerIsRedacted(t *testing.T) {
	nested := strings.ReplaceAll(escaped(testKey), `\`, `\\`) // as in the arguments of a tool call
	for _, form := range []string{testKey, strings.ReplaceAll(testKey, "/", `\/`), escaped(testKey), nested,
		base64.StdEncoding.EncodeToString([]byte("a:" + testKey)), url.QueryEscape(testKey)} {
		body := fmt.Sprintf(`{"id":"i %[1]s", "model":"%[1]s","note %[1]s":1.50,"choices":[{"message":{"content":"say \"\u00e4\" %[1]s","n":null},`+
			`"finish_reason":"%[1]s"}]}`, form)
		for _, stream := range []bool{false, true} {
			sent, header := body, "application/json"
			if stream {
				sent, header = "data: "+strings.Replace(body, "message", "delta", 1)+"\n\n", "text/event-stream"
			}
			r := do(serve(t, answer(200, sent, "Content-Type", header)), request)
			kept := string(r.Body) + fmt.Sprint(r.Answer)
			if r.Class != Done || r.Assembled != stream || forbidden(kept, form) || forbidden(string(unescape(unescape([]byte(kept)))), form) {
				t.Errorf("%s (stream %v): %v kept %s", form, stream, r.Class, kept)
			}
			if again := readReply(r.Body, 200); !again.done || strings.Count(string(r.Body), redacted) != 5 || !strings.Contains(string(r.Body), `1.50`) {
				t.Errorf("%s (stream %v): %s", form, stream, r.Body)
			}
		}
	}
}

func TestKeyAtTheCutOfAField(t *testing.T) {
	body := strings.Replace(completion, "chatcmpl-1", strings.Repeat("x", maxName-20)+testKey, 1)
	if r := do(serve(t, answer(200, body)), request); r.Class != Done || strings.Contains(r.Answer.ID, "ask_") || r.Answer.Usage.Total != 33 {
		t.Errorf("%+v", r.Answer)
	}
}

func TestAnswersWithoutAKeyAreUntouched(t *testing.T) {
	for key, body := range map[string]string{
		testKey:        `{"choices":[ {"message":{"content":"\u00e4sk_canary \/ \ud800 \\u"}} ]}`,
		"ollama":       `{"choices":[{"message":{"content":"ollama is a server"},"finish_reason":"stop"}]}`,
		"170674560000": `{"created":170674560000,"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`,
	} {
		r := do(serve(t, answer(200, body), func(o *Options) { o.APIKey = key }), request)
		if r.Class != Done || string(r.Body) != body {
			t.Errorf("%v: %s", r.Class, r.Body)
		}
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
