package bridge

import (
	"encoding/binary"

	"parley/bridge/rtp"
	"parley/bridge/rtp/codec"
	"parley/bridge/udp"
)

// growth is by how much a packet may become longer on its way: header extensions, padding, and the original sequence number
// of a retransmission.
const growth = 96 + align + codec.DescriptorGrowth

// align is what the sizes of packets of video are rounded up to. Encoders cut a frame into packets that differ by a byte or
// so, and only what has one size leaves in one call (package udp). On average it costs eight bytes.
const align = 16

// Of a note, which is kept with each sent packet for its retransmission (rtp.Origin): what was rewritten in it.
const (
	noteMarker     = 1 << 31 // the marker was set
	noteDescriptor = 1 << 30 // the numbers are those of the dependency descriptor
	noteCodec      = 1<<24 - 1
)

// noDescriptor leaves the sender's dependency descriptor out.
var noDescriptor = []byte{}

// omit closes the place of a packet that the slot does not get.
func (s *slot) omit(p *packet) {
	if p.kind == vp8 && p.read {
		s.pictures.Drop(p.vp8.PictureBits, codec.Numbers{Picture: p.vp8.Picture, TL0: p.vp8.TL0})
	}
	s.order.Drop(p.id, p.Sequence())
}

// send writes a packet to the receiver, in its place of the slot's stream. The caller holds egress.mu of the receiver.
func (s *slot) send(b *udp.Batch, leg Leg, d *dialect, p *packet) {
	out := &s.receiver.out
	h := &out.header
	payload, skip := d.payload[p.kind], 0
	if p.kind == red && payload == 0 { // a receiver without RED gets what a sender without RED would send
		if skip = p.skip; skip != 0 {
			payload = d.payload[opus]
		}
	}
	if payload == 0 {
		s.order.Drop(p.id, p.Sequence())
		return
	}
	*h = rtp.Header{PayloadType: payload, Skip: skip, SSRC: s.ssrc, MID: s.mid, Descriptor: noDescriptor, AbsSendTime: rtp.SendTime(b.Now)}
	note := uint32(0)
	switch {
	case p.kind == vp8 && p.read && p.vp8.HasPicture:
		n, ok := s.pictures.Map(p.vp8.PictureBits, codec.Numbers{Picture: p.vp8.Picture, TL0: p.vp8.TL0})
		if !ok {
			s.order.Drop(p.id, p.Sequence())
			return
		}
		note = n.Note()
	case p.kind == vp9 && p.read && p.vp9.HasPicture:
		n, ok := s.pictures.Map(p.vp9.PictureBits, codec.Numbers{Picture: p.vp9.Picture, TL0: p.vp9.TL0})
		if !ok {
			s.order.Drop(p.id, p.Sequence())
			return
		}
		note = n.Note()
	case p.deps != nil && d.rewrite.IDs.DependencyDescriptor != 0:
		w, ok := s.sequel.Map(&p.dep)
		if !ok {
			s.order.Drop(p.id, p.Sequence())
			return
		}
		note = noteDescriptor | uint32(w.Number) | uint32(w.Shift&63)<<16
		if active := p.deps.Structure().UpTo(s.spatial, s.temporal); active&p.dep.Active != p.dep.Active {
			w.Restrict, w.Active = true, active&p.dep.Active
		}
		h.Descriptor = out.scratch[:p.dep.Rewrite(out.scratch[:], w)]
	}
	if h.Marker = p.Marker(); s.video && s.last(p) {
		h.Marker = true
	}
	if s.video {
		h.Align = align
	}
	if h.Marker {
		note |= noteMarker
	}
	place, verdict := s.order.Forward(p.id, p.Sequence(), p.Timestamp(), note)
	if verdict != rtp.Forwarded {
		if verdict == rtp.Restarted {
			s.stop()
		}
		return
	}
	h.Sequence, h.Timestamp = place.Sequence, place.Timestamp
	s.shift = place.Timestamp - p.Timestamp()
	s.payload, s.clock = payload, p.clock

	if out.redundancy.count > 0 && p.kind == opus && p.newest && d.payload[red] != 0 {
		if h.Payload = out.redundancy.red(p, d.payload[opus]); h.Payload != nil {
			h.PayloadType = d.payload[red]
		}
	}
	room := leg.Reserve(len(p.Bytes()) + len(h.Payload) + growth)
	if room == nil {
		s.receiver.drop(DropRoom)
		return
	}
	h.TransportCC = out.sequence
	w, err := d.rewrite.Write(room, &p.Packet, p.from, h)
	if err != nil {
		leg.Commit(b, 0, s.ssrc, false)
		return
	}
	end := w.Size - w.Padding
	renumber(room[end-len(p.Payload())+skip:end], p.kind, note)
	class := ordinary
	if !s.video {
		class = urgent
		out.downlink.voice.take(b.Now, w.Size+overhead)
	} else {
		out.downlink.extra.take(b.Now, w.Size+overhead, 0)
	}
	out.commit(b, leg, s, room, &w, s.ssrc, h.Marker || !s.video, class)
	s.packets++
	if s.octets += uint32(len(p.Payload()) - skip); h.Payload != nil {
		s.octets += uint32(len(h.Payload) - len(p.Payload()))
	}
	s.sent, s.sentAt, s.whole = true, p.at, h.Marker
}

