package s2s

import (
	"bytes"
	"fmt"
	"runtime/debug"

	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
	mstream "mellium.im/xmpp/stream"
)

var (
	errNamespace  = violation(mstream.InvalidNamespace, "xml.sequence", "the namespace of a stanza must be "+wire.NSServer)
	errAddressing = violation(mstream.ImproperAddressing, "s2s.spoof", "a stanza between servers has the attributes to and from")
	errStranger   = violation(mstream.NotAuthorized, "xml.sequence", "show who you are first")
	errFrom       = violation(mstream.InvalidFrom, "s2s.spoof", "you have not shown that you speak for the domain in from")
	errHost       = violation(mstream.HostUnknown, "s2s.spoof", "the domain in to is not served here")

	badAddress = &wire.Error{Type: mstanza.Modify, Condition: mstanza.JIDMalformed, Text: "the address is malformed"}
)

// serve works off what the peer sends until the stream ends, and cleans up.
func (s *stream) serve(first func() error) {
	var err error
	defer func() {
		if r := recover(); r != nil { // hardening HF13: one stream, not the process
			s.srv.log.Error("panic in a stream between servers", "peer", s.remote, "err", r, "stack", string(debug.Stack()))
			err = errInternal
		}
		s.end(err)
	}()
	if first != nil {
		if err = first(); err != nil {
			return
		}
	}
	for {
		var p *wire.Packet
		if p, err = s.next(); err == nil {
			err = s.element(p)
		}
		if err != nil {
			return
		}
	}
}

// end takes the stream out of everything and closes it. What it was to carry goes back to its outbounds.
func (s *stream) end(err error) {
	s.batch.Flush()
	s.mu.Lock()
	s.dead = true
	bytes := s.queue.bytes
	list, sent := s.queue.drain()
	var left *cut
	if s.resumption != "" && broken(err) {
		left = s.cutLocked(list, sent, bytes)
	}
	outbounds := s.outbounds
	s.outbounds = nil
	s.mu.Unlock()
	s.srv.forget(s)
	if len(outbounds) > 0 {
		text := "closed"
		if err != nil {
			text = err.Error()
		}
		s.srv.log.Info("stream to a server ended", "peer", outbounds[0].pair.remote, "domain", outbounds[0].pair.local, "err", text)
	}
	s.buf = nil
	if left != nil && s.srv.keep(left) {
		close(s.ended)
		s.tcp.Close() // without a word, which would end what is to be resumed
		return
	}
	if s.resumption != "" && !s.initiated {
		s.srv.noResume(s.resumption)
	}
	for _, o := range outbounds {
		o.lost(s.number, list, sent)
	}
	close(s.ended)
	s.fail(err)
}

// element handles one that is not part of a negotiation that we began.
func (s *stream) element(p *wire.Packet) error {
	if s.delays.Load() && !isElem(p, "resume", NSResumption) {
		s.settle()
	}
	if p.Kind != wire.Other {
		return s.stanza(p)
	}
	if name, ok := s.dialback(p); ok {
		return s.dialbackElement(p, name)
	}
	if string(p.Name()) == "stream:error" {
		return s.peerError(p)
	}
	if string(p.NS()) == NSResumption {
		return s.manage(p)
	}
	if s.initiated {
		return errUnexpected
	}
	return s.request(p)
}

// settle has the stream carry what it was to carry, now that the peer has shown that it resumes no other.
func (s *stream) settle() {
	s.mu.Lock()
	pairs := s.later
	s.later = nil
	s.mu.Unlock()
	s.delays.Store(false)
	for _, p := range pairs {
		if !s.srv.attached(p, s, true) {
			s.mu.Lock()
			s.later = append(s.later, p)
			s.mu.Unlock()
			s.delays.Store(true)
		}
	}
}

// peerError is why the peer ends the stream.
func (s *stream) peerError(p *wire.Packet) error {
	e := p.Elem().First()
	condition := string(e.Local())
	text := p.Elem().Child("text", wire.NSStreams).Text()
	err := fmt.Errorf("%w: %.64s %.256q", errPeer, condition, text)
	if condition == mstream.HostUnknown.Err {
		err = fmt.Errorf("%w: %w", errNotFound, err)
	}
	return err
}

