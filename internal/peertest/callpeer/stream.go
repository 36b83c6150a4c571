package callpeer

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	pwebrtc "github.com/pion/webrtc/v4"

	"parley/internal/peertest/jitsipeer"
	"parley/internal/peertest/words"
)

const levelURI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

// stream is what is sent and received of one medium.
type stream struct {
	kind    string
	source  string // that its packets say they are of; "": the phone's first of the medium
	track   *pwebrtc.TrackLocalStaticRTP
	sender  *pwebrtc.RTPSender
	feeding sync.WaitGroup

	mu       sync.Mutex // guards what follows
	heard    Heard
	payloads map[uint8]bool
	seq      uint16
	times    uint32
}

// Heard is what came of one medium.
type Heard struct {
	Packets int
	SSRCs   []uint32
	Sources map[string]int // packets by the source that their stamp names; "": none
	Latest  string         // source of the newest packet
	Gaps    int            // sequence numbers that were left out
	Back    int            // timestamps that went back between packets in order
	Cold    int            // times that another source began without a key frame
	Types   []uint8        // payload types
	Control int            // compounds of RTCP that came for what is sent
}

func newStream(kind string) *stream {
	mime := pwebrtc.MimeTypeOpus
	if kind == "video" {
		mime = pwebrtc.MimeTypeVP8
	}
	track, err := pwebrtc.NewTrackLocalStaticRTP(pwebrtc.RTPCodecCapability{MimeType: mime}, kind, "callpeer")
	if err != nil {
		panic(err) // of a kind
	}
	return &stream{kind: kind, track: track, heard: Heard{Sources: make(map[string]int)}, payloads: make(map[uint8]bool)}
}

// read counts what comes until the connection ends.
func (s *stream) read(r *pwebrtc.TrackRemote) {
	for {
		p, _, err := r.ReadRTP()
		if err != nil {
			return
		}
		s.count(p)
	}
}

func (s *stream) count(p *rtp.Packet) {
	if len(p.Payload) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.heard
	if !slices.Contains(h.SSRCs, p.SSRC) {
		h.SSRCs = append(h.SSRCs, p.SSRC)
	}
	if !s.payloads[p.PayloadType] {
		s.payloads[p.PayloadType] = true
		h.Types = append(h.Types, p.PayloadType)
	}
	source, _ := jitsipeer.SourceOf(p.Payload)
	if h.Packets > 0 {
		ahead := int16(p.SequenceNumber - s.seq)
		if ahead > 1 {
			h.Gaps += int(ahead) - 1
		}
		if ahead > 0 && int32(p.Timestamp-s.times) < 0 {
			h.Back++
		}
		if ahead <= 0 {
			return
		}
	}
	if s.kind == "video" && source != h.Latest && !startsKeyFrame(p.Payload) {
		h.Cold++
	}
	s.seq, s.times = p.SequenceNumber, p.Timestamp
	h.Packets++
	h.Sources[source]++
	h.Latest = source
}

// startsKeyFrame reads the payload descriptor of VP8 (RFC 7741 §4.2).
func startsKeyFrame(b []byte) bool {
	if b[0]&0x10 == 0 {
		return false
	}
	at := 1
	if b[0]&0x80 != 0 {
		x := b[1]
		at++
		if x&0x80 != 0 {
			if at < len(b) && b[at]&0x80 != 0 {
				at++
			}
			at++
		}
		if x&0x40 != 0 {
			at++
		}
		if x&0x30 != 0 {
			at++
		}
	}
	return at < len(b) && b[at]&1 == 0
}

// Heard returns what has come of a medium so far.
func (p *Phone) Heard(kind string) Heard { return heard(p.legs, kind) }

func heard(legs []*leg, kind string) Heard {
	for _, l := range legs {
		for _, s := range l.streams {
			if s.kind == kind {
				s.mu.Lock()
				defer s.mu.Unlock()
				h := s.heard
				h.SSRCs, h.Types, h.Sources = slices.Clone(h.SSRCs), slices.Clone(h.Types), maps.Clone(h.Sources)
				return h
			}
		}
	}
	return Heard{}
}

// feed sends each medium until the call ends: voice every 20 ms, a picture every 50.
func (p *Phone) feed(legs []*leg) {
	if p.ListenTo {
		return
	}
	for _, l := range legs {
		for _, s := range l.streams {
			s.feeding.Go(func() { s.control(l) })
			s.feeding.Go(func() { p.send(l, s) })
		}
	}
}

// control counts the feedback to what is sent.
func (s *stream) control(l *leg) {
	for {
		if _, _, err := s.sender.ReadRTCP(); err != nil {
			return
		}
		s.mu.Lock()
		s.heard.Control++
		s.mu.Unlock()
	}
}

func (p *Phone) send(l *leg, s *stream) {
	every, step, height, name := 20*time.Millisecond, uint32(960), 0, p.Name+"-a0"
	if s.kind == "video" {
		every, step, height, name = 50*time.Millisecond, 4500, 360, p.Name+"-v0"
	}
	if s.source != "" {
		name = s.source
	}
	var said [][]byte
	if p.Words && height == 0 {
		said, _ = words.Packets(p.T, "voice")
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	packet := rtp.Packet{Header: rtp.Header{Version: 2, Marker: height != 0, SequenceNumber: uint16(rand.Uint32N(1000)), Timestamp: rand.Uint32()}}
	for n := uint32(0); ; n++ {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		packet.Payload = jitsipeer.Stamped(name, n, height)
		if said != nil && p.speaks.Load() {
			packet.Payload = jitsipeer.StampedSound(name, n, said[n%uint32(len(said))])
		}
		if p.Levels && height == 0 {
			for _, x := range s.sender.GetParameters().HeaderExtensions {
				if x.URI == levelURI {
					packet.Header.SetExtension(uint8(x.ID), []byte{0x80 | 20})
				}
			}
		}
		if s.track.WriteRTP(&packet) != nil {
			return
		}
		packet.SequenceNumber++
		packet.Timestamp += step
	}
}

// Speak has a phone with Words speak, or be silent.
func (p *Phone) Speak(on bool) { p.speaks.Store(on) }

// Hears waits until packets of a medium come that the stamp says are of a source; "" for any.
func (p *Phone) Hears(kind, source string) {
	p.T.Helper()
	before := p.Heard(kind)
	eventually(p.T, kind+" of "+source+" at "+p.JID, func() bool {
		h := p.Heard(kind)
		if source == "" {
			return h.Packets > before.Packets+5
		}
		return h.Sources[source] > before.Sources[source]+5
	})
}

// AsksForKeyFrames sends a picture loss indication for what comes.
func (p *Phone) AsksForKeyFrames() {
	for _, l := range p.legs {
		for _, ssrc := range p.Heard("video").SSRCs {
			if err := l.keyFrame(ssrc); err != nil {
				p.T.Error(err)
			}
		}
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within %v", what, Patience)
		}
	}
}
