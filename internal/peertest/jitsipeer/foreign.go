package jitsipeer

import "time"

// Stamped returns the payload of a packet that somebody else sends, such that peers measure what comes of it: one frame of VP8
// (a key frame, of height pixels) in one packet, or with height 0 of audio. Packet and frame are counted by number.
func Stamped(source string, number uint32, height int) []byte {
	s := stamp{packet: number, frame: number, count: 1, key: true, height: height, sent: time.Now().UnixNano(), name: []byte(source)}
	if height == 0 {
		return s.padding(nil)
	}
	p := picture{stamp: s, unit: uint16(number & 0x7fff), tl0: uint8(number)}
	return s.append(p.appendVP8(nil))
}

// StampedSound is a packet of Opus of one frame with a stamp in its padding (RFC 6716 §3.2.5): it sounds as it did.
func StampedSound(source string, number uint32, packet []byte) []byte {
	s := stamp{packet: number, frame: number, count: 1, key: true, sent: time.Now().UnixNano(), name: []byte(source)}
	return s.padding(packet)
}

// padding is a packet of Opus of one frame with the stamp behind it. Without one it is silence.
func (s *stamp) padding(packet []byte) []byte {
	if len(packet) == 0 {
		packet = []byte{0x78} // hybrid, 20 ms
	}
	pad := s.append(nil)
	b := append([]byte{packet[0] | 3, 0x41, byte(len(pad))}, packet[1:]...) // one frame, and less than 255 bytes of padding
	return append(b, pad...)
}

// SourceOf returns the source that the stamp in a payload names, and whether there is one.
func SourceOf(payload []byte) (source string, ok bool) {
	var s stamp
	if _, ok = s.parse(payload); !ok {
		return "", false
	}
	return string(s.name), true
}
