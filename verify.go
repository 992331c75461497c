package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"syscall"

	"github.com/urfave/cli/v2"

	"batch/output"
	"batch/runner/chat"
	"batch/store"
)

func verifyCommand(c *command) *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "prove that every prompt is answered exactly once",
		ArgsUsage: "prompts.batch.db",
		Description: `Checks the job file's pages and everything that must hold in it: every line of the input is one job, every answered
job has one answer, which can be read, to the request that was imported, tokens and money add up call by call and row by
row. Then makes the files of results, errors and usage again and compares them, unpacked, byte for byte; one that was
written before the job file changed is named as older, one that is gone as gone.

Exit codes: 0 proven, 3 sound but not every prompt is answered, 1 something does not hold, 5 the file is damaged.`,
		Flags:  []cli.Flag{jsonFlag()},
		Action: func(ctx *cli.Context) error { return c.verifyVerb(ctx) },
	}
}

// verdict is what verify found, as a document.
type verdict struct {
	JobFile string   `json:"job_file"`
	Proven  bool     `json:"proven"` // every prompt is answered exactly once, and all of the below holds
	Sound   bool     `json:"sound"`
	Wrong   []string `json:"wrong"`       // the first of each kind
	Count   int64    `json:"wrong_count"` // of all

	Jobs    int64 `json:"jobs"`
	Done    int64 `json:"done"`
	Failed  int64 `json:"failed"`
	Pending int64 `json:"pending"`
	Skipped int64 `json:"skipped"`
	Shared  int64 `json:"shared,omitempty"` // lines whose answer is that of an equal one

	Unsaved []store.Waiting `json:"unsaved,omitempty"` // what the last run set aside, and the next one takes up

	Files map[string]string `json:"files"` // equal, different, gone, or old: as written, before the job file changed
}

func (c *command) verifyVerb(ctx *cli.Context) error {
	name, err := oneJobFile(ctx)
	if err != nil {
		return err
	}
	st, err := store.OpenRead(ctx.Context, name)
	if err != nil {
		return err
	}
	defer st.Close()
	interrupts := c.watchSignals(ctx.Context) // the copies that are compared must not stay behind
	defer interrupts.stop()
	doc, err := c.verify(interrupts.ctx, st, name)
	if err != nil {
		return interrupts.explain(err)
	}
	if ctx.Bool("json") {
		err = output.WriteJSON(c.stdout, doc)
	} else {
		err = doc.print(c.stdout)
	}
	switch {
	case err != nil:
		return err
	case !doc.Sound:
		return exit(exitError)
	case !doc.Proven:
		return exit(exitPartial)
	}
	return nil
}

