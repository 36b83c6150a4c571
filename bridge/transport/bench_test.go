package transport

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	prtp "github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"parley/bridge/udp"
)

// secret stands for DTLS: both sides of it export the same.
type secret byte

func (s secret) ExportKeyingMaterial(_ string, _ []byte, n int) ([]byte, error) {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) * byte(s)
	}
	return b, nil
}

// fan is a Receiver that forwards to many.
type fan struct {
	echo
	to  []*Endpoint
	seq uint16
}

func (f *fan) RTP(b *udp.Batch, p *udp.Buffer, at time.Time) {
	f.seq++
	for _, e := range f.to {
		out := e.Reserve(len(p.Bytes))
		if out == nil {
			panic("no room")
		}
		n := copy(out, p.Bytes)
		binary.BigEndian.PutUint16(out[2:], f.seq)
		e.Commit(b, n, 7, true)
	}
}

// path is one sender and its receivers without ICE and DTLS, with the keys that these would have made.
type path struct {
	sender *Endpoint
	stream []*udp.Datagram // encrypted
	next   int
	batch  *udp.Batch
	keys   func()
}

func newPath(tb testing.TB, profile dtls.SRTPProtectionProfile, receivers, size int) *path {
	tb.Helper()
	p := listen(tb, Config{})
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // nobody reads it: what is too much is dropped there
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { sink.Close() })
	to := sink.LocalAddr().(*net.UDPAddr).AddrPort()
	f := &fan{}
	w := &path{batch: udp.NewBatch(time.Now())}
	for i := range receivers + 1 {
		var r Receiver = f
		if i > 0 {
			r = newEcho()
		}
		e, err := p.Open(r, Options{})
		if err != nil {
			tb.Fatal(err)
		}
		if err := e.setKeys(srtp.ProtectionProfile(profile), secret(i+1), false); err != nil {
			tb.Fatal(err)
		}
		e.out.writer = p.socket.Writer(to)
		e.ready.Store(true)
		if i == 0 {
			w.sender = e
		} else {
			f.to = append(f.to, e)
		}
	}
	client := srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	client.ExtractSessionKeysFromDTLS(secret(1), true)
	c, err := srtp.CreateContext(client.Keys.LocalMasterKey, client.Keys.LocalMasterSalt, client.Profile)
	if err != nil {
		tb.Fatal(err)
	}
	for seq := range 1024 { // few enough for the cache: a real one has just come from the kernel
		packet := prtp.Packet{Header: prtp.Header{Version: 2, SSRC: 7, SequenceNumber: uint16(seq), Timestamp: 1}, Payload: make([]byte, size-20)}
		packet.SetExtension(1, []byte{1, 2, 3})
		b, _ := packet.Marshal()
		binary.BigEndian.PutUint32(b[len(b)-4:], uint32(seq))
		sealed, err := c.EncryptRTP(nil, b, nil)
		if err != nil {
			tb.Fatal(err)
		}
		w.stream = append(w.stream, &udp.Datagram{Bytes: sealed, From: netip.MustParseAddrPort("127.0.0.1:9"), At: time.Now()})
	}
	w.keys = func() {
		if err := w.sender.setKeys(srtp.ProtectionProfile(profile), secret(1), false); err != nil {
			tb.Fatal(err)
		}
	}
	return w
}

// step takes one packet as the socket's reader does.
func (w *path) step() {
	if w.next == len(w.stream) {
		w.next = 0
		w.keys() // or it would be a replay
	}
	w.sender.rtp(w.batch, w.stream[w.next])
	w.next++
	if w.next%16 == 0 {
		w.batch.Done()
	}
}

var bothProfiles = []struct {
	name    string
	profile dtls.SRTPProtectionProfile
}{{"GCM", dtls.SRTP_AEAD_AES_128_GCM}, {"SHA1", dtls.SRTP_AES128_CM_HMAC_SHA1_80}}

// BenchmarkForward measures a packet from the socket's reader to k writers: decrypted once, encrypted k times, sent to the
// kernel 16 at a time (with-kernel cost; loopback).
func BenchmarkForward(b *testing.B) {
	for _, c := range bothProfiles {
		for _, k := range []int{0, 1, 5, 20, 50} {
			b.Run(fmt.Sprintf("%s/%d", c.name, k), func(b *testing.B) {
				w := newPath(b, c.profile, k, 1200)
				b.ReportAllocs()
				for b.Loop() {
					w.step()
				}
				if n := w.sender.port.Counts(); n.Forged+n.Early+n.Repeated != 0 {
					b.Fatalf("%+v", n)
				}
			})
		}
	}
}

func TestForwardingTakesNoMemory(t *testing.T) {
	for _, c := range bothProfiles {
		t.Run(c.name, func(t *testing.T) {
			w := newPath(t, c.profile, 3, 1200)
			for range 1000 {
				w.step()
			}
			w.batch.Done()
			if n := testing.AllocsPerRun(5000, w.step); n != 0 && !raceEnabled {
				t.Errorf("%v allocations for a packet to 3 receivers", n)
			}
			if n := w.sender.port.Counts(); n.Forged+n.Early+n.Repeated != 0 {
				t.Fatalf("%+v", n)
			}
		})
	}
}

