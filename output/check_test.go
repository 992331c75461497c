package output

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"batch/store"
)

// setup gives a folder with a job file and its prompts, and the default names in it.
func setup(t *testing.T) (dir string, files Files, opt Options) {
	t.Helper()
	dir = t.TempDir()
	opt = Options{JobFile: filepath.Join(dir, "prompts.batch.db"), Inputs: []string{filepath.Join(dir, "prompts.jsonl"), "-"}}
	put(t, opt.JobFile, "db")
	put(t, opt.Inputs[0], "{}")
	files, _, err := Names(opt.JobFile, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return dir, files, opt
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every place that cannot or must not be written to is named before anything is sent.
func TestO2_O12_X7_CheckRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string, files *Files, opt *Options)
		problem string // "" is fine
	}{
		{"nothing in the way", func(*testing.T, string, *Files, *Options) {}, ""},
		{"folder", func(t *testing.T, dir string, files *Files, _ *Options) {
			os.Mkdir(files.Results, 0o755)
		}, "is a folder"},
		{"symbolic link", func(t *testing.T, dir string, files *Files, _ *Options) {
			os.Symlink("/etc/passwd", files.Errors)
		}, "is a symbolic link"},
		{"dangling link", func(t *testing.T, dir string, files *Files, _ *Options) {
			os.Symlink("nowhere", files.Usage)
		}, "is a symbolic link"},
		{"device", func(t *testing.T, dir string, files *Files, _ *Options) {
			files.Results = "/dev/null"
		}, "is not a regular file"},
		{"FIFO", func(t *testing.T, dir string, files *Files, _ *Options) {
			if err := syscall.Mkfifo(files.Results, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "is not a regular file"},
		{"missing folder", func(t *testing.T, dir string, files *Files, _ *Options) {
			files.Results = filepath.Join(dir, "no", "r.jsonl")
		}, "its folder does not exist"},
		{"folder is a file", func(t *testing.T, dir string, files *Files, opt *Options) {
			files.Results = filepath.Join(opt.Inputs[0], "r.jsonl")
		}, "its folder is a file"},
		{"folder without the right to write", func(t *testing.T, dir string, files *Files, _ *Options) {
			if os.Geteuid() == 0 {
				files.Results = "/proc/r.jsonl" // nobody can make a file there
				return
			}
			os.Chmod(dir, 0o555)
			t.Cleanup(func() { os.Chmod(dir, 0o755) })
		}, "its folder cannot be written to"},
		{"name too long", func(t *testing.T, dir string, files *Files, _ *Options) {
			files.Results = filepath.Join(dir, strings.Repeat("x", 300))
		}, "name is too long"},
		{"job file", func(t *testing.T, dir string, files *Files, opt *Options) {
			files.Results = opt.JobFile
		}, "belongs to the job file"},
		{"job file, spelled otherwise", func(t *testing.T, dir string, files *Files, opt *Options) {
			files.Results = dir + "/./prompts.batch.db"
		}, "belongs to the job file"},
		{"job file through a linked folder", func(t *testing.T, dir string, files *Files, opt *Options) {
			link := filepath.Join(t.TempDir(), "link")
			os.Symlink(dir, link)
			files.Results = filepath.Join(link, "prompts.batch.db-wal")
		}, "belongs to the job file"},
		{"lock", func(t *testing.T, dir string, files *Files, opt *Options) {
			files.Results = opt.JobFile + ".lock"
		}, "belongs to the job file"},
		{"shared memory", func(t *testing.T, dir string, files *Files, opt *Options) {
			files.Usage = opt.JobFile + "-shm"
		}, "belongs to the job file"},
		{"input", func(t *testing.T, dir string, files *Files, opt *Options) {
			files.Results, opt.Force = opt.Inputs[0], true
		}, "is an input"},
		{"hard link to an input", func(t *testing.T, dir string, files *Files, opt *Options) {
			os.Link(opt.Inputs[0], files.Results)
		}, "is an input"},
		{"input that is gone", func(t *testing.T, dir string, files *Files, opt *Options) {
			os.Remove(opt.Inputs[0])
			files.Results = opt.Inputs[0]
		}, "is an input"},
		{"twice the same", func(t *testing.T, dir string, files *Files, _ *Options) {
			files.Errors = files.Usage
		}, "would be written twice"},
		{"somebody else's file", func(t *testing.T, dir string, files *Files, _ *Options) {
			put(t, files.Errors, "mine")
		}, "already exists"},
		{"somebody else's file, forced", func(t *testing.T, dir string, files *Files, opt *Options) {
			put(t, files.Errors, "mine")
			opt.Force = true
		}, ""},
		{"folder, forced", func(t *testing.T, dir string, files *Files, opt *Options) {
			os.Mkdir(files.Errors, 0o755)
			opt.Force = true
		}, "is a folder"},
		{"CSV in another shape", func(t *testing.T, dir string, files *Files, opt *Options) {
			opt.Format, opt.Shape = CSV, OpenAI
		}, "CSV has the flat and the pairs shape only"},
		{"results to standard output that is not there", func(t *testing.T, dir string, files *Files, opt *Options) {
			files.Results = Stdout
		}, "there is no standard output"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, files, opt := setup(t)
			c.prepare(t, dir, &files, &opt)
			before := names(t, dir)
			err := Check(t.Context(), &ledger{}, files, opt)
			var refused *RefusedError
			switch {
			case c.problem == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.problem != "" && !errors.As(err, &refused):
				t.Errorf("not refused: %v", err)
			case c.problem != "" && (!strings.Contains(err.Error(), c.problem) || refused.Hint == ""):
				t.Errorf("%v (%s), want: %s", err, refused.Hint, c.problem)
			}
			if after := names(t, dir); after != before {
				t.Errorf("the check left something behind:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, "\n")
}

// A name from outside reaches no terminal as commands.
func TestRefusedErrorIsPrintable(t *testing.T) {
	err := &RefusedError{Path: "a\x1b]0;x\a\n.jsonl", Problem: "is a folder"}
	if got, want := err.Error(), `a\u001b]0;x\u0007\n.jsonl: is a folder`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Whose file is it? By the ledger's two identities, not by the name.
func TestOwner(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(t *testing.T, files Files, led *ledger)
		problem string
	}{
		{"ours", func(*testing.T, Files, *ledger) {}, ""},
		{"ours from before: the run died between record and rename", func(t *testing.T, files Files, led *ledger) {
			for i := range led.outs {
				led.outs[i].Prev, led.outs[i].Now = led.outs[i].Now, store.Identity{Dev: 1, Inode: 2, Size: 3, MtimeNs: 4}
			}
		}, ""},
		{"edited", func(t *testing.T, files Files, led *ledger) {
			f, err := os.OpenFile(files.Results, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString("a note\n")
			f.Close()
		}, "was changed or replaced after it was written"},
		{"touched", func(t *testing.T, files Files, led *ledger) {
			os.Chtimes(files.Results, time.Time{}, time.Unix(1, 0))
		}, "was changed or replaced after it was written"},
		{"another file of the same content and time", func(t *testing.T, files Files, led *ledger) {
			info, _ := os.Stat(files.Results)
			text, _ := os.ReadFile(files.Results)
			put(t, files.Results+".new", string(text))
			os.Chtimes(files.Results+".new", time.Time{}, info.ModTime())
			os.Rename(files.Results+".new", files.Results)
		}, "was changed or replaced after it was written"},
		{"read, linked, another mode", func(t *testing.T, files Files, led *ledger) {
			os.ReadFile(files.Results)
			os.Chmod(files.Results, 0o600)
		}, ""},
		{"the job file knows of none", func(t *testing.T, files Files, led *ledger) { led.outs = nil },
			"already exists and was not written from this job file"},
		{"a folder that moved", func(t *testing.T, files Files, led *ledger) {
			for i := range led.outs {
				led.outs[i].Path = "/elsewhere/" + filepath.Base(led.outs[i].Path)
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, files, opt := setup(t)
			led := &ledger{}
			if _, err := Write(t.Context(), story(), led, files, opt); err != nil {
				t.Fatal(err)
			}
			c.change(t, files, led)
			for _, err := range []error{
				Check(t.Context(), led, files, opt),
				func() error { _, err := Write(t.Context(), story(), led, files, opt); return err }(),
			} {
				var refused *RefusedError
				if c.problem == "" && err != nil || c.problem != "" && (!errors.As(err, &refused) || refused.Problem != c.problem) {
					t.Errorf("%v, want %q", err, c.problem)
				}
			}
			if c.problem == "" {
				return
			}
			opt.Force = true
			if _, err := Write(t.Context(), story(), led, files, opt); err != nil {
				t.Errorf("with force: %v", err)
			}
			opt.Force = false
			if err := Check(t.Context(), led, files, opt); err != nil {
				t.Errorf("what was forced is not ours: %v", err)
			}
		})
	}
}

// The answers of a run must not become the prompts of the next.
func TestInputIsOwnOutput(t *testing.T) {
	dir, files, opt := setup(t)
	led := &ledger{}
	if _, err := Write(t.Context(), story(), led, files, opt); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.jsonl")
	os.Symlink(files.Results, link)
	other, _, _ := Names(opt.JobFile, filepath.Join(dir, "other.jsonl"), "")
	for _, in := range []string{files.Results, link} {
		opt.Inputs = []string{in}
		err := Check(t.Context(), led, other, opt)
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Path != in || !strings.Contains(err.Error(), "is an output of this job file") {
			t.Errorf("input %s: %v", in, err)
		}
	}
}

// What was replaced by force is still nobody's under another name of it, a hard link: neither files nor reports take it for theirs.
func TestForceOwnsNothingElse(t *testing.T) {
	for _, kind := range []string{kindResults, KindReport} {
		dir, files, opt := setup(t)
		link, led := filepath.Join(dir, "link.jsonl"), &ledger{}
		put(t, files.Results, "mine")
		if err := os.Link(files.Results, link); err != nil {
			t.Fatal(err)
		}
		to := func(path string, opt Options) error {
			if kind == KindReport {
				return WriteFile(t.Context(), led, path, kind, opt, func(w io.Writer) error { _, err := io.WriteString(w, "report"); return err })
			}
			files.Results = path
			_, err := Write(t.Context(), story(), led, files, opt)
			return err
		}
		forced, results := opt, files.Results
		forced.Force = true
		if err := to(results, forced); err != nil {
			t.Fatal(err)
		}
		var refused *RefusedError
		if err := to(link, opt); !errors.As(err, &refused) || !strings.HasPrefix(refused.Problem, "already exists") {
			t.Errorf("%s: %v", kind, err)
		}
		if b, err := os.ReadFile(link); string(b) != "mine" {
			t.Errorf("%s: %s %v", kind, b, err)
		}
		if err := to(results, opt); err != nil {
			t.Errorf("%s: not ours after it was written: %v", kind, err)
		}
	}
}

// A job file that takes no notes still knows what was written from it before: none of that is replaced unasked, as the replacement would
// be nobody's, and by a report never.
func TestReadOnlyLedger(t *testing.T) {
	dir, files, opt := setup(t)
	led, doc := &ledger{}, filepath.Join(dir, "report.html")
	report := func(path string, opt Options) error {
		return WriteFile(t.Context(), led, path, KindReport, opt, func(w io.Writer) error { _, err := io.WriteString(w, "report"); return err })
	}
	export := func(path string, opt Options) error {
		other := files
		other.Results = path
		_, err := Write(t.Context(), story(), led, other, opt)
		return err
	}
	if err := errors.Join(export(files.Results, opt), report(doc, opt)); err != nil {
		t.Fatal(err)
	}
	led.readOnly = true
	forced := opt
	forced.Force = true
	const unnoted = "already exists, and what replaces it cannot be noted in this job file, which may not be written to"
	for _, c := range []struct {
		name, problem string // "" is fine
		err           error
	}{
		{"results in the place of a report", "is a report of this job file", export(doc, opt)},
		{"results in the place of results", unnoted, export(files.Results, opt)},
		{"a report in the place of results", "holds the results of this job file", report(files.Results, opt)},
		{"a report in the place of results, forced", "holds the results of this job file", report(files.Results, forced)},
		{"a report in the place of errors, forced", "holds the errors of this job file", report(files.Errors, forced)},
		{"a report in the place of a report", unnoted, report(doc, opt)},
		{"a report in the place of a report, forced", "", report(doc, forced)},
		{"results in the place of results, forced", "", export(files.Results, forced)},
	} {
		var refused *RefusedError
		if c.problem == "" && c.err != nil || c.problem != "" && (!errors.As(c.err, &refused) || refused.Problem != c.problem) {
			t.Errorf("%s: %v, want %q", c.name, c.err, c.problem)
		}
	}
}
