package sim

import (
	"fmt"
	"testing"
	"time"
)

func TestOldestKeysAreForgotten(t *testing.T) {
	k := newKeyStore(3, 0)
	var body [32]byte
	held := keyOf("held")
	k.begin(held, &body, time.Now())
	for i := range 10 {
		id := keyOf(fmt.Sprint(i))
		if _, state := k.begin(id, &body, time.Now()); state != keyFresh {
			t.Fatalf("key %d: %d", i, state)
		}
		k.finish(id, int64(i), -1)
	}
	if len(k.m) != 4 {
		t.Errorf("%d keys are kept, want 3 and the one that is held", len(k.m))
	}
	for i := 7; i < 10; i++ {
		if e, state := k.begin(keyOf(fmt.Sprint(i)), &body, time.Now()); state != keyReplay || e.created != int64(i) {
			t.Errorf("key %d: %d %+v", i, state, e)
		}
	}
	if _, state := k.begin(keyOf("6"), &body, time.Now()); state != keyFresh {
		t.Errorf("key 6: %d", state)
	}
	if _, state := k.begin(held, &body, time.Now()); state != keyBusy {
		t.Errorf("a key that is worked on is forgotten: %d", state)
	}
}

func TestFaultsAreCountedInBounds(t *testing.T) {
	d := newDice(1, Faults{{Kind: "500", Share: 0.5}})
	d.max = 100
	for i := range 1000 {
		d.roll(&[32]byte{8: byte(i), 9: byte(i >> 8)})
		if len(d.seen) > 100 {
			t.Fatalf("%d bodies are counted", len(d.seen))
		}
	}
}
