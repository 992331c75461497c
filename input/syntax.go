package input

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Hints are shown in brackets, so they have none of their own.
const (
	oneObject = "a prompt file has one JSON object a line; jq -c . FILE makes it so"
	// oneElement is for what stands in a JSON array.
	oneElement = `each element is an object, as in {"prompt": "..."}`
	csvHint    = "the file looks like CSV: --input-format csv reads it as that"
	jsonHint   = "a JSON file is an array of objects; jq . FILE finds out what is wrong with it"
	resultHint = "--prompt 'Is this right? {{.content}}' asks about its answers; to ask the prompts again, name the file that they came from"
	// noPromptHint is for a table whose columns are other ones than those of prompt lines.
	noPromptHint = "--prompt 'Summarize: {{.text}}' makes a prompt of the columns of each row"
)

// syntaxError says why a line is no JSON object that can be used; lead is how far into the line the object begins.
func syntaxError(err error, lead int) *LineError {
	var syntax *jsontext.SyntacticError
	switch {
	case err == errTooManyKeys:
		return &LineError{Problem: fmt.Sprintf("an object with more than %d keys", maxMembers)}
	case !errors.As(err, &syntax):
		return &LineError{Problem: "the line is not valid JSON", Hint: oneObject}
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &LineError{Field: path(syntax.JSONPointer), Problem: "the key is given twice"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &LineError{Problem: "the line ends before its object does", Hint: oneObject}
	}
	return &LineError{
		Field:   path(syntax.JSONPointer),
		Problem: fmt.Sprintf("not valid JSON at byte %d: %s", int64(lead)+syntax.ByteOffset+1, printable(syntax.Err.Error())),
	}
}

// path spells the place of a value as in messages[0].role, cut where it gets long: names in it are the author's.
func path(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if b.Len() > 2*maxShown {
			b.WriteString("...")
			break
		}
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "" && b.Len() > 0:
			b.WriteString("[" + token + "]")
		case b.Len() > 0:
			b.WriteString("." + shownKey(token))
		default:
			b.WriteString(shownKey(token))
		}
	}
	return b.String()
}

// invalidByte is the place of the first byte that is not part of a UTF-8 character.
func invalidByte(text []byte) int {
	i := 0
	for i < len(text) {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}

// cause takes the path off an error of the file system; the Reader puts the name there that the user gave.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// size says a number of bytes in the way people say it.
func size(n int) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// kind names a value by its type alone.
func kind(v jsontext.Value) string {
	switch k := v.Kind(); k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case '0':
		return "a number"
	default:
		return k.String()
	}
}
