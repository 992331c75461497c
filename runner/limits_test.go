package runner

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"batch/runner/chat"
	"batch/store"
)

// window is an API's limit of requests in a minute. It refuses what goes beyond, and says as much of it as it likes to.
type window struct {
	limit   func() int
	headers bool // what is left and when the window ends stands in every answer
	waits   bool // a refusal names the end of the window
	lies    func(*chat.Result)

	mu    sync.Mutex
	ends  time.Time
	left  int
	calls []limitedCall
}

type limitedCall struct {
	at      time.Time
	refused bool
}

func fixed(n int) func() int { return func() int { return n } }

func (w *window) answer(int, string) chat.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !now.Before(w.ends) {
		w.ends, w.left = now.Add(time.Minute), w.limit()
	}
	w.left--
	res := done("x")
	if w.left < 0 {
		res = refused(chat.NotProcessed, chat.RateLimited, 429, "rate_limit_exceeded")
		if w.waits {
			res.Wait = chat.Wait{Known: true, Until: w.ends}
		}
	}
	if w.headers {
		res.Limits.Requests = chat.Limit{HasRemaining: true, Remaining: int64(max(w.left, 0)), HasReset: true, Reset: w.ends}
	}
	if w.lies != nil {
		w.lies(&res)
	}
	w.calls = append(w.calls, limitedCall{now, w.left < 0})
	return res
}

// refusals counts those between two times.
func (w *window) refusals(from, to time.Time) (refused, all int) {
	for _, c := range w.calls {
		if c.at.Before(from) || !c.at.Before(to) {
			continue
		}
		if all++; c.refused {
			refused++
		}
	}
	return refused, all
}

var never = time.Unix(1<<40, 0)

func TestL1_RefusalsWithoutAWait(t *testing.T) {
	api := &window{limit: fixed(60)}
	in(t, 300, api.answer, func(w *world) {
		if sum := w.run(Options{Concurrency: 16}); sum.Done != 300 {
			t.Fatalf("%+v", sum)
		}
		// One cool-down for all: after a refusal nothing goes out but what was out, until the pause is over; and the pauses grow.
		refused, all := api.refusals(time.Time{}, never)
		windows := int(api.calls[len(api.calls)-1].at.Sub(api.calls[0].at)/time.Minute) + 1
		if perWindow := refused / windows; perWindow > 10*16 {
			t.Errorf("%d of %d calls were refused, %d in every window", refused, all, perWindow)
		}
		for i := range w.api.calls {
			now, n := w.api.sentAt(i), 0
			for j := i; j < len(w.api.calls) && w.api.sentAt(j).Sub(now) < 100*time.Millisecond; j++ {
				n++
			}
			if n > 16 {
				t.Errorf("%d calls within 100 ms", n)
			}
		}
	})
}

// TestL2_TheLongestWaitHolds: the refusals of calls that were out together come in any order, and a short wait must not end a longer one.
func TestL2_TheLongestWaitHolds(t *testing.T) {
	const long = 20 * time.Second
	var ends time.Time // of the long wait
	in(t, 2, func(n int, prompt string) chat.Result {
		if n > 3 {
			return done("x")
		}
		res := refused(chat.NotProcessed, chat.RateLimited, 429, "rate_limit_exceeded")
		res.Wait = chat.Wait{Known: true, Until: time.Now()}
		if prompt == "p0" { // refused while a call is out that went out after the first refusal
			ends = time.Now().Add(long)
			res.Wait.Until = ends
		}
		return res
	}, func(w *world) {
		w.api.latency, w.api.slow = 4*time.Second, map[string]time.Duration{"p0": 6 * time.Second}
		if sum := w.run(Options{Concurrency: 2}); sum.Done != 2 || len(w.api.calls) != 5 {
			t.Fatalf("%+v after %d calls", sum, len(w.api.calls))
		}
		if third := w.api.sentAt(2); !third.Before(ends.Add(-long)) {
			t.Fatal("no call was out when the long wait was asked for")
		}
		for i := range w.api.calls[3:] {
			if early := ends.Sub(w.api.sentAt(3 + i)); early > 0 {
				t.Errorf("a call went out %s before the end of a wait of %s", early, long)
			}
		}
	})
}

