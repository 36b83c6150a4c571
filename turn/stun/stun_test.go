package stun

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	pstun "github.com/pion/stun/v4"
)

var testID = ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVector is the request of RFC 5769 §2.4.
func TestVector(t *testing.T) {
	b := unhex(t, `00010060 2112a442 78ad3433c6ad72c029da412e
		00060012 e3839ee38388e383aae38383e382afe382b90000
		0015001c 662f2f3439396b3935346436 4f4c33346f4c3946 5354767936347341
		0014000b 6578616d706c652e6f726700
		00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666`)
	var m Message
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	if m.Method != Binding || m.Class != Request || string(m.Realm) != "example.org" || string(m.Nonce) != "f//499k954d6OL34oL9FSTvy64sA" {
		t.Errorf("read %+v", m)
	}
	key := md5.Sum([]byte(string(m.Username) + ":example.org:TheMatrIX"))
	if !m.Intact(key[:]) {
		t.Error("the integrity does not hold")
	}
	if key[0]++; m.Intact(key[:]) {
		t.Error("the integrity holds with another key")
	}
	w := New(nil, m.Method, m.Class, m.ID)
	w = Append(w, Username, m.Username)
	w = Append(w, Nonce, m.Nonce)
	w = Append(w, Realm, m.Realm)
	key[0]--
	if w = AppendIntegrity(w, key[:]); !bytes.Equal(w, b) {
		t.Errorf("written\n%x, want\n%x", w, b)
	}
}

// raw is an attribute whose parts need not fit one another.
func raw(typ, length uint16, value ...byte) []byte {
	return append([]byte{byte(typ >> 8), byte(typ), byte(length >> 8), byte(length)}, value...)
}

// message is an Allocate request with the attributes and a length that is right.
func message(attrs ...[]byte) []byte {
	b := append(New(nil, Allocate, Request, testID), bytes.Join(attrs, nil)...)
	b[2], b[3] = byte((len(b)-header)>>8), byte(len(b)-header)
	return b
}

