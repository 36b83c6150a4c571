package jitsipeer

import "encoding/binary"

// block is a part of a redundant payload.
type block struct {
	payload uint8
	ago     int64 // ticks
	data    []byte
}

const (
	redMost = 32 // blocks
	redAgo  = 17 // frames that the offset of a block can say
)

// splitRED takes a redundant payload apart (RFC 2198 §3), the primary block last. What it returns is in list, as far as that
// has room, and in b.
func splitRED(list []block, b []byte) (blocks []block, ok bool) {
	list = list[:0]
	heads := b
	for {
		if len(heads) < 1 || len(list) == redMost {
			return nil, false
		}
		if heads[0]&0x80 == 0 {
			list = append(list, block{payload: heads[0]})
			heads = heads[1:]
			break
		}
		if len(heads) < 4 {
			return nil, false
		}
		list = append(list, block{payload: heads[0] & 0x7f, ago: int64(binary.BigEndian.Uint16(heads[1:]) >> 2)})
		heads = heads[4:]
	}
	data := heads
	for i := range list[:len(list)-1] {
		n := int(binary.BigEndian.Uint16(b[4*i+2:]) & 0x3ff)
		if n > len(data) {
			return nil, false
		}
		list[i].data, data = data[:n], data[n:]
	}
	list[len(list)-1].data = data
	return list, true
}

// appendRED puts earlier payloads, each with how many ticks ago it was, before the primary one.
func appendRED(dst []byte, payload uint8, earlier []block, primary []byte) []byte {
	for _, e := range earlier {
		dst = append(dst, 0x80|payload)
		dst = binary.BigEndian.AppendUint16(dst, uint16(e.ago<<2)|uint16(len(e.data)>>8))
		dst = append(dst, byte(len(e.data)))
	}
	dst = append(dst, payload)
	for _, e := range earlier {
		dst = append(dst, e.data...)
	}
	return append(dst, primary...)
}
