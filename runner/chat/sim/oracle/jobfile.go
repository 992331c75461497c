package oracle

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "github.com/mattn/go-sqlite3" // the driver that reads job files
)

// jobFile is all of a job file that the oracle looks at.
type jobFile struct {
	name     string
	dir      string
	settings map[string]string
	runs     map[int64]*run
	jobs     []*job // by id
	byID     map[int64]*job
	attempts []*attempt // by id
	answers  map[int64]*answer
	reused   map[int64]*original
	prices   map[partID]*price
	inputs   []input // by number, from 1 unless batch counts otherwise: see the number in each
	lines    []line  // that have no job of their own: skipped and shared
	outputs  []output
}

type run struct {
	started  int64
	ended    sql.NullInt64
	endpoint string
	reason   sql.NullString
}

type job struct {
	id, input, line    int64
	state              string
	position           sql.NullInt64
	attempt            sql.NullInt64
	attempts, unknown  int64
	generation, sample int64
	customID           sql.NullString
	model              string
	tokens             int64 // of the prompt, estimated
	maxTokens          sql.NullInt64
	origin             []byte
	body               []byte
	tries              []*attempt
}

type attempt struct {
	id, job, run, generation  int64
	started                   int64
	duration                  sql.NullInt64
	class, reason             sql.NullString
	sent, status              sql.NullInt64
	prompt, completion, total sql.NullInt64

	cached, written, thought, audio int64 // of these
}

type answer struct {
	assembled       bool
	estimated       sql.NullInt64
	estimatedPrompt sql.NullInt64
	response        []byte
	finish          sql.NullString
}

// original is the answer of another job file that was taken over.
type original struct {
	endpoint string
	total    sql.NullInt64
}

// response is what a job was answered, nil for one without an answer.
func (j *jobFile) response(job int64) []byte {
	if a := j.answers[job]; a != nil {
		return a.response
	}
	return nil
}

type input struct {
	number      int64
	path, place string
	sha256      []byte
	rows        int64
}

type line struct {
	position, input, line int64
	first                 sql.NullInt64 // of a shared one: where its job stands
	customID              sql.NullString
}

type output struct {
	path, kind, options     string
	dev, inode, size, mtime int64
}

// purged says that the text is gone, and with it what a call could be told by.
func (j *jobFile) purged() bool { return j.settings["purged"] != "" || j.settings["purging"] != "" }

// lost says that the run died before it could learn what became of the call: its row is open, or was closed by the recovery.
func (a *attempt) lost() bool { return !a.class.Valid || a.class.String == "unknown" && !a.sent.Valid }

// held is the attempt that has the job, or gave it its end; nil when there is none.
func (b *job) held() *attempt {
	for _, a := range b.tries {
		if b.attempt.Valid && a.id == b.attempt.Int64 {
			return a
		}
	}
	return nil
}

func (a *attempt) possiblyPaid() bool {
	return a.class.String == "unknown" || a.class.String == "interrupted" && a.sent.Int64 == 1
}

// open reads a job file from a copy: SQLite repairs what it opens, and that is for others to do. It returns nil when there is nothing
// to be looked at.
func (f *findings) open(folder, name string) *jobFile {
	path := filepath.Join(folder, name)
	dir, err := os.MkdirTemp("", "oracle")
	if err != nil {
		f.add("%v", err)
		return nil
	}
	defer os.RemoveAll(dir)
	twin := filepath.Join(dir, "twin.db")
	for _, suffix := range []string{"-wal", ""} {
		text, err := os.ReadFile(path + suffix)
		if suffix != "" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && suffix == "" && len(text) == 0 {
			return nil // made and not yet filled
		}
		if err == nil {
			err = os.WriteFile(twin+suffix, text, 0o600)
		}
		if err != nil {
			f.add("%s: %v", name, err)
			return nil
		}
	}
	db, err := sql.Open("sqlite3", "file:"+url.PathEscape(twin))
	if err != nil {
		f.add("%s: %v", name, err)
		return nil
	}
	defer db.Close()
	if !f.pages(db, name) {
		return nil
	}
	var tables int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err == nil && tables == 0 {
		return nil
	}
	j, err := load(db)
	if err != nil {
		f.add("%s cannot be read: %v", name, err)
		return nil
	}
	j.name, j.dir = name, filepath.Dir(path)
	return j
}

// pages asks SQLite whether the file is sound.
func (f *findings) pages(db *sql.DB, name string) bool {
	var said string
	if err := db.QueryRow("PRAGMA quick_check(1)").Scan(&said); err != nil {
		f.add("%s is damaged: %v", name, err)
		return false
	}
	if said != "ok" {
		f.add("%s is damaged: %s", name, said)
		return false
	}
	return true
}

