package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"batch/runner/tokens"

	"pgregory.net/rapid"
)

func say(role, text string) string { return fmt.Sprintf(`{"role":%q,"content":%q}`, role, text) }

// conversationOf makes a conversation of letters, a message each: s system, d developer, u user, a assistant, c the assistant with a call of
// a tool, t the result of the call before it.
func conversationOf(letters string) []byte {
	roles := map[rune]string{'s': "system", 'd': "developer", 'u': "user", 'a': "assistant", 'c': "assistant", 't': "tool"}
	var messages []string
	calls := 0
	for _, k := range letters {
		extra := ""
		switch k {
		case ' ':
			continue
		case 'c':
			calls++
			extra = fmt.Sprintf(`,"tool_calls":[{"id":"call_%d"}]`, calls)
		case 't':
			extra = fmt.Sprintf(`,"tool_call_id":"call_%d"`, calls)
		}
		messages = append(messages, fmt.Sprintf(`{"role":"%s","content":"one two three","letter":"%c"%s}`, roles[k], k, extra))
	}
	return []byte(`{"model":"m","messages":[` + strings.Join(messages, ", ") + `]}`)
}

func lettersOf(t *testing.T, body []byte) string {
	t.Helper()
	var sent struct{ Messages []struct{ Letter string } }
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatal(err)
	}
	letters := ""
	for _, m := range sent.Messages {
		letters += m.Letter
	}
	return letters
}

