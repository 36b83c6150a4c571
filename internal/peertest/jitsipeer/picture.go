package jitsipeer

// Codec is a video codec, by its name in the offer.
type Codec string

// The codecs of the offer.
const (
	VP8  Codec = "VP8"
	VP9  Codec = "VP9"
	AV1  Codec = "AV1"
	H264 Codec = "H264"
)

// layered says that the spatial layers are in one stream (SVC, as browsers do with VP9 and AV1: L3T3_KEY), not in one
// stream each (simulcast with three temporal layers, without in H264).
func (c Codec) layered() bool { return c == VP9 || c == AV1 }

// picture is one encoded frame of one spatial layer.
type picture struct {
	stamp
	first, last bool // of its temporal unit in its stream
	intra       bool // its temporal unit begins anew: the lowest layer is a key frame
	size        int  // bytes

	unit     uint16 // number of the temporal unit: picture id
	tl0      uint8  // TL0PICIDX
	sync     bool   // VP8's Y, VP9's U: higher temporal layers may begin here
	position int    // in the temporal pattern, 0 to 3
	layers   int    // spatial layers of the stream
	heights  []int
	number   uint16 // frame_number of the dependency descriptor
	grey     *grey  // what is to be decoded; nil: nothing can be
}

// The temporal pattern T0 T2 T1 T2. All of a layer's references are within the layer (K-SVC):
//
//	T2    1       3
//	T1    |   2   |
//	T0 0──┴───┴───(next 0)      3 refers to 2, the others to 0
var (
	temporalOf = [4]uint8{0, 2, 1, 2}
	backOf     = [4]int{4, 1, 2, 1} // temporal units back to the reference
)

// encoder makes the frames of one stream: a layer of a simulcast, or all layers of an SVC.
type encoder struct {
	codec    Codec
	stream   uint8
	heights  []int // of the spatial layers
	sizes    []int // bytes of a frame of theirs
	rates    []int // in place of sizes: bits/s
	fps      int
	grey     *grey
	debt     [maxLayers]int // bytes that key frames took and that are to be saved
	active   int            // how many of them are sent
	wanted   bool           // a key frame
	position int
	unit     uint16
	tl0      uint8
	frame    uint32
	number   uint16
	packet   uint32
	history  [5][maxLayers]uint32 // frames of the last temporal units, newest first
	pictures [maxLayers]picture
}

const maxLayers = 3

// activate sets how many spatial layers are sent; a change begins with a key frame.
func (e *encoder) activate(n int) {
	if n = min(n, len(e.heights)); n != e.active {
		e.active, e.wanted = n, true
	}
}

// next makes the frames of a temporal unit, valid until the next call.
func (e *encoder) next() []picture {
	if e.active == 0 {
		return nil
	}
	key := e.wanted
	e.position = (e.position + 1) % 4
	if key {
		e.wanted, e.position = false, 0
	}
	if e.codec == H264 && !key {
		e.position = 0 // one temporal layer
	}
	e.unit++
	position := e.position
	temporal := temporalOf[position]
	if temporal == 0 {
		e.tl0++
	}
	copy(e.history[1:], e.history[:])
	back := backOf[position]
	if e.codec == H264 {
		back = 1
	}
	for s := range e.active {
		e.frame++
		e.number++
		e.history[0][s] = e.frame
		p := picture{
			stamp: stamp{stream: e.stream, spatial: uint8(s), temporal: temporal, key: key && s == 0, height: e.heights[s], frame: e.frame},
			first: s == 0, last: s == e.active-1, intra: key, size: e.size(s, key, temporal),
			unit: e.unit, tl0: e.tl0, sync: position != 3, position: position, layers: e.active, heights: e.heights, number: e.number, grey: e.grey,
		}
		switch {
		case key && s > 0:
			p.refs, p.references[0] = 1, e.history[0][s-1]
		case !key:
			p.refs, p.references[0] = 1, e.history[back][s]
		}
		e.pictures[s] = p
	}
	return e.pictures[:e.active]
}
