package jitsipeer

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/jingle"

	"github.com/pion/rtcp"
)

// Audio is a microphone: 20 ms frames of Opus.
type Audio struct {
	Level int // -dBov of the audio-level extension (RFC 6464): 0 loudest, 127 and above silence
	Size  int // bytes of a frame; 0: 80

	RED    bool  // it can do RED (RFC 2198), in both directions
	Copies []int // how many frames ago the ones were that each packet repeats, if RED was negotiated; nil: it sends plain Opus
	FEC    bool  // frames have in-band FEC of the one before
}

// Video is a camera or a screen.
type Video struct {
	Codec   Codec
	Heights []int    // of the layers, multiples of 8 up to 2040, rising; nil: 184, 360, 720
	Sizes   []int    // bytes of a delta frame of each layer, a key frame has six times that; nil: 300, 800, 2000
	Rates   []int    // bits/s of each layer, in an SVC without the ones below; in place of Sizes
	Caps    []Cap    // of the sum of Rates, in the order of time; layers that do not fit are left out
	Trace   []int    // sizes of the frames of the highest layer, in turn, in place of its entry in Sizes
	RIDs    []string // names of the streams (RFC 8852), if they are told in packets
	FPS     int      // 0: 20
	Desktop bool     // it is a screen
	Grey    bool     // its pictures can be decoded, in VP8 alone; Heights are those of testdata/grey
}

var (
	defaultHeights = []int{184, 360, 720}
	defaultSizes   = []int{300, 800, 2000}
)

// What the browser calls the media, as of a client whose first m-lines are these.
var midAudio, midVideo = []byte("0"), []byte("1")

const (
	audioFrame  = 20 * time.Millisecond
	historySize = 512 // packets of a stream that can be sent again
	behind      = time.Second
)

// source is what we send under one name.
type source struct {
	name  string
	msid  string
	audio *Audio
	video *Video

	level  atomic.Int32 // of audio
	muted  atomic.Bool
	height atomic.Int32 // that receivers want at most; below 0: any
	told   time.Time    // last sender report

	next  time.Time
	begun time.Time // of video
	frame int       // of the trace
	rates []int     // of the layers, now

	mu       sync.Mutex  // guards what follows
	streams  []*outgoing // is replaced, never changed
	requests []time.Time
}

func (s *source) outgoing() []*outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// outgoing is one SSRC with its retransmissions.
type outgoing struct {
	ssrc, rtx uint32
	rid       []byte // nil: none
	encoder   encoder
	mu        sync.Mutex // guards what follows
	sequence  uint16
	repairs   uint16
	base      uint32
	packets   uint32
	octets    uint32
	stamped   uint32 // RTP time of the newest packet
	history   [][]byte
	asked     bool    // for a key frame
	earlier   []block // the clock's: the last frames of audio, without offsets, newest last
}

func newSource(name string, audio *Audio, video *Video) *source {
	s := &source{name: name, audio: audio, video: video}
	s.height.Store(-1)
	if audio != nil {
		s.level.Store(int32(audio.Level))
	} else {
		v := *video
		v.Heights = v.layers()
		if v.Sizes == nil {
			v.Sizes = defaultSizes[len(defaultSizes)-min(len(v.Heights), len(defaultSizes)):]
		}
		if v.FPS == 0 {
			v.FPS = 20
		}
		s.video = &v
		if v.Rates != nil {
			s.rates = make([]int, len(v.Rates))
		}
	}
	s.renew()
	return s
}

