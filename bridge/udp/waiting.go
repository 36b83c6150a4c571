package udp

import "sync"

// waiting is memory for the datagrams of one receiver that have not left. A writer has it only while there are some.
type waiting struct {
	n       int // datagrams
	used    int // bytes
	sizes   [most]uint16
	starts  [most]uint16
	streams [most]uint32
	plan    plan
	call    call // what the system's way of sending needs
	bytes   [1 << 16]byte
}

var memory = sync.Pool{New: func() any {
	w := new(waiting)
	w.call.prepare(w)
	return w
}}

// one makes w hold one datagram, which leaves alone.
func (w *waiting) one(packet []byte) {
	w.n, w.used = 1, len(packet)
	w.sizes[0], w.starts[0], w.streams[0] = uint16(len(packet)), 0, 0
	copy(w.bytes[:], packet)
}

// datagram returns datagram i.
func (w *waiting) datagram(i uint8) []byte {
	return w.bytes[w.starts[i]:][:w.sizes[i]]
}

// free gives the memory back.
func (w *waiting) free() {
	w.n, w.used = 0, 0
	memory.Put(w)
}
