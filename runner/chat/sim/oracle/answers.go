package oracle

// records holds what is kept of each answer against what the answer itself says: its tokens.
func (f *findings) records(j *jobFile, c Case) {
	for _, b := range j.jobs {
		w := j.answers[b.id]
		if b.state != "done" || w == nil || len(w.response) == 0 || j.reused[b.id] != nil {
			continue
		}
		a := b.held()
		if a == nil {
			continue
		}
		said := readReply(w.response).usage
		switch {
		case said != nil && !a.total.Valid:
			f.add("%s: job %d used %d tokens as its answer says, and the record says that nobody knows", j.name, b.id, said.total)
		case said != nil && (a.prompt.Int64 != said.prompt || a.completion.Int64 != said.completion || a.total.Int64 != said.total):
			f.add("%s: job %d used %d tokens as its answer says, and %d on record", j.name, b.id, said.total, a.total.Int64)
		case !a.total.Valid && !w.estimated.Valid:
			f.add("%s: job %d has no count of tokens, not even an estimate", j.name, b.id)
		}
	}
}
