package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"batch/runner/tokens"
)

// table is a part of the report as people read it: text, Markdown and HTML are the same cells.
type table struct {
	ID, Title string
	Note      string
	Head      []string // none for a list of names and values
	Rows      [][]cell
}

// cell is a text, or a number that the JSON form has under a key.
type cell struct {
	Text  string
	Num   bool // stands right
	Part  int  // 1 is a part of the row above, 2 a part of a part
	Key   string
	Value string // as JSON has it
}

func words(s string) cell { return cell{Text: s} }

// part is the name of a row that is counted in one above already: "- " in front says so, twice for a part of a part.
func part(name string) cell {
	text := strings.TrimLeft(name, "- ")
	return cell{Text: text, Part: strings.Count(name[:len(name)-len(text)], "-")}
}

func number(key string, n int64) cell {
	return cell{Text: thousands(n), Num: true, Key: key, Value: strconv.FormatInt(n, 10)}
}

func money(key string, m *tokens.Money) cell {
	if m == nil {
		return cell{Text: "unknown", Num: true, Key: key, Value: "null"}
	}
	return cell{Text: m.Dollars(), Num: true, Key: key, Value: m.String()}
}

func millis(key string, ms *int64) cell {
	if ms == nil {
		return cell{Text: "–", Num: true, Key: key, Value: "null"}
	}
	return cell{Text: duration(*ms), Num: true, Key: key, Value: strconv.FormatInt(*ms, 10)}
}

// cost is an amount for people: what is known of it is never shown as the whole.
func (a Amount) cost() string {
	switch {
	case a.Cost != nil:
		return a.Cost.Dollars()
	case a.AtLeast > 0:
		return "at least " + a.AtLeast.Dollars()
	}
	return "unknown"
}

// compact is a number in few letters, where the exact one stands elsewhere.
func compact(n int64) string {
	switch {
	case n >= 10_000_000_000:
		return fmt.Sprintf("%.1f G", float64(n)/1e9)
	case n >= 10_000_000:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	}
	return thousands(n)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// duration is exact below a second, and to three digits or so above.
func duration(ms int64) string {
	switch {
	case ms < 1000:
		return fmt.Sprintf("%d ms", ms)
	case ms < 60_000:
		return strings.TrimSuffix(fmt.Sprintf("%.2f", float64(ms)/1000), "0") + " s"
	case ms < 3_600_000:
		return fmt.Sprintf("%d min %d s", ms/60_000, ms/1000%60)
	case ms < 86_400_000:
		return fmt.Sprintf("%d h %d min", ms/3_600_000, ms/60_000%60)
	}
	return fmt.Sprintf("%d d %d h", ms/86_400_000, ms/3_600_000%24)
}

const clockFormat = "2006-01-02 15:04:05"

// tables are the parts of the report, in order. Empty ones are left out.
func (d *Document) tables() []table {
	all := []table{d.jobsTable(), d.attemptsTable(), d.tokensTable(), d.timeTable(), d.spendTable(), d.unknownTable(), d.modelsTable(),
		d.pricesTable(), d.runsTable(), d.errorsTable(), d.answersTable("slowest", "Slowest answers", d.Slowest)}
	title := "Dearest answers"
	if !slices.ContainsFunc(d.Dearest, func(a Answer) bool { return a.Cost != nil }) {
		title = "Largest answers"
	}
	all = append(all, d.answersTable("dearest", title, d.Dearest))
	return slices.DeleteFunc(all, func(t table) bool { return len(t.Rows) == 0 })
}

// counts adds a row for each number that is not zero, and for the first of a table.
func (t *table) counts(names []string, keys []string, values ...int64) {
	for i, n := range values {
		if n != 0 || len(t.Rows) == 0 && i == 0 {
			t.Rows = append(t.Rows, []cell{part(names[i]), number(keys[i], n)})
		}
	}
}

func (d *Document) jobsTable() table {
	t := table{ID: "jobs", Title: "Jobs"}
	j := d.Total.Jobs
	t.counts([]string{"prompts", "- answered"}, []string{"total.jobs.all", "total.jobs.done"}, j.All, j.Done)
	for _, reason := range byCount(d.Total.Finish) {
		n := cell{Text: thousands(d.Total.Finish[reason]), Num: true}
		if knownReason(reason) {
			n = number("total.finish_reasons."+reason, d.Total.Finish[reason])
		}
		name := "- - ended by " + reason
		if reason == "" {
			name = "- - ended without a reason"
		}
		t.Rows = append(t.Rows, []cell{part(name), n})
	}
	t.counts([]string{"", "- failed", "- pending", "- in work", "lines skipped"},
		[]string{"", "total.jobs.failed", "total.jobs.pending", "total.jobs.running", "skipped"},
		0, j.Failed, j.Pending, j.Running, d.Skipped)
	return t
}

// knownReason says that a finish reason is a word, so that it can be a part of a key.
func knownReason(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

func byCount(m map[string]int64) []string {
	names := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(m[b], m[a]) })
	return names
}