func TestL3_AWaitOfWeeks(t *testing.T) {
	weeks := 14 * 24 * time.Hour
	var until time.Time
	in(t, 10, func(int, string) chat.Result {
		res := refused(chat.NotProcessed, chat.RateLimited, 429, "rate_limit_exceeded")
		until = time.Now().Add(weeks)
		res.Wait = chat.Wait{Known: true, Until: until}
		return res
	}, func(w *world) {
		begun := time.Now()
		sum := w.run(Options{Concurrency: 1})
		if sum.Stop == nil || sum.Stop.Cause != RateLimit || !sum.Stop.Until.Equal(until) || time.Since(begun) > time.Minute {
			t.Errorf("%+v after %s", sum.Stop, time.Since(begun))
		}
		if c := w.counts(); c.Pending != 10 || len(w.api.calls) != 1 {
			t.Errorf("%+v after %d calls", c, len(w.api.calls))
		}
	})
}

// TestL4_LimitsThatLie: whatever the headers say, the run ends, and goes on at least once a minute.
func TestL4_LimitsThatLie(t *testing.T) {
	limit := func(remaining int64, reset time.Duration) chat.Limit {
		return chat.Limit{HasRemaining: true, Remaining: remaining, HasReset: true, Reset: time.Now().Add(reset)}
	}
	for name, lies := range map[string]func(*chat.Result){
		"999 left of a refused call": func(r *chat.Result) { r.Limits.Requests = limit(999, time.Second) },
		"0 left of an answered call": func(r *chat.Result) { r.Limits.Requests = limit(0, 5*time.Hour) },
		"a reset in the past":        func(r *chat.Result) { r.Limits.Requests = limit(0, -time.Hour) },
		"a limit of 0":               func(r *chat.Result) { r.Limits.Requests = chat.Limit{HasLimit: true} },
		"requests and tokens at odds": func(r *chat.Result) {
			r.Limits.Requests, r.Limits.Tokens = limit(999, time.Second), limit(0, 3*time.Hour)
		},
		"no tokens, ever": func(r *chat.Result) { r.Limits.Tokens = limit(0, 1e4*time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			api := &window{limit: fixed(5), waits: true, lies: lies}
			in(t, 20, api.answer, func(w *world) {
				if sum := w.run(Options{Concurrency: 4}); sum.Done != 20 || sum.Stop != nil {
					t.Errorf("%+v", sum)
				}
				for i := range w.api.calls[1:] {
					if gap := w.api.sentAt(i + 1).Sub(w.api.sentAt(i)); gap > probeEvery+5*time.Second {
						t.Errorf("nothing went out for %s", gap)
					}
				}
			})
		})
	}
}

func TestL6_MoreTokensThanTheLimit(t *testing.T) {
	large := func(w *world) {
		w.put([]store.Job{{Tokens: 10, MaxTokens: 20}, {Tokens: 5000, MaxTokens: 20}, {Tokens: 10, MaxTokens: 20}})
	}
	t.Run("the user's", func(t *testing.T) {
		in(t, 0, always(done("x")), func(w *world) {
			large(w)
			begun := time.Now()
			if sum := w.run(Options{TPM: 1000, Concurrency: 4}); sum.Done != 3 || time.Since(begun) > 10*time.Minute {
				t.Errorf("%+v after %s", sum, time.Since(begun))
			}
		})
	})
	t.Run("the API's, which says what is left", func(t *testing.T) {
		in(t, 0, func(int, string) chat.Result {
			res := done("x")
			res.Limits.Tokens = chat.Limit{HasRemaining: true, Remaining: 1000, HasReset: true, Reset: time.Now().Add(time.Minute)}
			return res
		}, func(w *world) {
			large(w)
			begun := time.Now()
			if sum := w.run(Options{Concurrency: 1}); sum.Done != 3 || time.Since(begun) > 30*time.Second {
				t.Errorf("%+v after %s", sum, time.Since(begun))
			}
		})
	})
	t.Run("the API's, which refuses it", func(t *testing.T) {
		in(t, 0, func(_ int, prompt string) chat.Result {
			if prompt == "p1" {
				return refused(chat.JobFailed, chat.TooLarge, 429, "rate_limit_exceeded")
			}
			return done("x")
		}, func(w *world) {
			large(w)
			if sum := w.run(Options{Concurrency: 4}); sum.Done != 2 || sum.Failed != 1 || len(w.api.calls) != 3 {
				t.Errorf("%+v after %d calls", sum, len(w.api.calls))
			}
		})
	})
}

