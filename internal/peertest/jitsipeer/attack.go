package jitsipeer

import (
	"slices"

	"parley/jingle"
)

// What follows is for tests that do what no client does.

// Offer is the offer of the present session, nil without one. It is not to be changed.
func (p *Peer) Offer() *jingle.Jingle {
	if x := p.current(); x != nil {
		return x.offer
	}
	return nil
}

// SSRCs are those of an own source, from the lowest layer to the highest.
func (p *Peer) SSRCs(source string) (list []uint32) {
	for _, s := range p.own() {
		if s.name == source {
			for _, o := range s.outgoing() {
				list = append(list, o.ssrc)
			}
		}
	}
	return list
}

// Unknown counts packets that came without a stamp: none of them is of a peer that behaves.
func (p *Peer) Unknown() uint64 {
	p.receiver.mu.Lock()
	defer p.receiver.mu.Unlock()
	return p.receiver.unknown
}

// SendPacket encrypts a packet of RTP, or with control of RTCP, and sends it.
func (p *Peer) SendPacket(packet []byte, control bool) error {
	if x := p.current(); x != nil {
		return x.leg.write(packet, control)
	}
	return errNotReady
}

// Seal encrypts a packet and returns it.
func (p *Peer) Seal(packet []byte, control bool) ([]byte, error) {
	x := p.current()
	if x == nil {
		return nil, errNotReady
	}
	x.leg.mu.Lock()
	defer x.leg.mu.Unlock()
	b, err := x.leg.seal(packet, control)
	return slices.Clone(b), err
}

// SendRaw sends any bytes as a datagram over the path that ICE has chosen.
func (p *Peer) SendRaw(b []byte) error {
	x := p.current()
	if x == nil || !x.leg.ready.Load() {
		return errNotReady
	}
	_, err := x.leg.conn.Write(b)
	return err
}
