package chat

// mostTokens is more than any answer can use. Beyond it a count is nonsense, and hundreds of millions of such counts still add up in
// an int64.
const mostTokens = 1e10

// readUsage judges the reported token counts. They are known only when all that is there makes sense: a total that is
// absent is the sum of the parts, and nothing else is made up. One that is larger is their matter: some count thought.
//
// What is said of parts is read in the spelling of every provider: in the details, or beside the counts themselves. A part
// that makes no sense, or does not fit into its whole, is taken as none: its tokens then are plain ones.
func readUsage(usage []byte) Usage {
	var u Usage
	var p parts
	var prompt, completion, total bool
	for name, value := range eachMember(usage) {
		switch string(name) {
		case "prompt_tokens":
			u.Prompt, prompt = wholeNumber(value)
		case "completion_tokens":
			u.Completion, completion = wholeNumber(value)
		case "total_tokens":
			if kindOf(value) == 'n' {
				continue
			}
			if u.Total, total = wholeNumber(value); !total {
				return Usage{}
			}
		case "prompt_tokens_details", "input_tokens_details":
			for name, value := range eachMember(value) {
				p.read(name, value, &p.heard)
			}
		case "completion_tokens_details", "output_tokens_details":
			for name, value := range eachMember(value) {
				p.read(name, value, &p.spoken)
			}
		default:
			p.read(name, value, nil)
		}
	}
	if !prompt || !completion {
		return Usage{}
	}
	sum := u.Prompt + u.Completion
	if !total {
		u.Total = sum
	}
	if u.Total < sum || u.Total > mostTokens {
		return Usage{}
	}
	u.Known = true
	p.into(&u)
	return u
}

// parts are what an answer says of the parts of its usage.
type parts struct {
	cached, written, thought int64
	heard, spoken            int64 // sound in and out
	seconds                  int64 // of sound, where that is how it is counted
}

// read takes in what the details say, or what stands beside the counts; sound is only meant in details, which say whose.
func (p *parts) read(name, value []byte, sound *int64) {
	var part *int64
	switch string(name) {
	case "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens":
		part = &p.cached
	case "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens":
		part = &p.written
	case "reasoning_tokens":
		part = &p.thought
	case "prompt_audio_seconds":
		part = &p.seconds
	case "audio_tokens":
		part = sound
	}
	if part == nil {
		return
	}
	if n, ok := wholeNumber(value); ok {
		*part = max(*part, n) // what is said twice is the same, or 0 in a spelling that is only there for form
	}
}

// into fills in the parts that fit. Where only one of the cache's two can be, it is the one that costs more.
func (p *parts) into(u *Usage) {
	within := func(part, whole int64) int64 {
		if part > whole {
			return 0
		}
		return part
	}
	output := u.Total - u.Prompt
	u.CacheWrite = within(p.written, u.Prompt)
	u.Cached = within(p.cached, u.Prompt-u.CacheWrite)
	u.Reasoning = within(p.thought, output)
	u.Audio = within(p.heard, u.Prompt) + within(p.spoken, output)
	if p.seconds > 0 && u.Audio == 0 {
		u.Audio = output - u.Completion // only the total counts the tokens of such sound
	}
}

// UsageIn reads what a stored answer reports, whole or assembled from a stream; false when it cannot be read any more.
func UsageIn(answer []byte) (Usage, bool) {
	r := readReply(answer, 200)
	return r.answer.Usage, r.done
}