func TestHB9ReplaysAndForgeriesAreDropped(t *testing.T) {
	w := newPath(t, dtls.SRTP_AEAD_AES_128_GCM, 1, 200)
	counts := func() uint64 { return w.sender.port.Counts().Forged }
	w.sender.rtp(w.batch, w.stream[5])
	w.sender.rtp(w.batch, w.stream[5])
	if counts() != 1 {
		t.Error("a replay is taken")
	}
	forged := *w.stream[6]
	forged.Bytes = append([]byte(nil), forged.Bytes...)
	forged.Bytes[50] ^= 1
	w.sender.rtp(w.batch, &forged)
	if counts() != 2 {
		t.Error("a forgery is taken")
	}
	w.sender.rtp(w.batch, w.stream[6])
	if counts() != 2 {
		t.Error("the true packet is refused after the forged one")
	}
	for n := range len(w.stream[7].Bytes) { // cut anywhere
		if n >= 12 {
			cut := *w.stream[7]
			cut.Bytes = cut.Bytes[:n]
			w.sender.rtp(w.batch, &cut)
		}
	}
	w.sender.rtp(w.batch, w.stream[7])
	if got, want := counts(), uint64(2+len(w.stream[7].Bytes)-12); got != want {
		t.Errorf("%d refused, want %d", got, want)
	}
	w.batch.Done()
}

func TestHB9ReplayedControlIsDropped(t *testing.T) {
	for _, c := range bothProfiles {
		t.Run(c.name, func(t *testing.T) {
			w := newPath(t, c.profile, 0, 200)
			client := srtp.Config{Profile: srtp.ProtectionProfile(c.profile)}
			client.ExtractSessionKeysFromDTLS(secret(1), true)
			out, _ := srtp.CreateContext(client.Keys.LocalMasterKey, client.Keys.LocalMasterSalt, client.Profile)
			var sealed [][]byte
			for range replayRTCP + 2 {
				b, err := out.EncryptRTCP(nil, []byte{0x80, 201, 0, 1, 0, 0, 0, 7}, nil)
				if err != nil {
					t.Fatal(err)
				}
				sealed = append(sealed, b)
			}
			take := func(i int) uint64 {
				before := w.sender.port.Counts().Forged
				w.sender.rtcp(w.batch, &udp.Datagram{Bytes: append([]byte(nil), sealed[i]...), At: time.Now()})
				return w.sender.port.Counts().Forged - before
			}
			if take(2) != 0 || take(1) != 0 {
				t.Error("what comes late is refused")
			}
			if take(1) != 1 || take(2) != 1 {
				t.Error("a replay is taken")
			}
			if take(len(sealed)-1) != 0 || take(0) != 1 {
				t.Error("what is older than the window is taken")
			}
		})
	}
}

func TestSSRCsAreLimited(t *testing.T) {
	w := newPath(t, dtls.SRTP_AEAD_AES_128_GCM, 0, 200)
	client := srtp.Config{Profile: srtp.ProtectionProfileAeadAes128Gcm}
	client.ExtractSessionKeysFromDTLS(secret(1), true)
	c, _ := srtp.CreateContext(client.Keys.LocalMasterKey, client.Keys.LocalMasterSalt, client.Profile)
	for ssrc := range maxSSRCs + 10 {
		b, _ := (&prtp.Packet{Header: prtp.Header{Version: 2, SSRC: uint32(ssrc)}, Payload: []byte("x")}).Marshal()
		sealed, _ := c.EncryptRTP(nil, b, nil)
		w.sender.rtp(w.batch, &udp.Datagram{Bytes: sealed, At: time.Now()})
	}
	if n := w.sender.port.Counts(); n.Crowd != 10 || n.Forged != 0 {
		t.Errorf("%+v", n)
	}
}

// BenchmarkSeal measures what is ours for a packet to one receiver: Reserve, a copy, encryption and Commit. What is sent
// goes to the kernel outside of the clock.
func BenchmarkSeal(b *testing.B) {
	for _, c := range bothProfiles {
		for _, size := range []int{120, 1200} {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) {
				w := newPath(b, c.profile, 1, size)
				e := w.sender.receiver.(*fan).to[0]
				plain, _ := (&prtp.Packet{Header: prtp.Header{Version: 2, SSRC: 7}, Payload: make([]byte, size-12)}).Marshal()
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					out := e.Reserve(len(plain))
					copy(out, plain)
					binary.BigEndian.PutUint16(out[2:], uint16(n))
					e.Commit(w.batch, len(plain), 7, true)
					if n++; n%40 == 0 {
						b.StopTimer()
						w.batch.Done()
						b.StartTimer()
					}
				}
			})
		}
	}
}
