package input

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"batch/runner/chat"
)

// MaxSamples is the most prompts that may be made of a line.
const MaxSamples = 1_000_000

// sampler makes several prompts of a line, which differ in their number, their custom_id and, where it is filled in, their seed.
type sampler struct {
	n    int   // prompts a line; none is told apart by 0 and 1
	seed int64 // of the first sample
	line Prompt
	left int // prompts of line that were not given yet
}

func newSampler(n int, d Defaults) sampler {
	s := sampler{n: n}
	for _, f := range d.Fields {
		if f.Name == seedField {
			s.seed, _ = strconv.ParseInt(string(f.Value), 10, 64) // Check lets only integers pass
		}
	}
	return s
}

// of begins with a line and gives its first prompt.
func (s *sampler) of(p Prompt) Prompt {
	if s.n <= 1 {
		return p
	}
	s.line, s.left = p, s.n
	return s.next()
}

// next gives the next prompt of the line that of began with.
func (s *sampler) next() Prompt {
	p := s.line
	p.Sample = s.n - s.left + 1
	if p.HasCustomID {
		p.CustomID = SampleID(p.CustomID, p.Sample)
	}
	if p.seedAt > 0 && p.Sample > 1 {
		p.Body = p.reseeded(s.seed, s.seed+int64(p.Sample)-1)
		// The body has a key with the one number, so it has one with the other.
		p.Key, _ = chat.Key(p.Body)
	}
	if s.left--; s.left == 0 {
		s.line = Prompt{} // not to be held any longer
	}
	return p
}

// SampleID is the custom_id of a line's prompt of that number. No two lines make the same one of different custom_ids: what follows
// the last # is the number.
func SampleID(id string, sample int) string { return id + "#" + strconv.Itoa(sample) }

// reseeded is the body with another number for its seed.
func (p *Prompt) reseeded(was, seed int64) []byte {
	end := p.seedAt + len(strconv.FormatInt(was, 10))
	b := make([]byte, 0, len(p.Body)+len("-9007199254740992"))
	b = append(b, p.Body[:p.seedAt]...)
	b = strconv.AppendInt(b, seed, 10)
	return append(b, p.Body[end:]...)
}

// seedField is the request field whose fill-in each sample has a number of its own for.
const seedField = "seed"

// mostSeed bounds a seed that is filled in: every reader of JSON holds it, and the sample's number is added without running over.
const mostSeed = 1 << 53

// checkSeed judges a seed that is filled in. A line's own is between its author and the API.
func checkSeed(value jsontext.Value) *chat.FieldError {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < -mostSeed || n > mostSeed-MaxSamples || strconv.FormatInt(n, 10) != string(value) {
		return &chat.FieldError{Field: seedField, Problem: string(value) + " is not an integer, or too large for one"}
	}
	return nil
}