// TestL7_ALimitThatFalls: an API that states its limits is kept to. One that does not refuses at most one wave a window.
func TestL7_ALimitThatFalls(t *testing.T) {
	for _, headers := range []bool{true, false} {
		t.Run(fmt.Sprint("stated=", headers), func(t *testing.T) {
			var falls time.Time
			api := &window{headers: headers, waits: true, limit: func() int {
				if time.Now().Before(falls) {
					return 600
				}
				return 60
			}}
			in(t, 2000, api.answer, func(w *world) {
				falls = time.Now().Add(2 * time.Minute)
				if sum := w.run(Options{Concurrency: 16}); sum.Done != 2000 || sum.Failed > 0 {
					t.Fatalf("%+v", sum)
				}
				refused, all := api.refusals(falls.Add(2*time.Minute), never)
				if most := map[bool]int{true: all / 100, false: all / 76 * 16}[headers]; refused > most {
					t.Errorf("%d of %d calls were refused a minute after the limit had fallen", refused, all)
				}
			})
		})
	}
}

// TestL8_AKeyThatIsShared: two runs under one limit both go on, and are refused little.
func TestL8_AKeyThatIsShared(t *testing.T) {
	api := &window{limit: fixed(120), headers: true, waits: true}
	in(t, 600, api.answer, func(mine *world) {
		begun := time.Now()
		// The other user takes a call a second, whatever we do, and counts how often he may not.
		var refused, all int
		ended, over := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(over)
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					all++
					mine.api.mu.Lock()
					res := api.answer(0, "")
					mine.api.mu.Unlock()
					if res.Reason == chat.RateLimited {
						refused++
					}
				case <-ended:
					return
				}
			}
		}()
		sum := mine.run(Options{Concurrency: 8})
		took := time.Since(begun)
		close(ended)
		<-over
		if sum.Done != 600 || took > 12*time.Minute {
			t.Errorf("%+v in %s", sum, took)
		}
		if got := all - refused; got < 60*int(took/time.Minute)/4 {
			t.Errorf("the other got %d of %d calls through in %s", got, all, took)
		}
		if bad, n := api.refusals(time.Time{}, never); bad-refused > (n-all)/20 {
			t.Errorf("we were refused %d of %d times", bad-refused, n-all)
		}
	})
}

// TestL9_AllAreRefusedTogether: one cool-down, after which the calls go out spread: in no tenth of a second more than twice of what is usual.
func TestL9_AllAreRefusedTogether(t *testing.T) {
	const workers, latency = 32, time.Second
	in(t, 400, func(n int, _ string) chat.Result {
		res := done("x")
		if n > 64 && n <= 64+workers {
			res = refused(chat.NotProcessed, chat.RateLimited, 429, "rate_limit_exceeded")
			res.Wait = chat.Wait{Known: true, Until: time.Now().Add(20 * time.Second)}
		}
		return res
	}, func(w *world) {
		w.api.latency = latency
		if sum := w.run(Options{Concurrency: workers}); sum.Done != 400 {
			t.Fatalf("%+v", sum)
		}
		long := 0
		for i := range w.api.calls {
			n := 0
			for j := i; j < len(w.api.calls) && w.api.sentAt(j).Sub(w.api.sentAt(i)) < 100*time.Millisecond; j++ {
				n++
			}
			if usual := float64(workers) / 10; float64(n) > 2*usual {
				t.Errorf("%d calls within 100 ms, %.1f are usual", n, usual)
			}
			if i == 0 {
				continue
			}
			if gap := w.api.sentAt(i).Sub(w.api.sentAt(i - 1)); gap > 22*time.Second {
				t.Errorf("a cool-down of %s, and 20 s were asked for", gap)
			} else if gap > 10*time.Second {
				long++
			}
		}
		if long != 1 {
			t.Errorf("%d cool-downs", long)
		}
	})
}

