package stun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	pstun "github.com/pion/stun/v4"
)

var testID = ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

// raw is an attribute whose parts need not fit one another.
func raw(typ Attr, length int, value ...byte) []byte {
	return append([]byte{byte(typ >> 8), byte(typ), byte(length >> 8), byte(length)}, value...)
}

// begin is a request without attributes.
func begin(m Method) []byte {
	w := Write(nil, m, Request, testID)
	return w.Buffer()
}

// message is a Binding request with the attributes and a length that is right.
func message(attrs ...[]byte) []byte {
	b := append(begin(Binding), bytes.Join(attrs, nil)...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-header))
	return b
}

// TestHT1ParseRefuses says for each message what it is for a usage: those that name none are the same for both.
func TestHT1ParseRefuses(t *testing.T) {
	whole := message(raw(Username, 4, 'a', 'b', ':', 'c'))
	with := func(i int, v byte) []byte {
		b := bytes.Clone(whole)
		b[i] = v
		return b
	}
	zeros := func(n int) []byte { return make([]byte, n) }
	printed := func(spoil byte) []byte {
		w := Write(nil, Binding, Request, testID)
		w.Fingerprint()
		b := w.Buffer()
		b[len(b)-1] ^= spoil
		return b
	}
	both := []*Usage{ICE, TURN}
	for _, c := range []struct {
		name   string
		usages []*Usage
		b      []byte
		want   error
	}{
		{"nothing", both, nil, ErrHeader},
		{"half a header", both, whole[:19], ErrHeader},
		{"ChannelData", both, with(0, 0x40), ErrHeader},
		{"RTP", both, with(0, 0x80), ErrHeader},
		{"wrong cookie", both, with(4, 0x20), ErrHeader},
		{"length one more", both, with(3, 12), ErrLength},
		{"length one less", both, with(3, 4), ErrLength},
		{"length of odd padding", both, with(3, 7), ErrLength},
		{"bytes behind the message", both, append(bytes.Clone(whole), 0, 0, 0, 0), ErrLength},
		{"attribute without padding", both, message(raw(Username, 3, 1, 2, 3))[:27], ErrLength},
		{"larger than any check", []*Usage{ICE}, message(raw(0x8022, 1260, zeros(1260)...)), ErrLength},
		{"larger than anything of use", []*Usage{TURN}, message(raw(0x8022, 2028, zeros(2028)...)), ErrLength},
		{"attribute past the end", both, message(raw(Username, 5, 1, 2, 3, 4)), ErrAttribute},
		{"attribute of 65535 bytes", both, message(raw(Username, 65535, 1, 2, 3, 4)), ErrAttribute},
		{"empty USERNAME", both, message(raw(Username, 0)), ErrSize},
		{"USERNAME of 514 bytes", []*Usage{ICE}, message(raw(Username, 514, zeros(516)...)), ErrSize},
		{"USERNAME of 509 bytes", []*Usage{TURN}, message(raw(Username, 509, zeros(512)...)), ErrSize},
		{"MESSAGE-INTEGRITY of 16 bytes", both, message(raw(MessageIntegrity, 16, zeros(16)...)), ErrSize},
		{"ERROR-CODE of 2 bytes", both, message(raw(ErrorCode, 2, zeros(4)...)), ErrSize},
		{"UNKNOWN-ATTRIBUTES of 3 bytes", both, message(raw(UnknownAttributes, 3, zeros(4)...)), ErrSize},
		{"address of no bytes", both, message(raw(XORMappedAddress, 0)), ErrSize},
		{"address of 4 bytes", both, message(raw(XORMappedAddress, 4, 0, 1, 2, 3)), ErrSize},
		{"IPv6 address of 8 bytes", both, message(raw(XORMappedAddress, 8, 0, 2, 0, 0, 0, 0, 0, 0)), ErrSize},
		{"IPv4 address of 20 bytes", both, message(raw(XORMappedAddress, 20, append([]byte{0, 1}, zeros(18)...)...)), ErrSize},
		{"address of family 3", both, message(raw(XORMappedAddress, 8, 0, 3, 0, 0, 0, 0, 0, 0)), ErrSize},
		{"empty peer address", []*Usage{TURN}, message(raw(XORPeerAddress, 0)), ErrSize},
		{"LIFETIME of 2 bytes", []*Usage{TURN}, message(raw(Lifetime, 2, 0, 0, 0, 0)), ErrSize},
		{"CHANNEL-NUMBER of 2 bytes", []*Usage{TURN}, message(raw(ChannelNumber, 2, 0x40, 0, 0, 0)), ErrSize},
		{"EVEN-PORT of no bytes", []*Usage{TURN}, message(raw(EvenPort, 0)), ErrSize},
		{"RESERVATION-TOKEN of 4 bytes", []*Usage{TURN}, message(raw(ReservationToken, 4, zeros(4)...)), ErrSize},
		{"empty NONCE", []*Usage{TURN}, message(raw(Nonce, 0)), ErrSize},
		{"REALM of 764 bytes", []*Usage{TURN}, message(raw(Realm, 764, zeros(764)...)), ErrSize},
		{"PRIORITY of 8 bytes", []*Usage{ICE}, message(raw(Priority, 8, zeros(8)...)), ErrSize},
		{"USE-CANDIDATE with a value", []*Usage{ICE}, message(raw(UseCandidate, 4, 1, 2, 3, 4)), ErrSize},
		{"ICE-CONTROLLING of 4 bytes", []*Usage{ICE}, message(raw(Controlling, 4, 1, 2, 3, 4)), ErrSize},
		{"both roles", []*Usage{ICE}, message(raw(Controlled, 8, zeros(8)...), raw(Controlling, 8, zeros(8)...)), ErrRole},
		{"wrong size behind the integrity", both, message(raw(MessageIntegrity, 20, zeros(20)...), raw(XORMappedAddress, 0)), ErrSize},
		{"33 attributes", []*Usage{ICE}, message(bytes.Repeat(raw(0x8022, 0), 33)), ErrCount},
		{"65 attributes", []*Usage{TURN}, message(bytes.Repeat(raw(0x8022, 0), 65)), ErrCount},
		{"wrong fingerprint", both, printed(1), ErrFingerprint},
		{"fingerprint that is not last", both, message(raw(Fingerprint, 4, 1, 2, 3, 4), raw(0x8022, 0)), ErrFingerprint},

		{"right message", both, whole, nil},
		{"right fingerprint", both, printed(0), nil},
		{"unknown attribute of any size", both, message(raw(0x8022, 3, 1, 2, 3, 0)), nil},
		{"as large as may be", []*Usage{ICE}, message(raw(0x8022, 1256, zeros(1256)...)), nil},
		{"as large as may be", []*Usage{TURN}, message(raw(0x8022, 2024, zeros(2024)...)), nil},
		{"32 attributes", []*Usage{ICE}, message(bytes.Repeat(raw(0x8022, 0), 32)), nil},
		{"64 attributes", []*Usage{TURN}, message(bytes.Repeat(raw(0x8022, 0), 64)), nil},
		{"USERNAME of 513 bytes", []*Usage{ICE}, message(raw(Username, 513, zeros(516)...)), nil},
		{"USERNAME of 508 bytes", []*Usage{TURN}, message(raw(Username, 508, zeros(508)...)), nil},
		{"PRIORITY, which is not TURN's", []*Usage{TURN}, message(raw(Priority, 0)), nil},
		{"both roles, which are not TURN's", []*Usage{TURN}, message(raw(Controlled, 8, zeros(8)...), raw(Controlling, 0)), nil},
		{"LIFETIME, which is not ICE's", []*Usage{ICE}, message(raw(Lifetime, 0)), nil},
	} {
		for _, u := range c.usages {
			var m Message
			if err := m.Parse(c.b, u); !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%s: %v, want %v; ICE: %v", c.name, err, c.want, u == ICE)
			}
		}
	}
}

