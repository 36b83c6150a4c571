package jitsipeer

import "time"

// Stamped returns the payload of a packet that somebody else sends, such that peers measure what comes of it: one frame of VP8
// (a key frame, of height pixels) in one packet, or with height 0 of audio. Packet and frame are counted by number.
func Stamped(source string, number uint32, height int) []byte {
	s := stamp{packet: number, frame: number, count: 1, key: true, height: height, sent: time.Now().UnixNano(), name: []byte(source)}
	if height == 0 {
		return s.append([]byte{0x78})
	}
	p := picture{stamp: s, unit: uint16(number & 0x7fff), tl0: uint8(number)}
	return s.append(p.appendVP8(nil))
}

// SourceOf returns the source that the stamp in a payload names, and whether there is one.
func SourceOf(payload []byte) (source string, ok bool) {
	var s stamp
	if _, ok = s.parse(payload); !ok {
		return "", false
	}
	return string(s.name), true
}
