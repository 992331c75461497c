package runner

import (
	"context"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"batch/runner/chat"
	"batch/runner/chat/sim"
	"batch/runner/chat/sim/simtest"
)

// line is the network between a run and a practice server that follows a script. It may be down.
type line struct {
	world  *world
	server *sim.Server
	client *chat.Client
	down   func(dials int) error // nil: it never is

	mu    sync.Mutex
	dials []time.Time // that failed
}

// over runs a story of n jobs whose calls go over a line, in a bubble. Whatever happens on it, each call that the server saw has to be an attempt
// on record.
func over(t *testing.T, n int, script func(sim.Ask) []sim.Step, story func(l *line)) {
	t.Helper()
	in(t, n, nil, func(w *world) {
		server, err := sim.New(sim.Options{Ledger: true, Script: script})
		if err != nil {
			w.t.Fatal(err)
		}
		l := &line{world: w, server: server}
		pipe := simtest.Pipe(w.t, server)
		client, err := chat.New(chat.Options{BaseURL: "http://api.test/v1", DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if err := l.dialing(); err != nil {
				return nil, err
			}
			return pipe(ctx, network, addr)
		}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(client.Close)
		l.client, w.line = client, l
		story(l)
	})
}

func (l *line) dialing() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down == nil {
		return nil
	}
	err := l.down(len(l.dials))
	if err != nil {
		l.dials = append(l.dials, time.Now())
	}
	return err
}

// answers is a script that answers everything, after what broken says of a call.
func answers(broken func(sim.Ask) []sim.Step) func(sim.Ask) []sim.Step {
	return func(a sim.Ask) []sim.Step {
		if broken != nil {
			if steps := broken(a); steps != nil {
				return steps
			}
		}
		return []sim.Step{{Wait: time.Second, Body: []byte(answer15), Billed: 15}}
	}
}

const answer15 = `{"choices":[{"message":{"role":"assistant","content":"Paris."},"finish_reason":"stop"}],` +
	`"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`

var (
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	errNoHost  = &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "api.test", IsNotFound: true}}
	errNoDNS   = &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "server misbehaving", Name: "api.test", IsTemporary: true}}
)

func TestN1_NoSuchHost(t *testing.T) {
	t.Run("at first it stops the run at once", func(t *testing.T) {
		over(t, 100, answers(nil), func(l *line) {
			l.down = func(int) error { return errNoHost }
			begun := time.Now()
			sum := l.world.run(Options{Concurrency: 8})
			if sum.Stop == nil || sum.Stop.Cause != Endpoint || !strings.Contains(sum.Stop.Message, "api.test") || time.Since(begun) > time.Second {
				t.Errorf("%+v after %v", sum, time.Since(begun))
			}
			if c := l.world.counts(); c.Pending != 100 || len(l.dials) > 8 {
				t.Errorf("%+v after %d lookups", c, len(l.dials))
			}
		})
	})
	for name, err := range map[string]error{"after an answer it is an outage": errNoHost, "a resolver that fails is an outage": errNoDNS} {
		t.Run(name, func(t *testing.T) {
			script := answers(func(a sim.Ask) []sim.Step { // no connection outlives its call
				return []sim.Step{{Body: []byte(answer15), End: sim.Close, Billed: 15}}
			})
			over(t, 100, script, func(l *line) {
				begun := time.Now()
				l.down = func(int) error {
					since := time.Since(begun)
					if first := err == errNoHost && len(l.server.Ledger()) < 20; first || since > 5*time.Minute {
						return nil
					}
					return err
				}
				sum := l.world.run(Options{Concurrency: 8})
				if took := time.Since(begun); sum.Done != 100 || sum.Stop != nil || took < 5*time.Minute || took > 7*time.Minute {
					t.Errorf("%+v after %v", sum, took)
				}
				probes := 0
				for _, at := range l.dials {
					if at.Sub(begun) >= time.Second {
						probes++
					}
				}
				if probes < 5 || probes > 12 || len(l.dials) > 100 {
					t.Errorf("%d lookups failed, %d of them of probes", len(l.dials), probes)
				}
			})
		})
	}
}

