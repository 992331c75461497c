package chat

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

// allocated is how many bytes f took of the heap, whether they are free again or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A body is read as what its encoding says, once, and never to more than the limit. What is in an encoding that was not asked for, or in
// two of them, is no answer that anybody can read.
func TestH16_ContentEncodings(t *testing.T) {
	var deflated, dense bytes.Buffer
	w, _ := flate.NewWriter(&deflated, flate.BestSpeed)
	io.WriteString(w, completion)
	w.Close()
	z, err := zstd.NewWriter(&dense)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(z, completion)
	z.Close()
	brotli := "\x0b\x02\x80{}\x03" // {} as one uncompressed block
	for name, row := range map[string]struct {
		body, encoding string
		class          Class
		reason         Reason
	}{
		"gzip":                          {zipped(completion), "gzip", Done, ReasonNone},
		"gzip in capitals":              {zipped(completion), "GZIP", Done, ReasonNone},
		"identity":                      {completion, "identity", Done, ReasonNone},
		"brotli":                        {brotli, "br", Unknown, ReasonNone},
		"zstd":                          {dense.String(), "zstd", Unknown, ReasonNone},
		"deflate":                       {deflated.String(), "deflate", Unknown, ReasonNone},
		"no such encoding":              {completion, "rot13", Unknown, ReasonNone},
		"JSON that is called brotli":    {completion, "br", Unknown, ReasonNone},
		"zstd that is not called so":    {dense.String(), "", Unknown, ReasonNone},
		"gzip that is not called so":    {zipped(completion), "", Unknown, ReasonNone},
		"twice, called once":            {zipped(zipped(completion)), "gzip", Unknown, ReasonNone},
		"twice, called twice":           {zipped(zipped(completion)), "gzip, gzip", Unknown, ReasonNone},
		"not gzip":                      {completion, "gzip", Unknown, ReasonNone},
		"nothing":                       {"", "gzip", Unknown, ReasonNone},
		"a second member":               {zipped(completion) + zipped(" "), "gzip", Done, ReasonNone},
		"a bomb":                        {zipped(`{"a":"` + strings.Repeat("0", 16<<20) + `"}`), "gzip", JobFailed, ResponseTooLarge},
		"a bomb of blanks":              {zipped(strings.Repeat(" ", 16<<20)), "gzip", JobFailed, ResponseTooLarge},
		"a bomb of two bombs":           {zipped(zipped(strings.Repeat("0", 16<<20))), "gzip", Unknown, ReasonNone},
		"a bomb as a stream":            {zipped("data: " + strings.Repeat("0", 16<<20)), "gzip", JobFailed, ResponseTooLarge},
		"a bomb of a stream's comments": {zipped(strings.Repeat(":\n", 8<<20)), "gzip", JobFailed, ResponseTooLarge},
	} {
		const limit = 256 << 10
		client := serve(t, answer(200, row.body, "Content-Encoding", row.encoding), func(o *Options) { o.MaxResponse = limit })
		var r Result
		took := allocated(func() { r = do(client, request) })
		if r.Class != row.class || r.Reason != row.reason || len(r.Body) > maxErrorBody || took > 64*limit {
			t.Errorf("%s: %v %v %q, %d bytes kept, %d taken", name, r.Class, r.Reason, r.Message, len(r.Body), took)
		}
	}
	if r := do(serve(t, answer(401, "x", "Content-Encoding", "br")), request); r.Reason != KeyRefused {
		t.Errorf("a refusal in an unknown encoding: %+v", r)
	}
	bomb := serve(t, answer(500, zipped(strings.Repeat("0", 16<<20)), "Content-Encoding", "gzip"))
	if took := allocated(func() { do(bomb, request) }); took > 16*maxFailureBody {
		t.Errorf("a bomb as a failure took %d bytes", took)
	}
}

