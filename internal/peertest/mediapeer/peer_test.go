package mediapeer

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/ice"
	"parley/bridge/rtp"
	"parley/bridge/transport"
	"parley/bridge/udp"
)

const transportID = 5

// echo is the bridge's side: it sends packets back as they came.
type echo struct {
	e *transport.Endpoint

	mu        sync.Mutex
	got       [][]byte
	control   [][]byte
	connected chan struct{}
}

func (r *echo) RTP(b *udp.Batch, p *udp.Buffer, _ time.Time) {
	r.mu.Lock()
	r.got = append(r.got, slices.Clone(p.Bytes))
	r.mu.Unlock()
	if out := r.e.Reserve(len(p.Bytes)); out != nil {
		r.e.Commit(b, copy(out, p.Bytes), binary.BigEndian.Uint32(p.Bytes[8:]), true)
	}
}

func (r *echo) RTCP(_ *udp.Batch, compound []byte, _ time.Time) {
	r.mu.Lock()
	r.control = append(r.control, slices.Clone(compound))
	r.mu.Unlock()
}

func (r *echo) Moved() {}

func (r *echo) State(state, reason string) {
	if state == api.Connected {
		close(r.connected)
	}
}

func (r *echo) Message([]byte, bool) {}

// compound waits for the i-th one.
func (r *echo) compound(t *testing.T, i int) (c []byte) {
	t.Helper()
	until(t, "compound", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.control) > i {
			c = r.control[i]
		}
		return c != nil
	})
	return c
}

// connect makes a peer of a port on loopback.
func connect(t *testing.T, o Options) (*Peer, *echo) {
	t.Helper()
	port, err := transport.Listen(transport.Config{Address: netip.MustParseAddrPort("127.0.0.1:0"), Policy: ice.Policy{AllowLoopback: true}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- port.Run(context.Background()) }()
	t.Cleanup(func() {
		port.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	r := &echo{connected: make(chan struct{})}
	if r.e, err = port.Open(r, transport.Options{Name: "peer"}); err != nil {
		t.Fatal(err)
	}
	local, _ := r.e.Local()
	info := port.Info()
	p, err := New(&api.Transport{Ufrag: local.Ufrag, Pwd: local.Pwd, Fingerprint: info.Fingerprint, Candidates: info.Candidates}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	remote, err := p.Remote()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.e.SetRemote(*remote); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.connected:
	case <-ctx.Done():
		t.Fatal("the bridge's side is not connected")
	}
	return p, r
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// packet is one with a transport-wide sequence number.
func packet(seq uint16, ssrc uint32, payload string) []byte {
	b := make([]byte, 0, 200)
	b = append(b, 0x90, 96)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, ssrc)
	b = append(b, 0xbe, 0xde, 0, 1, transportID<<4|1, byte(seq>>8), byte(seq), 0)
	return append(b, payload...)
}

func TestMediaGoesBothWaysAndIsCounted(t *testing.T) {
	for _, gro := range []bool{false, true} {
		var mu sync.Mutex
		var sampled []string
		p, r := connect(t, Options{TransportCC: transportID, Sample: 2, GRO: gro, Stamped: func(payload []byte, at time.Time) {
			mu.Lock()
			sampled = append(sampled, string(payload))
			mu.Unlock()
			if away := time.Since(at); away < 0 || away > 10*time.Second {
				t.Errorf("it came %v ago", away)
			}
		}})
		for _, seq := range []uint16{65534, 65535, 1, 2} { // 0 is lost
			if err := p.Send(packet(seq, 77, "packet "+string('a'+rune(seq%26)))); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "four packets", func() bool { return p.Count().Packets == 4 })
		c := p.Count()
		if c.Expected != 5 || c.Bad != 0 || c.Bytes != 4*(20+8+Tag) || c.Reads == 0 {
			t.Errorf("counted %+v", c)
		}
		mu.Lock()
		if !slices.Equal(sampled, []string{"packet p", "packet c"}) {
			t.Errorf("sampled %q", sampled)
		}
		mu.Unlock()
		r.mu.Lock()
		if len(r.got) != 4 || string(r.got[0][20:]) != "packet "+string('a'+rune(65534%26)) {
			t.Errorf("the bridge got %q", r.got)
		}
		r.mu.Unlock()

		if err := p.Feedback(); err != nil {
			t.Fatal(err)
		}
		arrived, reports := feedback(t, r.compound(t, 0))
		if !slices.Equal(arrived, []bool{true, true, false, true, true}) || reports != 1 {
			t.Errorf("told of %v, with %d reports", arrived, reports)
		}
		if err := p.Feedback(); err != nil { // nothing new
			t.Fatal(err)
		}
		if arrived, _ := feedback(t, r.compound(t, 1)); arrived != nil {
			t.Errorf("told of %v again", arrived)
		}
	}
}

// feedback reads what a compound says of packets, and how many report blocks it has.
func feedback(t *testing.T, compound []byte) (arrived []bool, reports int) {
	t.Helper()
	walk, err := rtp.ParseCompound(compound)
	if err != nil {
		t.Fatal(err)
	}
	var c rtp.Control
	for walk.Next(&c) {
		if c.Type == rtp.TypeReceiverReport {
			reports = c.Reports()
		}
		if f, ok := c.TransportCC(); ok {
			for a, ok := f.Next(); ok; a, ok = f.Next() {
				arrived = append(arrived, a.Received)
			}
		}
	}
	return arrived, reports
}

func TestKeyFramesAreAskedForOnce(t *testing.T) {
	p, r := connect(t, Options{})
	if p.KeyFrame() {
		t.Error("asked for before anybody did")
	}
	for _, request := range [][]byte{
		rtp.AppendPLI(rtp.AppendReceiverReport(nil, 1, nil), 1, 77),
		rtp.AppendFIR(rtp.AppendReceiverReport(nil, 1, nil), 1, 77, 3),
	} {
		b := udp.NewBatch(time.Now())
		r.e.RTCP(b, request)
		b.Done()
		until(t, "request", p.KeyFrame)
		if p.KeyFrame() {
			t.Error("asked for twice")
		}
	}
	b := udp.NewBatch(time.Now())
	r.e.RTCP(b, rtp.AppendReceiverReport(nil, 1, nil))
	b.Done()
	until(t, "report", func() bool { return p.Count().Control == 3 })
	if p.KeyFrame() {
		t.Error("a report is taken for a request")
	}
}

func TestConnectEndsWithItsContext(t *testing.T) {
	silent, err := udp.Listen(netip.MustParseAddrPort("127.0.0.1:0"), udp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p, err := New(&api.Transport{Candidates: []api.Candidate{
		{Protocol: "tcp", IP: "127.0.0.1", Port: 9}, {Protocol: "udp", IP: "127.0.0.1", Port: silent.Addr().Port()},
	}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Connect(ctx); err == nil {
		t.Error("connected to nobody")
	}
	if _, err := New(&api.Transport{Candidates: []api.Candidate{{Protocol: "tcp", IP: "127.0.0.1", Port: 9}}}, Options{}); err == nil {
		t.Error("a transport without UDP is taken")
	}
}
