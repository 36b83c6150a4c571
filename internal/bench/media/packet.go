package media

import (
	"encoding/binary"
	"time"
)

const (
	payloadVideo = 96  // VP8
	payloadRTX   = 97  // of it
	payloadVoice = 111 // Opus

	idAudioLevel = 1 // header extensions, as Jicofo numbers them
	idSendTime   = 3
	idTransport  = 5

	tag       = 16 // bytes that SRTP adds (RFC 7714)
	stampSize = 8
)

// source makes the packets of one stream.
type source struct {
	trace  trace
	video  bool
	height uint16
	ssrc   uint32

	next      int           // packet of the trace
	round     time.Duration // when the present repetition has begun
	sequence  uint16
	timestamp uint32
	begins    bool // the next packet is the first of its frame
	key       bool // the frame is a key frame
	picture   uint16
}

// due is when the next packet leaves.
func (s *source) due() time.Duration { return s.round + s.trace.packets[s.next].at }

// packet writes the next packet to b, which has room for it and its tag, and moves on. Transport is the transport-wide
// sequence number; wantKey is asked at the begin of a frame. The time of sending stands at the end of the payload.
func (s *source) packet(b []byte, transport uint16, now time.Time, wantKey func() bool) []byte {
	p := s.trace.packets[s.next]
	size := p.size - tag
	b = b[:size]
	if s.begins {
		s.timestamp = s.ticks()
		s.picture = (s.picture + 1) & 0x7fff
		s.key = s.video && wantKey()
	}
	b[0], b[1] = 0x90, s.payloadType() // RFC 3550 §5.1: version 2, an extension follows
	if p.marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], s.sequence)
	binary.BigEndian.PutUint32(b[4:], s.timestamp)
	binary.BigEndian.PutUint32(b[8:], s.ssrc)
	copy(b[12:], []byte{0xbe, 0xde, 0, 2, idTransport<<4 | 1, byte(transport >> 8), byte(transport), 0, 0, 0, 0, 0}) // RFC 8285 §4.2
	if !s.video {
		b[19], b[20] = idAudioLevel<<4, 30 // -30 dBov, no voice: nobody becomes the speaker
	}
	payload := b[24:]
	if s.video {
		s.vp8(payload)
	}
	binary.BigEndian.PutUint64(payload[len(payload)-stampSize:], uint64(now.UnixNano()))

	s.sequence++
	s.begins = p.marker || !s.video
	if s.next++; s.next == len(s.trace.packets) {
		s.next, s.round = 0, s.round+s.trace.period
	}
	return b
}

func (s *source) payloadType() byte {
	if s.video {
		return payloadVideo
	}
	return payloadVoice
}

// ticks is the time of the next packet in units of the clock.
func (s *source) ticks() uint32 {
	clock := int64(48)
	if s.video {
		clock = 90
	}
	return uint32(int64(s.due()) * clock / int64(time.Millisecond))
}

// vp8 writes the descriptor with a picture id of 15 bits, TL0PICIDX and TID (RFC 7741 §4.2), and at the begin of a frame
// its header (RFC 6386 §9.1).
func (s *source) vp8(b []byte) {
	b[0], b[1] = 0x80, 0xe0
	binary.BigEndian.PutUint16(b[2:], 0x8000|s.picture)
	b[4], b[5] = byte(s.picture), 0
	if !s.begins {
		return
	}
	b[0] |= 0x10
	if !s.key {
		b[6] = 0x11 // shown, no key frame
		return
	}
	b[6], b[7], b[8] = 0x10, 0, 0
	copy(b[9:], []byte{0x9d, 0x01, 0x2a})
	binary.LittleEndian.PutUint16(b[12:], s.height*16/9)
	binary.LittleEndian.PutUint16(b[14:], s.height)
}

// stamped reads the time of sending from a payload.
func stamped(payload []byte) (time.Time, bool) {
	if len(payload) < stampSize {
		return time.Time{}, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(payload[len(payload)-stampSize:]))), true
}
