package tokens

import (
	"strings"
	"sync"

	"github.com/tiktoken-go/tokenizer/codec"
)

// encoding is a vocabulary with the way in which text is split before it is looked up. The codec is loaded when first used, which
// takes some 20 to 60 ms, and is then shared by all goroutines.
type encoding struct {
	codec func() *codec.Codec
	split func(text []byte) int // the length of the first piece
	known cache
}

// The codecs are made by name: the tokenizer's own table of models would bring in every vocabulary, 2.4 MB more.
var (
	o200k  = &encoding{codec: sync.OnceValue(codec.NewO200kBase), split: splitO200k}
	cl100k = &encoding{codec: sync.OnceValue(codec.NewCl100kBase), split: splitCl100k}
)

// scheme is how the tokens of a request are counted.
type scheme struct {
	enc             *encoding
	perConversation int64
}

// A message costs PerMessage and a name PerName either way: in OpenAI's cookbook ("How to count tokens with tiktoken",
// num_tokens_from_messages) 3 and 1 for its role. The conversation costs 2 by the guide of the API, 3 by the cookbook, which prime
// the answer.
const perOpenAIConversation = 3

var (
	ownScheme    = &scheme{cl100k, PerConversation}
	oldScheme    = &scheme{cl100k, perOpenAIConversation}
	openaiScheme = &scheme{o200k, perOpenAIConversation}
	otherScheme  = &scheme{o200k, PerConversation}
	schemes      = []*scheme{ownScheme, oldScheme, openaiScheme, otherScheme}
)

// byPrefix says how a model is counted whose name begins like this; the first that fits holds. The tokenizer's own table knows only
// models of its day and takes fine-tuned ones for older than they are.
var byPrefix = []struct {
	prefix string
	scheme *scheme
}{
	// The models that the API documents; its guide names cl100k_base, whose tokens are most of those of Llama 3.
	{"llama-", ownScheme}, {"mistral-", ownScheme}, {"assisters-", ownScheme},
	{"gpt-4o", openaiScheme}, {"gpt-4.", openaiScheme}, {"gpt-4", oldScheme},
	{"gpt-3.5", oldScheme}, {"gpt-35", oldScheme}, // Azure's spelling
	{"text-embedding-", oldScheme},
	{"gpt-", openaiScheme}, {"chatgpt-", openaiScheme}, {"codex-", openaiScheme},
	{"o1", openaiScheme}, {"o3", openaiScheme}, {"o4", openaiScheme},
}

// schemeOf finds how a model is counted. A provider in front of the name (openai/gpt-4o), ft: of a fine-tuned model, and what stands
// behind a colon (its owner, or a router's variant) do not matter. A name that nobody knows is counted by o200k_base, which comes
// within a few per cent of other new vocabularies on English text and code.
func schemeOf(model string) *scheme {
	name := strings.ToLower(model)
	if provider, base, tuned := strings.Cut(name, "ft:"); tuned && (provider == "" || strings.HasSuffix(provider, "/")) {
		name = base
	}
	name, _, _ = strings.Cut(name, ":")
	name = name[strings.LastIndexByte(name, '/')+1:]
	for _, p := range byPrefix {
		if strings.HasPrefix(name, p.prefix) {
			return p.scheme
		}
	}
	return otherScheme
}
