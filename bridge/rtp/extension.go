package rtp

import "encoding/binary"

// Forms of the header extension (RFC 8285 §4.2, §4.3). The lower four bits of the second are the application's.
const (
	oneByteForm = 0xBEDE
	twoByteForm = 0x1000
)

// elements walks over the elements of a header extension. Other forms than those of RFC 8285 have none.
type elements struct {
	block []byte // from the first element
	at    int
	two   bool // two-byte form
	id    uint8
	value span // in block
}

func walk(profile uint16, block []byte) (elements, bool) {
	e := elements{block: block, two: profile&0xfff0 == twoByteForm}
	return e, e.two || profile == oneByteForm
}

// next finds the next element. It returns false at the end, and ErrExtension when an element reaches beyond it.
func (e *elements) next() (bool, error) {
	for e.at < len(e.block) {
		b := e.block[e.at]
		if b == 0 { // padding, in both forms one byte
			e.at++
			continue
		}
		var size, head int
		if e.two {
			if e.at+2 > len(e.block) {
				return false, ErrExtension
			}
			e.id, size, head = b, int(e.block[e.at+1]), 2
		} else {
			e.id, size, head = b>>4, int(b&0x0f)+1, 1
			// RFC 8285 §4.2: id 15 ends the extension, and so does a 0 with a length.
			if e.id == 15 || e.id == 0 {
				return false, nil
			}
		}
		start := e.at + head
		if start+size > len(e.block) {
			return false, ErrExtension
		}
		e.value = span{uint16(start), uint16(size)}
		e.at = start + size
		return true, nil
	}
	return false, nil
}

// index fills the table of ids 1 to 15 and checks all elements. Of two elements of one id the first counts.
func (p *Packet) index() error {
	e, ok := walk(p.profile, p.extension())
	for ok {
		more, err := e.next()
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		if e.id < 16 && p.table[e.id].at == 0 {
			p.table[e.id] = span{p.block.at + e.value.at, e.value.size}
		}
	}
	return nil
}

// extension is the header extension without its own header.
func (p *Packet) extension() []byte { return p.raw[p.block.at : p.block.at+p.block.size] }

// Extension is the value of the element with this id, to be read or changed in place; nil when there is none. It is found at
// once up to id 15, by a walk above. A value of the two-byte form may be empty and is then not nil.
func (p *Packet) Extension(id uint8) []byte {
	if id == 0 {
		return nil
	}
	if id < 16 {
		s := p.table[id]
		if s.at == 0 {
			return nil
		}
		return p.raw[s.at : s.at+s.size : s.at+s.size]
	}
	block := p.extension()
	e, ok := walk(p.profile, block)
	for ok {
		if more, err := e.next(); !more || err != nil {
			return nil
		}
		if e.id == id {
			return block[e.value.at : e.value.at+e.value.size : e.value.at+e.value.size]
		}
	}
	return nil
}

// IDs are the numbers that the header extensions have on one leg; 0 is "not negotiated".
type IDs struct {
	AudioLevel           uint8 // RFC 6464
	VideoOrientation     uint8 // 3GPP TS 26.114 §7.4.5
	DependencyDescriptor uint8 // AV1 RTP specification, appendix A
	AbsSendTime          uint8
	TransportCC          uint8
	MID                  uint8 // RFC 9143
}

// AudioLevel reads a value of ssrc-audio-level (RFC 6464 §3): minus dBov from 0 (loudest) to 127 (silence), and whether the
// sender heard a voice.
func AudioLevel(value []byte) (level uint8, voice, ok bool) {
	if len(value) < 1 {
		return 127, false, false
	}
	return value[0] & 0x7f, value[0]&0x80 != 0, true
}

// AbsSendTime reads a value of abs-send-time: seconds in 6.18 fixed point, which wrap after 64 s.
func AbsSendTime(value []byte) (stamp uint32, ok bool) {
	if len(value) != 3 {
		return 0, false
	}
	return uint32(value[0])<<16 | uint32(value[1])<<8 | uint32(value[2]), true
}

// PutAbsSendTime writes a value of abs-send-time, of which value must have the three bytes.
func PutAbsSendTime(value []byte, stamp uint32) {
	_ = value[2]
	value[0], value[1], value[2] = byte(stamp>>16), byte(stamp>>8), byte(stamp)
}

// TransportSequence reads a value of transport-cc's extension: the number of the packet among all of its transport.
func TransportSequence(value []byte) (seq uint16, ok bool) {
	if len(value) < 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(value), true
}
