package store

import "testing"

// The nearest answer comes back, through jobs that were replaced in turn, and through those that were restored.
func TestAnsweredBefore(t *testing.T) {
	older := map[int64][]replacedJob{
		4: {{3, false}},
		3: {{2, false}, {1, true}},
		9: {{8, false}},
		8: {{7, true}},
		7: {{6, true}},
	}
	for id, want := range map[int64]int64{4: 1, 3: 1, 2: 0, 9: 7, 7: 6, 5: 0} {
		if got := answeredBefore(older, id); got != want {
			t.Errorf("before job %d: %d, want %d", id, got, want)
		}
	}
}