func (d *Document) attemptsTable() table {
	t := table{ID: "attempts", Title: "Attempts"}
	a := d.Total.Attempts
	keys := []string{"all", "done", "not_processed", "unknown", "job_failed", "run_stops", "interrupted", "open"}
	for i := range keys {
		keys[i] = "total.attempts." + keys[i]
	}
	t.counts([]string{"calls", "- answered", "- not processed", "- outcome unknown", "- refused for good",
		"- stopped the run", "- interrupted", "- without an outcome yet"}, keys,
		a.All, a.Done, a.NotProcessed, a.Unknown, a.JobFailed, a.RunStops, a.Interrupted, a.Open)
	return t
}

func (d *Document) tokensTable() table {
	t := table{ID: "tokens", Title: "Tokens of the answers"}
	u := d.Total.Tokens
	t.counts([]string{"reported", "- prompt", "- - cached", "- - written to a cache", "- completion", "- - reasoning", "- beside prompt and completion",
		"- - audio", "estimated here", "answers that reported none"},
		[]string{"total.tokens.total", "total.tokens.prompt", "total.tokens.cached", "total.tokens.cache_write", "total.tokens.completion",
			"total.tokens.reasoning", "total.tokens.beyond", "total.tokens.audio", "total.estimated_tokens", "total.usage_unknown"},
		u.Total, u.Prompt, u.Cached, u.CacheWrite, u.Completion, u.Reasoning, u.Beyond, u.Audio, d.Total.Estimated, d.Total.UsageUnknown)
	return t
}

func (d *Document) spendTable() table {
	t := table{ID: "spend", Title: "Where the money went", Head: []string{"", "attempts", "tokens", "cost"}}
	s := &d.Total.Spend
	names := []string{"billed, as reported", "- for answers", "- - cut short (length)", "- wasted", "- - by jobs that failed", "- - by attempts that were retried",
		"- for answers no longer in the input", "estimated: answers without usage", "estimated: the same, no longer in the input", "possibly paid and lost, at most"}
	keys := []string{"billed", "done", "truncated", "wasted", "of_failed_jobs", "retried", "gone", "estimated", "gone_estimated", "possibly_lost"}
	for i, a := range s.amounts() {
		if a.Attempts == 0 && i > 0 {
			continue
		}
		key := "total.spend." + keys[i]
		cost := money(key+".cost", a.Cost)
		cost.Text = a.cost()
		used := number(key+".tokens", a.Tokens)
		if a.Unbounded > 0 {
			used.Text += " or more"
		}
		t.Rows = append(t.Rows, []cell{part(names[i]), number(key+".attempts", a.Attempts), used, cost})
	}
	return t
}

func (d *Document) unknownTable() table {
	t := table{ID: "unknown", Title: "Costs that are not known", Head: []string{"model", "why", "attempts"}}
	for i, u := range d.Unknown {
		t.Rows = append(t.Rows, []cell{words(place(u.Endpoint, u.Model)), words(u.Why), number(fmt.Sprintf("cost_unknown.%d.attempts", i), u.Attempts)})
	}
	return t
}

func place(endpoint, model string) string {
	if model == "" {
		model = "all other models"
	}
	if endpoint == "" {
		return model
	}
	return model + " at " + endpoint
}

