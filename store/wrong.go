package store

// wrongNamed is how much of what does not hold is named; a file can be wrong in every one of its rows.
const wrongNamed = 50

// Wrong is what a check found not to hold: the first of it in words, and how much it is in all.
type Wrong struct {
	Named []string
	Count int64
}

// Add takes in one thing that does not hold.
func (w *Wrong) Add(text string) {
	if w.Count++; len(w.Named) < wrongNamed {
		w.Named = append(w.Named, text)
	}
}

// Join takes in what another check found, all that it named.
func (w *Wrong) Join(o Wrong) {
	w.Named = append(w.Named, o.Named...)
	w.Count += o.Count
}
