package stun

import (
	"net/netip"
	"testing"
)

// sendIndication is what a TURN client sends: 1,200 bytes for a peer.
func sendIndication() []byte {
	w := Write(nil, Send, Indication, testID)
	w.Addr(XORPeerAddress, netip.MustParseAddrPort("192.0.2.1:1000"))
	w.Bytes(Data, make([]byte, 1200))
	return w.Buffer()
}

func TestNeitherReadingNorWritingAllocates(t *testing.T) {
	k, check, send := NewKey(password), unhex(t, vectorRequest), sendIndication()
	strange := message(raw(0x7000, 0), raw(0x7001, 0))
	buf := make([]byte, 0, 2000)
	addr := netip.MustParseAddrPort("[2001:db8::7]:1")
	var reused Message
	if n := testing.AllocsPerRun(100, func() {
		var m Message
		if m.Parse(check, ICE) != nil || !k.Made(&m) || m.Parse(strange, ICE) != nil || reused.Parse(send, TURN) != nil {
			t.Fatal("not taken")
		}
		w := Write(buf, Binding, Success, m.ID)
		w.Addr(XORMappedAddress, addr)
		w.Code(420)
		w.Unknown(m.Unknown())
		w.String(Realm, "example.org")
		w.Integrity(k)
		w.Fingerprint()
		w = Write(w.Buffer(), DataIndication, Indication, m.ID)
		w.Addr(XORPeerAddress, reused.Peers[0])
		w.Bytes(Data, reused.Data)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse(b *testing.B) {
	v := unhex(b, vectorRequest)
	b.ReportAllocs()
	for b.Loop() {
		var m Message
		if m.Parse(v, ICE) != nil {
			b.Fatal()
		}
	}
}

func BenchmarkParseSend(b *testing.B) {
	v := sendIndication()
	var m Message
	b.ReportAllocs()
	for b.Loop() {
		if m.Parse(v, TURN) != nil {
			b.Fatal()
		}
	}
}

func BenchmarkIntegrity(b *testing.B) {
	v, k := unhex(b, vectorRequest), NewKey(password)
	var m Message
	if m.Parse(v, ICE) != nil {
		b.Fatal()
	}
	b.ReportAllocs()
	for b.Loop() {
		if !k.Made(&m) {
			b.Fatal()
		}
	}
}

// BenchmarkOnce is what an authenticated request of TURN costs: a key that checks it and makes the answer.
func BenchmarkOnce(b *testing.B) {
	v := unhex(b, vectorRequest)
	buf := make([]byte, 0, 200)
	var m Message
	if m.Parse(v, ICE) != nil {
		b.Fatal()
	}
	b.ReportAllocs()
	for b.Loop() {
		k := NewKey(password)
		w := Write(buf, Binding, Success, m.ID)
		if w.Integrity(k); !k.Made(&m) {
			b.Fatal()
		}
	}
}