// modelsTable tells the models apart; of one alone the totals have told all.
func (d *Document) modelsTable() table {
	t := table{ID: "models", Title: "By model", Head: []string{"model", "prompts", "answered", "failed", "pending", "attempts", "prompt tokens",
		"completion tokens", "billed", "wasted", "p50", "p99"}}
	for i, m := range d.Models {
		key := fmt.Sprintf("models.%d.", i)
		billed, wasted := money(key+"spend.billed.cost", m.Spend.Billed.Cost), money(key+"spend.wasted.cost", m.Spend.Wasted.Cost)
		billed.Text, wasted.Text = m.Spend.Billed.cost(), m.Spend.Wasted.cost()
		t.Rows = append(t.Rows, []cell{words(place(m.Endpoint, m.Name)), number(key+"jobs.all", m.Jobs.All), number(key+"jobs.done", m.Jobs.Done),
			number(key+"jobs.failed", m.Jobs.Failed), number(key+"jobs.pending", m.Jobs.Pending), number(key+"attempts.all", m.Attempts.All),
			number(key+"tokens.prompt", m.Tokens.Prompt), number(key+"tokens.completion", m.Tokens.Completion), billed, wasted,
			millis(key+"latency_ms.p50", m.Latency.P50), millis(key+"latency_ms.p99", m.Latency.P99)})
	}
	return t
}

func (d *Document) pricesTable() table {
	t := table{ID: "prices", Title: "Prices in force", Note: "US dollars for a million tokens",
		Head: []string{"model", "prompt above", "input", "output", "cached", "cache write", "reasoning", "source"}}
	for _, p := range d.Prices {
		row := []cell{words(place(p.Endpoint, p.Model)), {Text: thousands(p.Above), Num: true}}
		for _, m := range []tokens.Money{p.Input, p.Output, p.Cached, p.CacheWrite, p.Reasoning} {
			million := tokens.Money(0)
			if m <= tokens.Money(1<<63-1)/1e6 {
				million = m * 1e6
			}
			row = append(row, cell{Text: million.String(), Num: true})
		}
		t.Rows = append(t.Rows, append(row, words(p.Source)))
	}
	return t
}

func (d *Document) timeTable() table {
	t := table{ID: "time", Title: "Latency and time"}
	if l := d.Total.Latency; l.P50 != nil {
		t.Rows = [][]cell{
			{words("latency p50"), millis("total.latency_ms.p50", l.P50)},
			{words("latency p90"), millis("total.latency_ms.p90", l.P90)},
			{words("latency p99"), millis("total.latency_ms.p99", l.P99)},
			{words("slowest answer"), millis("total.latency_ms.max", l.Max)},
		}
	}
	if d.Rate.Calls == nil {
		return t
	}
	rate := func(name, key string, r float64) {
		t.Rows = append(t.Rows, []cell{words(name), {Text: thousands(int64(r + 0.5)), Num: true, Key: key, Value: strconv.FormatFloat(r, 'f', -1, 64)}})
	}
	t.Rows = append(t.Rows, []cell{words("time with calls"), millis("rate.active_ms", &d.Rate.ActiveMillis)})
	rate("calls a minute", "rate.calls_per_minute", *d.Rate.Calls)
	rate("answers a minute", "rate.answers_per_minute", *d.Rate.Answers)
	rate("tokens a minute", "rate.tokens_per_minute", *d.Rate.Tokens)
	for i, w := range d.Waits {
		t.Rows = append(t.Rows, []cell{words("waited: " + w.Why), millis(fmt.Sprintf("waits.%d.ms", i), &w.Millis)})
	}
	return t
}

func (d *Document) runsTable() table {
	const most = 20
	t := table{ID: "runs", Title: "Runs", Head: []string{"started (UTC)", "took", "calls", "limits", "ended"}}
	runs := d.Runs
	if n := len(runs); n > most {
		t.Note = fmt.Sprintf("the last %d of %s", most, thousands(int64(n)))
		runs = runs[n-most:]
	}
	for i, r := range runs {
		took, ended := words("–"), "it has not"
		if r.Ended != nil {
			took, ended = words(duration(r.Ended.Sub(r.Started).Milliseconds())), r.Reason
		}
		took.Num = true
		key := fmt.Sprintf("runs.%d.attempts", len(d.Runs)-len(runs)+i)
		t.Rows = append(t.Rows, []cell{words(r.Started.Format(clockFormat)), took, number(key, r.Attempts), words(d.limitsOf(r)), words(ended)})
	}
	return t
}

