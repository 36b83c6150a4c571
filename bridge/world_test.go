package bridge

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/bridge/udp"
)

// Payload types and extension ids of the Jitsi dialect (jitsi.md §7.1).
var payloads = []api.Payload{
	{ID: 111, Name: "opus", Clock: 48000}, {ID: 100, Name: "VP8", Clock: 90000}, {ID: 96, Name: "rtx", Clock: 90000, Apt: 100},
	{ID: 101, Name: "VP9", Clock: 90000}, {ID: 97, Name: "rtx", Clock: 90000, Apt: 101},
	{ID: 41, Name: "AV1", Clock: 90000}, {ID: 42, Name: "rtx", Clock: 90000, Apt: 41},
	{ID: 107, Name: "H264", Clock: 90000}, {ID: 99, Name: "rtx", Clock: 90000, Apt: 107},
}

var extensions = map[string]int{
	uriAudioLevel: 1, uriSendTime: 3, uriTransport: 5, uriMID: 10, uriDescriptor: 11,
}

// leg is a Leg that keeps what is sent.
type leg struct {
	t       testing.TB
	mu      sync.Mutex
	buffer  []byte
	packets []sent
	control [][]byte
	busy    bool
	count   int // packets, also when they are not kept
	forget  bool
}

type sent struct {
	rtp.Packet
	end bool
}

func (l *leg) Reserve(n int) []byte {
	if cap(l.buffer) < n {
		l.buffer = make([]byte, n)
	}
	if l.busy {
		l.t.Error("Reserve without Commit")
	}
	l.busy = true
	return l.buffer[:n]
}

func (l *leg) Commit(b *udp.Batch, n int, ssrc uint32, end bool) {
	l.busy = false
	if n == 0 {
		return
	}
	l.count++
	if l.forget {
		return
	}
	var s sent
	if err := s.Parse(slices.Clone(l.buffer[:n])); err != nil {
		l.t.Errorf("sent a malformed packet: %v", err)
	}
	if s.SSRC() != ssrc {
		l.t.Errorf("SSRC %d committed as %d", s.SSRC(), ssrc)
	}
	s.end = end
	l.packets = append(l.packets, s)
}

func (l *leg) RTCP(b *udp.Batch, compound []byte) {
	if _, err := rtp.ParseCompound(compound); err != nil {
		l.t.Errorf("sent malformed RTCP: %v", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.forget {
		l.control = append(l.control, slices.Clone(compound))
	}
}

func (l *leg) Ready() bool { return true }

// of are the packets with one SSRC.
func (l *leg) of(ssrc uint32) (list []sent) {
	for _, p := range l.packets {
		if p.SSRC() == ssrc {
			list = append(list, p)
		}
	}
	return list
}

// plis counts the key frames that were asked for with an SSRC; 0: any.
func (l *leg) plis(ssrc uint32) (n int) {
	l.each(func(c *rtp.Control) {
		if media, ok := c.PLI(); ok && (ssrc == 0 || media == ssrc) {
			n++
		}
	})
	return n
}

func (l *leg) each(f func(c *rtp.Control)) {
	for _, compound := range l.control {
		walk, _ := rtp.ParseCompound(compound)
		var c rtp.Control
		for walk.Next(&c) {
			f(&c)
		}
	}
}

// conn is a bridge channel that keeps what is sent.
type conn struct{ messages []channel.Message }

func (c *conn) Send(m channel.Message) {
	d, err := channel.FromServer(channel.Append(nil, m))
	if err != nil {
		panic(err)
	}
	c.messages = append(c.messages, d)
}

func (c *conn) Close(code int, _ string) {}

// last is the newest message of a class, decoded; nil when there is none.
func last[M channel.Message](c *conn) (m M, ok bool) {
	for _, o := range c.messages {
		if v, is := o.(M); is {
			m, ok = v, true
		}
	}
	return m, ok
}

// world is a bridge with one conference and a clock.
type world struct {
	t      testing.TB
	bridge *Bridge
	wish   api.Conference
	now    time.Time
	legs   map[string]*leg
	conns  map[string]*conn
	pool   udp.Pool
	batch  *udp.Batch
	events []api.Event
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, bridge: New(Config{}), wish: api.Conference{ID: "c"}, now: time.Now(), legs: make(map[string]*leg),
		conns: make(map[string]*conn), batch: udp.NewBatch(time.Now())}
	w.bridge.Events(func(e api.Event) { w.events = append(w.events, e) })
	t.Cleanup(func() {
		w.wish.Endpoints = nil
		w.apply()
		if n := w.pool.Lent(); n != 0 {
			t.Errorf("%d buffers did not come back", n)
		}
	})
	return w
}

func (w *world) apply() {
	w.wish.Version++
	w.bridge.Apply(w.wish)
}

// join adds an endpoint with sources, connected and with a channel.
func (w *world) join(id string, change func(*api.Endpoint), sources ...api.Source) *Endpoint {
	w.t.Helper()
	e := api.Endpoint{ID: id, Sources: sources, Receive: api.Receive{
		Payloads: payloads, Extensions: extensions, Mixed: true, AudioSSRC: 1, VideoSSRC: 2}}
	if change != nil {
		change(&e)
	}
	w.wish.Endpoints = append(slices.Clone(w.wish.Endpoints), e)
	w.apply()
	l, c := &leg{t: w.t}, &conn{}
	w.legs[id], w.conns[id] = l, c
	x := w.bridge.Endpoint("c", id)
	x.Attach(l)
	x.Opened(c)
	return x
}

// change changes the wish for an endpoint.
func (w *world) change(id string, f func(*api.Endpoint)) {
	w.wish.Endpoints = slices.Clone(w.wish.Endpoints)
	for i := range w.wish.Endpoints {
		if w.wish.Endpoints[i].ID == id {
			f(&w.wish.Endpoints[i])
		}
	}
	w.apply()
}

// wants sends constraints with a default height, and lets a tick pass.
func (w *world) wants(id string, height int) {
	w.bridge.Endpoint("c", id).Receive(channel.ReceiverVideoConstraints{
		DefaultConstraints: &channel.VideoConstraints{MaxHeight: height, MaxFrameRate: -1}})
	w.pass(Period)
}

// pass lets time pass in ticks.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(min(Period, end.Sub(w.now)))
		w.batch.Now = w.now
		if c := w.bridge.Conference("c"); c != nil {
			c.Tick(w.batch)
		}
		w.bridge.Pace(w.batch)
		w.listen()
	}
}

