package tokens

// Usage is what one answer used, or the sum of several. Cached and CacheWrite are parts of Prompt. Reasoning is a part of what is
// not prompt: of Completion, or of the rest of Total where a provider counts thought beside it. Audio is a part of either that
// has a price of its own.
//
// It has the same fields as the Usage of chat and of store, so that one converts into the other.
type Usage struct {
	Known                                bool
	Prompt, Completion, Total            int64
	Cached, CacheWrite, Reasoning, Audio int64
}
