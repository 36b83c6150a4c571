package bridge

import (
	"testing"
	"time"

	"parley/bridge/api"
)

// What a client sent, and what was lost of it, is counted once for who sent it and once for everybody who gets it.
func TestFiguresOfAConference(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a", "b"} {
		w.join(id, nil, audioSource(id+"-a0", uint32(id[0])))
	}
	w.join("b.2", func(e *api.Endpoint) { e.Member = "b" })
	if w.bridge.Figures("another") != nil {
		t.Error("there are figures of a conference that is not there")
	}
	size, before := 0, w.bridge.Figures("c")
	for n := range 100 {
		if n%10 != 5 { // a tenth is lost
			p := in{ssrc: 'a', seq: uint16(n), timestamp: uint32(n) * 960, payload: 111, level: 30, body: make([]byte, 80)}
			size += len(p.bytes())
			w.send("a", p)
		}
		w.pass(20 * time.Millisecond)
	}
	list := w.bridge.Figures("c")
	if len(before) != 3 || len(list) != 3 || list[0].Endpoint != "a" || list[2].Endpoint != "b.2" || list[2].Member != "b" || list[1].Member != "b" {
		t.Fatalf("%+v", list)
	}
	if got, want := list[0].In, (api.Flow{Bytes: int64(size), Packets: 100, Lost: 10}); got != want || before[0].In != (api.Flow{}) {
		t.Errorf("from a: %+v, want %+v", got, want)
	}
	if got := list[1].Out.Bytes; got < 90*80 || list[1].In != (api.Flow{}) {
		t.Errorf("to b: %+v", list[1])
	}
	if list[0].Out.Bytes != 0 {
		t.Errorf("to a, whom nobody speaks to: %+v", list[0].Out)
	}
}
