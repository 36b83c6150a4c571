package bridge

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/bridge/udp"
)

// TestOutgoingSequences: whatever happens, a receiver's sequence numbers never repeat, and never go back except where a lost
// packet comes late or is sent again; and the first packet after a change of the picture's source is of a key frame.
func TestOutgoingSequences(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		rewriting := rapid.Bool().Draw(r, "rewriting")
		w.join("a", nil, videoSource("a-v0", 2000, 3))
		w.join("b", nil, videoSource("b-v0", 3000, 1))
		w.join("r", func(e *api.Endpoint) { e.Receive.Rewriting = rewriting })
		w.wants("r", 720)
		cams := simulcast(w, "a", 2000)
		other := &camera{w: w, id: "b", ssrc: 3000, picture: 32760}
		all := append(cams[:], other)
		loss := 0
		lost := make(map[*camera][]in)
		for _, c := range all {
			c.skip = func(n int) bool {
				if loss == 0 || n%(7+loss) != 3 {
					return false
				}
				lost[c] = append(lost[c], c.sent[n])
				return true
			}
		}
		x := w.bridge.Endpoint("c", "r")
		r.Repeat(map[string]func(*rapid.T){
			"frame": func(r *rapid.T) {
				all[rapid.IntRange(0, 3).Draw(r, "camera")].frame(rapid.IntRange(0, 9).Draw(r, "key") == 0)
			},
			"round": func(r *rapid.T) {
				key := rapid.Bool().Draw(r, "key")
				for _, c := range all {
					c.frame(key)
				}
				w.pass(33 * time.Millisecond)
			},
			"height": func(r *rapid.T) { w.wants("r", rapid.SampledFrom([]int{0, 180, 360, 720, -1}).Draw(r, "height")) },
			"lastN": func(r *rapid.T) {
				n := rapid.IntRange(-1, 2).Draw(r, "n")
				x.Receive(channel.ReceiverVideoConstraints{LastN: &n})
				w.pass(Period)
			},
			"rate": func(r *rapid.T) {
				x.Receive(channel.ReceiverVideoConstraints{DefaultConstraints: &channel.VideoConstraints{
					MaxHeight: 720, MaxFrameRate: rapid.SampledFrom([]float64{-1, 7, 15}).Draw(r, "rate")}})
				w.pass(Period)
			},
			"loss": func(r *rapid.T) { loss = rapid.IntRange(0, 5).Draw(r, "loss") },
			"repair": func(r *rapid.T) {
				for _, c := range all {
					for i, p := range lost[c] {
						p.body = append([]byte{byte(p.seq >> 8), byte(p.seq)}, p.body...)
						p.ssrc, p.payload, p.seq = p.ssrc+10, 96, uint16(i)
						w.send(c.id, p)
					}
					lost[c] = nil
				}
			},
			"nack": func(r *rapid.T) {
				l := w.legs["r"]
				if len(l.packets) > 0 {
					p := l.packets[rapid.IntRange(0, len(l.packets)-1).Draw(r, "packet")]
					w.control("r", rtp.AppendNACK(nil, 9, p.SSRC(), []uint16{p.Sequence()}))
				}
			},
			"wait": func(r *rapid.T) { w.pass(time.Duration(rapid.IntRange(1, 1500).Draw(r, "ms")) * time.Millisecond) },
		})
		type stream struct {
			seen    map[uint16]bool
			highest uint16
		}
		streams := make(map[uint32]*stream)
		late := 0
		for i, p := range w.legs["r"].packets {
			s := streams[p.SSRC()]
			if s == nil {
				s = &stream{make(map[uint16]bool), p.Sequence() - 1}
				streams[p.SSRC()] = s
			}
			if s.seen[p.Sequence()] {
				r.Fatalf("packet %d: %d of %d was sent before", i, p.Sequence(), p.SSRC())
			}
			s.seen[p.Sequence()] = true
			if rtp.Newer(p.Sequence(), s.highest) {
				s.highest = p.Sequence()
			} else if late++; s.highest-p.Sequence() > lookbackVideo {
				r.Fatalf("packet %d: %d after %d", i, p.Sequence(), s.highest)
			}
		}
	})
}

