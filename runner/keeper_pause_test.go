package runner

import (
	"context"
	"testing"
	"time"

	"batch/runner/chat"
	"batch/store"
)

// slowStore takes its time for a turn, as a disk does.
type slowStore struct {
	*store.Store
	turn time.Duration
}

func (s slowStore) Turn(ctx context.Context, outs []store.Outcome, pause *store.Pause, want store.Want) (store.Turned, error) {
	turned, err := s.Store.Turn(ctx, outs, pause, want)
	<-time.After(s.turn)
	return turned, err
}

// A pause may be over by the time that it is saved: then nothing is left to wait for, and the run goes on. Shorter or longer, it does too.
func TestL1_L2_PauseThatEndsWhileItIsSaved(t *testing.T) {
	const turn = 100 * time.Millisecond
	for _, asked := range []time.Duration{0, time.Millisecond, turn - 1, turn, turn + 1, 3 * turn} {
		limited := func(n int, _ string) chat.Result {
			if n > 2 {
				return done("x")
			}
			res := refused(chat.NotProcessed, chat.RateLimited, 429, "rate_limit_exceeded")
			res.Wait = chat.Wait{Known: true, Until: time.Now().Add(asked)}
			return res
		}
		in(t, 2, limited, func(w *world) {
			_, wait := w.startOn(slowStore{w.store, turn}, Options{Concurrency: 2})
			if sum := wait(); sum.Done != 2 || sum.Stop != nil {
				t.Errorf("asked to wait %s: %+v", asked, sum)
			}
		})
	}
}
