package stun

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors of RFC 5769 §2.1 to §2.4.
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
	vectorLongTerm = `00010060 2112a442 78ad3433c6ad72c029da412e
		00060012 e3839ee38388e383aae38383e382afe382b90000
		0015001c 662f2f3439396b3935346436 4f4c33346f4c3946 5354767936347341
		0014000b 6578616d706c652e6f726700
		00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666`
)

func TestVectors(t *testing.T) {
	const matrix = "マトリックス"
	hash := md5.Sum([]byte(matrix + ":example.org:TheMatrIX"))
	long := string(hash[:])
	for _, c := range []struct {
		name, hex string
		usage     *Usage
		secret    string
		check     func(*Message) bool
	}{
		{"request", vectorRequest, ICE, password, func(m *Message) bool {
			return m.Class == Request && string(m.Username) == "evtj:h6vY" && m.Priority == 0x6e0001ff && m.Has(Controlled) && !m.Has(Controlling) &&
				m.TieBreaker == 0x932ff9b151263b36 && !m.Has(UseCandidate) && m.Has(Fingerprint)
		}},
		{"IPv4 response", vectorIPv4, ICE, password, func(m *Message) bool {
			return m.Class == Success && m.Mapped == netip.MustParseAddrPort("192.0.2.1:32853") && m.Has(Fingerprint)
		}},
		{"IPv4 response of a TURN server", vectorIPv4, TURN, password, func(m *Message) bool {
			return m.Class == Success && m.Mapped == netip.MustParseAddrPort("192.0.2.1:32853") && m.Has(Fingerprint)
		}},
		{"IPv6 response", vectorIPv6, ICE, password, func(m *Message) bool {
			return m.Class == Success && m.Mapped == netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853") && m.Has(Fingerprint)
		}},
		{"request with long-term credential", vectorLongTerm, TURN, long, func(m *Message) bool {
			return m.Class == Request && string(m.Username) == matrix && string(m.Realm) == "example.org" &&
				string(m.Nonce) == "f//499k954d6OL34oL9FSTvy64sA" && !m.Has(Fingerprint)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			before := bytes.Clone(b)
			var m Message
			if err := m.Parse(b, c.usage); err != nil {
				t.Fatal(err)
			}
			if m.Method != Binding || len(m.Unknown()) != 0 || !c.check(&m) {
				t.Errorf("read %+v", m)
			}
			k := NewKey(c.secret)
			for range 3 { // the key is used again
				if !k.Made(&m) {
					t.Error("the integrity does not hold")
				}
			}
			if NewKey(c.secret + "x").Made(&m) {
				t.Error("the integrity holds with another password")
			}
			if !bytes.Equal(b, before) {
				t.Error("the bytes were changed")
			}
			printed := m.Has(Fingerprint)
			for i := range b {
				spoilt := bytes.Clone(b)
				spoilt[i] ^= 0x40
				if m.Parse(spoilt, c.usage) == nil && k.Made(&m) && m.Has(Fingerprint) == printed {
					t.Errorf("a change of byte %d passes", i)
				}
			}
		})
	}
}

// TestVectorsAreWritten writes §2.4, whose padding is of zeros, byte by byte as the RFC has it, behind what a buffer held.
func TestVectorsAreWritten(t *testing.T) {
	want := unhex(t, vectorLongTerm)
	var m Message
	if err := m.Parse(want, TURN); err != nil {
		t.Fatal(err)
	}
	hash := md5.Sum([]byte(string(m.Username) + ":example.org:TheMatrIX"))
	for _, before := range []string{"", "odd"} {
		w := Write([]byte(before), m.Method, m.Class, m.ID)
		w.Bytes(Username, m.Username)
		w.String(Nonce, string(m.Nonce))
		w.Bytes(Realm, m.Realm)
		w.Integrity(NewKey(hash[:]))
		if b, ok := bytes.CutPrefix(w.Buffer(), []byte(before)); !ok || !bytes.Equal(b, want) {
			t.Errorf("behind %q: written\n%x, want\n%x", before, b, want)
		}
	}
}
