package chat

import (
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Whatever the answer, many calls leave no more behind than a few: no goroutine, no timer, no connection.
func TestR3_NothingGrows(t *testing.T) {
	const workers, few = 16, 10
	stream := answer(200, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Paris.\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
		"Content-Type", "text/event-stream")
	for name, kind := range map[string]struct {
		request string
		handler http.HandlerFunc
		want    Class
		opened  int64 // connections, at most
	}{
		"answers":  {request, answer(200, completion), Done, workers},
		"refusals": {request, answer(500, `{"error":{"message":"overloaded"}}`), Unknown, workers},
		"streams":  {streamRequest, stream, Done, 2 * workers}, // the end of one may come too late for the next call
	} {
		t.Run(name, func(t *testing.T) {
			together := newMeeting(workers)
			var opened atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				together.join()
				kind.handler(w, r)
			}))
			server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					opened.Add(1)
				}
			}
			server.Start()
			defer server.Close()
			client := connect(t, server.URL, func(o *Options) { o.MaxConns = workers })
			call := func() Result { return do(client, kind.request) }

			drain(t, workers, few, kind.want, call)
			client.drains.Wait()
			goroutines, objects := runtime.NumGoroutine(), heapObjects()
			drain(t, workers, 20*few, kind.want, call)
			client.drains.Wait()
			settle(t, goroutines)
			if more := heapObjects() - objects; more > 20*workers*few/4 {
				t.Errorf("%d calls left %d objects in memory", 20*workers*few, more)
			}
			if n := opened.Load(); n < workers || n > kind.opened {
				t.Errorf("%d workers opened %d connections", workers, n)
			}
		})
	}
}

// meeting holds the first calls until all of them are there: then each has a connection of its own.
type meeting struct {
	missing atomic.Int64
	begun   chan struct{}
}

func newMeeting(n int64) *meeting {
	m := &meeting{begun: make(chan struct{})}
	m.missing.Store(n)
	return m
}

func (m *meeting) join() {
	if m.missing.Add(-1) == 0 {
		close(m.begun)
	}
	<-m.begun
}

// settle waits until no more goroutines are left than that: those of a call end a moment after it.
func settle(t *testing.T, most int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond) // nobody tells when a goroutine has ended
	defer tick.Stop()
	for begun := time.Now(); runtime.NumGoroutine() > most; <-tick.C {
		if time.Since(begun) > 5*time.Second {
			t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), most)
			return
		}
	}
}

func heapObjects() int64 {
	runtime.GC()
	runtime.GC() // what the first one has taken out of the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapObjects)
}
