package oracle

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"os"
)

func (f *findings) secretIn(key, name, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return // not ours to read: a file whose permissions a test took away
	}
	f.secret(key, name, text)
}

// secret looks for the key as it is, as it stands in a URL, and in base64, wherever in a text that was encoded.
func (f *findings) secret(key, where string, text []byte) {
	if key == "" {
		return
	}
	for _, form := range spellings(key) {
		if bytes.Contains(text, []byte(form)) {
			f.add("%s holds the API key, as %s", where, form)
			return
		}
	}
}

func spellings(key string) []string {
	forms := []string{key, url.QueryEscape(key), url.PathEscape(key)}
	for skip := range 3 { // base64 has three ways to begin; what follows the key changes its end
		part := key[min(skip, len(key)):]
		part = part[:len(part)/3*3]
		if len(part) < 12 {
			continue
		}
		forms = append(forms, base64.RawStdEncoding.EncodeToString([]byte(part)), base64.RawURLEncoding.EncodeToString([]byte(part)))
	}
	return forms
}
