package output

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"batch/store"
)

// Part is a file among those that the results are split into.
type Part struct {
	Name  string
	Share uint64 // in billionths
}

const whole = 1_000_000_000

// ParseSplit reads the value of --split: two or three shares that add up to 1, for train and test, or train, validation and test; or
// shares with names of their own.
func ParseSplit(s string) ([]Part, error) {
	if s == "" {
		return nil, nil
	}
	refuse := func(problem string, args ...any) error {
		return &RefusedError{Problem: "--split: " + fmt.Sprintf(problem, args...), Hint: "as in --split 0.9,0.1 or --split train=0.8,dev=0.1,test=0.1"}
	}
	words := strings.Split(s, ",")
	names, ok := map[int][]string{2: {"train", "test"}, 3: {"train", "validation", "test"}}[len(words)]
	if len(words) < 2 || len(words) > 10 {
		return nil, refuse("%d parts, expected 2 to 10", len(words))
	}
	var parts []Part
	var sum uint64
	for i, word := range words {
		name, share, named := strings.Cut(strings.TrimSpace(word), "=")
		if !named {
			if !ok {
				return nil, refuse("%d parts need names", len(words))
			}
			name, share = names[i], name
		}
		n, err := billionths(share)
		switch {
		case err != nil:
			return nil, refuse("%s is not a share between 0 and 1 of at most 9 digits", Printable(share))
		case !isName(name):
			return nil, refuse("%s is not a name of letters, digits, - and _", Printable(name))
		case slices.ContainsFunc(parts, func(p Part) bool { return strings.EqualFold(p.Name, name) }):
			return nil, refuse("two parts are called %s", name)
		case name == kindErrors || name == KindUsage:
			return nil, refuse("%s is the name of another file", name)
		}
		parts = append(parts, Part{name, n})
		sum += n
	}
	if sum != whole {
		return nil, refuse("the shares add up to %s, not 1", shareOf(sum))
	}
	return parts, nil
}

// billionths reads a share exactly: 0.1 is no sum of halves.
func billionths(s string) (uint64, error) {
	before, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > 9 || !digits([]byte(before+fraction)) || len(before) > 1 || before == "" && fraction == "" {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(before+fraction+strings.Repeat("0", 9-len(fraction)), 10, 64)
	if err != nil || n == 0 || n >= whole {
		return 0, strconv.ErrRange
	}
	return n, nil
}

func shareOf(n uint64) string {
	text := fmt.Sprintf("%d.%09d", n/whole, n%whole)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

func isName(s string) bool {
	for _, c := range s {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

func splitString(parts []Part) string {
	var words []string
	for _, p := range parts {
		words = append(words, p.Name+"="+shareOf(p.Share))
	}
	return strings.Join(words, ",")
}

// splitter says which part a row belongs to. It goes by the conversation that was asked for, so that a row stays in its part when others
// come and go, and the same question is never in two parts, whatever model, seed or temperature it was asked with.
type splitter struct {
	*picker
	parts []Part
	text  jsontext.Value
}

func (s *splitter) part(row *store.Row) (int, error) {
	req, err := s.request(row.Body)
	if err != nil {
		return 0, damaged(row, "request", err)
	}
	s.text = append(s.text[:0], req.messages...)
	if req.messages == nil {
		s.text = append(s.text[:0], row.Body...)
	}
	// White space, escapes and the order of keys make no other question. What has no canonical form is taken as it is spelled.
	_ = s.text.Canonicalize(s.opts...)
	sum := sha256.Sum256(s.text)
	at, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:8]), whole)
	for i, p := range s.parts {
		if at < p.Share {
			return i, nil
		}
		at -= p.Share
	}
	return len(s.parts) - 1, nil
}
