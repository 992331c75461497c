package chat

import (
	"io"
	"time"
)

const (
	// maxErrorBody is what is kept of the body of an outcome that is not Done.
	maxErrorBody = 64 << 10
	// maxFailureBody is what is read of it: enough to find the error, and the key where it is echoed.
	maxFailureBody = 1 << 20
)

// bodyReader reads a response body under the limits of its attempt, counted after decompression.
type bodyReader struct {
	a    *attempt
	r    io.Reader
	left int64 // bytes that may still come

	ended  bool // the sender said [DONE]; what may follow is of no interest
	begun  bool
	until  time.Time // when the time without progress is over
	record bool      // keep the head of what is read
	head   []byte
}

// Read resets the idle limit before every read but the first: up to the first byte the wait for the answer goes on.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.begun {
		now := time.Now()
		b.a.timer.Reset(min(b.a.client.opt.IdleTimeout, b.until.Sub(now)))
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed tells a full body from one that goes on
	}
	n, err := b.r.Read(p)
	if n > 0 && !b.begun {
		b.begun = true
		b.progress()
	}
	if b.left -= int64(n); b.left < 0 {
		n, err = n-1, errTooLong
		b.left = 0
	}
	if b.record && len(b.head) < 2*maxErrorBody {
		b.head = append(b.head, p[:n]...)
	}
	return n, err
}

// progress says that something of use has come.
func (b *bodyReader) progress() { b.until = time.Now().Add(b.a.client.opt.Timeout) }

// finish says that all has come but what is said after an answer: its usage is not waited for as long as for words.
func (b *bodyReader) finish() {
	if end := time.Now().Add(b.a.client.opt.IdleTimeout); end.Before(b.until) {
		b.until = end
	}
}

// more reads once into buf, which it grows when it is full.
func (b *bodyReader) more(buf []byte) ([]byte, error) {
	if len(buf) == cap(buf) {
		buf = append(buf, 0)[:len(buf)]
	}
	n, err := b.Read(buf[len(buf):cap(buf)])
	return buf[:len(buf)+n], err
}

// rest reads to the end; a nil error means that all has come.
func (b *bodyReader) rest(buf []byte, err error) ([]byte, error) {
	for err == nil {
		buf, err = b.more(buf)
	}
	if err == io.EOF {
		err = nil
	}
	return buf, err
}
