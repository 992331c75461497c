// Package input reads prompt files. A file becomes rows, and a row becomes a prompt.
//
// Compression is taken off by content. Rows are JSON lines, the elements of a JSON array, the rows of a CSV or Parquet table, or
// the pieces of a text. A row is a prompt in any of four forms, told apart row by row:
//
//	{"prompt": "Name a river.", "system": "Be brief.", "max_tokens": 20}
//	{"messages": [{"role": "user", "content": "Name a river."}], "temperature": 0.2}
//	{"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "...", "messages": [...]}}
//	{"custom_id": "r-1", "body": {...}}
//
// or, beside a template, data that the template makes a prompt of.
//
// A good row becomes a Prompt. The body of one that stands in a JSON line is made of the author's bytes: no value is decoded and
// encoded again on its way to the API. A bad row becomes a LineError that names file, line and field, and reading goes on after it;
// a file that cannot be read any further, a FileError. The package knows no database and sends nothing.
package input

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Prompt is one good line of a prompt file, made ready to be sent.
type Prompt struct {
	File string // as the user named it; "-" is standard input
	Line int    // counted from 1, blank lines included

	CustomID    string // "" with HasCustomID false when the line has none; with Options.Samples its SampleID
	HasCustomID bool
	Sample      int  // which of the prompts of its line, counted from 1; 0 when a line is one
	Batch       bool // the line is of the custom_id + body form

	Model   string   // requested model, of the line or a fill-in
	Body    []byte   // the request as it goes on the wire
	Key     [32]byte // chat.Key of Body
	Carried []byte   // the author's own keys as one JSON object in the line's order, values as written; nil without any
	Tokens  int64    // prompt tokens, as Options.Counter counts them

	// MaxTokens is the most completion tokens that the request allows, over all its choices: the larger of max_completion_tokens and
	// max_tokens, times n. 0 when it says nothing that can be used: the largest answer of its model bounds it.
	MaxTokens int64
	// Boundless says that nothing bounds what the call can use, and MaxTokens is 0: parts of the prompt or of the answer are not
	// text, or it asks for several choices without saying how long.
	Boundless bool

	Trimmed int // turns that were dropped so that the conversation fits into Options.Context

	counted bool // Tokens are known already, exactly
	seedAt  int  // place in Body of the seed that was filled in; 0 for none
}

// LineError is a bad line: where it stands, what is wrong and what to do about it. It never holds prompt text.
type LineError struct {
	File     string
	Line     int
	CustomID string // of the line, where it could still be read; as its author wrote it, so not always printable
	Field    string // as in messages[0].role; "" when the line as a whole is meant
	Problem  string // as in: "bot" is not one of system, user, assistant
	Hint     string // as in: did you mean temperature?; may be empty
}

// Error is one printable line, without the hint: prompts.jsonl:17: messages[0].role: "bot" is not one of ...
func (e *LineError) Error() string {
	where := printable(e.File) + ":" + strconv.Itoa(e.Line) + ": "
	if e.Field != "" {
		where += e.Field + ": "
	}
	return where + e.Problem
}

// FileError is a file that cannot be read, or not any further: what comes after is lost, so it must not pass for a bad line.
type FileError struct {
	File    string
	Line    int // where it goes wrong, a line or a row; 0 for the file as a whole
	Problem string
	Hint    string
}

// Error is one printable line, without the hint.
func (e *FileError) Error() string {
	where := printable(e.File)
	if e.Line > 0 {
		where += ":" + strconv.Itoa(e.Line)
	}
	return where + ": " + e.Problem
}

// maxShown bounds what an error shows of a name that somebody else chose.
const maxShown = 40

// shownKey is a key of a line as an error names it: printable and not longer than it needs to be for finding it.
func shownKey(name string) string {
	if len(name) > maxShown {
		n := maxShown
		for n > 0 && !utf8.RuneStart(name[n]) {
			n--
		}
		return printable(name[:n]) + "..."
	}
	if name == "" {
		return `""`
	}
	return printable(name)
}

// printable leaves a plain name as it is and quotes one that could move a cursor or hide a letter.
func printable(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	if !utf8.ValidString(s) {
		return strconv.Quote(s)
	}
	return s
}
