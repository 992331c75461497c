package chat

import (
	"net/http"
	"testing"

	"batch/runner/chat/sim/simtest"
)

// piped serves over pipes, for use in a bubble.
func piped(t *testing.T, handler http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	dial := simtest.Pipe(t, handler)
	change = append(change, func(o *Options) { o.DialContext = dial })
	return connect(t, "http://pipe.localhost/v1", change...)
}
