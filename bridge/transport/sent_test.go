package transport

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	prtp "github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"parley/bridge/udp"
)

func TestSequenceNumbersAreUsedOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		seqs []uint16
		ok   []bool
	}{
		{"one after the other", []uint16{7, 8, 9}, []bool{true, true, true}},
		{"again", []uint16{7, 8, 7, 8}, []bool{true, true, false, false}},
		{"late, once", []uint16{7, 10, 8, 9, 8, 6}, []bool{true, true, true, true, false, true}},
		{"over the end of a cycle", []uint16{65534, 1, 65535, 0, 65535, 1}, []bool{true, true, true, true, false, false}},
		{"before the first cycle", []uint16{1, 65535, 0}, []bool{true, false, true}},
		{"too late to be known", []uint16{5000, 5000 - sentWindow, 5001 - sentWindow}, []bool{true, false, true}},
		{"after a jump", []uint16{10, 10 + sentWindow, 11, 10 + sentWindow}, []bool{true, true, true, false}},
		{"after a far jump", []uint16{10, 20000, 10, 19999}, []bool{true, true, false, true}},
		{"another beginning", []uint16{20000, 5000, 20001}, []bool{true, false, true}},
		{"half a cycle", []uint16{1, 1 + 1<<15, 2}, []bool{true, false, true}},
	} {
		s := make(sent)
		for i, seq := range c.seqs {
			if s.fresh(1, seq) != c.ok[i] {
				t.Errorf("%s: number %d, %d", c.name, i, seq)
			}
			s.fresh(2, uint16(i)) // another's numbers are no matter
		}
	}
}

// What may be encrypted has an index of its own, as the context of SRTP counts them, and so the receiver takes all of it.
func TestNoIndexTwice(t *testing.T) {
	e := sender(t)
	in, err := srtp.CreateContext(e.key, e.salt, srtp.ProtectionProfileAeadAes128Gcm, srtp.SRTPReplayProtection(4096))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	seq, passed := uint16(3), 0
	for range 200_000 {
		switch random.IntN(50) {
		case 0:
			seq += uint16(random.IntN(1 << 16))
		case 1, 2, 3:
			seq -= uint16(random.IntN(20))
		default:
			seq += uint16(random.IntN(3))
		}
		packet := e.seal(t, seq)
		if packet == nil {
			continue
		}
		passed++
		if _, err := in.DecryptRTP(nil, packet, nil); err != nil {
			t.Fatalf("packet %d, number %d: %v", passed, seq, err)
		}
	}
	if passed < 1000 {
		t.Errorf("%d passed", passed)
	}
}

func TestRepeatedPacketsAreNotEncrypted(t *testing.T) {
	e := sender(t)
	if e.seal(t, 10) == nil || e.seal(t, 11) == nil || e.seal(t, 10) != nil {
		t.Error("a sequence number was used twice, or one of two not at all")
	}
	if n := e.port.Counts(); n.Repeated != 1 {
		t.Errorf("%+v", n)
	}
	for seq := range uint16(5 * sentWindow) {
		if !e.out.sent.fresh(8, seq) {
			t.Fatalf("number %d is refused", seq)
		}
	}
	for ssrc := range maxSent + 10 {
		e.out.sent.fresh(uint32(ssrc), 1)
	}
	if n := len(e.out.sent); n != maxSent {
		t.Errorf("%d SSRCs are kept", n)
	}
}

// sealing is an endpoint with keys, of which a test looks at what it would send.
type sealing struct {
	*Endpoint
	key, salt []byte
	batch     *udp.Batch
}

func sender(t *testing.T) *sealing {
	w := newPath(t, dtls.SRTP_AEAD_AES_128_GCM, 1, 200)
	s := &sealing{Endpoint: w.sender.receiver.(*fan).to[0], batch: udp.NewBatch(time.Now())}
	c := srtp.Config{Profile: srtp.ProtectionProfileAeadAes128Gcm}
	if err := c.ExtractSessionKeysFromDTLS(secret(2), false); err != nil {
		t.Fatal(err)
	}
	s.key, s.salt = c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt
	return s
}

// seal returns a packet as it would leave, or nil if it would not.
func (s *sealing) seal(t *testing.T, seq uint16) []byte {
	t.Helper()
	plain, _ := (&prtp.Packet{Header: prtp.Header{Version: 2, SSRC: 7, SequenceNumber: seq}, Payload: []byte("payload")}).Marshal()
	repeated := s.port.Counts().Repeated
	out := s.Reserve(len(plain))
	if out == nil {
		t.Fatal("no room")
	}
	copy(out, plain)
	packet := s.out.reserved[:len(plain)+tagRTP]
	s.Commit(s.batch, len(plain), binary.BigEndian.Uint32(out[8:]), false)
	if s.port.Counts().Repeated != repeated {
		return nil
	}
	packet = append([]byte(nil), packet...)
	s.batch.Done()
	return packet
}
