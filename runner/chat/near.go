package chat

import "strings"

// fields lists every request field once, for NearField.
var fields = append(append([]string{}, pageFields...), otherFields...)

// ordinary are words that authors use for columns of their own although one letter makes a request field of them.
var ordinary = map[string]bool{"mode": true, "tool": true}

// NearField returns the request field that name misses: by case, by a dash, a space or nothing in place of an
// underscore (Max-Tokens, maxTokens), or by one slip of the fingers (a letter too many, missing or wrong, or two
// swapped). A key that is a request field, or misses none, gives false.
//
// A slip counts only for fields of five letters and more: n, seed, stop and user are one letter from too many words
// that belong to the author (id, need, step, uses). So is store (score, story), and mode and tool are such words
// themselves. What is refused by mistake has to be renamed; what is missed is silently not sent: so the rest stays strict.
func NearField(name string) (string, bool) {
	if IsRequestField(name) || len(name) > 2*len("max_completion_tokens") {
		return "", false
	}
	low := strings.ToLower(name)
	squashed := squash(low)
	for _, f := range fields {
		if squash(f) == squashed {
			return f, true
		}
	}
	if ordinary[low] {
		return "", false
	}
	under := strings.ReplaceAll(low, "-", "_")
	for _, f := range fields {
		if len(f) >= 5 && f != "store" && oneSlip(under, f) {
			return f, true
		}
	}
	return "", false
}

func squash(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return r
	}, s)
}

// oneSlip reports whether one letter added, left out or replaced, or two neighbours swapped, turns a into b.
func oneSlip(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return i == len(a) || a[i+1:] == b[i+1:] ||
		i+2 <= len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
