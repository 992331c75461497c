package runner

import (
	"testing"

	"batch/store"
)

// TestS2_TakenBackAfterSetAside: a failure that is set aside already is taken back behind it. What is set aside is saved in its order, and
// would else win over what the stop made of it.
func TestS2_TakenBackAfterSetAside(t *testing.T) {
	k := keeper{Runner: &Runner{}, out: map[int64]out{}, aside: aside{n: 1},
		unsaved: []store.Outcome{{Job: 1, Attempt: 11, Arrow: store.Fail}, {Job: 2, Attempt: 12, Arrow: store.Fail}},
		back: map[int64]store.Outcome{
			11: {Job: 1, Attempt: 11, Arrow: store.TakeBack},
			12: {Job: 2, Attempt: 12, Arrow: store.TakeBack},
		}}
	k.takeBack()
	var got []store.Arrow
	for _, o := range k.unsaved {
		got = append(got, o.Arrow)
	}
	if len(got) != 3 || got[0] != store.Fail || got[1] != store.Release || got[2] != store.TakeBack || k.unsaved[2].Job != 1 {
		t.Errorf("%+v", k.unsaved)
	}
}