// listen has the bridge listen to what waits for that.
func (w *world) listen() {
	for l := &w.bridge.listener; len(l.waiting) > 0; {
		s := <-l.waiting
		l.hear(&s)
	}
}

// in is a packet to be sent to the bridge.
type in struct {
	ssrc, timestamp uint32
	seq             uint16
	payload         uint8
	marker          bool
	level           int // of audio; 0 is none
	descriptor      []byte
	transport       int // transport-wide sequence number; 0 is none
	body            []byte
}

func (p in) bytes() []byte {
	b := []byte{0x80, p.payload, byte(p.seq >> 8), byte(p.seq), byte(p.timestamp >> 24), byte(p.timestamp >> 16), byte(p.timestamp >> 8),
		byte(p.timestamp), byte(p.ssrc >> 24), byte(p.ssrc >> 16), byte(p.ssrc >> 8), byte(p.ssrc)}
	if p.marker {
		b[1] |= 0x80
	}
	ext := []byte{10, 1, '7'} // a mid, in the two-byte form
	if p.level != 0 {
		ext = append(ext, 1, 1, byte(p.level))
	}
	if p.transport != 0 {
		ext = append(ext, 5, 2, byte(p.transport>>8), byte(p.transport))
	}
	if p.descriptor != nil {
		ext = append(ext, 11, byte(len(p.descriptor)))
		ext = append(ext, p.descriptor...)
	}
	for len(ext)%4 != 0 {
		ext = append(ext, 0)
	}
	b[0] |= 0x10
	b = append(b, 0x10, 0, byte(len(ext)/4>>8), byte(len(ext)/4))
	return append(append(b, ext...), p.body...)
}

// send gives a packet to the bridge as one of an endpoint.
func (w *world) send(id string, p in) { w.sendBytes(id, p.bytes()) }

func (w *world) sendBytes(id string, b []byte) {
	buffer := w.pool.Copy(b)
	w.batch.Now = w.now
	w.bridge.Endpoint("c", id).RTP(w.batch, buffer, w.now)
	buffer.Release()
}

func (w *world) control(id string, compound []byte) {
	w.batch.Now = w.now
	w.bridge.Endpoint("c", id).RTCP(w.batch, compound, w.now)
}

