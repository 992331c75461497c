package store

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// setter sets outcomes aside as a run does whose job file takes nothing, and remembers what it was told is kept.
type setter struct {
	t      *testing.T
	name   string
	disk   *memDisk
	s      *Store
	r      *rand.Rand
	kept   map[int64]bool // attempts
	saved  map[int64]bool // and forgotten since
	images int
}

func newSetter(t *testing.T, name string, r *rand.Rand) *setter {
	st := &setter{t: t, name: name, disk: newMemDisk(), r: r, kept: map[int64]bool{}, saved: map[int64]bool{}}
	st.s = &Store{path: "/jobs/prompts.batch.db", spill: st.spill(st.disk)}
	st.disk.step = func(string) { st.look() }
	return st
}

func (st *setter) spill(d *memDisk) spill {
	a := newSpill("/jobs/prompts.batch.db", []byte("salt"))
	a.disk = d
	return a
}

// run sets aside, with room that was kept or without, saves, sets aside again, and ends.
func (st *setter) run(reserve bool) {
	if reserve {
		st.s.Reserve(4 << 10)
	}
	st.setAside(1)
	st.setAside(2, 3)
	saved := st.kept
	st.kept = map[int64]bool{}
	st.s.spill.clear()
	st.saved = saved
	st.look()
	st.saved = nil // lines that are torn while they are written over them may show some again, before any new attempt
	st.setAside(4)
	st.setAside(5, 6)
	st.setAside(7)
	st.s.spill.close()
	st.look()
}

func (st *setter) setAside(attempts ...int64) {
	var outs []Outcome
	for _, n := range attempts {
		outs = append(outs, Outcome{Job: n, Attempt: n, Arrow: Complete, Response: responseOf(n)})
	}
	if _, err := st.s.SetAside(outs); err != nil {
		if st.disk.failed == "" {
			st.t.Fatalf("%s: %v", st.name, err)
		}
		return
	}
	for _, n := range attempts {
		st.kept[n] = true
	}
}

func responseOf(attempt int64) []byte {
	return bytes.Repeat([]byte{byte('a' + attempt)}, int(attempt)*150)
}

// look lets the process die here, and the power fail.
func (st *setter) look() {
	st.check(st.disk.killed(), "killed")
	for range 4 {
		st.check(st.disk.cut(st.r), "power cut")
	}
}

// check reads what is left as the next run does.
func (st *setter) check(left *memDisk, how string) {
	st.images++
	how = fmt.Sprintf("%s, %s after %d operations", st.name, how, st.disk.calls)
	a := st.spill(left)
	found := map[int64]bool{}
	for i, p := range a.places {
		w, err := a.find(source{path: p.path, shared: i > 0})
		if err != nil {
			st.t.Fatalf("%s: %v", how, err)
		}
		for w != nil {
			o, err := w.next()
			if err != nil {
				st.t.Fatalf("%s: %v", how, err)
			}
			if o == nil {
				break
			}
			if !bytes.Equal(o.Response, responseOf(o.Attempt)) {
				st.t.Fatalf("%s: attempt %d has another answer", how, o.Attempt)
			}
			found[o.Attempt] = true
		}
	}
	for n := range st.kept {
		if !found[n] {
			st.t.Fatalf("%s: of %v, %d is lost", how, slices.Sorted(maps.Keys(st.kept)), n)
		}
	}
	for n := range st.saved {
		if found[n] && st.disk.failed == "" {
			st.t.Fatalf("%s: %d was saved, and is here again", how, n)
		}
	}
}

// Whenever the power fails, or the process dies, what SetAside said is kept is found by the next run.
func TestS2_SetAsidePowerCut(t *testing.T) {
	t.Parallel()
	images := 0
	for seed := range uint64(10) {
		for _, reserve := range []bool{false, true} {
			st := newSetter(t, fmt.Sprintf("seed %d, reserve=%v", seed, reserve), rand.New(rand.NewPCG(seed, 1)))
			st.run(reserve)
			if len(st.kept) != 4 {
				t.Errorf("%s: %d are kept", st.name, len(st.kept))
			}
			images += st.images
		}
	}
	if images < 1000 {
		t.Errorf("only %d images", images)
	}
	t.Logf("%d images", images)
}

// Whichever operation fails, once or from then on, and whenever the power fails after that: SetAside says so, or what it was given is kept.
func TestS2_SetAsideEveryFault(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 1))
	failed := map[string]int{}
	elsewhere, images := 0, 0
	for _, reserve := range []bool{false, true} {
		for _, ever := range []bool{false, true} {
			for _, half := range []bool{false, true} {
				for n := 1; ; n++ {
					st := newSetter(t, fmt.Sprintf("reserve=%v, ever=%v, half=%v, operation %d", reserve, ever, half, n), r)
					st.disk.n, st.disk.ever, st.disk.half = n, ever, half
					st.run(reserve)
					if st.disk.failed == "" {
						break
					}
					failed[st.disk.failed]++
					images += st.images
					if !ever && len(st.kept) != 4 {
						t.Errorf("%s (%s): only %d outcomes are kept, and there were two places", st.name, st.disk.failed, len(st.kept))
					}
					if len(st.disk.names) > 1 {
						elsewhere++
					}
				}
			}
		}
	}
	for _, op := range []string{"create", "write", "sync", "sync folder", "truncate"} {
		if failed[op] == 0 {
			t.Errorf("%s never failed", op)
		}
	}
	if elsewhere == 0 {
		t.Error("both places were never in use")
	}
	t.Logf("%v failed, %d images", failed, images)
}

// What a full disk does not take leaves no room taken that was not, and nothing to read; what is small enough is kept all the same, whenever
// the process dies after that, or the power fails.
func TestS2_SetAsideSmallDisk(t *testing.T) {
	t.Parallel()
	const large = 500
	for _, reserve := range []bool{false, true} {
		st := newSetter(t, fmt.Sprintf("reserve=%v", reserve), rand.New(rand.NewPCG(3, 1)))
		if reserve {
			st.s.Reserve(4 << 10)
		}
		st.disk.failed = "it is full" // that something cannot be set aside is as it should be
		st.disk.room = -st.disk.left() + 4<<10
		st.setAside(1)
		left := st.disk.left()
		st.setAside(2, large, 3)
		if got := st.disk.left(); got < left-len(st.s.spill.head) { // the second place has its first line
			t.Errorf("%s: %d bytes were left, and %d are after something did not fit", st.name, left, got)
		}
		st.setAside(2)
		st.setAside(large)
		st.setAside(3)
		st.look()
		if got := slices.Sorted(maps.Keys(st.kept)); !slices.Equal(got, []int64{1, 2, 3}) {
			t.Errorf("%s: %v are kept", st.name, got)
		}
		if n := bytes.Count(st.disk.names[st.s.spill.places[0].path].text, []byte(`"Response"`)); n != 3 {
			t.Errorf("%s: there are %d outcomes", st.name, n)
		}
		st.s.spill.close()
		st.look()
	}
}
