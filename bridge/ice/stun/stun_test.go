package stun

import (
	"bytes"
	"encoding/hex"
	"errors"
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

// The vectors of RFC 5769 §2.1, §2.2 and §2.3.
const (
	password      = "VOkJxbRl1RmTxUk/WvJxBt"
	vectorRequest = `00010058 2112a442 b7e7a701bc34d686fa87dfae
		80220010 5354554e207465737420636c69656e74
		00240004 6e0001ff
		80290008 932ff9b151263b36
		00060009 6576746a3a68367659202020
		00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
		80280004 e57a3bcf`
	vectorIPv4 = `0101003c 2112a442 b7e7a701bc34d686fa87dfae
		8022000b 7465737420766563746f7220
		00200008 0001a147e112a643
		00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
		80280004 c07d4c96`
	vectorIPv6 = `01010048 2112a442 b7e7a701bc34d686fa87dfae
		8022000b 7465737420766563746f7220
		00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
		00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
		80280004 c8fb0b4c`
)

func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		check     func(*Message) bool
	}{
		{"request", vectorRequest, func(m *Message) bool {
			return m.Class == Request && string(m.Username) == "evtj:h6vY" && m.Priority == 0x6e0001ff && m.Has(Controlled) && !m.Has(Controlling) &&
				m.TieBreaker == 0x932ff9b151263b36 && !m.Has(UseCandidate)
		}},
		{"IPv4 response", vectorIPv4, func(m *Message) bool {
			return m.Class == Success && m.Mapped == netip.MustParseAddrPort("192.0.2.1:32853")
		}},
		{"IPv6 response", vectorIPv6, func(m *Message) bool {
			return m.Class == Success && m.Mapped == netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			var m Message
			if err := m.Parse(b); err != nil {
				t.Fatal(err)
			}
			if m.Method != Binding || !m.Has(Fingerprint) || len(m.Unknown()) != 0 || !c.check(&m) {
				t.Errorf("read %+v", m)
			}
			k := NewKey(password)
			for range 2 { // the key is used again
				if !k.Made(&m) {
					t.Error("the integrity does not hold")
				}
			}
			if NewKey(password + "x").Made(&m) {
				t.Error("the integrity holds with another password")
			}
			for i := range b {
				spoilt := bytes.Clone(b)
				spoilt[i] ^= 0x40
				if m.Parse(spoilt) == nil && k.Made(&m) && m.Has(Fingerprint) {
					t.Errorf("a change of byte %d passes", i)
				}
			}
		})
	}
}

// TestWritesWhatItReads writes the attributes of the vectors that a check and an answer of ours have, and reads them.
func TestWritesWhatItReads(t *testing.T) {
	k := NewKey(password)
	for _, mapped := range []string{"192.0.2.1:32853", "[2001:db8::7]:1", "[::ffff:192.0.2.1]:9"} {
		before := []byte("what the buffer held")
		w := Write(bytes.Clone(before), Success, testID)
		w.Mapped(netip.MustParseAddrPort(mapped))
		w.Integrity(k)
		w.Fingerprint()
		b, ok := bytes.CutPrefix(w.Buffer(), before)
		var m Message
		if err := m.Parse(b); !ok || err != nil || m.Mapped.String() != mapped || !k.Made(&m) || m.ID != testID {
			t.Errorf("%s: %+v, %v", mapped, m, err)
		}
	}
	w := Write(nil, Request, testID)
	w.String(Username, "abcd:efghi")
	w.Uint32(Priority, 77)
	w.Uint64(Controlling, 1<<63+5)
	w.Flag(UseCandidate)
	w.Integrity(k)
	w.Fingerprint()
	var m Message
	if err := m.Parse(w.Buffer()); err != nil || string(m.Username) != "abcd:efghi" || m.Priority != 77 || m.TieBreaker != 1<<63+5 || !m.Has(UseCandidate) || !k.Made(&m) {
		t.Errorf("%+v, %v", m, err)
	}
}

func raw(typ, length uint16, value ...byte) []byte {
	return append([]byte{byte(typ >> 8), byte(typ), byte(length >> 8), byte(length)}, value...)
}

// message is a request with the attributes and a length that is right.
func message(attrs ...[]byte) []byte {
	w := Write(nil, Request, testID)
	b := append(w.Buffer(), bytes.Join(attrs, nil)...)
	b[2], b[3] = byte((len(b)-header)>>8), byte(len(b)-header)
	return b
}

