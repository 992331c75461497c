//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"batch/runner"
	"batch/store"
)

// screen is a pseudo-terminal: what is written to it can be read from the keyboard's side.
func screen(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	fd, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Skip(err)
	}
	keyboard = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { keyboard.Close() })
	var number uint32
	var unlock int32
	control(t, fd, syscall.TIOCGPTN, unsafe.Pointer(&number))
	control(t, fd, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return keyboard, screen
}

func control(t *testing.T, fd int, request uintptr, arg unsafe.Pointer) {
	t.Helper()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		t.Fatal(errno)
	}
}

func rewidth(t *testing.T, keyboard *os.File, columns uint16) {
	t.Helper()
	size := [4]uint16{24, columns}
	raw, err := keyboard.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { control(t, int(fd), syscall.TIOCSWINSZ, unsafe.Pointer(&size)) })
}

var escape = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

// However a window is resized while the bar is drawn: no line is longer than it, so none is left behind.
func TestT2_Resize(t *testing.T) {
	t.Setenv("TERM", "xterm")
	keyboard, tty := screen(t)
	rewidth(t, keyboard, 100)
	term := newTerminal(tty)
	if !term.tty {
		t.Fatal("the screen is not taken for one")
	}
	p := newProgress(term, runner.New(nil, nil, runner.Options{}), store.Counts{Pending: 5000}, &money{}, "", 0)
	term.setHide(func() { p.bar.Clear() })
	buf := make([]byte, 1<<16)
	for i := range 400 {
		columns := []int{100, 1, 0, 40, 2, 80, 12, 19, 33, 5}[i%10] + i/100
		rewidth(t, keyboard, uint16(columns))
		p.draw()
		if i%7 == 0 {
			term.clear()
		}
		const end = "\x1b[9m"
		io.WriteString(tty, end)
		keyboard.SetReadDeadline(time.Now().Add(patience))
		n := 0
		for !bytes.HasSuffix(buf[:n], []byte(end)) {
			m, err := keyboard.Read(buf[n:])
			if n += m; err != nil {
				t.Fatal(err)
			}
		}
		if columns == 0 {
			columns = 80 // it does not say
		}
		drawn := escape.ReplaceAllString(string(buf[:n]), "")
		if strings.Contains(drawn, "\n") {
			t.Fatalf("%d columns: a new line: %q", columns, buf[:n])
		}
		for part := range strings.SplitSeq(drawn, "\r") {
			if width := len([]rune(part)); width > columns || width == columns && columns > 1 {
				t.Fatalf("%d columns: %d were drawn: %q", columns, width, buf[:n])
			}
		}
	}
}

// Nobody reads what is said: the run goes on, and ends when somebody does, with every word but the progress.
func TestT4_NobodyListens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	input, results := filepath.Join(dir, "p.jsonl"), filepath.Join(dir, "p.simulated.results.jsonl")
	if err := os.WriteFile(input, []byte(strings.Repeat(`{"prompt":"Name a river."}`+"\n", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	listen, say, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	full := fillPipe(t, say)
	cmd := exec.Command("batch", "run", "--simulate", "--model", "m", input)
	cmd.Dir, cmd.Stderr = dir, say
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	say.Close()
	late, look := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer look.Stop()
	for text := []byte{}; bytes.Count(text, []byte("\n")) < 200; text, _ = os.ReadFile(results) {
		select {
		case <-look.C:
		case <-late:
			cmd.Process.Kill()
			cmd.Wait()
			t.Fatal("without a listener the run does not end")
		}
	}
	said, err := io.ReadAll(listen)
	if err != nil || cmd.Wait() != nil {
		t.Errorf("%v, %v", err, cmd.ProcessState)
	}
	said = said[full:]
	for _, want := range []string{"batch: 200 prompts read\n", "batch: 200 of 200 answered\n", "batch: wrote "} {
		if !bytes.Contains(said, []byte(want)) {
			t.Errorf("%q is not in what was said:\n%s", want, said)
		}
	}
}

// fillPipe writes to a pipe until it takes no more.
func fillPipe(t *testing.T, pipe *os.File) (n int) {
	t.Helper()
	raw, err := pipe.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = syscall.SetNonblock(int(fd), true)
		for size := 4096; err == nil && size > 0; {
			m, full := syscall.Write(int(fd), make([]byte, size))
			if n += max(m, 0); full != nil {
				size /= 2
			}
		}
		if err == nil {
			err = syscall.SetNonblock(int(fd), false)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