// renumber writes the numbers of a note into a payload.
func renumber(payload []byte, k kind, note uint32) {
	if note&noteDescriptor != 0 {
		return
	}
	switch n := codec.Noted(note & noteCodec); k {
	case vp8:
		var d codec.VP8
		if d.Parse(payload) == nil {
			d.SetPicture(n.Picture)
			d.SetTL0(n.TL0)
		}
	case vp9:
		var d codec.VP9
		if d.Parse(payload) == nil {
			d.SetPicture(n.Picture)
			d.SetTL0(n.TL0)
		}
	}
}

// repair sends again what had a sequence number, as a retransmission (RFC 4588), and returns its size on the way, 0 if it could not. A receiver
// without RTX is given nothing: the packet would have the number that it had, and other bits (the time at which it is sent, the
// transport-wide number), so that one keystream would encrypt both (RFC 3711 §9.1). It gets a key frame instead. The caller
// holds egress.mu.
func (s *slot) repair(b *udp.Batch, leg Leg, d *dialect, seq uint16) (size int) {
	o, ok := s.order.Origin(seq)
	if !ok || !o.Sent || s.isVoid(seq, b.Now) {
		return 0
	}
	st := s.origin(o.Stream)
	if st == nil {
		return 0
	}
	st.mu.Lock()
	buffer := st.store.get(o.Sequence)
	if buffer != nil {
		buffer.Retain()
	}
	st.mu.Unlock()
	if buffer == nil {
		return 0
	}
	defer buffer.Release()
	out := &s.receiver.out
	p, h := &out.repair, &out.header
	if p.Parse(buffer.Bytes) != nil || p.Sequence() != o.Sequence {
		return 0
	}
	from := st.source.owner.dialect.Load()
	k, ids := from.kinds[p.PayloadType()], from.rewrite.IDs
	again := d.rtx[d.payload[k]]
	if s.rtx == 0 || again == 0 {
		if st == s.current {
			s.source.request(b, st.index)
		}
		return 0
	}
	*h = rtp.Header{
		PayloadType: again, SSRC: s.rtx, MID: s.mid, Descriptor: noDescriptor, AbsSendTime: rtp.SendTime(b.Now),
		Sequence: s.repairs, Timestamp: p.Timestamp() + o.Shift, Marker: o.Note&noteMarker != 0, TransportCC: out.sequence,
	}
	if v := p.Extension(ids.DependencyDescriptor); o.Note&noteDescriptor != 0 && len(v) >= 3 && len(v) <= len(out.scratch) {
		h.Descriptor = out.scratch[:copy(out.scratch[:], v)]
		redescribe(h.Descriptor, o.Note)
	}
	room := leg.Reserve(len(p.Bytes()) + growth)
	if room == nil {
		s.receiver.drop(DropRoom)
		return 0
	}
	w, err := d.rewrite.WriteRTX(room, p, ids, h, seq)
	if err != nil {
		leg.Commit(b, 0, s.rtx, false)
		return 0
	}
	renumber(room[w.Size-len(p.Payload()):w.Size], k, o.Note)
	s.repairs++
	out.commit(b, leg, s, room, &w, s.rtx, true, repaired)
	return w.Size + overhead
}

// redescribe writes the numbers of a note into a dependency descriptor: frame_number, and the template id, in the descriptor
// and in the structure that it may hold (A.8.2: frame_dependency_template_id are the lower six bits of the first byte, and
// template_id_offset follows the five flags).
//
//	| s e template  |        frame_number           | f f f f f offset| ...
func redescribe(d []byte, note uint32) {
	shift := byte(note >> 16 & 63)
	d[0] = d[0]&0xc0 | (d[0]+shift)&63
	binary.BigEndian.PutUint16(d[1:], uint16(note))
	if len(d) > 4 && d[3]&0x80 != 0 {
		offset := (d[3]&7<<3 | d[4]>>5) + shift&63
		d[3] = d[3]&^7 | offset>>3&7
		d[4] = d[4]&0x1f | offset<<5
	}
}
