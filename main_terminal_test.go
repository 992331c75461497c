package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whoever says it and whatever it is: a line of speech is one line, each begins with who speaks, and none has a character that is an
// order to a screen. What programs read says the same, and what the bar says has room.
func FuzzSpeech(f *testing.F) {
	for _, s := range []string{"plain", "a\nbatch: error: forged", "\x1b]0;title\x07", "\x9b31m\u009b", "\u202egnirts\r", "\xff\x00\x7f", "100%s%!d", "\U000e0001\ue000"} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, text string, room int) {
		fault := &problem{code: exitUsage, err: errors.New(text), hint: text}
		for _, programs := range []bool{false, true} {
			var out bytes.Buffer
			term := newTerminal(&out)
			term.json = programs
			term.say("said", event{"text": text}, "%s", text)
			term.warn("warned", event{"text": text}, text+"%s", text)
			term.write("hint", event{"text": text}, "batch: hint: "+text)
			if code := term.report(fault); code != exitUsage {
				t.Fatalf("exit code %d", code)
			}
			lines := strings.SplitAfter(out.String(), "\n")
			if lines[len(lines)-1] != "" || programs && len(lines) != 5 {
				t.Fatalf("%q", out.String())
			}
			for _, line := range lines[:len(lines)-1] {
				onScreen(t, strings.TrimSuffix(line, "\n"))
				if !programs && !strings.HasPrefix(line, "batch: ") {
					t.Fatalf("%q begins like nobody's", line)
				}
				var e struct{ Event, Text, Hint string }
				if programs && (json.Unmarshal([]byte(line), &e) != nil || e.Text+e.Hint != string([]rune(text))) {
					t.Fatalf("%q in %q", text, line)
				}
			}
		}
		if line := (says{{rateFirst, "33/s"}, {waitingFirst, "waiting 1s: rate limit"}}).within(room); len(line) > max(room, 0) {
			t.Fatalf("%q in %d columns", line, room)
		}
		onScreen(t, shellQuote(text))
	})
}

// onScreen fails when a line is not fit for any screen.
func onScreen(t *testing.T, line string) {
	t.Helper()
	if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) || printable(line) != line {
		t.Fatalf("on a screen: %q", line)
	}
}

// A command that is printed gives the shell the words that were meant, whatever they are.
func TestT1_ShellQuote(t *testing.T) {
	for _, word := range []string{"", "a b", "it's", `a\033b`, "$HOME `id` \"x\"", "\x1b[31m", "-n", "%s%%\x07", "a\nb", "\u202ea", "\xff\xfe.jsonl", "\tx;rm", "*?\u009b", "é"} {
		for _, shell := range []string{"sh", "bash"} {
			out, err := exec.Command(shell, "-c", "printf '<%s>' "+shellQuote(word)).Output()
			if err != nil || string(out) != "<"+word+">" {
				t.Errorf("%s makes %q of %s (%q, %v)", shell, out, shellQuote(word), word, err)
			}
		}
	}
}