func TestParseReads(t *testing.T) {
	w := Write(nil, ChannelBind, Request, testID)
	w.Uint32(ChannelNumber, 0x4001<<16)
	w.Addr(XORPeerAddress, netip.MustParseAddrPort("192.0.2.1:1000"))
	w.Addr(XORPeerAddress, netip.MustParseAddrPort("[2001:db8::7]:2000"))
	w.Addr(XORPeerAddress, netip.MustParseAddrPort("[::ffff:192.0.2.1]:3"))
	w.Addr(XORRelayedAddress, netip.MustParseAddrPort("192.0.2.2:4"))
	w.Uint32(Lifetime, 600)
	w.Uint32(Lifetime, 700)
	w.Uint32(RequestedAddressFamily, IPv6<<24)
	w.Bytes(EvenPort, []byte{0x80})
	w.String(ReservationToken, "12345678")
	w.String(Data, "data")
	w.Flag(0x001A)
	w.String(0x7000, "x")
	w.Uint32(Priority, 1)
	w.String(0x8022, "ignored")
	w.Integrity(NewKey("key"))
	w.Uint32(RequestedTransport, 17<<24)
	b := w.Buffer()
	var m Message
	for range 2 { // the second time into the memory of the first
		if err := m.Parse(b, TURN); err != nil {
			t.Fatal(err)
		}
	}
	if m.Method != ChannelBind || m.Class != Request || m.ID != testID || m.Channel != 0x4001 || m.Lifetime != 600 || m.Family != IPv6 ||
		m.EvenPort != 0x80 || string(m.Token) != "12345678" || string(m.Data) != "data" || m.Relayed.String() != "192.0.2.2:4" || m.Priority != 0 {
		t.Errorf("read %+v", m)
	}
	if len(m.Peers) != 3 || m.Peers[0].String() != "192.0.2.1:1000" || m.Peers[1].String() != "[2001:db8::7]:2000" || !m.Peers[2].Addr().Is4In6() {
		t.Errorf("peers %v", m.Peers)
	}
	if !slices.Equal(m.Unknown(), []Attr{0x001A, 0x7000, Priority}) {
		t.Errorf("unknown attributes %#x", m.Unknown())
	}
	if m.Has(RequestedTransport) || m.Has(Fingerprint) || !m.Has(Lifetime) || m.Has(Nonce) || m.Has(0x8022) || m.Has(Priority) || m.Has(0x0040) {
		t.Error("Has is wrong")
	}
	if k := NewKey("key"); !k.Made(&m) || NewKey("kez").Made(&m) {
		t.Error("Made is wrong")
	}
	b[30] ^= 1
	if NewKey("key").Made(&m) {
		t.Error("Made overlooks a change")
	}
	if err := m.Parse(begin(Binding), ICE); err != nil || len(m.Peers) != 0 || len(m.Unknown()) != 0 || m.Data != nil || m.Has(Lifetime) {
		t.Errorf("of the message before there is left %+v, %v", m, err)
	}
}

