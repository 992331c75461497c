package oracle

// states holds the tables of a job file against each other: every prompt is one job in one state, and what it says of its attempts and its
// answer is there.
func (f *findings) states(j *jobFile, c Case) {
	f.positions(j)
	for _, b := range j.jobs {
		f.state(j, b, c)
		f.tries(j, b, c)
	}
	for id := range j.answers {
		if b := j.byID[id]; b == nil || b.state != "done" {
			f.add("%s: an answer is kept for job %d, which is not done", j.name, id)
		}
	}
	for _, a := range j.attempts {
		if j.byID[a.job] == nil || j.runs[a.run] == nil {
			f.add("%s: attempt %d belongs to no job or to no run", j.name, a.id)
		}
	}
	for id, r := range j.runs {
		if !r.ended.Valid && !c.Open {
			f.add("%s: run %d has no end", j.name, id)
		}
	}
	f.afterStop(j, c)
}

// positions: the lines of the input, from the first to the last, are each one job, or are skipped, or share an answer.
func (f *findings) positions(j *jobFile) {
	held := map[int64]int{}
	for _, b := range j.jobs {
		if b.position.Valid {
			held[b.position.Int64]++
		}
	}
	for _, l := range j.lines {
		held[l.position]++
	}
	for p, n := range held {
		if n > 1 {
			f.add("%s: position %d is held %d times", j.name, p, n)
		}
		if p < 1 || p > int64(len(held)) {
			f.add("%s: position %d among %d", j.name, p, len(held))
		}
	}
}

func (f *findings) state(j *jobFile, b *job, c Case) {
	last := b.held()
	w := j.answers[b.id]
	switch b.state {
	case "pending":
		if b.attempt.Valid {
			f.add("%s: job %d is pending and held by attempt %d", j.name, b.id, b.attempt.Int64)
		}
	case "running":
		if !c.Open {
			f.add("%s: job %d is still running", j.name, b.id)
		}
		if last == nil || last.class.Valid {
			f.add("%s: job %d is running without an open attempt", j.name, b.id)
		}
	case "done":
		if j.reused[b.id] == nil && (last == nil || last.class.String != "done") {
			f.add("%s: job %d is done, and its attempt is not", j.name, b.id)
		}
		if w == nil || len(w.response) == 0 && !j.purged() {
			f.add("%s: job %d is done without its answer", j.name, b.id)
		}
	case "failed":
		if last == nil || !last.class.Valid || last.class.String == "done" {
			f.add("%s: job %d failed, and its attempt did not", j.name, b.id)
		}
	default:
		f.add("%s: job %d is %q", j.name, b.id, b.state)
	}
}

// tries holds a job against its attempts.
func (f *findings) tries(j *jobFile, b *job, c Case) {
	var unknown, generation int64
	for i, a := range b.tries {
		if a.possiblyPaid() {
			unknown++
		}
		switch {
		case a.class.String == "done" && (b.attempt.Int64 != a.id || b.state != "done"):
			f.add("%s: attempt %d was answered, and job %d does not have the answer", j.name, a.id, b.id)
		case a.class.String == "done" && i < len(b.tries)-1:
			f.add("%s: job %d was called again after its answer", j.name, b.id)
		case !a.class.Valid && (!c.Open || b.state != "running" || b.attempt.Int64 != a.id):
			f.add("%s: attempt %d of job %d was left open", j.name, a.id, b.id)
		case a.class.Valid && a.lost() && !c.Died:
			f.add("%s: attempt %d of job %d has no outcome, and nobody died", j.name, a.id, b.id)
		}
		if a.generation < generation || a.generation > b.generation {
			f.add("%s: attempt %d has generation %d after %d, its job is at %d", j.name, a.id, a.generation, generation, b.generation)
		}
		generation = a.generation
	}
	if b.attempts != int64(len(b.tries)) || b.unknown != unknown {
		f.add("%s: job %d counts %d attempts and %d possibly paid, and has %d and %d", j.name, b.id, b.attempts, b.unknown, len(b.tries), unknown)
	}
}

// slack is the time in ms that may lie between an answer and what all workers know of it: they run beside each other, on a busy machine.
const slack = 500

// afterStop: once an answer has stopped a run, that run sends nothing more.
func (f *findings) afterStop(j *jobFile, c Case) {
	late := int64(slack)
	if c.Virtual {
		late = 1 // beginning and duration are cut to whole milliseconds each
	}
	stopped := map[int64]int64{}
	for _, a := range j.attempts {
		if at := a.started + a.duration.Int64; a.class.String == "run_stops" && (stopped[a.run] == 0 || at < stopped[a.run]) {
			stopped[a.run] = at
		}
	}
	for _, a := range j.attempts {
		if at := stopped[a.run]; at > 0 && a.sent.Int64 == 1 && a.started > at+late {
			f.add("%s: attempt %d was sent %d ms after its run was stopped", j.name, a.id, a.started-at)
		}
	}
}