func TestHT1ParseRefuses(t *testing.T) {
	whole := message(raw(0x0019, 4, 17, 0, 0, 0))
	with := func(i int, v byte) []byte {
		b := bytes.Clone(whole)
		b[i] = v
		return b
	}
	many := func(n int) []byte {
		b := New(nil, CreatePermission, Request, testID)
		for range n {
			b = AppendAddr(b, XORPeerAddress, netip.MustParseAddrPort("192.0.2.1:1"))
		}
		return b
	}
	printed := func(spoil byte) []byte {
		p, err := pstun.Build(pstun.BindingRequest, pstun.Fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		p.Raw[len(p.Raw)-1] ^= spoil
		return p.Raw
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrHeader},
		{"half a header", whole[:19], ErrHeader},
		{"ChannelData", with(0, 0x40), ErrHeader},
		{"DTLS", with(0, 0x16|0x80), ErrHeader},
		{"wrong cookie", with(4, 0x20), ErrHeader},
		{"length one more", with(3, 12), ErrLength},
		{"length one less", with(3, 4), ErrLength},
		{"length of odd padding", with(3, 7), ErrLength},
		{"bytes behind the message", append(bytes.Clone(whole), 0, 0, 0, 0), ErrLength},
		{"larger than anything of use", message(raw(0x8022, 2040, make([]byte, 2040)...)), ErrLength},
		{"attribute past the end", message(raw(0x0006, 5, 1, 2, 3, 4)), ErrAttribute},
		{"attribute of 65535 bytes", message(raw(0x0006, 65535, 1, 2, 3, 4)), ErrAttribute},
		{"attribute without padding", message(raw(0x0006, 3, 1, 2, 3))[:27], ErrLength},
		{"empty peer address", message(raw(0x0012, 0)), ErrSize},
		{"peer address of 4 bytes", message(raw(0x0012, 4, 0, 1, 2, 3)), ErrSize},
		{"IPv6 peer address of 8 bytes", message(raw(0x0012, 8, 0, 2, 0, 0, 0, 0, 0, 0)), ErrSize},
		{"IPv4 peer address of 20 bytes", message(raw(0x0012, 20, append([]byte{0, 1}, make([]byte, 18)...)...)), ErrSize},
		{"peer address of family 3", message(raw(0x0012, 8, 0, 3, 0, 0, 0, 0, 0, 0)), ErrSize},
		{"empty username", message(raw(0x0006, 0)), ErrSize},
		{"username of 509 bytes", message(raw(0x0006, 509, make([]byte, 512)...)), ErrSize},
		{"lifetime of 2 bytes", message(raw(0x000D, 2, 0, 0, 0, 0)), ErrSize},
		{"channel number of 2 bytes", message(raw(0x000C, 2, 0x40, 0, 0, 0)), ErrSize},
		{"integrity of 16 bytes", message(raw(0x0008, 16, make([]byte, 16)...)), ErrSize},
		{"65 attributes", many(65), ErrCount},
		{"wrong fingerprint", printed(1), ErrFingerprint},
		{"fingerprint that is not last", message(append(raw(0x8028, 4, 1, 2, 3, 4), raw(0x8022, 0)...)), ErrFingerprint},
		{"right message", whole, nil},
		{"right fingerprint", printed(0), nil},
		{"64 attributes", many(64), nil},
		{"unknown attribute of any size", message(raw(0x8022, 3, 1, 2, 3, 0)), nil},
	} {
		var m Message
		if err := m.Parse(c.b); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestParseReads(t *testing.T) {
	b := New(nil, ChannelBind, Request, testID)
	b = AppendUint32(b, ChannelNumber, 0x4001<<16)
	b = AppendAddr(b, XORPeerAddress, netip.MustParseAddrPort("192.0.2.1:1000"))
	b = AppendAddr(b, XORPeerAddress, netip.MustParseAddrPort("[2001:db8::7]:2000"))
	b = AppendAddr(b, XORPeerAddress, netip.MustParseAddrPort("[::ffff:192.0.2.1]:3"))
	b = AppendUint32(b, Lifetime, 600)
	b = AppendUint32(b, Lifetime, 700)
	b = Append(b, Attr(0x001A), "")
	b = Append(b, Attr(0x7000), "x")
	b = Append(b, Attr(0x8022), "ignored")
	b = AppendIntegrity(b, []byte("key"))
	b = AppendUint32(b, RequestedTransport, 17<<24)
	var m Message
	for range 2 { // the second time into the memory of the first
		if err := m.Parse(b); err != nil {
			t.Fatal(err)
		}
	}
	if m.Method != ChannelBind || m.Class != Request || m.ID != testID || m.Channel != 0x4001 || m.Lifetime != 600 {
		t.Errorf("read %+v", m)
	}
	if len(m.Peers) != 3 || m.Peers[0].String() != "192.0.2.1:1000" || m.Peers[1].String() != "[2001:db8::7]:2000" || !m.Peers[2].Addr().Is4In6() {
		t.Errorf("peers %v", m.Peers)
	}
	if len(m.Unknown) != 2 || m.Unknown[0] != 0x001A || m.Unknown[1] != 0x7000 {
		t.Errorf("unknown attributes %#x", m.Unknown)
	}
	if m.Has(RequestedTransport) || m.Has(Fingerprint) || !m.Has(Lifetime) || m.Has(Nonce) || m.Has(0x8022) {
		t.Error("Has is wrong")
	}
	if !m.Intact([]byte("key")) || m.Intact([]byte("kez")) {
		t.Error("Intact is wrong")
	}
	b[30] ^= 1
	if m.Intact([]byte("key")) {
		t.Error("Intact overlooks a change")
	}
}

// TestPionReadsWhatWeWrite compares with another implementation.
func TestPionReadsWhatWeWrite(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:3478", "[2001:db8::1]:65535"} {
		ap := netip.MustParseAddrPort(addr)
		b := New(nil, Allocate, Failure, testID)
		b = AppendAddr(b, XORMappedAddress, ap)
		b = AppendCode(b, 438)
		b = AppendUnknown(b, []Attr{0x1A, 0x7000, 0x7001})
		b = AppendIntegrity(b, []byte("key"))
		p := &pstun.Message{Raw: b}
		if err := p.Decode(); err != nil {
			t.Fatal(err)
		}
		var x pstun.XORMappedAddress
		var code pstun.ErrorCodeAttribute
		var unknown pstun.UnknownAttributes
		if err := errors.Join(x.GetFrom(p), code.GetFrom(p), unknown.GetFrom(p), pstun.MessageIntegrity("key").Check(p)); err != nil {
			t.Fatal(err)
		}
		if !x.IP.Equal(net.IP(ap.Addr().AsSlice())) || x.Port != int(ap.Port()) || code.Code != 438 || len(unknown) != 3 || p.Type.String() != "Allocate error response" {
			t.Errorf("pion read %v %v %v %v", p.Type, x, code, unknown)
		}
	}
}

func TestTypes(t *testing.T) {
	for v := range uint16(1 << 14) {
		m, c := split(v)
		if join(m, c) != v {
			t.Fatalf("type %#x becomes %#x", v, join(m, c))
		}
		var p pstun.MessageType
		p.ReadValue(v)
		if uint16(p.Method) != uint16(m) || byte(p.Class) != byte(c) {
			t.Fatalf("type %#x: method %#x class %d, want %v", v, m, c, p)
		}
	}
}

func TestHT7ChannelData(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		ok        bool
		data      string
	}{
		{"exact", "4000 0003 616263", true, "abc"},
		{"padded", "4fff 0003 616263 00", true, "abc"},
		{"empty", "4000 0000", true, ""},
		{"more padding than there can be", "4000 0003 616263 00000000", false, ""},
		{"length beyond the packet", "4000 0004 616263", false, ""},
		{"length of 65535", "4000 ffff 616263", false, ""},
		{"header cut", "4000 00", false, ""},
		{"reserved number", "5000 0000", false, ""},
		{"message", "0001 0000", false, ""},
	} {
		_, data, ok := ChannelData(unhex(t, c.hex))
		if ok != c.ok || string(data) != c.data {
			t.Errorf("%s: %q, %v", c.name, data, ok)
		}
	}
	for n := range 9 {
		b := AppendChannelData(nil, 0x4001, make([]byte, n), true)
		if size, err := Frame(b); err != nil || size != len(b) || size%4 != 0 {
			t.Errorf("%d bytes of data make a frame of %d bytes of %d, %v", n, size, len(b), err)
		}
	}
}