// TestWritesWhatItReads writes a check and answers, behind what the buffer held, and reads them.
func TestWritesWhatItReads(t *testing.T) {
	k := NewKey(password)
	for _, mapped := range []string{"192.0.2.1:32853", "[2001:db8::7]:1", "[::ffff:192.0.2.1]:9"} {
		before := []byte("what the buffer held")
		w := Write(bytes.Clone(before), Binding, Success, testID)
		w.Addr(XORMappedAddress, netip.MustParseAddrPort(mapped))
		w.Integrity(k)
		w.Fingerprint()
		b, ok := bytes.CutPrefix(w.Buffer(), before)
		var m Message
		if err := m.Parse(b, ICE); !ok || err != nil || m.Mapped.String() != mapped || !k.Made(&m) || m.ID != testID {
			t.Errorf("%s: %+v, %v", mapped, m, err)
		}
	}
	w := Write(nil, Binding, Request, testID)
	w.String(Username, "abcd:efghi")
	w.Uint32(Priority, 77)
	w.Uint64(Controlling, 1<<63+5)
	w.Flag(UseCandidate)
	w.Integrity(k)
	w.Fingerprint()
	var m Message
	if err := m.Parse(w.Buffer(), ICE); err != nil || string(m.Username) != "abcd:efghi" || m.Priority != 77 || m.TieBreaker != 1<<63+5 || !m.Has(UseCandidate) ||
		!m.Has(Controlling) || m.Has(Controlled) || !k.Made(&m) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestBehindIntegrityNothingIsRead(t *testing.T) {
	w := Write(nil, Binding, Request, testID)
	w.String(Username, "a:b")
	w.Integrity(NewKey(password))
	w.Flag(UseCandidate)
	w.Uint32(0x7000, 1)
	w.Integrity(NewKey("another"))
	w.Fingerprint()
	var m Message
	if err := m.Parse(w.Buffer(), ICE); err != nil || m.Has(UseCandidate) || len(m.Unknown()) != 0 || !NewKey(password).Made(&m) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestUnknownAttributesAreNamed(t *testing.T) {
	attrs := [][]byte{raw(0x8123, 0)}
	for i := range Attr(20) {
		attrs = append(attrs, raw(0x7000+i, 0))
	}
	for _, u := range []*Usage{ICE, TURN} {
		var m Message
		if err := m.Parse(message(attrs...), u); err != nil {
			t.Fatal(err)
		}
		if list := m.Unknown(); len(list) != maxUnknown || list[0] != 0x7000 || list[maxUnknown-1] != 0x7000+maxUnknown-1 {
			t.Errorf("unknown %#x", list)
		}
	}
}

// TestUsagesTellTheirAttributes takes all types: an attribute is either of the usage or, where it must be, unknown.
func TestUsagesTellTheirAttributes(t *testing.T) {
	for name, c := range map[string]struct {
		usage *Usage
		attrs []Attr
	}{
		"ICE":  {ICE, []Attr{0x06, 0x09, 0x0A, 0x20, 0x24, 0x25, 0x8029, 0x802A}},
		"TURN": {TURN, []Attr{0x06, 0x09, 0x0A, 0x0C, 0x0D, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x20, 0x22}},
	} {
		for a := range 1 << 16 {
			typ := Attr(a)
			if typ == MessageIntegrity || typ == Fingerprint {
				continue
			}
			known := false
			for _, v := range [][]byte{{}, {0}, {0, 0, 0, 0}, {0, 1, 0, 0, 0, 0, 0, 0}} { // one of them has a right size
				var m Message
				if m.Parse(message(raw(typ, len(v), append(v, make([]byte, -len(v)&3)...)...)), c.usage) != nil {
					continue
				}
				known = known || m.Has(typ)
				if unknown := len(m.Unknown()) == 1 && m.Unknown()[0] == typ; unknown != (typ < 0x8000 && !m.Has(typ)) {
					t.Fatalf("%s: attribute %#x: has %v, unknown %#x", name, typ, m.Has(typ), m.Unknown())
				}
			}
			if known != slices.Contains(c.attrs, typ) {
				t.Errorf("%s: attribute %#x: known is %v", name, typ, known)
			}
		}
	}
}

func TestErrorCodes(t *testing.T) {
	for v, want := range map[[2]byte]int{{4, 20}: 420, {3, 0}: 300, {6, 99}: 699, {2, 99}: 0, {7, 0}: 0, {4, 100}: 0} {
		var m Message
		if err := m.Parse(message(raw(ErrorCode, 4, 0, 0, v[0], v[1])), TURN); err != nil || m.Code != want || !m.Has(ErrorCode) {
			t.Errorf("class %d, number %d: %d, %v", v[0], v[1], m.Code, err)
		}
	}
}

func TestIs(t *testing.T) {
	whole := begin(Binding)
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
