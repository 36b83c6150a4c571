package rtp

import "encoding/binary"

// ItemCNAME is the canonical name, the one item of a source description that every stream has (RFC 3550 §6.5.1).
const ItemCNAME = 1

// Items walks over the items of a source description (RFC 3550 §6.5).
type Items struct {
	rest   []byte
	left   int // chunks not begun
	ssrc   uint32
	inside bool
}

// Description is the walk over the items of a source description; of other packets there are none.
func (p *Control) Description() Items {
	if p.Type != TypeDescription {
		return Items{}
	}
	return Items{rest: p.body, left: int(p.Count)}
}

// Item is one item of a source.
type Item struct {
	SSRC uint32
	Type uint8
	Text []byte // in the packet
}

// Next returns the next item; false at the end, and where the packet is malformed.
func (i *Items) Next() (Item, bool) {
	for {
		if !i.inside {
			if i.left == 0 || len(i.rest) < 4 {
				return Item{}, false
			}
			i.left--
			i.ssrc, i.inside = binary.BigEndian.Uint32(i.rest), true
			i.rest = i.rest[4:]
		}
		if len(i.rest) == 0 {
			return Item{}, false
		}
		if i.rest[0] == 0 { // the list ends, and zeros go on to the next 32-bit boundary
			skip := len(i.rest) % 4
			if skip == 0 {
				skip = 4
			}
			i.rest, i.inside = i.rest[skip:], false
			continue
		}
		if len(i.rest) < 2 || len(i.rest) < 2+int(i.rest[1]) {
			return Item{}, false
		}
		end := 2 + int(i.rest[1])
		item := Item{i.ssrc, i.rest[0], i.rest[2:end:end]}
		i.rest = i.rest[end:]
		return item, true
	}
}