func TestHT6Frame(t *testing.T) {
	binding := New(nil, Binding, Request, testID)
	for _, c := range []struct {
		name string
		b    []byte
		n    int
		err  error
	}{
		{"nothing", nil, 0, nil},
		{"message", binding, 20, nil},
		{"message and more", append(bytes.Clone(binding), 9), 20, nil},
		{"start of a message", binding[:4], 20, nil},
		{"too little to say", binding[:3], 0, nil},
		{"ChannelData", []byte{0x40, 0, 0, 5}, 12, nil},
		{"ChannelData of giant length", []byte{0x40, 0, 0xFF, 0xFF}, 0, ErrFrame},
		{"message of giant length", []byte{0, 1, 0xFF, 0xFC}, 0, ErrFrame},
		{"message of length that wraps in 16 bits", []byte{0, 1, 0xFF, 0xF0}, 0, ErrFrame},
		{"message of odd length", []byte{0, 1, 0, 2}, 0, ErrFrame},
		{"message without cookie", []byte("\x00\x01\x00\x00abcd"), 0, ErrFrame},
		{"HTTP", []byte("GET / HTTP/1.1"), 0, ErrFrame},
		{"TLS", []byte{0x16, 3, 1}, 0, nil}, // looks like a message until the cookie
		{"TLS hello", []byte{0x16, 3, 1, 2, 0, 1, 0, 1}, 0, ErrFrame},
		{"reserved", []byte{0x80}, 0, ErrFrame},
	} {
		if n, err := Frame(c.b); n != c.n || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, n, err, c.n, c.err)
		}
	}
}

