package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"batch/output"
)

// terminal is the voice of batch: everything it says to people, or with --json to programs, goes through here.
//
// The rules: speech goes to stderr and results to stdout; an error is said once, as "batch: error: ...", in lower case and without
// a full stop, and "batch: hint: ..." says what to do; whatever is said is one line, made printable first.
type terminal struct {
	w      io.Writer
	screen *os.File // nil when it is none
	tty    bool     // one that can draw
	json   bool
	quiet  bool

	mu    sync.Mutex
	hide  func() // takes the progress bar away before a line is written
	queue *queue // of what was said and not read yet; nil where writing does not wait for a reader
}

func newTerminal(w io.Writer) *terminal {
	t := &terminal{w: w, hide: func() {}}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		t.screen, t.tty = f, os.Getenv("TERM") != "dumb"
	}
	return t
}

// neverWait lets nobody who speaks wait for who listens: a full pipe, or a screen that was stopped by Ctrl-S. Speech is kept until it is
// heard, progress is dropped. Whoever calls it calls finish in the end.
func (t *terminal) neverWait() {
	f, ok := t.w.(*os.File)
	if !ok {
		return
	}
	if info, err := f.Stat(); err != nil || info.Mode().IsRegular() {
		return
	}
	t.queue = &queue{w: f}
	t.w = t.queue
}

// finish waits until all was heard.
func (t *terminal) finish() {
	if t.queue != nil {
		t.queue.wait()
	}
}

// behind says that something is not heard yet.
func (t *terminal) behind() bool { return t.queue != nil && t.queue.behind() }

// width is how many columns a line has; a terminal that does not say has 80.
func (t *terminal) width() int {
	if t.screen != nil {
		if width, _, err := term.GetSize(int(t.screen.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// event is what a program may want to know of a line of speech.
type event map[string]any

// say tells people the text, or a program the event of this name.
func (t *terminal) say(name string, e event, text string, args ...any) {
	if t.quiet && !t.json {
		return
	}
	t.write(name, e, "batch: "+fmt.Sprintf(text, args...))
}

// warn is said even with --quiet.
func (t *terminal) warn(name string, e event, text string, args ...any) {
	t.write(name, e, "batch: warning: "+fmt.Sprintf(text, args...))
}

func (t *terminal) write(name string, e event, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.json {
		line := map[string]any{"event": name}
		for k, v := range e {
			line[k] = v
		}
		b, _ := json.Marshal(line) // of plain values only
		text = string(output.PrintableJSON(b))
	}
	t.hide()
	fmt.Fprintln(t.w, printable(text)) // nobody to tell when this fails
}

// hint tells people what to do about what was just said, with --quiet too. Programs find that in the event.
func (t *terminal) hint(text string) {
	if !t.json {
		t.write("", nil, "batch: hint: "+text)
	}
}

// setHide says how to take the progress bar away.
func (t *terminal) setHide(hide func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hide = hide
}

// draw lets the progress bar write, between lines of speech.
func (t *terminal) draw(bar func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	bar()
}

// clear takes the progress bar away.
func (t *terminal) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hide()
}

// report says what a command came to and returns its exit code.
func (t *terminal) report(err error) int {
	if err == nil {
		return exitOK
	}
	p := classify(err)
	if p.said {
		return p.code
	}
	said := strings.Split(underHere(p.Error()), "\n")
	if t.json {
		t.write("error", event{"error": strings.Join(said, "\n"), "hint": p.hint, "exit": p.code}, "")
		return p.code
	}
	for _, line := range said {
		t.write("", nil, "batch: error: "+line)
	}
	if p.hint != "" {
		t.hint(p.hint)
	}
	return p.code
}

// underHere names the files of the working folder as their user does.
func underHere(text string) string {
	wd, err := os.Getwd()
	if err != nil || wd == "/" {
		return text
	}
	words := strings.SplitAfter(text, " ")
	for i, word := range words {
		words[i] = strings.TrimPrefix(word, wd+"/")
	}
	return strings.Join(words, "")
}

// What output says numbers and text from outside with, by the short names that speech is full of.
var (
	count     = output.Count
	plural    = output.Plural
	printable = output.Printable
)

// shellLine writes words as a command.
func shellLine(words ...string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = shellQuote(word)
	}
	return strings.Join(quoted, " ")
}

// shellQuote writes a word so that a shell reads it as one, and a screen shows all of it.
func shellQuote(s string) string {
	if printable(s) != s {
		return printfQuote(s)
	}
	plain := s != ""
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@%+", r)) {
			plain = false
		}
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// printfQuote has the shell make the characters that no screen shows; but it takes line breaks off the end of what it makes.
func printfQuote(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(" -_./:=,@+", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return `"$(printf -- '` + b.String() + `')"`
}
