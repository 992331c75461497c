package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interrupts turns signals into a stop: the first asks gently where that is possible, the second gives up at once, and a third
// kills, as it would without us.
type interrupts struct {
	ctx    context.Context // ends when the command is to leave at once
	cancel context.CancelFunc
	ch     chan os.Signal // from the system
	ended  chan struct{}

	mu     sync.Mutex
	gentle func(os.Signal)
	first  os.Signal
	again  bool
}

func (c *command) watchSignals(ctx context.Context) *interrupts {
	i := &interrupts{ch: make(chan os.Signal, 4), ended: make(chan struct{})}
	i.ctx, i.cancel = context.WithCancel(ctx)
	if c.signals == nil {
		for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
			if !signal.Ignored(sig) { // nohup, or a shell's background job, has said that it shall not matter
				signal.Notify(i.ch, sig)
			}
		}
	}
	go func() {
		defer close(i.ended)
		for {
			select {
			case sig := <-c.signals:
				i.take(sig)
			case sig, open := <-i.ch:
				if !open {
					return
				}
				i.take(sig)
			}
		}
	}()
	return i
}

func (i *interrupts) take(sig os.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.first == nil {
		i.first = sig
		if i.gentle != nil {
			i.gentle(sig)
			return
		}
	}
	i.again = true
	i.cancel()
	signal.Stop(i.ch)
}

// gently sets what the first signal does; nil: it gives up at once.
func (i *interrupts) gently(fn func(os.Signal)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.gentle = fn
}

// signal is the first one that came, nil without one.
func (i *interrupts) signal() os.Signal {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.first
}

// twice says that the command is to leave at once.
func (i *interrupts) twice() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.again
}

// explain gives a command that SIGTERM ended its own exit code.
func (i *interrupts) explain(err error) error {
	if errors.Is(err, context.Canceled) && i.signal() == syscall.SIGTERM {
		return &problem{code: exitTerminated, err: errors.New("terminated")}
	}
	return err
}

// explainUnsent does so for a command that was about to send something when a signal ended it.
func (i *interrupts) explainUnsent(err error) error {
	if !errors.Is(err, context.Canceled) {
		return err
	}
	p := classify(i.explain(err))
	p.hint = cmp.Or(p.hint, "nothing was sent")
	return p
}

func (i *interrupts) stop() {
	signal.Stop(i.ch)
	close(i.ch)
	<-i.ended
	i.cancel()
}

// interruptible is a writer that waits for a slow reader until ctx ends. The write that is given up then goes on by itself, into the
// void or not: it ends with the process.
type interruptible struct {
	ctx context.Context
	w   io.Writer
	buf []byte // of the write that is under way, which may outlive the caller's
}

func (i *interruptible) Write(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	i.buf = append(i.buf[:0], p...)
	var n int
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		n, err = i.w.Write(i.buf)
	}()
	select {
	case <-done:
		return n, err
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	}
}