// What goes and what stays, where there is room for no more tokens than these messages have.
func TestTrimmedTurns(t *testing.T) {
	for _, c := range []struct {
		name, conversation, room string
		want                     string // what is sent; "" for a bad line
		turns                    int
	}{
		{"nothing too much", "suauauau", "suauauau", "suauauau", 0},
		{"the oldest turn", "ua ua u", "uau", "uau", 1},
		{"no more than need be", "ua ua u", "uaua", "uau", 1},
		{"no half of a turn", "ua ua u", "ua", "u", 2},
		{"the system message stays", "s ua ua u", "suau", "suau", 1},
		{"that of a developer, too", "ua d ua s u", "dsu", "dsu", 2},
		{"within a turn", "usa u", "su", "su", 1},
		{"what follows the last question stays", "ua uaaa", "uaaa", "uaaa", 1},
		{"all of it", "ua uaaa", "aaa", "", 0},
		{"calls and their results stay together", "ucta u", "uuuu", "u", 1},
		{"whoever spoke between", "uc ut a u", "uaaau", "u", 1},
		{"up to the last question", "ua uc ut", "ucut", "ucut", 1},
		{"whose call is not left behind", "uc ut", "ut", "", 0},
		{"those before it go alone", "ua uc ut ua u", "ucutuau", "ucutuau", 1},
		{"a call without a result", "uc uc ut a u", "uuu", "u", 2},
		{"a greeting is a turn", "a ua u", "uau", "uau", 1},
		{"questions in a row are turns", "uuua u", "uuau", "uuau", 1},
		{"but for the last", "ua uu", "u", "u", 2},
		{"one question", "ua", "u", "", 0},
		{"one question and the system", "su", "u", "", 0},
		{"no question", "saaa", "saa", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, room := conversationOf(c.conversation), tokens.Count("m", conversationOf(c.room))
			p, err := NewReader("p", bytes.NewReader(body), Options{Context: Context{Max: room, Trim: true}}).Next()
			var bad *LineError
			if c.want == "" {
				if !errors.As(err, &bad) {
					t.Fatalf("%v, sent %s", err, p.Body)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := lettersOf(t, p.Body); got != c.want || p.Trimmed != c.turns {
				t.Errorf("sent %s without %d turns, want %s without %d", got, p.Trimmed, c.want, c.turns)
			}
			if p.Tokens != tokens.Count("m", p.Body) {
				t.Errorf("%d tokens, want %d", p.Tokens, tokens.Count("m", p.Body))
			}
		})
	}
}

// A seed that was filled in stands behind what was cut out.
func TestSamplesOfTrimmedConversations(t *testing.T) {
	whole := conversationOf("ua u")
	seed := Defaults{Fields: []Field{{Name: "seed", Value: []byte("41")}}}
	r := NewReader("p", bytes.NewReader(whole), Options{Samples: 2, Defaults: seed, Context: Context{Max: tokens.Count("m", conversationOf("u")), Trim: true}})
	for i, want := range []string{`,"seed":41}`, `,"seed":42}`} {
		p, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if lettersOf(t, p.Body) != "u" || !bytes.HasSuffix(p.Body, []byte(want)) || p.Trimmed != 1 || p.Sample != i+1 {
			t.Errorf("sample %d without %d turns: %s", p.Sample, p.Trimmed, p.Body)
		}
	}
	if s := r.Stats(); s.Prompts != 1 || s.Trimmed != 1 || s.TrimmedTurns != 1 {
		t.Errorf("%+v", s)
	}
}

// With a Counter every trimmed prompt has the count of what is left of it, and the Counter no more than that.
func TestCounterCountsWhatIsLeft(t *testing.T) {
	room := tokens.Count("m", conversationOf("uau"))
	file := bytes.Join([][]byte{conversationOf("ua ua u"), conversationOf("u"), conversationOf("su ua u"), conversationOf("aaaaaaaaaa")}, []byte("\n"))
	counter := tokens.NewCounter(false)
	r := NewReader("p", bytes.NewReader(file), Options{Counter: counter, Context: Context{Max: room, Trim: true}})
	total, turns := int64(0), 0
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		var bad *LineError
		if errors.As(err, &bad) {
			if bad.Line != 4 {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Tokens != tokens.Count("m", p.Body) || p.Tokens > room {
			t.Errorf("line %d: %d tokens, want %d", p.Line, p.Tokens, tokens.Count("m", p.Body))
		}
		total += p.Tokens
		turns += p.Trimmed
	}
	if _, likely, _ := counter.Interval(); likely != total || turns != 3 {
		t.Errorf("counted %d tokens of %d, %d turns dropped", likely, total, turns)
	}
	if s := r.Stats(); s.Prompts != 3 || s.Bad != 1 || s.Trimmed != 2 || s.TrimmedTurns != turns {
		t.Errorf("%+v", s)
	}
}

// Turns from a call to its answer are one, also where such stretches lap over.
func TestJoined(t *testing.T) {
	for _, c := range []struct {
		answers map[int]int
		want    []int
	}{
		{nil, []int{0, 1, 2, 3, 4, 5}},
		{map[int]int{2: 1}, []int{0, 1, 1, 2, 3, 4}},
		{map[int]int{4: 1, 2: 0}, []int{0, 0, 0, 0, 0, 1}},
		{map[int]int{5: 3, 3: 2, 1: 0}, []int{0, 0, 1, 1, 1, 1}},
		{map[int]int{5: 0}, []int{0, 0, 0, 0, 0, 0}},
	} {
		if got := joined(6, c.answers); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.answers, got, c.want)
		}
	}
}

