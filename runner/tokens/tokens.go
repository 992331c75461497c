// Package tokens counts what a request and its answer cost in tokens, offline: exactly by the vocabulary of the model, where one is
// known, or by a rule of bytes that costs next to nothing. Either way its figures are estimates and are called so wherever they are
// shown; what the API reports always outranks them.
package tokens

// The rule of the API's guide to token counting: 1 token is about 4 English characters; a message costs 4 tokens
// beside its content, a name 1 more, a conversation 2.
const (
	bytesPerToken   = 4
	PerMessage      = 4
	PerName         = 1
	PerConversation = 2
)

// Text estimates the tokens of a text of n bytes: a token for every 4 bytes begun.
func Text(n int) int64 {
	return int64(n+bytesPerToken-1) / bytesPerToken
}
