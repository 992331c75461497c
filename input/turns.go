package input

import "github.com/go-json-experiment/json/jsontext"

// conversation is the messages of a request taken apart into turns: a user message with all that answers it, up to the next one. What
// stands before the first user message is a turn, too. The results of tools stay in one turn with the calls that they answer,
// whoever spoke between.
type conversation struct {
	starts []int // of the messages, in the body
	turn   []int // of each message; stays for one that is in no turn
	old    int   // turns before the one of the last user message
}

// stays marks a message that no turn takes along: of the operator, who speaks for the whole conversation.
const stays = -1

// conversation takes the messages of r.body apart. Where there is no user message it has no old turns.
func (r *Reader) conversation() *conversation {
	c := &conversation{}
	var members []member
	r.dec.begin(r.body)
	if r.dec.object(r.body, &members, nil) != nil { // more keys than are taken apart
		return c
	}
	m := find(members, "messages")
	messages := r.dec.elements(m.value)
	called := map[string]int{} // by the name of a call: its turn
	answers := map[int]int{}   // by turn: the earliest one before it with a call that it answers
	now, lastUser := -1, -1
	for _, e := range messages {
		c.starts = append(c.starts, m.end-len(m.value)+e.start)
		msg := r.dec.message(e.value)
		switch role, _ := msg["role"].(string); role {
		case "system", "developer":
			c.turn = append(c.turn, stays)
			continue
		case "user":
			now++
			lastUser = now
		case "tool":
			id, _ := msg["tool_call_id"].(string)
			if from, known := called[id]; known && from < now {
				if first, more := answers[now]; !more || from < first {
					answers[now] = from
				}
			}
		}
		now = max(now, 0)
		for _, id := range callIDs(msg) {
			called[id] = now
		}
		c.turn = append(c.turn, now)
	}
	if lastUser < 0 {
		return c
	}
	number := joined(now+1, answers)
	for i, t := range c.turn {
		if t != stays {
			c.turn[i] = number[t]
		}
	}
	c.old = number[lastUser]
	return c
}

// joined numbers n turns anew: those from a call to its answer are one.
func joined(n int, answers map[int]int) []int {
	first := n // of what is one with a later turn
	begins := make([]bool, n)
	for t := n - 1; t >= 0; t-- {
		if from, ok := answers[t]; ok {
			first = min(first, from)
		}
		begins[t] = t <= first
	}
	number := make([]int, n)
	for t := 1; t < n; t++ {
		number[t] = number[t-1]
		if begins[t] {
			number[t]++
		}
	}
	return number
}

// tokens is what each old turn has, by what each message has.
func (c *conversation) tokens(each []int64) []int64 {
	sums := make([]int64, c.old)
	for i, t := range c.turn {
		if t != stays && t < c.old {
			sums[t] += each[i]
		}
	}
	return sums
}

// without cuts the oldest n turns out of the body. A message goes with the comma behind it: there is one, as the last user message
// comes later. All other bytes stay as they are.
func (c *conversation) without(body []byte, n int) []byte {
	end := c.starts[0]
	for i, start := range c.starts {
		next := len(body)
		if i+1 < len(c.starts) {
			next = c.starts[i+1]
		}
		if c.turn[i] == stays || c.turn[i] >= n {
			end += copy(body[end:], body[start:next])
		}
	}
	return body[:end]
}

type element struct {
	value jsontext.Value
	start int // in the array
}

// elements are those of a valid array.
func (d *decoder) elements(array jsontext.Value) []element {
	d.begin(array)
	d.dec.ReadToken()
	var all []element
	for d.dec.PeekKind() != ']' && d.dec.PeekKind() != 0 {
		v, err := d.dec.ReadValue()
		if err != nil {
			break
		}
		all = append(all, element{v, int(d.dec.InputOffset()) - len(v)})
	}
	return all
}

// message reads of a message what says where it belongs.
func (d *decoder) message(v jsontext.Value) object {
	d.begin(v)
	d.dec.ReadToken()
	msg := object{}
	for d.dec.PeekKind() == '"' {
		name, err := d.dec.ReadValue()
		if err != nil {
			break
		}
		key := string(decoded(name))
		value, err := d.dec.ReadValue()
		if err != nil {
			break
		}
		if key == "role" || key == "tool_calls" || key == "tool_call_id" {
			msg[key] = toValue(value)
		}
	}
	return msg
}

// callIDs are the names of the calls of tools that a message makes.
func callIDs(msg object) []string {
	calls, _ := msg["tool_calls"].(list)
	var ids []string
	for _, call := range calls {
		call, _ := call.(object)
		if id, ok := call["id"].(string); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