// camera sends a VP8 stream: 30 frames a second of so many packets, L1T3.
type camera struct {
	w       *world
	id      string
	ssrc    uint32
	seq     uint16
	ts      uint32
	picture uint16
	tl0     uint8
	frames  int
	width   int
	height  int
	packets int
	skip    func(n int) bool // packets that are lost on the way
	sent    []in
}

func (c *camera) frame(key bool) { c.frameAs(100, key) }

// frameAs is frame with another payload type.
func (c *camera) frameAs(payload uint8, key bool) {
	if c.packets == 0 {
		c.packets = 2
	}
	if c.height == 0 {
		c.width, c.height = 320, 180
	}
	tid := []byte{0, 2, 1, 2}[c.frames%4]
	if key {
		tid, c.frames = 0, 0
	}
	if tid == 0 {
		c.tl0++
	}
	sync := byte(0)
	if tid > 0 && c.frames%4 < 3 {
		sync = 0x20
	}
	for i := range c.packets {
		first := byte(0)
		if i == 0 {
			first = 0x10
		}
		if tid == 2 {
			first |= 0x20 // nothing refers to it
		}
		body := []byte{0x80 | first, 0xe0, 0x80 | byte(c.picture>>8)&0x7f, byte(c.picture), c.tl0, tid<<6 | sync}
		if i == 0 {
			frame := byte(1)
			if key {
				frame = 0
			}
			body = append(body, frame, 0, 0, 0x9d, 1, 0x2a, byte(c.width), byte(c.width>>8), byte(c.height), byte(c.height>>8))
		}
		body = append(body, make([]byte, 600)...)
		p := in{ssrc: c.ssrc, timestamp: c.ts, seq: c.seq, payload: payload, marker: i == c.packets-1, body: body}
		c.sent = append(c.sent, p)
		if c.skip == nil || !c.skip(len(c.sent)-1) {
			c.w.send(c.id, p)
		}
		c.seq++
	}
	c.ts += 3000
	c.picture = (c.picture + 1) & 0x7fff
	c.frames++
}

func audioSource(name string, ssrc uint32) api.Source {
	return api.Source{Name: name, Kind: api.Audio, SSRCs: []uint32{ssrc}}
}

// videoSource has n streams from ssrc on, and their retransmissions ten further.
func videoSource(name string, ssrc uint32, n int) api.Source {
	s := api.Source{Name: name, Kind: api.Video, VideoType: api.Camera}
	sim := api.Group{Semantics: "SIM"}
	for i := range uint32(n) {
		s.SSRCs = append(s.SSRCs, ssrc+i, ssrc+i+10)
		s.Groups = append(s.Groups, api.Group{Semantics: "FID", SSRCs: []uint32{ssrc + i, ssrc + i + 10}})
		sim.SSRCs = append(sim.SSRCs, ssrc+i)
	}
	if n > 1 {
		s.Groups = append(s.Groups, sim)
	}
	return s
}

// captured are packets of Chromium, by encoding, from the tests of the codecs.
func captured(t testing.TB, codec string, payload uint8) (all []in) {
	t.Helper()
	f, err := os.Open("rtp/codec/testdata/chromium.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 5 || fields[0] != codec {
			continue
		}
		encoding, stamp, _ := strings.Cut(fields[1], ":")
		n, _ := strconv.Atoi(encoding)
		ts, _ := strconv.ParseUint(stamp, 10, 32)
		p := in{ssrc: uint32(n), timestamp: uint32(ts), payload: payload, marker: fields[2] == "1"}
		if d := strings.TrimPrefix(fields[3], "-"); d != "" {
			p.descriptor = unhex(t, d)
		}
		p.body = unhex(t, fields[4])
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatalf("no packets of %s", codec)
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// continuous checks that sequence numbers rise by one, and that timestamps do not fall.
func continuous(t testing.TB, packets []sent) {
	t.Helper()
	for i := 1; i < len(packets); i++ {
		a, b := &packets[i-1], &packets[i]
		if b.Sequence() != a.Sequence()+1 {
			t.Errorf("packet %d: sequence number %d after %d", i, b.Sequence(), a.Sequence())
		}
		if int32(b.Timestamp()-a.Timestamp()) < 0 {
			t.Errorf("packet %d: timestamp %d after %d", i, b.Timestamp(), a.Timestamp())
		}
	}
}

func list(packets []sent) string {
	var b strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&b, "%d/%d ", p.Sequence(), p.Timestamp())
	}
	return b.String()
}