// TestManyAtOnce lets readers, channels, the focus and the clock work at the same time, for the race detector.
func TestManyAtOnce(t *testing.T) {
	b := New(Config{})
	wish := api.Conference{ID: "c", Version: 1}
	for i := range 6 {
		wish.Endpoints = append(wish.Endpoints, api.Endpoint{ID: fmt.Sprint("e", i), Sources: []api.Source{
			audioSource(fmt.Sprintf("e%d-a0", i), uint32(100+i)), videoSource(fmt.Sprintf("e%d-v0", i), uint32(1000+100*i), 1),
		}, Receive: api.Receive{Payloads: payloads, Extensions: extensions, Mixed: true, Rewriting: i%2 == 0, VideoSSRC: 2}})
	}
	b.Apply(wish)
	var readers, rest sync.WaitGroup
	stop := make(chan struct{})
	var pool udp.Pool
	for i := range 6 {
		e := b.Endpoint("c", fmt.Sprint("e", i))
		e.Attach(&safeLeg{})
		e.Opened(&safeConn{})
		e.Receive(channel.ReceiverVideoConstraints{})
		readers.Go(func() {
			batch := udp.NewBatch(time.Now())
			for n := range 600 {
				at := time.Now()
				batch.Now = at
				for _, p := range []in{
					{ssrc: uint32(100 + i), seq: uint16(n), timestamp: uint32(n) * 960, payload: 111, level: 20, body: []byte("x")},
					{ssrc: uint32(1000 + 100*i), seq: uint16(n), timestamp: uint32(n) * 3000, payload: 100, marker: true,
						body: []byte{0x90, 0x80, 0x80 | byte(n>>8), byte(n), byte(min(n%50, 1)), 0, 0, 0x9d, 1, 0x2a, 64, 1, 180, 0}},
				} {
					buffer := pool.Copy(p.bytes())
					e.RTP(batch, buffer, at)
					buffer.Release()
				}
				if n%20 == 0 {
					e.RTCP(batch, rtp.AppendPLI(nil, 9, uint32(1000+100*(i+1)%600)), at)
					e.RTCP(batch, rtp.AppendNACK(nil, 9, uint32(1000+100*(i+1)%600), []uint16{uint16(n), 5}), at)
					e.RTCP(batch, rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: uint32(100 + i), Timestamp: uint32(n) * 960}, nil), at)
				}
			}
		})
		rest.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				lastN := n % 7
				e.Receive(channel.ReceiverVideoConstraints{LastN: &lastN})
				time.Sleep(time.Millisecond)
			}
		})
	}
	rest.Go(func() {
		batch := udp.NewBatch(time.Now())
		for n := uint64(2); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			batch.Now = time.Now()
			b.Conference("c").Tick(batch)
			w := wish
			w.Version = n
			w.Endpoints = wish.Endpoints[:6-n%2]
			b.Apply(w)
			time.Sleep(time.Millisecond)
		}
	})
	readers.Wait()
	close(stop)
	rest.Wait()
	b.Apply(api.Conference{ID: "c", Version: 1 << 60})
	if n := pool.Lent(); n != 0 {
		t.Errorf("%d buffers did not come back", n)
	}
	if len(b.Snapshot()) != 0 {
		t.Error("the conference did not end")
	}
}

type safeLeg struct {
	mu     sync.Mutex
	buffer [2048]byte
}

func (l *safeLeg) Reserve(n int) []byte { l.mu.Lock(); return l.buffer[:n] }

func (l *safeLeg) Commit(*udp.Batch, int, uint32, bool) { l.mu.Unlock() }

func (l *safeLeg) RTCP(*udp.Batch, []byte) {}

func (l *safeLeg) Ready() bool { return true }

type safeConn struct{}

func (safeConn) Send(channel.Message) {}

func (safeConn) Close(int, string) {}