// renew takes new SSRCs, as a new PeerConnection does. What is counted in stamps goes on.
func (s *source) renew() {
	kind := "-audio-"
	n := 1
	if s.video != nil {
		kind, n = "-video-", len(s.video.Heights)
	}
	s.msid = s.name + kind + "s t" + s.name
	old := s.outgoing()
	var streams []*outgoing
	for i := range n {
		o := &outgoing{ssrc: ssrc(), sequence: uint16(rand.Uint32N(1 << 15)), repairs: uint16(rand.Uint32N(1 << 15)), base: rand.Uint32()}
		if i < len(old) {
			o.encoder = old[i].encoder
		} else if s.video != nil {
			o.encoder = encoder{codec: s.video.Codec, stream: uint8(i), unit: uint16(rand.Uint32N(1 << 15)), number: uint16(rand.Uint32()), tl0: uint8(rand.Uint32())}
			if o.encoder.heights, o.encoder.sizes = s.video.Heights[i:i+1], s.video.Sizes[i:i+1]; s.video.Codec.layered() {
				o.encoder.heights, o.encoder.sizes = s.video.Heights, s.video.Sizes
			}
			if s.video.Grey {
				o.encoder.grey, _ = greyOf(s.video.Heights[i]) // checked before
			}
			if o.encoder.fps = s.video.FPS; s.rates != nil {
				if o.encoder.rates = s.rates[i : i+1]; s.video.Codec.layered() {
					o.encoder.rates = s.rates
				}
			}
		}
		o.encoder.wanted = true
		if s.video != nil {
			o.rtx = ssrc()
			o.history = make([][]byte, historySize)
			if i < len(s.video.RIDs) {
				o.rid = []byte(s.video.RIDs[i])
			}
		}
		streams = append(streams, o)
	}
	s.mu.Lock()
	s.streams = streams
	s.mu.Unlock()
}

func ssrc() uint32 { return rand.Uint32N(1<<32-2) + 1 }

// signal writes the source as Jingle does (jitsi.md §8.1).
func (s *source) signal() jingle.Sources {
	var list []jingle.Source
	var groups []jingle.SourceGroup
	videoType := ""
	if s.video != nil {
		videoType = "camera"
		if s.video.Desktop {
			videoType = "desktop"
		}
	}
	add := func(ssrc uint32) {
		list = append(list, jingle.Source{SSRC: ssrc, Name: s.name, VideoType: videoType, Parameters: []jingle.Parameter{{Name: "msid", Value: s.msid}}})
	}
	var layers []uint32
	for _, o := range s.outgoing() {
		add(o.ssrc)
		layers = append(layers, o.ssrc)
	}
	if s.audio != nil {
		return jingle.Sources{Audio: list}
	}
	if len(layers) > 1 {
		groups = append(groups, jingle.SourceGroup{Semantics: "SIM", SSRCs: layers})
	}
	for _, o := range s.outgoing() {
		add(o.rtx)
		groups = append(groups, jingle.SourceGroup{Semantics: "FID", SSRCs: []uint32{o.ssrc, o.rtx}})
	}
	return jingle.Sources{Video: list, VideoGroups: groups}
}

// tick sends what is due.
func (s *source) tick(x *session, now time.Time) {
	if !x.leg.ready.Load() {
		return
	}
	if s.next.IsZero() || now.Sub(s.next) > behind {
		s.next = now
	}
	for !s.next.After(now) {
		if s.audio != nil {
			s.next = s.next.Add(audioFrame)
			s.speak(x, now)
		} else {
			s.next = s.next.Add(time.Second / time.Duration(s.video.FPS))
			s.show(x, now)
		}
	}
	if now.Sub(s.told) >= time.Second {
		s.told = now
		s.report(x, now)
	}
}

func (s *source) speak(x *session, now time.Time) {
	o := s.outgoing()[0]
	e := &o.encoder
	e.frame++ // time goes on, muted or not
	if s.muted.Load() {
		o.earlier = o.earlier[:0]
		return
	}
	e.packet++
	st := stamp{packet: e.packet, frame: e.frame, count: 1, key: true, sent: now.UnixNano(), name: []byte(s.name)}
	size := s.audio.Size
	if size == 0 {
		size = 80
	}
	level := min(int(s.level.Load()), 127)
	o.mu.Lock()
	defer o.mu.Unlock()
	frame := st.append(append(x.voice[:0], 0xfc)) // TOC: a CELT frame of 20 ms
	if s.audio.FEC {
		frame[0] = 0x78 // hybrid: only SILK has FEC
		before := st
		before.frame--
		before.packet--
		frame = before.append(frame)
	}
	for len(frame) < size {
		frame = append(frame, 0)
	}
	x.voice = frame
	h := header{payload: x.opus, sequence: o.sequence, stamp: o.base + e.frame*frameTicks, ssrc: o.ssrc, mid: midAudio, level: level, hasLevel: true}
	if s.audio.RED && x.red != 0 && s.audio.Copies != nil {
		h.payload = x.red
		frame = o.redundant(x, s.audio.Copies)
	}
	x.packet = o.send(x, append(x.appendHeader(x.packet[:0], &h, now), frame...), 0, h.stamp)
}

