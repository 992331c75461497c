package main

import (
	"io"
	"sync"
	"time"
)

// queue writes what it is given, in order, and lets nobody wait long for that.
type queue struct {
	w       io.Writer
	mu      sync.Mutex
	texts   []byte
	written chan struct{} // closed when there is nothing left to write; nil when there is nothing
	stuck   bool          // somebody waited in vain
}

// heardWithin is how long it takes at most until what was said is heard by somebody who listens.
const heardWithin = 200 * time.Millisecond

// Write never fails: nobody could be told.
func (q *queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	q.texts = append(q.texts, p...)
	if q.written == nil {
		q.written = make(chan struct{})
		go q.drain(q.written)
	}
	written, stuck := q.written, q.stuck
	q.mu.Unlock()
	if stuck {
		return len(p), nil
	}
	late := time.NewTimer(heardWithin)
	defer late.Stop()
	select {
	case <-written:
	case <-late.C:
		q.mu.Lock()
		q.stuck = q.written == written
		q.mu.Unlock()
	}
	return len(p), nil
}

func (q *queue) drain(written chan struct{}) {
	defer close(written)
	for {
		q.mu.Lock()
		texts := q.texts
		q.texts = nil
		if len(texts) == 0 {
			q.written, q.stuck = nil, false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		q.w.Write(texts)
	}
}

// behind says that something is not written yet.
func (q *queue) behind() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.written != nil
}

// wait returns when all is written.
func (q *queue) wait() {
	q.mu.Lock()
	written := q.written
	q.mu.Unlock()
	if written != nil {
		<-written
	}
}