func (c *command) verify(ctx context.Context, st *store.Store, name string) (verdict, error) {
	doc := verdict{JobFile: name, Wrong: []string{}, Files: map[string]string{}}
	v, err := st.View(ctx)
	if err != nil {
		return doc, err
	}
	defer v.Close()
	wrong := store.Wrong{Named: doc.Wrong}
	for _, check := range []func() (store.Wrong, error){
		func() (store.Wrong, error) { return v.Verify(ctx, chat.Key) },
		func() (store.Wrong, error) { return output.DamagedAnswers(ctx, v) },
		func() (store.Wrong, error) { return output.CheckSums(ctx, v) },
		func() (store.Wrong, error) { return otherUsage(ctx, v) },
	} {
		found, err := check()
		if err != nil {
			return doc, err
		}
		wrong.Join(found)
	}
	n, err := v.Counts(ctx)
	if err != nil {
		return doc, err
	}
	doc.Jobs, doc.Done, doc.Failed, doc.Pending, doc.Skipped, doc.Shared = n.Jobs, n.Done, n.Failed, n.Pending+n.Running, n.Skipped, n.Shared
	if doc.Unsaved, err = waitingIn(ctx, st, name); err != nil {
		return doc, err
	}
	var files store.Wrong
	checked, err := output.Compare(ctx, v, st, output.Options{})
	var failure *store.Failure
	var system syscall.Errno
	switch {
	case errors.As(err, &failure), errors.Is(err, context.Canceled):
		return doc, err
	case errors.As(err, &system): // no place for the copies, or a file that cannot be read
		return doc, &store.Failure{Op: "compare the files", Err: err}
	case err != nil: // what cannot be written again is not sound
		files.Add(err.Error())
	}
	settings, err := st.Settings(ctx)
	if err != nil {
		return doc, err
	}
	mark, err := rowsMark(ctx, st)
	if err != nil {
		return doc, err
	}
	for _, f := range checked {
		switch {
		case f.Gone:
			doc.Files[f.Path] = "gone"
		case f.Equal:
			doc.Files[f.Path] = "equal"
		case f.Untouched && settings[settingFile+f.Path] != mark:
			doc.Files[f.Path] = "old"
		default:
			doc.Files[f.Path] = "different"
			files.Add(f.Path + " is not what the job file holds; batch export writes it again")
		}
	}
	wrong.Join(files)
	doc.Wrong, doc.Count = wrong.Named, wrong.Count
	doc.Sound = doc.Count == 0
	doc.Proven = doc.Sound && doc.Jobs > 0 && doc.Done == doc.Jobs && doc.Skipped == 0
	return doc, nil
}

// otherUsage names the answers whose tokens in the table are not those that the stored answer reports.
func otherUsage(ctx context.Context, v *store.View) (wrong store.Wrong, err error) {
	for row, err := range v.Rows(ctx) {
		if err != nil {
			return wrong, err
		}
		if row.Skipped || row.State != store.Done {
			continue
		}
		said, readable := chat.UsageIn(row.Response)
		if row.PlainOnly {
			said = chat.Usage{Known: said.Known, Prompt: said.Prompt, Completion: said.Completion, Total: said.Total}
		}
		if readable && store.Usage(said) != row.Usage {
			wrong.Add(fmt.Sprintf("not so: the tokens of %s:%d are those that its answer reports", row.File, row.Line))
		}
	}
	return wrong, nil
}

func (doc verdict) print(w io.Writer) error {
	for _, wrong := range doc.Wrong {
		fmt.Fprintln(w, printable(underHere(wrong)))
	}
	if more := doc.Count - int64(len(doc.Wrong)); more > 0 {
		fmt.Fprintf(w, "and %s more\n", count(more))
	}
	for _, waits := range doc.Unsaved {
		if text := answersIn(waits); text != "" {
			fmt.Fprintln(w, printable(text))
		}
	}
	equal, gone := 0, 0
	for _, path := range slices.Sorted(maps.Keys(doc.Files)) {
		switch doc.Files[path] {
		case "equal":
			equal++
		case "old":
			fmt.Fprintf(w, "%s is older than the job file; batch export writes it again\n", printable(underHere(path)))
		case "gone": // no proof of the answers hangs on it
			gone++
			fmt.Fprintf(w, "%s is gone; batch export writes it again\n", printable(underHere(path)))
		}
	}
	text := fmt.Sprintf("proven: %s, each answered exactly once", plural(doc.Jobs, "prompt"))
	if doc.Shared > 0 {
		text += fmt.Sprintf(", for %s more", count(doc.Shared))
	}
	switch {
	case !doc.Sound:
		text = fmt.Sprintf("not sound: %s", plural(doc.Count, "thing")+" wrong")
	case !doc.Proven:
		text = fmt.Sprintf("sound, but not all answered: %s of %s (%s failed, %s pending, %s skipped)",
			count(doc.Done), count(doc.Jobs), count(doc.Failed), count(doc.Pending), count(doc.Skipped))
	}
	text += fmt.Sprintf("; %s as written", plural(int64(equal), "file"))
	if gone > 0 {
		text += fmt.Sprintf(", %s gone", count(int64(gone)))
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
