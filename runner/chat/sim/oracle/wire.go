package oracle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"slices"

	"batch/runner/chat/sim"
)

// thread is all that is known of one Idempotency-Key at one server: the attempts on record and the calls that came.
type thread struct {
	j     *jobFile
	job   *job
	rows  []*attempt
	calls []sim.Call
}

type threadID struct{ key, server string }

// wire holds the ledgers against the attempts: each call has one, each attempt a call unless it says why not, and what was sent is what is
// kept.
func (f *findings) wire(files []*jobFile, c Case) {
	if c.Ledgers == nil {
		return
	}
	threads, opaque := f.threads(files, c)
	for server, calls := range c.Ledgers {
		bodies := map[string][32]byte{}
		for _, call := range calls {
			if before, seen := bodies[call.Key]; seen && before != call.Body {
				f.add("%s came to %s with two bodies", call.Key, server)
			}
			bodies[call.Key] = call.Body
			t := threads[threadID{call.Key, server}]
			switch {
			case call.Key == "":
				f.add("a call without Idempotency-Key came to %s", server)
			case t != nil:
				t.calls = append(t.calls, call)
			case !opaque:
				f.add("a call that no attempt is on record for came to %s, as %s", server, call.Key)
			}
		}
	}
	for id, t := range threads {
		f.thread(id, t, c)
	}
}

// threads lists the attempts by key and server. opaque says that there are calls whose job cannot be told.
func (f *findings) threads(files []*jobFile, c Case) (threads map[threadID]*thread, opaque bool) {
	threads = map[threadID]*thread{}
	opaque = c.Missing
	salts := map[string]bool{}
	for _, j := range files {
		if salt := j.settings["salt"]; j.purged() || salts[salt] { // without text, or a copy of another
			opaque = true
			continue
		}
		salts[j.settings["salt"]] = true
		for _, b := range j.jobs {
			for _, a := range b.tries {
				r := j.runs[a.run]
				if r == nil || c.Ledgers[r.endpoint] == nil {
					continue
				}
				id := threadID{idempotencyKey(j, b, a.generation), r.endpoint}
				if threads[id] == nil {
					threads[id] = &thread{j: j, job: b}
				}
				threads[id].rows = append(threads[id].rows, a)
			}
		}
	}
	return threads, opaque
}

// idempotencyKey is the key that a job's calls must have: of the file, the job, its request and its generation, and of nothing else.
func idempotencyKey(j *jobFile, b *job, generation int64) string {
	salt, _ := hex.DecodeString(j.settings["salt"])
	body := sha256.Sum256(b.body)
	text := binary.BigEndian.AppendUint64(salt, uint64(b.id))
	text = binary.BigEndian.AppendUint64(append(text, body[:]...), uint64(generation))
	sum := sha256.Sum256(text)
	return "batch-" + hex.EncodeToString(sum[:16])
}

func (f *findings) thread(id threadID, t *thread, c Case) {
	body, asking := sha256.Sum256(t.job.body), sha256.Sum256(askingForUsage(t.job.body))
	for _, call := range t.calls {
		if call.Body != body && call.Body != asking && call.Body != ([32]byte{}) {
			f.add("%s: job %d was sent with another body than is kept", t.j.name, t.job.id)
		}
	}
	if c.Missing && len(t.calls) == 0 {
		return
	}
	pairs, fit := t.pair(c)
	if !fit {
		f.add("%s: job %d has %d attempts on record at %s, which got %d calls: %s", t.j.name, t.job.id, len(t.rows), id.server, len(t.calls), t.words())
		return
	}
	for _, p := range pairs {
		if flaw := t.flaw(p.row, p.call); flaw != "" {
			f.add("%s: job %d %s", t.j.name, t.job.id, flaw)
		}
		if r := t.j.runs[p.row.run]; r.ended.Valid && r.reason.String != "died" && !p.call.When.IsZero() && p.call.When.UnixMilli() > r.ended.Int64+2*slack {
			f.add("%s: job %d was sent %d ms after its run had ended", t.j.name, t.job.id, p.call.When.UnixMilli()-r.ended.Int64)
		}
	}
}

// askingForUsage is a streamed request as it goes to hosts that tell the usage of a stream only when they are asked to.
func askingForUsage(body []byte) []byte {
	end := bytes.LastIndexByte(body, '}')
	if end < 0 {
		return body
	}
	return slices.Concat(body[:end], []byte(`,"stream_options":{"include_usage":true}`), body[end:])
}

type pair struct {
	row  *attempt
	call sim.Call
}

// pair finds to every call its attempt, in order. Attempts whose request may never have come may be left over, calls may not. Of several
// ways it takes one with the fewest flaws: which of the attempts that died was sent, nobody knows.
func (t *thread) pair(c Case) (pairs []pair, fit bool) {
	const never = 1 << 30
	rows, calls := len(t.rows), len(t.calls)
	least := make([][]int, rows+1) // least[i][k]: flaws, when the attempts from i on are paired with the calls from k on
	both := func(i, k int) int {
		switch {
		case k == calls || !t.matches(i, k, c):
			return never
		case t.flaw(t.rows[i], t.calls[k]) != "":
			return least[i+1][k+1] + 1
		}
		return least[i+1][k+1]
	}
	alone := func(i, k int) int {
		if !t.rows[i].unmet(c) {
			return never
		}
		return least[i+1][k]
	}
	for i := rows; i >= 0; i-- {
		least[i] = make([]int, calls+1)
		for k := calls; k >= 0; k-- {
			switch {
			case i < rows:
				least[i][k] = min(both(i, k), alone(i, k), never)
			case k < calls:
				least[i][k] = never
			}
		}
	}
	if least[0][0] == never {
		return nil, false
	}
	for i, k := 0, 0; i < rows; i++ {
		if least[i][k] == both(i, k) {
			pairs = append(pairs, pair{t.rows[i], t.calls[k]})
			k++
		}
	}
	return pairs, true
}

// matches: an attempt and a call can be one. Where requests get lost, a call after the end of a run belongs to an attempt of a later one.
func (t *thread) matches(i, k int, c Case) bool {
	a, call := t.rows[i], t.calls[k]
	r := t.j.runs[a.run]
	late := r.ended.Valid && r.reason.String != "died" && !call.When.IsZero() && call.When.UnixMilli() > r.ended.Int64+2*slack
	return a.matches(call) && !(c.Lossy && late)
}

// matches: the status that was heard is the one that was sent.
func (a *attempt) matches(call sim.Call) bool {
	return !(a.class.Valid && a.sent.Valid && a.sent.Int64 == 0) && (!a.status.Valid || call.Status == 0 || a.status.Int64 == int64(call.Status))
}

// unmet says that the request of an attempt may never have come to its server.
func (a *attempt) unmet(c Case) bool {
	return a.lost() && (c.Died || c.Open) || a.sent.Valid && a.sent.Int64 == 0 || c.Lossy && !a.status.Valid
}

func (t *thread) words() (s string) {
	for _, a := range t.rows {
		s += "(" + a.class.String + " " + a.reason.String + ")"
	}
	for _, call := range t.calls {
		s += "[" + http.StatusText(call.Status) + " " + call.Fault + "]"
	}
	return s
}
