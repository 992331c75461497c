package output

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"batch/store"
)

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "=1+1", "\"q\"", "a\nb", "\r\n", "\x00", "\xff", "-1", "\t", "'", "'+A"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, raw bool) {
		cols := newColumns([]string{"a", "b"})
		cols.settle()
		var out bytes.Buffer
		table := newCSV(&out, cols, raw)
		rec := &record{}
		rec.quoted("a", text)
		rec.quoted("b", "end")
		if err := table.encode(rec); err != nil {
			t.Fatal(err)
		}
		if err := table.Close(); err != nil {
			t.Fatal(err)
		}
		cells, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(cells) != 1 || len(cells[0]) != 2 || cells[0][1] != "end" {
			t.Fatalf("%q: %q %v", text, cells, err)
		}
		got, want := cells[0][0], toUTF8(text)
		if !raw {
			if formula([]byte(got)) || strings.Contains(got, "\x00") {
				t.Fatalf("%q is not guarded: %q", text, got)
			}
			want = strings.ReplaceAll(want, "\x00", "\uFFFD")
			if formula([]byte(strings.TrimLeft(want, "'"))) {
				want = "'" + want
			}
		}
		if want = strings.ReplaceAll(want, "\r\n", "\n"); got != want { // what Go's reader does to a cell
			t.Fatalf("%q became %q, want %q", text, got, want)
		}
	})
}

func toUTF8(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

// Whatever a job file holds: what is written is one JSON object on one line of UTF-8, and names the row as it is named.
func FuzzRow(f *testing.F) {
	for _, row := range story().rows {
		f.Add([]byte(row.Body), []byte(row.Response), []byte(row.Carried), []byte(row.ErrorBody), row.CustomID, row.Status)
	}
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"\ud800"}]}]}`), []byte("{\"choices\":[{\"message\":{\"content\":\"\xff\n\"}}]}"),
		[]byte(`{"line":1,"input_line":2}`), []byte(`"x"`), "\x00\xff", 500)
	f.Fuzz(func(t *testing.T, body, response, carried, errorBody []byte, id string, status int) {
		rows := []store.Row{
			{State: store.Done, ID: 1, Body: body, Response: response, Carried: carried, CustomID: id, HasCustomID: true, RequestID: id, Model: id},
			{State: store.Failed, ID: 2, Body: body, ErrorBody: errorBody, Carried: carried, CustomID: id, HasCustomID: true, Status: status, Message: id, Type: id, Code: id},
		}
		for _, opt := range []Options{{}, {Shape: OpenAI}, {Shape: Chat}, {Shape: Pairs}, {Extract: extract(t, "a,b.0=c")}} {
			for _, row := range rows {
				w := newWriter(Files{Results: Stdout, Errors: "/nowhere/e", Usage: "/nowhere/u"}, opt, nil)
				to, _, _, err := w.fill(&row)
				if err != nil {
					if !utf8.ValidString(err.Error()) {
						t.Fatalf("error: %q", err)
					}
					continue
				}
				if to == nil {
					continue
				}
				var out bytes.Buffer
				if err := (&jsonl{w: &out}).encode(&w.rec); err != nil {
					t.Fatal(err)
				}
				line, ok := strings.CutSuffix(out.String(), "\n")
				if !ok || strings.ContainsAny(line, "\r\n") || !utf8.ValidString(line) {
					t.Fatalf("not one line of UTF-8: %q", line)
				}
				if !jsontext.Value(line).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
					t.Fatalf("not JSON: %s", line)
				}
				var named struct {
					CustomID string `json:"custom_id"`
				}
				if opt.Shape != "" && opt.Shape != OpenAI {
					continue // for training: its rows have no names
				}
				if err := json.Unmarshal([]byte(line), &named); err != nil || named.CustomID != toUTF8(id) {
					t.Fatalf("%q is named %q (%v): %s", id, named.CustomID, err, line)
				}
			}
		}
	})
}

// Nothing from outside gives a screen orders: no control character, none that turns the writing round. What can be shown stays as it is,
// nothing is taken away, and what is fit to be shown is not changed again.
func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[2J", "\x1b]52;c;Zm9v\x07", "\x9b31m", "\u009b31m", "\u202egnp.exe", "a\rb\n\tc", "\x7f\x00", "\xff\uFFFD",
		"\u2066\u2069\u200b\ufeff", "\U000e0041", "e\u0301", "\u061c\u180e", "\\u001b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		shown := Printable(text)
		if !utf8.ValidString(shown) {
			t.Fatalf("%q is shown as %q", text, shown)
		}
		for _, r := range shown {
			if r < ' ' || r >= 0x7f && r <= 0xa0 || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Bidi_Control) {
				t.Fatalf("%q is shown as %q", text, shown)
			}
		}
		if again := Printable(shown); again != shown {
			t.Fatalf("%q is shown as %q, and that as %q", text, shown, again)
		}
		for i, r := range text {
			if unicode.IsGraphic(r) && (r != utf8.RuneError || strings.HasPrefix(text[i:], "\uFFFD")) && !unicode.Is(unicode.Zs, r) && !strings.ContainsRune(shown, r) {
				t.Fatalf("%q is shown as %q, without %q", text, shown, r)
			}
		}
		if utf8.RuneCountInString(shown) < utf8.RuneCountInString(text) {
			t.Fatalf("%q is shown as %q", text, shown)
		}
		literal, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		onScreen := PrintableJSON(literal)
		if Printable(string(onScreen)) != string(onScreen) || json.Unmarshal(onScreen, &back) != nil || back != toUTF8(text) {
			t.Fatalf("%q is shown as %s", text, onScreen)
		}
	})
}
