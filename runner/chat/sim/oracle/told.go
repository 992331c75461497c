package oracle

import (
	"encoding/json"
	"path/filepath"
)

// told holds what batch tells of a job file against it: of the prompts, the calls and the money.
func (f *findings) told(j *jobFile, c Case) {
	if c.Ask == nil {
		return
	}
	parts := j.parts()
	path := filepath.Join(c.Folder, j.name)
	var s statusTold
	if f.ask(c.Ask, &s, "status", "--json", path) {
		f.status(j, s, total(parts))
	}
	var r reportTold
	if f.ask(c.Ask, &r, "report", "--json", path) {
		f.report(j, r, parts)
	}
}

func (f *findings) ask(ask Ask, document any, args ...string) bool {
	text, err := ask(args...)
	if err == nil {
		err = json.Unmarshal(text, document)
	}
	if err != nil {
		f.add("batch %q: %v\n%s", args, err, text)
	}
	return err == nil
}

// statusTold is what status says of all runs. Its cost is that of all that was reported.
type statusTold struct {
	sums
	Running       int64  `json:"running"`
	Skipped       int64  `json:"skipped"`
	Shared        int64  `json:"shared"`
	PossiblySpent amount `json:"possibly_spent"`
}

func (f *findings) status(j *jobFile, s statusTold, all *part) {
	f.lines(j, "status", s.Running, s.Skipped)
	if shared := int64(len(j.lines)) - j.skipped(); s.Shared != shared {
		f.add("%s: status says that %d lines share an answer, and %d do", j.name, s.Shared, shared)
	}
	want := all.sums
	want.Reused, want.Spared = 0, 0 // are not told
	want.Cost = all.charges.reported("billed", "estimated", "gone_estimated").told()
	want.EstimatedCost = all.charges["estimated"].plus(all.charges["gone_estimated"]).cost.told()
	if s.Pending += s.Running; s.sums != want {
		f.add("%s: status says %s", j.name, difference(s.sums, want))
	}
	f.bound(j, "status", s.PossiblySpent, all.charges["possibly_lost"].plus(all.charges["open"]).cost)
}

// lines holds what a document says of jobs at work and skipped lines.
func (f *findings) lines(j *jobFile, who string, running, skipped int64) {
	if n := j.running(); running != n {
		f.add("%s: %s says that %d jobs are running, and %d are", j.name, who, running, n)
	}
	if n := j.skipped(); skipped != n {
		f.add("%s: %s says that %d lines were skipped, and %d were", j.name, who, skipped, n)
	}
}

// bound: what may be lost is told as the most that it can be, which takes prompts for longer than they were estimated. It is known when
// that is, and at least what was estimated.
func (f *findings) bound(j *jobFile, who string, told, least amount) {
	if told.unknown != least.told().unknown || told.pico < least.told().pico || least == (amount{}) && told != least {
		f.add("%s: %s says that at most %s may be lost, which is at least %s", j.name, who, told, least.told())
	}
}

func (j *jobFile) running() (n int64) {
	for _, b := range j.jobs {
		if b.position.Valid && b.state == "running" {
			n++
		}
	}
	return n
}

func (j *jobFile) skipped() (n int64) {
	for _, l := range j.lines {
		if !l.first.Valid {
			n++
		}
	}
	return n
}

// reportTold is the report, as far as it adds up.
type reportTold struct {
	RunOn    bool  `json:"run_on"`
	Complete bool  `json:"complete"`
	Skipped  int64 `json:"skipped"`
	Unsaved  []struct {
		Jobs int64 `json:"jobs"`
	} `json:"unsaved"`
	Total  partTold `json:"total"`
	Models []struct {
		Endpoint string `json:"endpoint"`
		Model    string `json:"requested_model"`
		partTold
	} `json:"models"`
}

