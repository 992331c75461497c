package input

import (
	"slices"
	"strings"

	"batch/runner/chat"
)

// maxCarriedNames bounds the list of carried keys, which is for reading.
const maxCarriedNames = 50

// maxKnown bounds the keys whose kind is remembered; a file with more still reads right, only slower.
const maxKnown = 1000

// Stats is what a Reader met up to now.
type Stats struct {
	Lines    int // all of them, or all rows
	NonBlank int
	Prompts  int // good lines
	Bad      int

	// FillIns says of each of the Defaults how many prompts it is used for: the fields in their order, then system.
	FillIns []FillIn
	// Carried are the names of the author's own keys on good lines, in the order in which they first appeared, at
	// most 50; MoreCarried says that there were others. The names are as their author wrote them.
	Carried     []string
	MoreCarried bool
	// Secrets are the first names of keys, carried or sent, that look as if their values were to be told to nobody.
	Secrets []string
	// AllBatch is true when there are prompts, and every one is of the custom_id + body form.
	AllBatch bool
	// Trimmed is the number of conversations that lost turns, TrimmedTurns that of the turns.
	Trimmed, TrimmedTurns int
	// RowHint says what a row of such a file looks like, for whoever has a file without one.
	RowHint string
}

// FillIn says for how many prompts a fill-in is used.
type FillIn struct {
	Name    string
	Prompts int
}

// Stats gives the counts up to the line read last, which with a Counter lies up to a group of lines ahead of the one given last.
func (r *Reader) Stats() Stats {
	s := Stats{
		Lines: r.at.number, NonBlank: r.prompts + r.bad, Prompts: r.prompts, Bad: r.bad,
		Carried: slices.Clone(r.carried), MoreCarried: r.moreCarried, Secrets: slices.Clone(r.secrets),
		AllBatch: r.prompts > 0 && r.batch == r.prompts,
		Trimmed:  r.trimmed, TrimmedTurns: r.turns,
		RowHint: r.rowHint,
	}
	for i, f := range r.fill.fields {
		s.FillIns = append(s.FillIns, FillIn{f.Name, r.fill.used[i]})
	}
	if r.fill.system != nil {
		s.FillIns = append(s.FillIns, FillIn{"system", r.fill.used[len(r.fill.fields)]})
	}
	return s
}

// known is a key that was met before, so that its kind is worked out once for a file, not once for a line.
type known struct {
	name   string
	kind   keyKind
	near   string // what an own key must be a slip for; "" for most
	listed bool   // among the carried
}

type keyKind int

const (
	ownKey     keyKind = iota // the author's
	lineKey                   // prompt, body, ...: says what the line is
	pageField                 // a request field that is checked
	otherField                // a request field that is sent as written
)

func (r *Reader) known(name []byte) *known {
	if k, ok := r.keys[string(name)]; ok {
		return k
	}
	k := &known{name: string(name)}
	switch {
	case slices.Contains(lineKeys, k.name):
		k.kind = lineKey
	case chat.IsField(k.name):
		k.kind = pageField
	case chat.IsRequestField(k.name):
		k.kind = otherField
	default:
		k.near = near(k.name)
	}
	r.suspect(k.name)
	if len(r.keys) < maxKnown {
		r.keys[k.name] = k
	}
	return k
}

// near gives the key that an unknown one is a slip for. Those keys of a line that would be missed in silence count like
// request fields, but by case and separators alone: they are too ordinary as words for more (prompts, system1).
func near(name string) string {
	if f, ok := chat.NearField(name); ok {
		return f
	}
	squash := strings.NewReplacer("_", "", "-", "", " ", "")
	for _, k := range []string{"prompt", "system", "params", "custom_id"} {
		if strings.EqualFold(squash.Replace(name), squash.Replace(k)) {
			return k
		}
	}
	return ""
}

// list remembers the name of a carried key.
func (r *Reader) list(k *known) {
	switch {
	case k.listed || slices.Contains(r.carried, k.name):
	case len(r.carried) == maxCarriedNames:
		r.moreCarried = true
	default:
		r.carried = append(r.carried, k.name)
	}
	k.listed = true
}