// redundant puts copies of earlier frames before x.voice, and keeps it for the next ones.
func (o *outgoing) redundant(x *session, copies []int) []byte {
	var list [redMost]block
	earlier := list[:0]
	for _, n := range copies {
		if n > 0 && n <= len(o.earlier) && len(earlier) < redMost-1 {
			earlier = append(earlier, block{ago: int64(n) * frameTicks, data: o.earlier[len(o.earlier)-n].data})
		}
	}
	x.redundant = appendRED(x.redundant[:0], x.opus, earlier, x.voice)
	var data []byte
	if len(o.earlier) == redAgo {
		data = o.earlier[0].data
		o.earlier = slices.Delete(o.earlier, 0, 1)
	}
	o.earlier = append(o.earlier, block{data: append(data[:0], x.voice...)})
	return x.redundant
}

func (s *source) show(x *session, now time.Time) {
	pt := x.video[s.video.Codec]
	muted := s.muted.Load()
	if pt == 0 || muted {
		for _, o := range s.outgoing() {
			o.mu.Lock()
			o.base += uint32(90000 / s.video.FPS)
			o.mu.Unlock()
		}
		return
	}
	if s.begun.IsZero() {
		s.begun = now
	}
	height := int(s.height.Load())
	if s.rates != nil {
		s.video.allot(s.rates, s.video.limit(now.Sub(s.begun)), height)
	}
	for i, o := range s.outgoing() {
		e := &o.encoder
		e.activate(s.active(i, height))
		o.mu.Lock()
		if o.asked {
			e.wanted, o.asked = true, false
		}
		pictures := e.next()
		o.base += uint32(90000 / s.video.FPS)
		for j := range pictures {
			p := &pictures[j]
			if n := len(s.video.Trace); n > 0 && p.last && (s.video.Codec.layered() || i == len(s.video.Heights)-1) {
				p.size = s.video.Trace[s.frame%n]
				s.frame++
			}
			s.packets(x, o, p, pt, now)
		}
		o.mu.Unlock()
	}
}

// active is how many spatial layers a stream has now, when receivers want a height at most; below 0 is any.
func (s *source) active(stream, height int) (n int) {
	first, last := stream, stream
	if s.video.Codec.layered() {
		if first, last = 0, len(s.video.Heights)-1; stream > 0 {
			return 0
		}
	}
	for i := first; i <= last; i++ {
		switch {
		case s.rates != nil && s.rates[i] > 0, s.rates == nil && height != 0 && (i == 0 || height < 0 || s.video.Heights[i] <= height):
			n++
		}
	}
	return n
}

// packets sends a frame. The caller holds o.mu.
func (s *source) packets(x *session, o *outgoing, p *picture, pt uint8, now time.Time) {
	n := p.packets(s.video.Codec)
	p.count, p.name, p.sent = uint16(n), []byte(s.name), now.UnixNano()
	each := p.size / n
	for i := range n {
		p.index = uint16(i)
		o.encoder.packet++
		p.packet = o.encoder.packet
		h := header{payload: pt, sequence: o.sequence, stamp: o.base, ssrc: o.ssrc, mid: midVideo, rid: o.rid, marker: i == n-1 && p.last, hasTime: true}
		if s.video.Codec == AV1 {
			x.descriptor = p.appendDescriptor(x.descriptor[:0])
			h.descriptor = x.descriptor
		}
		b := x.appendHeader(x.packet[:0], &h, now)
		at := len(b)
		b = p.stamp.append(p.appendPayload(b, s.video.Codec))
		size := at + each
		if s.video.Codec == H264 && p.key && i == 0 {
			size = 0 // nothing behind the SEI
		}
		x.packet = o.send(x, b, size, h.stamp)
	}
}