func TestReadingDoesNotAllocate(t *testing.T) {
	b := New(nil, Send, Indication, testID)
	b = AppendAddr(b, XORPeerAddress, netip.MustParseAddrPort("192.0.2.1:1000"))
	b = Append(b, Data, make([]byte, 1200))
	var m Message
	if n := testing.AllocsPerRun(100, func() {
		if m.Parse(b) != nil {
			t.Fatal("not parsed")
		}
	}); n != 0 {
		t.Errorf("%v allocations for a message", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(New(nil, Binding, Request, testID))
	f.Add(message(raw(0x0019, 4, 17, 0, 0, 0), raw(0x0012, 8, 0, 1, 1, 2, 3, 4, 5, 6), raw(0x0012, 0)))
	f.Add(AppendIntegrity(message(raw(0x0006, 3, 'a', 'b', 'c', 0), raw(0x0015, 1, 'n', 0, 0, 0)), []byte("key")))
	for _, attr := range []pstun.Setter{pstun.NewSoftware("x"), pstun.CodeStaleNonce, pstun.UnknownAttributes{1, 2}, pstun.Fingerprint} {
		if p, err := pstun.Build(pstun.TransactionID, pstun.BindingError, attr); err == nil {
			f.Add(p.Raw)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		b = b[:len(b):len(b)] // a read past the end has to be seen
		var m Message
		if m.Parse(b) != nil {
			return
		}
		if n, err := Frame(b); n != len(b) || err != nil {
			t.Fatalf("a message of %d bytes is a frame of %d, %v", len(b), n, err)
		}
		m.Intact([]byte("key"))
		p := &pstun.Message{Raw: b}
		if err := p.Decode(); err != nil {
			t.Fatalf("taken, but not by pion: %v", err)
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
		// What has been read and is written again reads the same.
		w := New(nil, m.Method, m.Class, m.ID)
		for _, peer := range m.Peers {
			w = AppendAddr(w, XORPeerAddress, peer)
		}
		if m.Has(Username) {
			w = Append(w, Username, m.Username)
		}
		w = AppendUint32(w, Lifetime, m.Lifetime)
		var again Message
		if err := again.Parse(w); err != nil || again.Method != m.Method || again.Class != m.Class || len(again.Peers) != len(m.Peers) ||
			string(again.Username) != string(m.Username) || again.Lifetime != m.Lifetime {
			t.Fatalf("%+v was written as %+v, %v", m, again, err)
		}
		for i, peer := range m.Peers {
			if again.Peers[i] != peer {
				t.Fatalf("peer %v was written as %v", peer, again.Peers[i])
			}
		}
	})
}

// FuzzFrame cuts a stream in any way: the frames are the same as in one piece.
func FuzzFrame(f *testing.F) {
	binding := New(nil, Binding, Request, testID)
	data := AppendChannelData(nil, 0x4001, []byte("hello"), true)
	f.Add(bytes.Join([][]byte{binding, data, data, binding}, nil), uint64(1))
	f.Add(append(bytes.Clone(data), 0xFF), uint64(2))
	f.Add([]byte{0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42}, uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		whole, errWhole := frames(b, func(rest int) int { return rest })
		r := rand.New(rand.NewPCG(seed, 0))
		cut, errCut := frames(b, func(rest int) int { return 1 + r.IntN(min(rest, 50)) })
		if len(cut) != len(whole) || (errWhole == nil) != (errCut == nil) {
			t.Fatalf("%d frames, %v in one piece; %d frames, %v in pieces", len(whole), errWhole, len(cut), errCut)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], cut[i]) || len(whole[i]) > MaxMessage || len(whole[i]) < 4 {
				t.Fatalf("frame %d is %x in one piece and %x in pieces", i, whole[i], cut[i])
			}
		}
	})
}

// frames reads a stream in pieces as large as piece says.
func frames(b []byte, piece func(rest int) int) (out [][]byte, err error) {
	var have []byte
	for len(b) > 0 {
		n := piece(len(b))
		have, b = append(have, b[:n]...), b[n:]
		for {
			size, err := Frame(have)
			if err != nil {
				return out, err
			}
			if size == 0 || size > len(have) {
				break
			}
			out = append(out, bytes.Clone(have[:size]))
			have = have[size:]
		}
	}
	return out, nil
}