func TestContextSaysWhatIsTooLong(t *testing.T) {
	talk := `[` + say("user", "one") + `,` + say("assistant", "two") + `,` + say("user", "three four") + `]`
	for _, c := range []struct {
		name, line string
		max        int64
		trim       bool
		want       string
	}{
		{"a prompt", `{"model":"m","prompt":"` + strings.Repeat("river ", 1200) + `","max_tokens":1000}`, 2000, false,
			"p:1: prompt: 1,207 prompt tokens + 1,000 max_tokens are more than --max-context 2,000 (shorten it, lower max_tokens)"},
		{"a conversation that --trim would help", `{"model":"m","messages":` + talk + `}`, 10, false,
			"p:1: messages: 18 prompt tokens are more than --max-context 10 (shorten it, or drop old turns with --trim)"},
		{"one that it would not", `{"model":"m","messages":` + talk + `}`, 7, false,
			"p:1: messages: 18 prompt tokens are more than --max-context 7 (shorten it)"},
		{"one that it did not", `{"model":"m","messages":` + talk + `,"max_completion_tokens":3}`, 9, true,
			"p:1: messages: even without its older turn, 8 prompt tokens + 3 max_completion_tokens are more than --max-context 9 (shorten it, lower max_completion_tokens)"},
		{"a body", `{"custom_id":"a","body":{"model":"m","messages":` + talk + `,"max_tokens":3}}`, 12, false,
			"p:1: body.messages: 18 prompt tokens + 3 max_tokens are more than --max-context 12 (shorten it, lower max_tokens, or drop old turns with --trim)"},
		{"one choice counts", `{"model":"m","prompt":"one","max_tokens":3,"n":100}`, 10, false, ""},
		{"images do not", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"one"},{"type":"image_url","image_url":{"url":"data:` + strings.Repeat("x ", 500) + `"}}]}]}`, 10, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewReader("p", strings.NewReader(c.line), Options{Context: Context{Max: c.max, Trim: c.trim}}).Next()
			got := ""
			var bad *LineError
			if errors.As(err, &bad) {
				got = bad.Error() + " (" + bad.Hint + ")"
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Any conversation fits or is refused; what stays is a part of its bytes, with every message of the operator and all from the last
// question on; and one turn less would not have done.
func TestTrimmedConversationsFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.SampledFrom([]string{`"x"`, `"\u6771\ud800 y"`, `[{"type":"text","text":"part"},{"type":"image_url","image_url":{"url":"x"}}]`}),
			rapid.Map(rapid.StringMatching(`[a-z ,.]{1,40}`), func(s string) string { return `"` + s + `"` }))
		var messages []string
		var roles []string
		for range rapid.IntRange(1, 12).Draw(t, "messages") {
			role := rapid.SampledFrom([]string{"system", "developer", "user", "user", "assistant", "assistant", "tool"}).Draw(t, "role")
			message := `{"role":"` + role + `", "content":` + text.Draw(t, "content")
			id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "id")
			switch {
			case role == "tool":
				message += `,"tool_call_id":"` + id + `"`
			case role == "assistant" && rapid.Bool().Draw(t, "call"):
				message += `,"tool_calls":[{"id":"` + id + `"}]`
			}
			messages, roles = append(messages, message+"}"), append(roles, role)
		}
		whole := `[` + strings.Join(messages, rapid.SampledFrom([]string{",", " , ", ",\t"}).Draw(t, "space")) + ` ]`
		line := `{"messages":` + whole + `,"max_tokens":5,"model":"m"}`
		if rapid.Bool().Draw(t, "batch") {
			line = `{"custom_id":"a","body":{"max_tokens": 5, "model":"m","messages" :` + whole + ` } }`
		}
		read := func(c Context) (Prompt, error) {
			return NewReader("p", strings.NewReader(line), Options{Context: c}).Next()
		}
		free, err := read(Context{})
		if err != nil {
			t.Fatal(err)
		}
		size := tokens.Count("m", free.Body) + 5
		limit := rapid.Int64Range(1, size+2).Draw(t, "max")
		p, err := read(Context{Max: limit, Trim: true})
		if plain, perr := read(Context{Max: limit}); (perr == nil) != (size <= limit) || perr == nil && !bytes.Equal(plain.Body, free.Body) {
			t.Fatalf("%d tokens in %d without trimming: %v", size, limit, perr)
		}
		if size <= limit && p.Trimmed > 0 {
			t.Fatal("trimmed what fits")
		}
		if err != nil {
			var bad *LineError
			if !errors.As(err, &bad) {
				t.Fatal(err)
			}
			return
		}
		if n := tokens.Count("m", p.Body) + 5; n > limit {
			t.Fatalf("%d tokens in %d: %s", n, limit, p.Body)
		}
		gone, kept := 0, 0
		sent := messagesOf(t, p.Body)
		for i, j := len(messages)-1, len(sent)-1; i >= 0; i-- {
			if j >= 0 && messages[i] == sent[j] {
				kept, j = kept+1, j-1
				continue
			}
			gone++
		}
		if kept != len(sent) {
			t.Fatalf("%s is no part of %s", p.Body, whole)
		}
		if (gone > 0) != (p.Trimmed > 0) {
			t.Fatalf("%d messages of %d turns are gone", gone, p.Trimmed)
		}
		for i := len(roles) - 1; i >= 0; i-- {
			if roles[i] == "user" {
				if tail := messages[i:]; !slices.Equal(tail, sent[len(sent)-len(tail):]) {
					t.Fatalf("of the last question on, %s is left: %s", sent, tail)
				}
				break
			}
		}
		count := func(of []string) (n int) {
			for _, m := range of {
				if strings.HasPrefix(m, `{"role":"system"`) || strings.HasPrefix(m, `{"role":"developer"`) {
					n++
				}
			}
			return n
		}
		if count(sent) != count(messages) {
			t.Fatalf("%s has not every message of the operator of %s", p.Body, whole)
		}
		if p.Trimmed > 0 { // with room for one token less than what one turn more would have needed, the same is sent
			for more := limit + 1; more <= size; more++ {
				q, err := read(Context{Max: more, Trim: true})
				if err != nil {
					t.Fatal(err)
				}
				if q.Trimmed == p.Trimmed {
					continue
				}
				if q.Trimmed != p.Trimmed-1 || tokens.Count("m", q.Body)+5 != more {
					t.Fatalf("with %d tokens %d turns go, with %d tokens %d: %s", limit, p.Trimmed, more, q.Trimmed, q.Body)
				}
				break
			}
		}
	})
}

func messagesOf(t interface{ Fatal(...any) }, body []byte) []string {
	var sent struct{ Messages []json.RawMessage }
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range sent.Messages {
		all = append(all, string(m))
	}
	return all
}

// What goes out is a request whatever is dropped: no more than has to be, of messages that stay in their order, and nothing else changes.
func FuzzTrim(f *testing.F) {
	f.Add([]byte(`[{"role":"user","content":"one"},{"role":"assistant","content":"two"} , {"content":"three","role":"us\u0065r"}]`), int64(14))
	f.Add([]byte(`[{"role":"assistant","tool_calls":[{"id":"a"},7,{}]},{"role":"user","content":"x"},{"role":"tool","tool_call_id":"a","content":"y"},{"role":"user","content":"z"}]`), int64(30))
	f.Fuzz(func(t *testing.T, messages []byte, limit int64) {
		const behind = `,"model":"m","max_tokens":5,"top_p": 0.10}}`
		line := `{"custom_id":"a","body":{"messages":` + string(messages) + behind
		before, err := NewReader("p", strings.NewReader(line), Options{}).Next()
		if err != nil || limit < 1 {
			return
		}
		p, err := NewReader("p", strings.NewReader(line), Options{Context: Context{Max: limit, Trim: true}}).Next()
		var bad *LineError
		if errors.As(err, &bad) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		wellMade(t, p)
		if n := tokens.Count("m", p.Body) + 5; n > limit {
			t.Errorf("%d tokens in %d: %s", n, limit, p.Body)
		}
		if !bytes.HasSuffix(p.Body, []byte(behind[:len(behind)-1])) || !bytes.HasPrefix(p.Body, before.Body[:len(`{"messages":`)]) {
			t.Errorf("more than messages changed: %s", p.Body)
		}
		if p.Trimmed == 0 && !bytes.Equal(p.Body, before.Body) {
			t.Errorf("nothing was dropped, and %s became %s", before.Body, p.Body)
		}
		if n := tokens.Count("m", before.Body) + 5; n <= limit && p.Trimmed > 0 {
			t.Errorf("%d tokens in %d, and %s became %s", n, limit, before.Body, p.Body)
		}
		all, kept := messagesOf(t, before.Body), messagesOf(t, p.Body)
		dropped := len(all) - len(kept)
		for _, message := range all {
			if len(kept) > 0 && message == kept[0] {
				kept = kept[1:]
			}
		}
		if len(kept) > 0 || (dropped > 0) != (p.Trimmed > 0) {
			t.Errorf("%s became %s: %d turns were dropped", before.Body, p.Body, p.Trimmed)
		}
	})
}