// A closed port: one probe at a time, ever more rarely, and no job pays for it.
func TestN2_ConnectionRefused(t *testing.T) {
	const workers = 8
	over(t, 200, answers(nil), func(l *line) {
		l.down = func(int) error { return errRefused }
		begun := time.Now()
		sum := l.world.run(Options{Concurrency: workers})
		if took := time.Since(begun); sum.Stop == nil || sum.Stop.Cause != ProviderDown || took < 9*time.Minute || took > 12*time.Minute {
			t.Errorf("%+v after %v", sum, took)
		}
		if n := len(l.dials); n > outageAfter+workers+20 {
			t.Errorf("%d dials", n)
		}
		for i := outageAfter + workers; i < len(l.dials); i++ {
			if gap, before := l.dials[i].Sub(l.dials[i-1]), l.dials[i-1].Sub(l.dials[i-2]); gap < time.Second || gap < before/2 {
				t.Errorf("probe %d went out %v after the one before, that one after %v", i, gap, before)
			}
		}
		if c := l.world.counts(); c.Pending != 200 || l.world.possiblyPaid() != 0 {
			t.Errorf("%+v, %d possibly paid", c, l.world.possiblyPaid())
		}

		l.down = nil // the same command goes on
		if sum := l.world.run(Options{Concurrency: workers}); sum.Done != 200 {
			t.Errorf("%+v", sum)
		}
	})
}

// Whatever way connections break, each call is an attempt, each job gets its answer, and a job's key and body stay.
func TestN4_N5_EachCallIsAnAttempt(t *testing.T) {
	broken := func(a sim.Ask) []sim.Step {
		switch {
		case a.Try > 2:
			return nil
		case a.N%7 == 0:
			return []sim.Step{{End: sim.Cut}} // as a kept-alive connection that dies under a call
		case a.N%7 == 1:
			return []sim.Step{{End: sim.Reset}}
		case a.N%7 == 2:
			return []sim.Step{{Body: []byte(answer15[:20]), Billed: 15}, {End: sim.Cut}}
		case a.N%7 == 3:
			return []sim.Step{{Body: []byte(answer15), End: sim.Close, Billed: 15}}
		}
		return nil
	}
	over(t, 100, answers(broken), func(l *line) {
		begun := time.Now()
		sum := l.world.run(Options{Concurrency: 8})
		if took := time.Since(begun); sum.Done != 100 || sum.Stop != nil || took > 5*time.Minute {
			t.Errorf("%+v after %v", sum, took)
		}
		bodies, whole := map[string][32]byte{}, map[string]int{}
		lost := 0
		for _, call := range l.server.Ledger() {
			if body, seen := bodies[call.Key]; seen && body != call.Body {
				t.Errorf("%s came with two bodies", call.Key)
			}
			bodies[call.Key] = call.Body
			if call.Whole {
				whole[call.Key]++
			} else {
				lost++
			}
		}
		if len(bodies) != 100 || lost == 0 || l.world.possiblyPaid() != lost {
			t.Errorf("%d keys; %d calls broke off, %d attempts are possibly paid", len(bodies), lost, l.world.possiblyPaid())
		}
		for key, n := range whole {
			if n != 1 {
				t.Errorf("%s was answered %d times", key, n)
			}
		}
	})
}

// A worker that panics takes nothing with it: its job is pending and its attempt unknown, what the others have in flight is saved, and the
// stop says where, without a word of what was in hand.
func TestP15_Panic(t *testing.T) {
	for name, what := range map[string]any{
		"a value":         "key ask_canary, prompt secret",
		"a runtime error": nil,
	} {
		t.Run(name, func(t *testing.T) {
			in(t, 40, func(n int, _ string) chat.Result {
				if n != 10 {
					return done("x")
				}
				if what == nil {
					_ = what.(int)
				}
				panic(what)
			}, func(w *world) {
				sum := w.run(Options{Concurrency: 8})
				stop := sum.Stop
				if stop == nil || stop.Cause != Defect || !strings.Contains(stop.Stack, "network_test.go") || !strings.Contains(stop.Message, "defect") {
					t.Fatalf("%+v", sum)
				}
				if all := stop.Message + stop.Stack; strings.Contains(all, "canary") || strings.Contains(all, "secret") {
					t.Errorf("it tells what was in hand: %s", all)
				}
				if c := w.counts(); c.Done < 9 || c.Done > 17 || c.Done+c.Pending != 40 || w.possiblyPaid() != 1 {
					t.Errorf("%+v, %d possibly paid", c, w.possiblyPaid())
				}
				w.api.answer = always(done("x"))
				if sum := w.run(Options{Concurrency: 8}); sum.Stop != nil || w.counts().Done != 40 {
					t.Errorf("the next run: %+v", sum)
				}
			})
		})
	}
}
