package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"batch/output"
	"batch/runner/tokens"
	"batch/store"
)

// settingShape is the shape of the outputs, decided when the first input is read.
const settingShape = "shape"

// importInputs reads the whole input into the job file, or finds that it stands there already.
func (d *drain) importInputs(ctx context.Context) error {
	if len(d.cfg.inputs) == 0 {
		return d.reuseStanding(ctx)
	}
	if err := output.CheckInputs(ctx, d.store, d.cfg.inputs); err != nil {
		return err
	}
	same, err := d.unchanged(ctx)
	if err != nil {
		return err
	}
	if same && !d.cfg.exact {
		return d.reuseStanding(ctx)
	}
	settings := d.fills.settings()
	settings[store.SettingSimulated] = fmt.Sprint(d.simulated)
	d.counter = tokens.NewCounter(d.cfg.exact)
	reading, err := d.fills.reading()
	if err != nil {
		return err
	}
	reading.Counter = d.counter
	imp := importer{reading: reading, skipBad: d.cfg.skipBad, stdin: d.stdin, settings: settings}
	if d.settings[settingShape] != "" {
		settings[settingShape] = d.settings[settingShape]
		imp.shaped = true
	}
	done, err := d.store.Import(ctx, store.ImportOptions{Settings: settings, AcceptChanges: d.cfg.accept, Share: d.fills["dedupe"] != "", DryRun: d.cfg.dryRun, Check: d.settle(ctx)},
		func(table *store.Importer) error { return imp.load(ctx, d.cfg.inputs, table) })
	var brake *store.BrakeError
	if errors.As(err, &brake) {
		return d.explainBrake(brake)
	}
	if err != nil {
		return err
	}
	d.imported = true
	d.settings = settings
	d.sayImport(done.Changes, &imp)
	d.sayReused(done.Reused)
	return nil
}

// settle decides prices and budget within the transaction that changes the jobs: what is refused must not have changed one.
func (d *drain) settle(ctx context.Context) func(store.Imported) error {
	return func(done store.Imported) error {
		d.counts, d.backlog = done.Counts, done.Backlog
		d.countDied()
		return d.settleMoney(ctx)
	}
}

// readStanding reads where the jobs stand and what is left to send.
func (d *drain) readStanding(ctx context.Context) error {
	v, err := d.store.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	if d.counts, err = v.Counts(ctx); err != nil {
		return err
	}
	if d.cfg.dryRun {
		d.backlog, err = v.Unanswered(ctx)
		d.countDied()
	} else {
		d.backlog, err = v.Backlog(ctx)
	}
	return err
}

// countDied counts the jobs that were out when the last run died among those that are pending, where they are left as they are.
func (d *drain) countDied() {
	c := &d.counts
	if !d.cfg.dryRun || c.Running == 0 {
		return
	}
	d.term.warn("died", event{"unknown": c.Running}, "the last run died: %s of it may have been sent and paid for", plural(c.Running, "call"))
	c.Pending, c.Running = c.Pending+c.Running, 0
}

func (d *drain) readCounts(ctx context.Context) error {
	v, err := d.store.View(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	d.counts, err = v.Counts(ctx)
	return err
}

// unchanged says that the input is byte for byte the one that was read last, with the same fill-ins.
func (d *drain) unchanged(ctx context.Context) (bool, error) {
	if d.fills["image-column"] != "" {
		return false, nil // the images may be others
	}
	before, err := d.store.Inputs(ctx)
	if err != nil || len(before) != len(d.cfg.inputs) || len(d.fills.differ(d.settings)) > 0 {
		return false, err
	}
	for i, name := range d.cfg.inputs {
		if name == "-" || name != before[i].Path {
			return false, nil
		}
		if info, err := os.Stat(name); err != nil || info.Size() != before[i].Size {
			return false, nil // reading it will say what is wrong
		}
	}
	for i, name := range d.cfg.inputs {
		sum, err := hashFile(ctx, name)
		if err != nil || sum != before[i].SHA256 {
			return false, err
		}
	}
	return true, nil
}

func (d *drain) explainBrake(brake *store.BrakeError) error {
	hint := "nothing was sent; if that is meant, add --accept-changes"
	if flags := d.fills.differ(d.settings); len(flags) > 0 {
		hint = fmt.Sprintf("nothing was sent; %s differs from the earlier run and makes other requests of the same lines: leave it as it was, or, if the change is meant, add --accept-changes", strings.Join(flags, ", "))
	}
	return usage(fmt.Errorf("%w: their answers would leave the results", brake), "%s", hint)
}

// sayImport tells what the input changed, and what of it is used otherwise than its author may think.
func (d *drain) sayImport(c store.Changes, imp *importer) {
	prompts := imp.prompts()
	what := plural(int64(prompts), "prompt")
	used := map[string]int{}
	var carried, secrets []string
	for _, s := range imp.stats {
		for _, name := range s.Secrets {
			if name = printable(name); !slices.Contains(secrets, name) {
				secrets = append(secrets, name)
			}
		}
		for _, f := range s.FillIns {
			used[f.Name] += f.Prompts
		}
		for _, name := range s.Carried {
			if name = printable(name); !slices.Contains(carried, name) {
				carried = append(carried, name)
			}
		}
	}
	e := event{"prompts": prompts, "new": c.New, "changed": c.Changed, "kept": c.Kept, "gone": c.Gone, "bad": imp.badCount}
	if n := imp.reading.Samples; n > 1 {
		what += fmt.Sprintf(" x %s samples", count(int64(n)))
		e["samples"] = n
	}
	shared := ""
	if n := d.counts.Shared; n > 0 {
		shared = fmt.Sprintf(", %s shared", count(n))
		e["shared"] = n
	}
	if c.Kept+c.Changed+c.Gone > 0 {
		d.term.say("import", e, "%s: %s new, %s changed, %s kept, %s gone%s", what, count(c.New), count(c.Changed), count(c.Kept), count(c.Gone), shared)
	} else {
		d.term.say("import", e, "%s read%s", what, shared)
	}
	if n, turns := imp.trimmed(); n > 0 {
		d.term.say("trimmed", event{"conversations": n, "turns": turns, "prompts": prompts}, "%s", imp.trimmedWords())
	}
	for _, flag := range append(slices.Clone(fieldFlags), "json-schema") {
		name := strings.ReplaceAll(flag, "-", "_")
		if flag == "json-schema" {
			name = "response_format"
		}
		if n, set := used[name]; set && n == 0 {
			d.term.warn("fill", event{"flag": "--" + flag, "used": n, "prompts": prompts}, "--%s is used for 0 of %s", flag, plural(int64(prompts), "line"))
		}
	}
	if len(carried) > 0 {
		d.term.say("carried", event{"keys": carried}, "carried, not sent: %s", strings.Join(carried, ", "))
	}
	if len(secrets) > 0 {
		d.term.warn("secret", event{"keys": secrets}, "%s in the input: a secret? It is kept in the job file, and sent or carried to the results", strings.Join(secrets, ", "))
	}
	for _, name := range imp.edited {
		d.term.warn("edited", event{"file": name}, "%s changed while it was read: look at what was imported, or run the same command again to read it anew", printable(name))
	}
	for _, b := range imp.bad {
		d.term.warn("skipped", event{"line": b}, "skipped: %s", printable(b.String()))
	}
	if more := imp.badCount - len(imp.bad); more > 0 {
		d.term.warn("skipped", event{"more": more}, "skipped: %s", plural(int64(more), "more bad line"))
	}
}