// However large an answer is, and in whatever way, it is an answer or a failure of its own job, and takes memory in proportion to the limit.
func TestH17_LargeAnswers(t *testing.T) {
	choice := `{"index":%d,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"},`
	var choices strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&choices, choice, i)
	}
	many := strings.TrimSuffix(choices.String(), ",")
	usage := `,"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`
	text := strings.Repeat("x", 64_000_000)
	nested := func(n int) string {
		return `{"choices":[{"message":{"content":"a"}}],"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	for name, row := range map[string]struct {
		body   string
		status int
		class  Class
		reason Reason
	}{
		"64 MB":                            {`{"choices":[{"message":{"content":"` + text + `"}}]` + usage, 200, Done, ReasonNone},
		"100,000 choices":                  {`{"choices":[` + many + `]` + usage, 200, Done, ReasonNone},
		"100,000 choices, without a usage": {`{"choices":[` + many + `]}`, 200, Done, ReasonNone},
		"deep, and still JSON":             {nested(9_000), 200, Done, ReasonNone},
		"too deep for JSON":                {nested(20_000), 200, Unknown, ReasonNone},
		"a million deep":                   {nested(1_000_000), 200, Unknown, ReasonNone},
		"an error of 8 MB":                 {`{"error":{"code":429,"message":"limit ` + text[:8_000_000] + `"}}`, 200, NotProcessed, RateLimited},
		"an error a million deep":          {`{"error":` + strings.Repeat(`{"error":`, 1_000_000), 500, Unknown, ReasonNone},
		"an error with 300,000 steps":      {`{"detail":[{"loc":[` + strings.Repeat(`"a",`, 300_000>>1) + `"a"],"msg":"m"}]}`, 422, JobFailed, ReasonNone},
		"an error with 60,000 parts":       {`{"detail":[` + strings.Repeat(`{"loc":["a"],"msg":"m"},`, 40_000) + `{}]}`, 422, JobFailed, ReasonNone},
	} {
		client := serve(t, answer(row.status, row.body))
		var r Result
		took := allocated(func() { r = do(client, request) })
		if r.Class != row.class || r.Reason != row.reason || r.Class != Done && cap(r.Body) > maxFailureBody || len(r.Message) > maxMessage {
			t.Errorf("%s: %v %v %.200q, %d bytes kept", name, r.Class, r.Reason, r.Message, cap(r.Body))
		}
		if most := uint64(8*min(len(row.body), DefaultMaxResponse) + 1<<20); took > most {
			t.Errorf("%s: %d bytes were taken for %d", name, took, len(row.body))
		}
	}
}

// A header that does not end, or is larger than a megabyte, is no answer, and is not read to its end.
func TestH17_LargeHeaders(t *testing.T) {
	for name, header := range map[string]string{
		"one of 10 MB":         "X: " + strings.Repeat("x", 10<<20) + "\r\n",
		"a million":            strings.Repeat("X-Y: z\r\n", 1_000_000),
		"one of 10 MB, a name": strings.Repeat("x", 10<<20) + ": y\r\n",
	} {
		client, requests := raw(t, func(_ int64, conn *net.TCPConn, _ func() bool) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", header, len(completion), completion)
		})
		var r Result
		took := allocated(func() { r = do(client, request) })
		if r.Class != Unknown || !r.Sent || requests.Load() != 1 || took > 64<<20 {
			t.Errorf("%s: %v %q, %d requests, %d bytes taken", name, r.Class, r.Message, requests.Load(), took)
		}
	}
}

// What a server sends in place of an answer is shown by its first 300 printable bytes, or by the title of its page, and kept.
func TestH3_WhatIsNoAnswerIsShown(t *testing.T) {
	long := strings.Repeat("sorry, not now \x1b[31m\u202e", 100)
	for body, want := range map[string]string{
		"":                               "the body is empty",
		" \r\n\t":                        "the body is empty",
		"null":                           "JSON, but not an object: null",
		"[]":                             "JSON, but not an object: []",
		"7":                              "JSON, but not an object: 7",
		"upstream said no":               "not JSON: upstream said no",
		"<html><title>Log in</title>":    "not JSON: Log in",
		"<p>no\x00 title\x07 here</p>":   "not JSON: <p>no title here</p>",
		`{"choices"`:                     `not JSON: {"choices"`,
		"\xff\xfe{\x00}\x00":             "not JSON: \ufffd\ufffd{}",
		long:                             strings.Repeat("sorry, not now [31m", 15),
		strings.Repeat("€", 400):         strings.Repeat("€", 99),
		`"` + strings.Repeat("\\", 2000): `not JSON: "\\\\`,
	} {
		r := do(serve(t, answer(200, body)), request)
		if r.Class != Unknown || !strings.Contains(r.Message, want) || len(r.Message) > 400 || !utf8.ValidString(r.Message) {
			t.Errorf("%.40q: %v %q, want %q", body, r.Class, r.Message, want)
		}
		if string(r.Body) != body {
			t.Errorf("%.40q: kept %.40q", body, r.Body)
		}
	}
}

// Every status that can stand on a status line has its class over the wire too, with an empty body and with a completion: of those only a
// success is an answer.
func TestH21_EveryStatusOnTheWire(t *testing.T) {
	const first, last = 200, 999
	status, body := 0, ""
	client, requests := raw(t, func(_ int64, conn *net.TCPConn, next func() bool) {
		for more := true; more; more = next() {
			fmt.Fprintf(conn, "HTTP/1.1 %d \r\n", status)
			if status != 204 && status != 304 { // these have no body, by definition
				fmt.Fprintf(conn, "Content-Length: %d\r\n\r\n%s", len(body), body)
			} else {
				io.WriteString(conn, "\r\n")
			}
		}
	})
	for _, body = range []string{"", completion} {
		for status = first; status <= last; status++ {
			r := do(client, request)
			want := ofStatus(status)
			if status/100 == 2 && status != 204 && body != "" {
				want = verdict{class: Done}
			}
			if got := (verdict{r.Class, r.Reason}); got != want || r.Status != status || (r.Message == "") != (r.Class == Done) {
				t.Errorf("%d with %d bytes: %v %q, want %v", status, len(body), got, r.Message, want)
			}
		}
	}
	if n := int64(2 * (last - first + 1)); requests.Load() != n {
		t.Errorf("%d requests, want %d", requests.Load(), n)
	}
}

// What comes before an answer is none, and does not hide it; what is no status line is no answer.
func TestH21_StatusLines(t *testing.T) {
	body := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(completion), completion)
	var hints strings.Builder
	for status := 102; status <= 199; status++ {
		fmt.Fprintf(&hints, "HTTP/1.1 %d \r\nLink: </x>\r\n\r\n", status)
	}
	one := "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
	for text, want := range map[string]Class{
		"HTTP/1.1 200 OK\r\n" + body:                           Done,
		"HTTP/1.0 200 OK\r\n" + body:                           Done,
		"HTTP/1.0 200\r\n\r\n" + completion:                    Done,
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\n" + body: Done,
		one + one + "HTTP/1.1 200 OK\r\n" + body:               Done,
		one + "HTTP/1.1 500 X\r\n\r\n":                         Unknown,
		one:                                                    Unknown,
		hints.String() + "HTTP/1.1 200 OK\r\n" + body:          Done,
		strings.Repeat(one, 100_000):                           Unknown,
		"HTTP/1.1 099 X\r\n" + body:                            Unknown,
		"HTTP/1.1 1000 X\r\n" + body:                           Unknown,
		"HTTP/1.1 20 X\r\n" + body:                             Unknown,
		"HTTP/1.1 -200 X\r\n" + body:                           Unknown,
		"HTTP/1.1 abc X\r\n" + body:                            Unknown,
		"HTTP/1.1\r\n" + body:                                  Unknown,
		"HTTP/0.9 200 OK\r\n" + body:                           Done,
		"HTTP/2.0 200 OK\r\n" + body:                           Done,
		"ICY 200 OK\r\n" + body:                                Unknown,
		completion:                                             Unknown,
		"":                                                     Unknown,
	} {
		client, requests := raw(t, func(_ int64, conn *net.TCPConn, _ func() bool) { io.WriteString(conn, text) })
		if r := do(client, request); r.Class != want || requests.Load() != 1 || want == Done && string(r.Body) != completion {
			t.Errorf("%.60q: %v %q after %d requests, want %v", text, r.Class, r.Message, requests.Load(), want)
		}
	}
}
