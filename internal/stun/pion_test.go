package stun

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	pstun "github.com/pion/stun/v4"
)

// TestPionReadsWhatWeWrite compares with another implementation.
func TestPionReadsWhatWeWrite(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:3478", "[2001:db8::1]:65535"} {
		ap := netip.MustParseAddrPort(addr)
		w := Write(nil, Allocate, Failure, testID)
		w.Addr(XORMappedAddress, ap)
		w.Code(438)
		w.Unknown([]Attr{0x1A, 0x7000, 0x7001})
		w.Integrity(NewKey("key"))
		w.Fingerprint()
		p := &pstun.Message{Raw: w.Buffer()}
		if err := p.Decode(); err != nil {
			t.Fatal(err)
		}
		var x pstun.XORMappedAddress
		var code pstun.ErrorCodeAttribute
		var unknown pstun.UnknownAttributes
		if err := errors.Join(x.GetFrom(p), code.GetFrom(p), unknown.GetFrom(p), pstun.MessageIntegrity("key").Check(p), pstun.Fingerprint.Check(p)); err != nil {
			t.Fatal(err)
		}
		if !x.IP.Equal(net.IP(ap.Addr().AsSlice())) || x.Port != int(ap.Port()) || code.Code != 438 || len(unknown) != 3 || p.Type.String() != "Allocate error response" {
			t.Errorf("pion read %v %v %v %v", p.Type, x, code, unknown)
		}
		for _, u := range []*Usage{ICE, TURN} {
			var m Message
			if err := m.Parse(w.Buffer(), u); err != nil || m.Code != 438 || m.Class != Failure || m.Method != Allocate || m.Mapped != ap {
				t.Errorf("%+v, %v", m, err)
			}
		}
	}
}

// FuzzParse reads any bytes for both usages. What is taken is taken by pion too and is one frame of a stream, what is written
// from it reads the same, and the bytes stay as they are.
func FuzzParse(f *testing.F) {
	for _, v := range []string{vectorRequest, vectorIPv4, vectorIPv6, vectorLongTerm} {
		f.Add(unhex(f, v))
	}
	f.Add(begin(Binding))
	f.Add(message(raw(XORMappedAddress, 8, 0, 1, 1, 2, 3, 4, 5, 6), raw(0x7000, 0), raw(XORMappedAddress, 8, 0, 1, 1, 2, 3, 4, 5, 6)))
	f.Add(message(raw(RequestedTransport, 4, 17, 0, 0, 0), raw(XORPeerAddress, 8, 0, 1, 1, 2, 3, 4, 5, 6), raw(XORPeerAddress, 0)))
	w := Write(nil, CreatePermission, Request, testID)
	w.String(Username, "abc")
	w.String(Nonce, "n")
	w.Addr(XORPeerAddress, netip.MustParseAddrPort("[2001:db8::7]:2000"))
	w.Integrity(NewKey(password))
	f.Add(w.Buffer())
	for _, attr := range []pstun.Setter{pstun.NewSoftware("x"), pstun.CodeStaleNonce, pstun.CodeRoleConflict, pstun.UnknownAttributes{1, 2}, pstun.Fingerprint} {
		if p, err := pstun.Build(pstun.TransactionID, pstun.BindingError, attr); err == nil {
			f.Add(p.Raw)
		}
	}
	k := NewKey(password)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		b = b[:len(b):len(b)] // a read past the end has to be seen
		for _, u := range []*Usage{ICE, TURN} {
			before := bytes.Clone(b)
			var m Message
			if m.Parse(b, u) != nil {
				continue
			}
			k.Made(&m)
			if !bytes.Equal(b, before) {
				t.Fatal("the bytes were changed")
			}
			if n, err := Frame(b); n != len(b) || err != nil {
				t.Fatalf("a message of %d bytes is a frame of %d, %v", len(b), n, err)
			}
			comparePion(t, b, &m, u)
			rewrite(t, &m, u, k)
		}
	})
}

// comparePion reads with pion what was taken.
func comparePion(t *testing.T, b []byte, m *Message, u *Usage) {
	p := &pstun.Message{Raw: b}
	if err := p.Decode(); err != nil {
		t.Fatalf("taken, but not by pion: %v", err)
	}
	// Not the other way round: pion leaves out what stands behind MESSAGE-INTEGRITY-SHA256, which is unknown here.
	if p.Contains(pstun.AttrMessageIntegrity) && !m.Has(MessageIntegrity) || p.Contains(pstun.AttrFingerprint) && !m.Has(Fingerprint) {
		t.Fatal("an integrity or a fingerprint was overlooked")
	}
	if u != TURN {
		return
	}
	p.ForEach(pstun.AttrXORPeerAddress, func(p *pstun.Message) error { // the panic of reliability.md E3 lay here
		var x pstun.XORMappedAddress
		// Pion takes the reserved first byte for part of the family, the RFC says to ignore it.
		if v, _ := p.Get(pstun.AttrXORPeerAddress); v[0] != 0 {
			return nil
		}
		if err := x.GetFromAs(p, pstun.AttrXORPeerAddress); err != nil {
			t.Fatalf("peer address taken, but not by pion: %v", err)
		}
		return nil
	})
}

// rewrite writes what has been read and reads that.
func rewrite(t *testing.T, m *Message, u *Usage, k *Key) {
	w := Write(nil, m.Method, m.Class, m.ID)
	for _, peer := range m.Peers {
		w.Addr(XORPeerAddress, peer)
	}
	if m.Has(Username) {
		w.Bytes(Username, m.Username)
	}
	if m.Has(XORMappedAddress) {
		w.Addr(XORMappedAddress, m.Mapped)
	}
	if u == TURN {
		w.Uint32(Lifetime, m.Lifetime)
	} else {
		w.Uint32(Priority, m.Priority)
	}
	w.Unknown(m.Unknown())
	for _, typ := range m.Unknown() {
		w.Flag(typ)
	}
	w.Integrity(k)
	w.Fingerprint()
	if len(w.Buffer()) > u.message {
		return
	}
	var again Message
	err := again.Parse(w.Buffer(), u)
	if errors.Is(err, ErrCount) {
		return
	}
	if err != nil || again.Method != m.Method || again.Class != m.Class || again.ID != m.ID || !bytes.Equal(again.Username, m.Username) || again.Mapped != m.Mapped ||
		again.Priority != m.Priority || again.Lifetime != m.Lifetime || !slices.Equal(again.Peers, m.Peers) || !slices.Equal(again.Unknown(), m.Unknown()) ||
		!k.Made(&again) {
		t.Fatalf("%+v was written as %+v, %v", m, again, err)
	}
}
