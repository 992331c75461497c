package sim

import (
	"encoding/binary"
	"sync"
)

// maxSeen bounds the counters of bodies; beyond it they start anew.
const maxSeen = 2 << 20

// dice decides which calls meet which fault.
type dice struct {
	seed  uint64
	edges []float64 // the shares, added up
	kinds []int     // index into faultTable

	mu   sync.Mutex
	seen map[uint64]uint32 // how often a body came, by its hash
	max  int
}

func newDice(seed uint64, faults Faults) *dice {
	d := &dice{seed: seed, max: maxSeen}
	var sum float64
	for _, f := range faults {
		if f.Share == 0 {
			continue
		}
		sum += f.Share
		d.edges = append(d.edges, sum)
		d.kinds = append(d.kinds, kindIndex(f.Kind))
	}
	if d.edges != nil {
		d.seen = make(map[uint64]uint32)
	}
	return d
}

// roll returns the index in faultTable of the fault that a call with this body meets, or -1.
func (d *dice) roll(body *[32]byte) int {
	if d.edges == nil {
		return -1
	}
	id := binary.LittleEndian.Uint64(body[8:16])
	d.mu.Lock()
	if len(d.seen) >= d.max {
		clear(d.seen)
	}
	times := d.seen[id]
	d.seen[id] = times + 1
	d.mu.Unlock()
	u := share(mix(number(d.seed, body, forFault) + uint64(times)))
	for i, edge := range d.edges {
		if u < edge {
			return d.kinds[i]
		}
	}
	return -1
}