func printed(w Writer) []byte {
	w.Fingerprint()
	return w.Buffer()
}

func TestParseRefuses(t *testing.T) {
	whole := message(raw(0x0024, 4, 1, 2, 3, 4))
	with := func(i int, v byte) []byte {
		b := bytes.Clone(whole)
		b[i] = v
		return b
	}
	spoilt := printed(Write(nil, Request, testID))
	spoilt[len(spoilt)-1]++
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrHeader},
		{"half a header", whole[:19], ErrHeader},
		{"RTP", with(0, 0x80), ErrHeader},
		{"ChannelData", with(0, 0x40), ErrHeader},
		{"wrong cookie", with(4, 0x20), ErrHeader},
		{"length one more", with(3, 12), ErrLength},
		{"length one less", with(3, 4), ErrLength},
		{"length of odd padding", with(3, 7), ErrLength},
		{"bytes behind the message", append(bytes.Clone(whole), 0, 0, 0, 0), ErrLength},
		{"larger than any check", message(raw(0x8022, 1300, make([]byte, 1300)...)), ErrLength},
		{"attribute past the end", message(raw(0x0006, 5, 1, 2, 3, 4)), ErrAttribute},
		{"attribute of 65535 bytes", message(raw(0x0006, 65535, 1, 2, 3, 4)), ErrAttribute},
		{"empty USERNAME", message(raw(0x0006, 0)), ErrSize},
		{"USERNAME of 600", message(raw(0x0006, 600, make([]byte, 600)...)), ErrSize},
		{"PRIORITY of 8", message(raw(0x0024, 8, 1, 2, 3, 4, 5, 6, 7, 8)), ErrSize},
		{"USE-CANDIDATE with a value", message(raw(0x0025, 4, 1, 2, 3, 4)), ErrSize},
		{"ICE-CONTROLLING of 4", message(raw(0x802A, 4, 1, 2, 3, 4)), ErrSize},
		{"MESSAGE-INTEGRITY of 4", message(raw(0x0008, 4, 1, 2, 3, 4)), ErrSize},
		{"address of no bytes", message(raw(0x0020, 0)), ErrSize},
		{"IPv4 address of IPv6 size", message(raw(0x0020, 20, append([]byte{0, 1}, make([]byte, 18)...)...)), ErrSize},
		{"address of family 3", message(raw(0x0020, 8, 0, 3, 1, 1, 1, 1, 1, 1)), ErrSize},
		{"both roles", message(raw(0x8029, 8, make([]byte, 8)...), raw(0x802A, 8, make([]byte, 8)...)), ErrRole},
		{"33 attributes", message(bytes.Repeat(raw(0x8022, 0), 33)), ErrCount},
		{"wrong fingerprint", spoilt, ErrFingerprint},
		{"fingerprint not last", message(raw(0x8028, 4, 1, 2, 3, 4), raw(0x8022, 0)), ErrFingerprint},
	} {
		var m Message
		if err := m.Parse(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestBehindIntegrityNothingIsRead(t *testing.T) {
	w := Write(nil, Request, testID)
	w.String(Username, "a:b")
	w.Integrity(NewKey(password))
	w.Flag(UseCandidate)
	w.Uint32(0x7000, 1)
	w.Fingerprint()
	var m Message
	if err := m.Parse(w.Buffer()); err != nil || m.Has(UseCandidate) || len(m.Unknown()) != 0 || !NewKey(password).Made(&m) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestUnknownAttributesAreNamed(t *testing.T) {
	var m Message
	if err := m.Parse(message(raw(0x7000, 0), raw(0x8123, 0), raw(0x7001, 0), raw(0x7002, 0), raw(0x7003, 0), raw(0x7004, 0))); err != nil {
		t.Fatal(err)
	}
	if u := m.Unknown(); len(u) != 4 || u[0] != 0x7000 || u[1] != 0x7001 || u[3] != 0x7003 {
		t.Errorf("unknown %#x", u)
	}
}

func TestIs(t *testing.T) {
	whole := message()
	for _, c := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"message", whole, true}, {"nothing", nil, false}, {"short", whole[:19], false}, {"RTP", append([]byte{0x80}, whole[1:]...), false},
		{"DTLS", append([]byte{22}, whole[1:]...), false}, {"no cookie", make([]byte, 30), false},
	} {
		if Is(c.b) != c.want {
			t.Error(c.name)
		}
	}
}

// TestPionReadsWhatWeWrite compares with another implementation.
func TestPionReadsWhatWeWrite(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:3478", "[2001:db8::1]:65535"} {
		ap := netip.MustParseAddrPort(addr)
		w := Write(nil, Failure, testID)
		w.Mapped(ap)
		w.Code(487)
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
		if !x.IP.Equal(net.IP(ap.Addr().AsSlice())) || x.Port != int(ap.Port()) || code.Code != 487 || len(unknown) != 3 || p.Type.String() != "Binding error response" {
			t.Errorf("pion read %v %v %v %v", p.Type, x, code, unknown)
		}
		var m Message
		if err := m.Parse(w.Buffer()); err != nil || m.Code != 487 || m.Class != Failure {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

func TestTypes(t *testing.T) {
	for v := range uint16(1 << 14) {
		m, c := split(v)
		if join(m, c) != v {
			t.Fatalf("type %#x becomes %#x", v, join(m, c))
		}
	}
}

func TestNeitherReadingNorWritingAllocates(t *testing.T) {
	k, b := NewKey(password), unhex(t, vectorRequest)
	buf := make([]byte, 0, 200)
	addr := netip.MustParseAddrPort("192.0.2.1:1")
	if n := testing.AllocsPerRun(100, func() {
		var m Message
		if m.Parse(b) != nil || !k.Made(&m) {
			t.Fatal("not taken")
		}
		w := Write(buf, Success, m.ID)
		w.Mapped(addr)
		w.Integrity(k)
		w.Fingerprint()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range []string{vectorRequest, vectorIPv4, vectorIPv6} {
		f.Add(unhex(f, v))
	}
	f.Add(message(raw(0x0020, 8, 0, 1, 1, 2, 3, 4, 5, 6), raw(0x7000, 0), raw(0x0020, 8, 0, 1, 1, 2, 3, 4, 5, 6)))
	for _, attr := range []pstun.Setter{pstun.NewSoftware("x"), pstun.CodeRoleConflict, pstun.UnknownAttributes{1, 2}, pstun.Fingerprint} {
		if p, err := pstun.Build(pstun.TransactionID, pstun.BindingError, attr); err == nil {
			f.Add(p.Raw)
		}
	}
	k := NewKey(password)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		b = b[:len(b):len(b)] // a read past the end has to be seen
		before := bytes.Clone(b)
		var m Message
		if m.Parse(b) != nil {
			return
		}
		k.Made(&m)
		if !bytes.Equal(b, before) {
			t.Fatal("the bytes were changed")
		}
		p := &pstun.Message{Raw: b}
		if err := p.Decode(); err != nil {
			t.Fatalf("taken, but not by pion: %v", err)
		}
		if p.Contains(pstun.AttrMessageIntegrity) && m.Has(MessageIntegrity) != true {
			t.Fatal("an integrity was overlooked")
		}
		// What has been read and is written again reads the same.
		w := Write(nil, m.Class, m.ID)
		if m.Has(Username) {
			w.String(Username, string(m.Username))
		}
		if m.Has(XORMappedAddress) {
			w.Mapped(m.Mapped)
		}
		w.Uint32(Priority, m.Priority)
		w.Unknown(m.Unknown())
		w.Integrity(k)
		w.Fingerprint()
		var again Message
		if err := again.Parse(w.Buffer()); err != nil || again.Class != m.Class || string(again.Username) != string(m.Username) ||
			again.Mapped != m.Mapped || again.Priority != m.Priority || !k.Made(&again) {
			t.Fatalf("%+v was written as %+v, %v", m, again, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	v := unhex(b, vectorRequest)
	b.ReportAllocs()
	for b.Loop() {
		var m Message
		if m.Parse(v) != nil {
			b.Fatal()
		}
	}
}

func BenchmarkIntegrity(b *testing.B) {
	v, k := unhex(b, vectorRequest), NewKey(password)
	var m Message
	if m.Parse(v) != nil {
		b.Fatal()
	}
	b.ReportAllocs()
	for b.Loop() {
		if !k.Made(&m) {
			b.Fatal()
		}
	}
}
