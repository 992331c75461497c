package oracle

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"html"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

func (f *findings) secretIn(key, name, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return // not ours to read: a file whose permissions a test took away
	}
	f.secret(key, name, text)
}

// secret looks for the key as it is, as it stands in a URL, in a page and in JSON, and in base64, wherever in a text that was encoded; and in
// what is packed.
func (f *findings) secret(key, where string, text []byte) {
	if key == "" {
		return
	}
	forms := spellings(key)
	for _, text := range readings(unpacked(text)) {
		for _, form := range forms {
			if bytes.Contains(text, []byte(form)) {
				f.add("%s holds the API key, as %s", where, form)
				return
			}
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

// readings are a text as it is, and what its escapes stand for: those of pages, those of JSON, and both, as JSON is put into JSON and into
// pages.
func readings(text []byte) [][]byte {
	all := [][]byte{text}
	for _, unescape := range []func([]byte) []byte{unescapeHTML, unescapeJSON, unescapeJSON} {
		if plain := unescape(all[len(all)-1]); !bytes.Equal(plain, all[len(all)-1]) {
			all = append(all, plain)
		}
	}
	return all
}

func unescapeHTML(text []byte) []byte { return []byte(html.UnescapeString(string(text))) }

var jsonEscape = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|["/\\])`)

func unescapeJSON(text []byte) []byte {
	return jsonEscape.ReplaceAllFunc(text, func(escape []byte) []byte {
		if escape[1] != 'u' {
			return escape[1:]
		}
		n, _ := strconv.ParseUint(string(escape[2:]), 16, 16) // the digits are there
		return []byte(string(rune(n)))
	})
}

// unpacked is what a file says, packed or not. One that cannot be unpacked whole says as much as can be.
func unpacked(text []byte) []byte {
	from := bytes.NewReader(text)
	switch {
	case bytes.HasPrefix(text, []byte{0x1f, 0x8b}):
		if r, err := gzip.NewReader(from); err == nil {
			plain, _ := io.ReadAll(r)
			return slices.Concat(plain, text)
		}
	case bytes.HasPrefix(text, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		if r, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1)); err == nil {
			defer r.Close()
			plain, _ := io.ReadAll(r)
			return slices.Concat(plain, text)
		}
	}
	return text
}