// TestL10_Overloaded: an API that is overloaded for one call in five is not paused for: the jobs wait, the pool does not.
func TestL10_Overloaded(t *testing.T) {
	for _, status := range []int{503, 529} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			in(t, 500, func(n int, _ string) chat.Result {
				if n%5 == 0 {
					return refused(chat.NotProcessed, "", status, "overloaded")
				}
				return done("x")
			}, func(w *world) {
				begun := time.Now()
				if sum := w.run(Options{Concurrency: 10}); sum.Done != 500 || len(w.api.calls) > 630 {
					t.Errorf("%+v after %d calls", sum, len(w.api.calls))
				}
				if took := time.Since(begun); took > 70*time.Second { // 625 calls of a second, ten at a time
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// TestL11_TheFirstCalls go out over a second, or until the API has answered one.
func TestL11_TheFirstCalls(t *testing.T) {
	t.Run("an API that refuses from the start refuses few", func(t *testing.T) {
		in(t, 500, func(n int, _ string) chat.Result {
			if n <= 20 {
				res := refused(chat.NotProcessed, chat.RateLimited, 429, "rate_limit_exceeded")
				res.Wait = chat.Wait{Known: true, Until: time.Now().Add(5 * time.Second)}
				return res
			}
			return done("x")
		}, func(w *world) {
			w.api.latency = 50 * time.Millisecond
			w.run(Options{Concurrency: 64})
			wave := 0
			for _, c := range w.api.calls {
				if c.at.Sub(w.api.sentAt(0)) < 2*time.Second {
					wave++
				}
			}
			if wave > 5 {
				t.Errorf("%d calls went out before the first refusal was heard", wave)
			}
		})
	})
	t.Run("a slow one gets them over a second", func(t *testing.T) {
		in(t, 200, always(done("x")), func(w *world) {
			w.api.latency = 20 * time.Second
			w.run(Options{Concurrency: 64})
			if last := w.api.sentAt(63).Sub(w.api.sentAt(0)); last < 900*time.Millisecond || last > 1100*time.Millisecond {
				t.Errorf("the first calls took %s to go out", last)
			}
		})
	})
	t.Run("a few go out nearly at once", func(t *testing.T) {
		in(t, 10, always(done("x")), func(w *world) {
			w.api.latency = 2 * time.Second
			for _, workers := range []int{2, 16} {
				w.run(Options{Concurrency: workers, Limit: workers})
			}
			if second := w.api.sentAt(1).Sub(w.api.sentAt(0)); second > spreadApart {
				t.Errorf("the second of two calls waited %s", second)
			}
			if last := w.api.sentAt(9).Sub(w.api.sentAt(2)); last > 150*time.Millisecond {
				t.Errorf("eight calls took %s to go out", last)
			}
		})
	})
	t.Run("a quick one is not waited for", func(t *testing.T) {
		in(t, 200, always(done("x")), func(w *world) {
			w.api.latency = 5 * time.Millisecond
			begun := time.Now()
			w.run(Options{Concurrency: 64})
			if took := time.Since(begun); took > 100*time.Millisecond {
				t.Errorf("200 calls of 5 ms, 64 at a time, took %s", took)
			}
		})
	})
}