// send fills a packet up to a size, keeps it and sends it. The caller holds o.mu.
func (o *outgoing) send(x *session, b []byte, size int, stamp uint32) []byte {
	for len(b) < size {
		b = append(b, 0)
	}
	if o.history != nil {
		kept := &o.history[int(o.sequence)%historySize]
		*kept = append((*kept)[:0], b...)
	}
	o.sequence++
	o.packets++
	o.octets += uint32(len(b))
	o.stamped = stamp
	x.leg.write(b, false)
	return b
}

// repeat sends a packet again as RTX (RFC 4588). It reports whether it still has it.
func (o *outgoing) repeat(x *session, sequence uint16, apt map[uint8]uint8, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.history == nil {
		return false
	}
	b := o.history[int(sequence)%historySize]
	if len(b) < 12 || binary.BigEndian.Uint16(b[2:]) != sequence || apt[b[1]&0x7f] == 0 {
		return false
	}
	at := 12
	if b[0]&0x10 != 0 {
		at += 4 + 4*int(binary.BigEndian.Uint16(b[14:]))
	}
	again := slices.Clone(b[:at])
	again[1] = again[1]&0x80 | apt[b[1]&0x7f]
	binary.BigEndian.PutUint16(again[2:], o.repairs)
	o.repairs++
	binary.BigEndian.PutUint32(again[8:], o.rtx)
	again = append(binary.BigEndian.AppendUint16(again, sequence), b[at:]...)
	x.leg.write(again, false)
	return true
}

// report sends a sender report with the canonical name (RFC 3550 §6.4.1).
func (s *source) report(x *session, now time.Time) {
	for _, o := range s.outgoing() {
		o.mu.Lock()
		sr := &rtcp.SenderReport{SSRC: o.ssrc, NTPTime: ntp(now), RTPTime: o.stamped, PacketCount: o.packets, OctetCount: o.octets}
		o.mu.Unlock()
		if sr.PacketCount == 0 {
			continue
		}
		x.control(sr, rtcp.NewCNAMESourceDescription(o.ssrc, s.name))
	}
}

func ntp(t time.Time) uint64 {
	n := t.UnixNano()
	seconds := uint64(n/1e9) + 2208988800
	return seconds<<32 | uint64(n%1e9)<<32/1e9
}

// asked takes a request for a key frame of a stream.
func (s *source) asked(o *outgoing) {
	o.mu.Lock()
	o.asked = true
	o.mu.Unlock()
}

// header is what varies in the RTP header of a packet.
type header struct {
	payload    uint8
	marker     bool
	sequence   uint16
	stamp      uint32
	ssrc       uint32
	mid, rid   []byte
	level      int
	hasLevel   bool
	hasTime    bool
	descriptor []byte
}

// appendHeader writes the header with the extensions that were negotiated, in the one-byte form unless one is longer
// (RFC 8285).
func (x *session) appendHeader(b []byte, h *header, now time.Time) []byte {
	second := h.payload
	if h.marker {
		second |= 0x80
	}
	b = append(b, 0x90, second)
	b = binary.BigEndian.AppendUint16(b, h.sequence)
	b = binary.BigEndian.AppendUint32(b, h.stamp)
	b = binary.BigEndian.AppendUint32(b, h.ssrc)
	long := len(h.descriptor) > 16
	if long {
		b = append(b, 0x10, 0, 0, 0)
	} else {
		b = append(b, 0xbe, 0xde, 0, 0)
	}
	start := len(b)
	put := func(id uint8, v ...byte) {
		switch {
		case id == 0 || len(v) == 0:
		case long:
			b = append(append(b, id, byte(len(v))), v...)
		default:
			b = append(append(b, id<<4|byte(len(v)-1)), v...)
		}
	}
	ext := &x.extensions
	if h.hasLevel {
		put(ext.level, byte(h.level))
	}
	put(ext.mid, h.mid...)
	put(ext.rid, h.rid...)
	if h.hasTime {
		t := ntp(now) >> 14
		put(ext.time, byte(t>>16), byte(t>>8), byte(t))
	}
	n := x.transport.Add(1) - 1
	put(ext.tcc, byte(n>>8), byte(n))
	put(ext.descriptor, h.descriptor...)
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[start-2:], uint16((len(b)-start)/4))
	return b
}