// limitsOf names the limits of a run: the user's, else what the API stated.
func (d *Document) limitsOf(r Run) string {
	var all []string
	if r.RPM != nil {
		all = append(all, thousands(int64(*r.RPM))+" calls a minute")
	}
	if r.TPM != nil {
		all = append(all, thousands(int64(*r.TPM))+" tokens a minute")
	}
	if l := d.stated(r.Endpoint); l != nil && len(all) == 0 {
		if l.Requests != nil {
			all = append(all, thousands(*l.Requests)+" calls, as stated")
		}
		if l.Tokens != nil {
			all = append(all, thousands(*l.Tokens)+" tokens, as stated")
		}
	}
	if len(all) == 0 {
		return "none known"
	}
	return strings.Join(all, ", ")
}

func (d *Document) stated(endpoint string) *Limit {
	for i := range d.Limits {
		if d.Limits[i].Endpoint == endpoint {
			return &d.Limits[i]
		}
	}
	return nil
}

func (d *Document) errorsTable() table {
	t := table{ID: "errors", Title: "Most frequent errors", Head: []string{"error", "attempts", "jobs failed", "for example"}}
	for i, f := range d.Errors {
		key := fmt.Sprintf("errors.%d.", i)
		example := f.Example.Where.String()
		if f.Example.Message != "" {
			example += ": " + f.Example.Message
		}
		if f.Example.RequestID != "" {
			example += " (" + f.Example.RequestID + ")"
		}
		t.Rows = append(t.Rows, []cell{words(f.name()), number(key+"attempts", f.Attempts), number(key+"failed_jobs", f.Jobs), words(example)})
	}
	return t
}

// name is the error as briefly as it can be told from others.
func (f *Failure) name() string {
	var parts []string
	if f.Status != nil {
		parts = append(parts, strconv.Itoa(*f.Status))
	}
	switch {
	case f.Code != "":
		parts = append(parts, f.Code)
	case f.Type != "":
		parts = append(parts, f.Type)
	}
	switch {
	case f.Code != "" || f.Type != "":
	case f.Reason != "":
		parts = append(parts, f.Reason)
	case f.Class == "unknown":
		parts = append(parts, "outcome unknown")
	default:
		parts = append(parts, strings.ReplaceAll(f.Class, "_", " "))
	}
	return strings.Join(parts, " ")
}

// String is where a prompt stands, as in prompts.jsonl:17 (r-1).
func (w Where) String() string {
	s := fmt.Sprintf("%s:%d", w.File, w.Line)
	if w.File == "" {
		s = fmt.Sprintf("line %d", w.Line)
	}
	if w.CustomID != nil {
		s += " [" + *w.CustomID + "]"
	}
	return s
}

func (d *Document) answersTable(id, title string, answers []Answer) table {
	t := table{ID: id, Title: title, Head: []string{"prompt", "model", "took", "tokens", "cost", "attempts"}}
	for i, a := range answers {
		key := fmt.Sprintf("%s.%d.", id, i)
		t.Rows = append(t.Rows, []cell{words(a.Where.String()), words(a.Model), millis(key+"latency_ms", &a.Millis),
			number(key+"total_tokens", a.Tokens), money(key+"cost", a.Cost), number(key+"attempts", int64(a.Attempts))})
	}
	return t
}

// headline is what the report is of.
func (d *Document) headline() string {
	s := d.JobFile
	if d.Simulated {
		s += " (simulated: the answers are made up)"
	}
	return s
}

// standing says in a sentence how far the job file is.
func (d *Document) standing() string {
	j := d.Total.Jobs
	s := fmt.Sprintf("%s of %s prompts answered", thousands(j.Done), thousands(j.All))
	if j.Failed > 0 {
		s += fmt.Sprintf(", %s failed", thousands(j.Failed))
	}
	if n := j.Pending + j.Running; n > 0 {
		s += fmt.Sprintf(", %s to go", thousands(n))
	}
	if d.RunOn {
		s += "; a run is on"
	}
	return s
}

func (d *Document) when() string { return d.WrittenAt.Format(clockFormat) + " UTC" }
