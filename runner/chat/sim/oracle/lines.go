package oracle

// place is where a row belongs: the input by its number, the line, and the sample where a line has several.
type place struct{ input, line, sample int64 }

// entry is what the job file knows of a line of the input.
type entry struct {
	position int64
	job      *job // nil for a skipped line
	shared   bool // the job is another line's
	skipped  bool
	customID *string
}

// among says that its row belongs to the results, or to the errors.
func (e entry) among(results bool) bool {
	if results {
		return e.job != nil && e.job.state == "done"
	}
	return e.skipped || e.job != nil && e.job.state == "failed"
}

// entries lists the present input.
func (j *jobFile) entries() map[place]entry {
	all := map[place]entry{}
	at := map[int64]*job{}
	for _, b := range j.jobs {
		if b.position.Valid {
			at[b.position.Int64] = b
			e := entry{position: b.position.Int64, job: b}
			if b.customID.Valid {
				e.customID = &b.customID.String
			}
			all[place{b.input, b.line, b.sample}] = e
		}
	}
	for _, l := range j.lines {
		e := entry{position: l.position, skipped: !l.first.Valid, shared: l.first.Valid}
		sample := int64(0)
		if e.job = at[l.first.Int64]; e.job != nil {
			sample = e.job.sample
		}
		if l.customID.Valid {
			e.customID = &l.customID.String
		}
		all[place{l.input, l.line, sample}] = e
	}
	return all
}
