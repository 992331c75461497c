package sim

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Stats counts what a Server has done so far.
type Stats struct {
	Calls    int64            // requests of any kind, refused and unfinished ones too
	Answered int64            // completions made, and billed; one that was cut or reset on its way counts, a replay does not
	Replays  int64            // repeated under their Idempotency-Key
	Refused  int64            // 429 because a limit was reached
	ByStatus map[int]int64    // by the status sent; 0 where no response began (hang, reset)
	Faults   map[string]int64 // by the kind of fault

	PromptTokens, CompletionTokens int64 // billed
}

// Call is a row of the ledger: one request and what became of it.
type Call struct {
	Key      string   // its Idempotency-Key, "" for none
	Body     [32]byte // SHA-256 of the body
	Status   int      // as sent; 0 where no response began (hang, reset)
	Fault    string   // the kind of fault it met, "script" for one that a script answered, "" for none
	Replayed bool
	Reply    []byte    // the body that was meant for it, whole; of a scripted call, all that its steps send
	Whole    bool      // nothing on this side keeps the response from its end
	Billed   int64     // tokens; 0 when nothing was answered, or it was a replay
	When     time.Time // when it came in
}

// books keeps the statistics and the ledger.
type books struct {
	mu     sync.Mutex
	stats  Stats
	keep   bool
	ledger []Call
}

// enter counts a call before its response goes out, so that whoever has the response finds it counted. It returns the
// call's place in the ledger, -1 for none.
func (b *books) enter(c Call, u usage, chat bool) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Calls++
	b.stats.ByStatus[c.Status]++
	if c.Fault != "" && !c.Replayed {
		b.stats.Faults[c.Fault]++
	}
	if c.Replayed {
		b.stats.Replays++
	}
	if c.Status == 429 && c.Fault == "" {
		b.stats.Refused++
	}
	if c.Billed > 0 {
		b.stats.Answered++
		b.stats.PromptTokens += u.prompt
		b.stats.CompletionTokens += u.completion
	}
	if !b.keep || !chat {
		return -1
	}
	c.Reply = slices.Clone(c.Reply)
	b.ledger = append(b.ledger, c)
	return len(b.ledger) - 1
}

// broken says of a call in the ledger that its response could not be written to its end.
func (b *books) broken(i int) {
	if i < 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ledger[i].Whole = false
}

// Stats returns what was counted so far.
func (s *Server) Stats() Stats {
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	st := s.books.stats
	st.ByStatus = maps.Clone(st.ByStatus)
	st.Faults = maps.Clone(st.Faults)
	return st
}

// Ledger returns a copy of every chat completions call and every scripted one so far, in the order in which they were
// decided. It is empty unless Options.Ledger is set.
func (s *Server) Ledger() []Call {
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	return slices.Clone(s.books.ledger)
}