type partTold struct {
	Jobs struct {
		All     int64 `json:"all"`
		Done    int64 `json:"done"`
		Failed  int64 `json:"failed"`
		Pending int64 `json:"pending"`
		Running int64 `json:"running"`
		Reused  int64 `json:"reused"`
	} `json:"jobs"`
	Attempts struct {
		All     int64 `json:"all"`
		Unsaved int64 `json:"unsaved"` // without an outcome in the job file, for that waits beside it
	} `json:"attempts"`
	Tokens struct {
		Prompt     int64 `json:"prompt"`
		Completion int64 `json:"completion"`
		Total      int64 `json:"total"`
	} `json:"tokens"`
	Estimated int64                 `json:"estimated_tokens"`
	Unknown   int64                 `json:"usage_unknown"`
	Spend     map[string]chargeTold `json:"spend"`
}

type chargeTold struct {
	Attempts int64  `json:"attempts"`
	Tokens   int64  `json:"tokens"`
	Cost     amount `json:"cost"`
	AtLeast  amount `json:"at_least"`
	Unknown  int64  `json:"cost_unknown"`
}

func (f *findings) report(j *jobFile, r reportTold, parts map[partID]*part) {
	all := total(parts)
	f.lines(j, "the report", r.Total.Jobs.Running, r.Skipped)
	if complete := all.Pending == 0; r.Complete != complete {
		f.add("%s: the report says complete: %t, with %d prompts pending", j.name, r.Complete, all.Pending)
	}
	unsaved := r.Total.Attempts.Unsaved
	for _, u := range r.Unsaved {
		unsaved -= u.Jobs
	}
	if unsaved != 0 {
		f.add("%s: the report tells of %d outcomes that wait, and of files with %+v", j.name, r.Total.Attempts.Unsaved, r.Unsaved)
	}
	f.reportPart(j, "in all", r.Total, all, r.RunOn)
	for _, m := range r.Models {
		p := parts[partID{m.Endpoint, m.Model}]
		if p == nil {
			p = &part{}
		}
		f.reportPart(j, m.Model+" at "+m.Endpoint, m.partTold, p, r.RunOn)
	}
	if len(r.Models) != len(parts) {
		f.add("%s: the report tells of %d models, not %d", j.name, len(r.Models), len(parts))
	}
}

// reportPart: what the report does not say in sums is what the job file says, to be the same as it.
func (f *findings) reportPart(j *jobFile, of string, told partTold, p *part, runOn bool) {
	jobs := told.Jobs
	got := sums{Jobs: jobs.All, Done: jobs.Done, Failed: jobs.Failed, Pending: jobs.Pending + jobs.Running, Attempts: told.Attempts.All,
		Prompt: told.Tokens.Prompt, Answers: told.Tokens.Completion, Total: told.Tokens.Total,
		Estimated: told.Estimated, Unknown: told.Unknown, Wasted: told.Spend["wasted"].Tokens, Gone: told.Spend["gone"].Tokens,
		Paid: p.Paid, Reused: jobs.Reused, Spared: p.Spared}
	if got != p.sums {
		f.add("%s: the report says %s: %s", j.name, of, difference(got, p.sums))
	}
	lost := p.charges["possibly_lost"]
	if !runOn { // out when a run died
		lost = lost.plus(p.charges["open"])
	}
	for _, name := range []string{"billed", "done", "truncated", "wasted", "of_failed_jobs", "retried", "gone", "estimated", "gone_estimated", "possibly_lost"} {
		got, want := told.Spend[name], p.charges[name]
		switch {
		case name == "possibly_lost" && (got.Attempts > lost.attempts || got.Attempts < lost.attempts-told.Attempts.Unsaved):
			f.add("%s: the report says %s: %d attempts are possibly lost, and %d are, but for some of %d that wait", j.name, of, got.Attempts, lost.attempts, told.Attempts.Unsaved)
		case name == "possibly_lost" && got.Attempts < lost.attempts: // the file that waits says what cost nothing
		case name == "possibly_lost":
			f.bound(j, "the report of "+of, got.Cost, lost.cost)
		case got != (chargeTold{want.attempts, want.tokens, want.cost.told(), amount{pico: want.cost.pico}, want.cost.unknown}):
			f.add("%s: the report says %s: %s is %+v, not %+v", j.name, of, name, got, want)
		}
	}
}
