package sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"batch/runner/chat"
	"batch/runner/chat/sim"
	"batch/runner/chat/sim/simtest"
)

// Every fault of the practice server is what the runner's own client takes it for.
func TestOurClientMeetsEachFault(t *testing.T) {
	type outcome struct {
		class  chat.Class
		reason chat.Reason
	}
	want := map[string]outcome{
		"400":       {chat.JobFailed, ""},
		"401":       {chat.RunStops, chat.KeyRefused},
		"402":       {chat.RunStops, chat.QuotaSpent},
		"403":       {chat.RunStops, chat.KeyRefused},
		"404":       {chat.JobFailed, ""},
		"408":       {chat.Unknown, ""},
		"409":       {chat.Unknown, ""},
		"413":       {chat.JobFailed, ""},
		"422":       {chat.JobFailed, ""},
		"429":       {chat.NotProcessed, chat.RateLimited},
		"500":       {chat.Unknown, ""},
		"502":       {chat.Unknown, ""},
		"503":       {chat.NotProcessed, ""},
		"504":       {chat.Unknown, ""},
		"529":       {chat.NotProcessed, ""},
		"quota":     {chat.RunStops, chat.QuotaSpent},
		"exhausted": {chat.RunStops, chat.QuotaSpent},
		"context":   {chat.JobFailed, ""},
		"policy":    {chat.JobFailed, ""},
		"error200":  {chat.Unknown, ""},
		"empty":     {chat.Unknown, ""},
		"garbage":   {chat.Unknown, ""},
		"hang":      {chat.Unknown, chat.TimedOut},
		"cut":       {chat.Unknown, ""},
		"reset":     {chat.Unknown, ""},
		"slow":      {chat.Done, ""},
		"nousage":   {chat.Done, ""},
		"filter":    {chat.Done, ""},
	}
	for _, kind := range sim.FaultKinds() {
		for name, body := range map[string]string{"whole": hello, "stream": with(1, `,"stream":true`)} {
			t.Run(kind.Name+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newServer(t, only(kind.Name))
					client := pipe(t, s)
					got := client.Do(t.Context(), chat.Call{Body: []byte(body), IdempotencyKey: "k"})
					if w := want[kind.Name]; got.Class != w.class || got.Reason != w.reason {
						t.Errorf("%s %q: %d %s %s %s", got.Class, got.Reason, got.Status, got.Type, got.Code, got.Message)
					}
					if got.Class == chat.Done && (got.Answer.Usage.Known == (kind.Name == "nousage" || name == "stream")) {
						t.Errorf("usage %+v", got.Answer.Usage)
					}
					if kind.Name == "429" && !got.Wait.Known {
						t.Error("Retry-After is lost")
					}
					if got.Status != 0 && !got.Simulated {
						t.Error("not known as simulated")
					}
					again := client.Do(t.Context(), chat.Call{Body: []byte(body), IdempotencyKey: "k"})
					if paid := s.Stats().Answered > 0; paid != again.Replayed || paid != (again.Class == chat.Done) {
						t.Errorf("paid %v, the second call: %s, replayed %v", paid, again.Class, again.Replayed)
					}
				})
			})
		}
	}
}

// pipe is a client whose network is a net.Pipe, so that it works in a bubble.
func pipe(t *testing.T, s *sim.Server) *chat.Client {
	t.Helper()
	client, err := chat.New(chat.Options{BaseURL: "http://127.0.0.1/v1", Timeout: time.Minute, DialContext: simtest.Pipe(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
