package jitsipeer

import "encoding/binary"

const packetSize = 1100 // bytes of payload, at most

// packets is how many packets a frame takes. A key frame of H264 has one for its parameter sets and at least two fragments.
func (p *picture) packets(c Codec) int {
	n := (p.size + packetSize - 1) / packetSize
	if c == H264 && p.key {
		return 1 + max(n, 2)
	}
	return max(n, 1)
}

// appendPayload appends what the payload format puts before the data: descriptor, and the head of the coded frame where
// there is one. The index of the packet is set.
func (p *picture) appendPayload(dst []byte, c Codec) []byte {
	switch c {
	case VP8:
		return p.appendVP8(dst)
	case VP9:
		return p.appendVP9(dst)
	case AV1:
		return p.appendAV1(dst)
	}
	return p.appendH264(dst)
}

// appendVP8 writes the descriptor of RFC 7741 §4.2, and the frame tag (RFC 6386 §9.1) in the first packet.
func (p *picture) appendVP8(dst []byte) []byte {
	first := byte(0x80)
	if p.temporal == 2 {
		first |= 0x20 // N: nothing refers to it
	}
	if p.index == 0 {
		first |= 0x10
	}
	dst = append(dst, first, 0xe0) // I, L, T
	dst = binary.BigEndian.AppendUint16(dst, p.unit|0x8000)
	layer := p.temporal << 6
	if p.sync && p.temporal > 0 {
		layer |= 0x20
	}
	dst = append(dst, p.tl0, layer)
	switch {
	case p.index > 0:
		return dst
	case p.grey != nil && p.key:
		return append(dst, p.grey.key...)
	case p.grey != nil:
		return append(dst, p.grey.delta...)
	case !p.key:
		return append(dst, 0x11, 0, 0)
	}
	dst = append(dst, 0x10, 0, 0, 0x9d, 0x01, 0x2a)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(p.height*16/9))
	return binary.LittleEndian.AppendUint16(dst, uint16(p.height))
}

// appendVP9 writes the descriptor of RFC 9628 §4.2 in non-flexible mode, with the scalability structure in key frames.
func (p *picture) appendVP9(dst []byte) []byte {
	first := byte(0x80 | 0x20)
	if !p.intra {
		first |= 0x40 // P
	}
	if p.index == 0 {
		first |= 0x08
	}
	if p.index == p.count-1 {
		first |= 0x04
	}
	structure := p.key && p.index == 0
	if structure {
		first |= 0x02
	}
	if !p.intra || p.last {
		first |= 0x01 // no upper layer refers to it
	}
	dst = append(dst, first)
	dst = binary.BigEndian.AppendUint16(dst, p.unit|0x8000)
	layer := p.temporal<<5 | p.spatial<<1
	if p.sync {
		layer |= 0x10
	}
	if p.intra && p.spatial > 0 {
		layer |= 0x01
	}
	dst = append(dst, layer, p.tl0)
	if !structure {
		return dst
	}
	dst = append(dst, byte(p.layers-1)<<5|0x18)
	for _, h := range p.heights[:p.layers] {
		dst = binary.BigEndian.AppendUint16(dst, uint16(h*16/9))
		dst = binary.BigEndian.AppendUint16(dst, uint16(h))
	}
	dst = append(dst, byte(len(temporalOf)))
	for i, t := range temporalOf {
		group := t<<5 | 1<<2
		if i != 3 {
			group |= 0x10
		}
		dst = append(dst, group, byte(backOf[i]))
	}
	return dst
}

// appendAV1 writes the aggregation header (AV1 RTP specification §4.4) of a single OBU, and its header.
func (p *picture) appendAV1(dst []byte) []byte {
	first := byte(0x10)
	if p.index > 0 {
		first |= 0x80
	}
	if p.index < p.count-1 {
		first |= 0x40
	}
	if p.key && p.index == 0 {
		first |= 0x08
	}
	dst = append(dst, first)
	if p.index == 0 {
		dst = append(dst, 6<<3|0x04, p.temporal<<5|p.spatial<<3) // OBU_FRAME with extension
	}
	return dst
}

// appendH264 writes NAL units (RFC 6184): parameter sets and SEI in a STAP-A, IDR and slices as a unit or in FU-A.
func (p *picture) appendH264(dst []byte) []byte {
	if p.key && p.index == 0 {
		dst = append(dst, 0x78) // STAP-A
		sps := appendSPS(nil, p.height*16/9, p.height)
		for _, unit := range [][]byte{sps, {0x68, 0xce, 0x38, 0x80}} {
			dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(unit))), unit...)
		}
		unit := stampFixed + 4*p.refs + len(p.name) + 1
		return append(binary.BigEndian.AppendUint16(dst, uint16(unit)), 0x06) // SEI: the stamp
	}
	unit, start := byte(1), uint16(0)
	if p.key {
		unit, start = 5, 1
	}
	if p.count == 1 {
		return append(dst, 0x60|unit)
	}
	part := unit
	if p.index == start {
		part |= 0x80
	}
	if p.index == p.count-1 {
		part |= 0x40
	}
	return append(dst, 0x60|28, part)
}

// appendSPS writes a sequence parameter set of the constrained baseline profile (ITU-T H.264 §7.3.2.1).
func appendSPS(dst []byte, width, height int) []byte {
	var w bitWriter
	golomb := func(v int) {
		v++
		n := 0
		for x := v; x > 1; x >>= 1 {
			n++
		}
		w.put(0, n)
		w.put(uint32(v), n+1)
	}
	w.put(0x67, 8)
	w.put(0x42e01f, 24)
	golomb(0) // seq_parameter_set_id
	golomb(0) // log2_max_frame_num_minus4
	golomb(2) // pic_order_cnt_type
	golomb(1) // max_num_ref_frames
	w.put(0, 1)
	wide, high := (width+15)/16, (height+15)/16
	golomb(wide - 1)
	golomb(high - 1)
	w.put(3, 2) // frame_mbs_only_flag, direct_8x8_inference_flag
	right, bottom := (wide*16-width)/2, (high*16-height)/2
	w.flag(right+bottom > 0)
	if right+bottom > 0 {
		golomb(0)
		golomb(right)
		golomb(0)
		golomb(bottom)
	}
	w.put(1, 2) // no VUI; the stop bit
	zeros := 0
	for _, c := range w.b { // §7.4.1: no three bytes look like a start code
		if zeros >= 2 && c <= 3 {
			dst, zeros = append(dst, 3), 0
		}
		if dst = append(dst, c); c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return dst
}