// stanza takes one to where it belongs, if the peer may say it (RFC 6120 §8.1, hardening.md HS1).
func (s *stream) stanza(p *wire.Packet) error {
	switch ns := p.NS(); {
	case !s.secure:
		return errNoTLS
	case len(*s.trusted.Load()) == 0:
		return errStranger
	case ns != nil && string(ns) != wire.NSServer:
		return errNamespace
	}
	if len(p.From()) == 0 || len(p.To()) == 0 {
		return errAddressing
	}
	from, ok := s.senderOf(p.From())
	if !ok {
		return errFrom
	}
	if s.initiated && !s.bidi.Load() {
		return errUnexpected
	}
	s.lastSaid.Store(s.srv.clock(s.now))
	err := s.route(from, p)
	s.counted()
	return err
}

// nsServer is what a stanza may name itself or a child, which then does not read as the client's namespace.
var nsServer = []byte(wire.NSServer)

func (s *stream) route(from *sender, p *wire.Packet) error {
	to, ok := s.receiver(p.To())
	if !ok {
		s.srv.rec.Count("addr.malformed")
		route.Refuse(&s.batch, from, p, wire.Addr(s.srv.first), badAddress)
		return nil
	}
	if _, ours := s.srv.local[to.Domain()]; !ours {
		return errHost
	}
	if bytes.Contains(p.Raw(), nsServer) {
		if p = inherit(p); p == nil {
			return wire.ErrMalformed
		}
	}
	switch p.Kind {
	case wire.IQ:
		if !p.ValidIQ() {
			route.Refuse(&s.batch, from, p, to, wire.BadIQ)
			return nil
		}
		if s.srv.answered(from.addr, to, p) {
			return nil
		}
	case wire.Presence:
		s.srv.attend(from.addr, to, string(p.Type()))
	case wire.Message:
		if s.srv.probed(from.addr, to, p) {
			return nil
		}
	}
	s.srv.router.Enter(&s.batch, from, to, p)
	return nil
}

// inherit makes a stanza that names the namespace of streams between servers, itself or in a child, one that leaves it to the
// stream, as all that is behind expects it.
func inherit(p *wire.Packet) *wire.Packet {
	head := append([]byte{'<'}, p.Kind.String()...)
	head = wire.AppendRawAttr(head, "to", p.To())
	head = wire.AppendRawAttr(head, "from", p.From())
	tail := p.AppendTail(nil, "")
	st := wire.Stanza{Kind: p.Kind, Tail: tail}.Inheriting(wire.NSServer)
	return scan(append(head, st.Tail...))
}

// scan reads a stanza that was made of validated bytes.
func scan(raw []byte) *wire.Packet {
	limits := wire.AfterAuth
	limits.Size = len(raw)
	limits.Depth, limits.Children, limits.Attrs, limits.Decls, limits.Value = 2*limits.Depth, 0, 0, 0, 0
	scanner := wire.Scanner{Limits: limits}
	_, p, err := scanner.Next(raw)
	if err != nil {
		return nil
	}
	return p
}

// answered reports that the packet is the answer to a ping of ours.
func (srv *Server) answered(from, to wire.Addr, p *wire.Packet) bool {
	if typ := string(p.Type()); typ != "result" && typ != "error" {
		return false
	}
	id, ours := bytes.CutPrefix(p.ID(), []byte(srv.token))
	if !ours || from.Domain() != string(from) || to.Domain() != string(to) {
		return false
	}
	if srv.pinged(p.ID(), nil) {
		return true
	}
	if number, count, ok := parsePong(id); ok {
		srv.mu.RLock()
		s := srv.streams[number]
		srv.mu.RUnlock()
		if s != nil && s.carries(pair{string(to), string(from)}) {
			s.pong(count)
		}
	}
	return true
}

// carries reports that the stream carries what goes from one domain to the other.
func (s *stream) carries(p pair) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.outbounds {
		if o.pair == p {
			return true
		}
	}
	return false
}
