package input

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// noEntry finds in the library's error which field a row lacks.
var noEntry = regexp.MustCompile(`map has no entry for key ("(?:[^"\\]|\\.)*")$`)

// The parts of an error of the library: place in the template, what was computed there, what is wrong.
var execParts = regexp.MustCompile(`(?s)^template: ` + templateName + `:(\d+):\d+: executing .*? at <(.*?)>: (.*)$`)

// blame names the field that a row lacks, or what else the template could not do with the row. It shows nothing of the row but
// names.
func (r *rendering) blame(err error, row object) *LineError {
	where := r.name
	parts := execParts.FindStringSubmatch(err.Error())
	if parts != nil { // of a text that got too long the library does not say the place
		where += ":" + parts[1]
	}
	key := ""
	var lacks *lacksError
	if m := noEntry.FindStringSubmatch(err.Error()); m != nil {
		key, _ = strconv.Unquote(m[1])
		lacks = &lacksError{key}
	}
	if lacks != nil || errors.As(err, &lacks) {
		bad := &LineError{Field: shownKey(lacks.key), Problem: "is missing, and " + printable(where) + " uses it"}
		bad.Hint = "the row has " + names(row) + "; with {{... | default \"\"}} it may be missing"
		return bad
	}
	for _, e := range []error{errSteps, errRendered} {
		if errors.Is(err, e) {
			return &LineError{Problem: printable(where) + ": " + e.Error()}
		}
	}
	if parts == nil {
		return &LineError{Problem: printable(where) + ": cannot be used with this row"}
	}
	expression, problem := strings.Trim(parts[2], "{}"), parts[3]
	field := expression
	if len(field) > 1 {
		field = strings.TrimPrefix(field, ".")
	}
	switch {
	case errors.Is(err, errTorn), strings.Contains(problem, "input.torn"):
		return &LineError{Field: shownKey(field), Problem: errTorn.Error() + ", and " + printable(where) + " uses it",
			Hint: `an escape such as \ud83d wants its other half, \ude00, behind it`}
	case errors.Is(err, errNull), strings.Contains(problem, "input.null"):
		return &LineError{Field: shownKey(field), Problem: "is null, and " + printable(where) + " uses it", Hint: `{{... | default ""}} takes it`}
	}
	return &LineError{Problem: printable(where + ": " + expression + ": " + cutCall(problem))}
}

// cutCall takes "error calling f: " off an error of a function.
func cutCall(problem string) string {
	if after, ok := strings.CutPrefix(problem, "error calling "); ok {
		if _, rest, ok := strings.Cut(after, ": "); ok {
			return rest
		}
	}
	return problem
}

// names lists the fields of a row, a few of them.
func names(row object) string {
	return few(slices.Sorted(maps.Keys(row)))
}

// few lists names, not too many of them.
func few(names []string) string {
	if len(names) == 0 {
		return "no fields"
	}
	var all []string
	for _, name := range names[:min(len(names), 8)] {
		all = append(all, shownKey(name))
	}
	if more := len(names) - len(all); more > 0 {
		all = append(all, fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, ", ")
}
