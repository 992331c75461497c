package sim

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxKeys bounds what is remembered: some 10 MB.
const maxKeys = 100_000

// keyStore remembers what became of the calls under an Idempotency-Key. It holds hashes only: an answer is a function
// of the body, so the body's hash, the time and the outcome are all that a replay needs.
type keyStore struct {
	mu   sync.Mutex
	m    map[keyID]keyed
	ring []keyID // finished keys, the oldest at next once it is full
	next int
	max  int
	life time.Duration // of a finished key, 0 for ever
}

type keyID [16]byte

// keyed is what one key stands for.
type keyed struct {
	body    [16]byte
	created int64
	fault   int16 // index into faultTable of a remembered error, or -1
	done    bool
}

type keyState uint8

const (
	keyFresh keyState = iota
	keyReplay
	keyBusy
	keyMismatch
)

func newKeyStore(n int, life time.Duration) *keyStore {
	return &keyStore{m: make(map[keyID]keyed), max: n, life: life}
}

func keyOf(s string) keyID {
	sum := sha256.Sum256([]byte(s))
	return keyID(sum[:16])
}

// begin claims a key for a body, or says why it cannot be claimed. A fresh key is held until finish or release.
func (k *keyStore) begin(id keyID, sum *[32]byte, now time.Time) (keyed, keyState) {
	body := [16]byte(sum[:16])
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.m[id]
	if ok && e.done && k.life > 0 && now.Sub(time.Unix(e.created, 0)) >= k.life {
		ok = false
	}
	switch {
	case !ok:
		k.m[id] = keyed{body: body}
		return keyed{}, keyFresh
	case e.body != body:
		return e, keyMismatch
	case !e.done:
		return e, keyBusy
	default:
		return e, keyReplay
	}
}

// finish remembers the outcome of a key that begin claimed; the oldest finished key makes room.
func (k *keyStore) finish(id keyID, created int64, fault int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.m[id]
	e.created, e.fault, e.done = created, int16(fault), true
	k.m[id] = e
	if len(k.ring) < k.max {
		k.ring = append(k.ring, id)
		return
	}
	delete(k.m, k.ring[k.next])
	k.ring[k.next] = id
	k.next = (k.next + 1) % k.max
}

// release forgets a key that begin claimed, so that a retry starts anew.
func (k *keyStore) release(id keyID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.m, id)
}