func load(db *sql.DB) (*jobFile, error) {
	j := &jobFile{settings: map[string]string{}, runs: map[int64]*run{}, byID: map[int64]*job{}, answers: map[int64]*answer{}, reused: map[int64]*original{}, prices: map[partID]*price{}}
	for _, read := range []func(*sql.DB) error{j.loadSettings, j.loadJobs, j.loadAttempts, j.loadAnswers, j.loadPrices, j.loadLines, j.loadFiles} {
		if err := read(db); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func (j *jobFile) loadSettings(db *sql.DB) error {
	err := each(db, "SELECT name, value FROM settings", func(scan func(...any) error) error {
		var name, value string
		err := scan(&name, &value)
		j.settings[name] = value
		return err
	})
	if err != nil {
		return err
	}
	return each(db, "SELECT id, started_at, ended_at, endpoint, reason FROM runs", func(scan func(...any) error) error {
		var id int64
		r := &run{}
		err := scan(&id, &r.started, &r.ended, &r.endpoint, &r.reason)
		j.runs[id] = r
		return err
	})
}

func (j *jobFile) loadJobs(db *sql.DB) error {
	return each(db, `SELECT id, input, line, state, position, attempt, attempts, unknown, generation, coalesce(sample, 0), custom_id,
		model, tokens, max_tokens, origin, body FROM jobs ORDER BY id`, func(scan func(...any) error) error {
		b := &job{}
		err := scan(&b.id, &b.input, &b.line, &b.state, &b.position, &b.attempt, &b.attempts, &b.unknown, &b.generation, &b.sample, &b.customID,
			&b.model, &b.tokens, &b.maxTokens, &b.origin, &b.body)
		j.jobs = append(j.jobs, b)
		j.byID[b.id] = b
		return err
	})
}

func (j *jobFile) loadAttempts(db *sql.DB) error {
	return each(db, `SELECT id, job, run, generation, started_at, duration_ms, class, reason, sent, status, prompt_tokens, completion_tokens, total_tokens,
		coalesce(cached_tokens, 0), coalesce(cache_write_tokens, 0), coalesce(reasoning_tokens, 0), coalesce(audio_tokens, 0) FROM attempts ORDER BY id`, func(scan func(...any) error) error {
		a := &attempt{}
		err := scan(&a.id, &a.job, &a.run, &a.generation, &a.started, &a.duration, &a.class, &a.reason, &a.sent, &a.status, &a.prompt, &a.completion, &a.total,
			&a.cached, &a.written, &a.thought, &a.audio)
		j.attempts = append(j.attempts, a)
		if b := j.byID[a.job]; b != nil {
			b.tries = append(b.tries, a)
		}
		return err
	})
}

func (j *jobFile) loadAnswers(db *sql.DB) error {
	err := each(db, "SELECT job, assembled, finish_reason, estimated_prompt, estimated, response FROM answers", func(scan func(...any) error) error {
		var id int64
		w := &answer{}
		err := scan(&id, &w.assembled, &w.finish, &w.estimatedPrompt, &w.estimated, &w.response)
		j.answers[id] = w
		return err
	})
	if err != nil {
		return err
	}
	return each(db, "SELECT u.job, o.endpoint, u.total_tokens FROM reused u JOIN sources o ON o.id = u.source", func(scan func(...any) error) error {
		var id int64
		o := &original{}
		err := scan(&id, &o.endpoint, &o.total)
		j.reused[id] = o
		return err
	})
}

func (j *jobFile) loadPrices(db *sql.DB) error {
	return each(db, "SELECT endpoint, model, above, input, output, cached, cache_write, reasoning, coalesce(largest, 0) FROM prices ORDER BY above",
		func(scan func(...any) error) error {
			var id partID
			var r rate
			var largest int64
			err := scan(&id.endpoint, &id.model, &r.above, &r.input, &r.output, &r.cached, &r.written, &r.thought, &largest)
			if j.prices[id] == nil {
				j.prices[id] = &price{largest: largest}
			}
			j.prices[id].rates = append(j.prices[id].rates, r)
			return err
		})
}

func (j *jobFile) loadLines(db *sql.DB) error {
	return each(db, `SELECT position, input, line, NULL, custom_id FROM skipped UNION ALL SELECT position, input, line, first, custom_id FROM shared`,
		func(scan func(...any) error) error {
			var l line
			err := scan(&l.position, &l.input, &l.line, &l.first, &l.customID)
			j.lines = append(j.lines, l)
			return err
		})
}

func (j *jobFile) loadFiles(db *sql.DB) error {
	err := each(db, "SELECT number, path, place, sha256, rows FROM inputs ORDER BY number", func(scan func(...any) error) error {
		var in input
		err := scan(&in.number, &in.path, &in.place, &in.sha256, &in.rows)
		j.inputs = append(j.inputs, in)
		return err
	})
	if err != nil {
		return err
	}
	return each(db, "SELECT path, kind, options, dev, inode, size, mtime_ns FROM outputs ORDER BY path", func(scan func(...any) error) error {
		var o output
		err := scan(&o.path, &o.kind, &o.options, &o.dev, &o.inode, &o.size, &o.mtime)
		j.outputs = append(j.outputs, o)
		return err
	})
}

// each hands every row of a query to one.
func each(db *sql.DB, query string, one func(scan func(...any) error) error) error {
	rows, err := db.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := one(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
