package codec

import "math/bits"

// rbsp reads a raw byte sequence payload bit by bit, and leaves out the emulation prevention bytes (ITU-T H.264 §7.4.1.1).
type rbsp struct {
	b     []byte
	at    int
	bit   int
	zeros int // bytes of 0 before at
	short bool
}

func (r *rbsp) read(n int) uint32 {
	var v uint32
	for range n {
		if r.at >= len(r.b) {
			r.short = true
			return 0
		}
		v = v<<1 | uint32(r.b[r.at]>>(7-r.bit)&1)
		if r.bit++; r.bit == 8 {
			r.bit = 0
			r.next()
		}
	}
	return v
}

func (r *rbsp) next() {
	if r.b[r.at] == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
	r.at++
	if r.zeros >= 2 && r.at < len(r.b) && r.b[r.at] == 3 {
		r.zeros = 0
		r.at++
	}
}

// golomb is ue(v) of §9.1.
func (r *rbsp) golomb() uint32 {
	zeros := 0
	for r.read(1) == 0 {
		if zeros++; zeros > 31 || r.short {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.read(zeros)
}

// signed is se(v) of §9.1.1.
func (r *rbsp) signed() int32 {
	k := r.golomb()
	if k&1 != 0 {
		return int32(k/2 + 1)
	}
	return -int32(k / 2)
}

// sequenceSize reads the size of the pictures, cropped, from a sequence parameter set without its NAL unit header
// (§7.3.2.1.1).
func sequenceSize(b []byte) (width, height uint16, ok bool) {
	r := rbsp{b: b}
	profile := r.read(8)
	r.read(16) // constraints, level
	r.golomb() // seq_parameter_set_id
	chroma, separate := uint32(1), uint32(0)
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		if chroma = r.golomb(); chroma == 3 {
			separate = r.read(1)
		}
		if chroma > 3 {
			return 0, 0, false
		}
		r.golomb() // bit_depth_luma_minus8
		r.golomb() // bit_depth_chroma_minus8
		r.read(1)  // qpprime_y_zero_transform_bypass_flag
		if r.read(1) != 0 {
			lists := 8
			if chroma == 3 {
				lists = 12
			}
			for i := range lists {
				if r.read(1) != 0 {
					r.scalingList(i)
				}
			}
		}
	}
	r.golomb() // log2_max_frame_num_minus4
	switch r.golomb() {
	case 0:
		r.golomb() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		r.read(1) // delta_pic_order_always_zero_flag
		r.signed()
		r.signed()
		for n := min(r.golomb(), 256); n > 0 && !r.short; n-- {
			r.signed()
		}
	}
	r.golomb() // max_num_ref_frames
	r.read(1)  // gaps_in_frame_num_value_allowed_flag
	w := 16 * (uint64(r.golomb()) + 1)
	h := 16 * (uint64(r.golomb()) + 1)
	fields := uint64(1)
	if r.read(1) == 0 { // frame_mbs_only_flag
		fields = 2
		r.read(1) // mb_adaptive_frame_field_flag
	}
	h *= fields
	r.read(1) // direct_8x8_inference_flag
	if r.read(1) != 0 {
		left, right, top, bottom := uint64(r.golomb()), uint64(r.golomb()), uint64(r.golomb()), uint64(r.golomb())
		unitX, unitY := uint64(1), fields // table 6-1
		if separate == 0 && (chroma == 1 || chroma == 2) {
			unitX = 2
			if chroma == 1 {
				unitY *= 2
			}
		}
		cropX, cropY := unitX*(left+right), unitY*(top+bottom)
		if cropX >= w || cropY >= h {
			return 0, 0, false
		}
		w, h = w-cropX, h-cropY
	}
	if r.short || bits.Len64(w) > 16 || bits.Len64(h) > 16 {
		return 0, 0, false
	}
	return uint16(w), uint16(h), true
}

// scalingList passes over the i-th scaling list (§7.3.2.1.1.1).
func (r *rbsp) scalingList(i int) {
	size := 16
	if i >= 6 {
		size = 64
	}
	last, next := int32(8), int32(8)
	for range size {
		if next != 0 {
			next = (last + r.signed()) & 0xff
		}
		if next != 0 {
			last = next
		}
	}
}
