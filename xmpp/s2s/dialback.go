package s2s

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"parley/xmpp/wire"
)

// dialbackSecret is the secret as keys are made with it (XEP-0185 §2).
func dialbackSecret(secret []byte) []byte {
	sum := sha256.Sum256(secret)
	return []byte(hex.EncodeToString(sum[:]))
}

// dialbackKey is the key for a stream that the receiving server has named (XEP-0185 §2).
func dialbackKey(secret []byte, receiving, originating, id string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(receiving + " " + originating + " " + id))
	return hex.EncodeToString(mac.Sum(nil))
}

// dialback returns the name of an element of dialback: one whose prefix the stream's header binds, or that names the
// namespace itself.
func (s *stream) dialback(p *wire.Packet) (name string, ok bool) {
	prefix, local, prefixed := strings.Cut(string(p.Name()), ":")
	if prefixed && s.scan.Root != "" && prefix == s.scan.Root {
		return local, true
	}
	e := p.Elem()
	return string(e.Local()), string(e.NS()) == wire.NSDialback
}

// dialbackElement handles <result/> and <verify/> (XEP-0220 §2).
func (s *stream) dialbackElement(p *wire.Packet, name string) error {
	if !s.secure {
		return errNoTLS
	}
	from, ok1 := parseDomain(wire.UnescapeString(p.From()))
	to, ok2 := parseDomain(wire.UnescapeString(p.To()))
	if !ok1 || !ok2 {
		return errAddressing
	}
	key := strings.TrimSpace(p.Elem().Text())
	switch {
	case len(p.Type()) > 0:
		// An answer to what we did not ask over this stream: what we ask is awaited where it is asked.
		s.reject("s2s.dialback", "an answer that nothing was asked for")
		return nil
	case name == "result" && s.initiated && !s.bidi.Load():
		return errUnexpected
	case name == "result":
		s.claim(pair{to, from}, key)
		return nil
	case name == "verify":
		s.confirm(from, to, wire.UnescapeString(p.ID()), key)
		return nil
	}
	return errUnexpected
}

// confirm says, as the authority for a domain of ours, whether we made a key (XEP-0220 §2.2.2).
func (s *stream) confirm(receiving, originating, id, key string) {
	typ, content := "", ""
	switch {
	case s.srv.local[originating] == "":
		typ, content = "error", dialbackError("item-not-found")
	case subtle.ConstantTimeCompare([]byte(key), []byte(dialbackKey(s.srv.secret, receiving, originating, id))) == 1:
		typ = "valid"
	default:
		s.reject("s2s.dialback", "a key that we did not make for "+receiving)
		typ = "invalid"
	}
	out := wire.AppendAttr(append([]byte(nil), "<db:verify"...), "from", originating)
	out = wire.AppendAttr(wire.AppendAttr(out, "to", receiving), "id", id)
	s.say(&s.batch, string(wire.AppendAttr(out, "type", typ))+">"+content+"</db:verify>")
}

func dialbackError(condition string) string {
	return "<error type='cancel'><" + condition + " xmlns='" + wire.NSStanzas + "'/></error>"
}

// claim deals with a peer that wants to speak for a domain: a certificate for it will do; else the domain's own server is
// asked, over a connection of its own, whether it made the key (XEP-0220 §2.1.2).
func (s *stream) claim(p pair, key string) {
	_, own := s.srv.local[p.remote]
	switch {
	case s.srv.local[p.local] == "":
		s.judge(p, "item-not-found")
		return
	case own, !s.srv.admits(p.remote):
		s.reject("s2s.blocked", "claims to be "+p.remote)
		s.judge(p, "not-acceptable")
		return
	}
	why := s.certified(p.remote)
	switch {
	case why == nil:
		s.judge(p, "")
		return
	case s.srv.cfg.Certificates == Valid:
		s.reject("s2s.cert", p.remote+": "+why.Error())
		s.judge(p, "not-authorized")
		return
	case !s.srv.checking(s.source, 1):
		s.reject("s2s.dialback", "too many keys at once")
		s.judge(p, "resource-constraint")
		return
	}
	id := s.id
	started := s.srv.spawn(func() {
		defer s.srv.checking(s.source, -1)
		condition := ""
		switch valid, err := s.srv.ask(p, id, key); {
		case err == nil && valid:
		case err == nil:
			condition = "forbidden"
			s.srv.rec.Reject("s2s.dialback", s.source.String(), "peer", p.remote, "text", "the domain's server did not make the key")
		case errors.Is(err, errNotFound):
			condition = "remote-server-not-found"
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errTimeout):
			condition = "remote-server-timeout"
		default:
			condition = "remote-connection-failed"
		}
		s.judge(p, condition)
	})
	if !started {
		s.srv.checking(s.source, -1)
	}
}

// judge tells the peer what became of its claim (XEP-0220 §2.1.1); a condition is why it is not granted.
func (s *stream) judge(p pair, condition string) {
	typ, content := "valid", ""
	switch {
	case condition == "" && !s.trust(p.remote):
		condition = "resource-constraint"
		fallthrough
	case condition != "":
		typ, content = "error", dialbackError(condition)
		if condition == "forbidden" {
			typ, content = "invalid", ""
		}
	}
	out := wire.AppendAttr(append([]byte(nil), "<db:result"...), "from", p.local)
	out = wire.AppendAttr(wire.AppendAttr(out, "to", p.remote), "type", typ)
	s.hush()
	defer s.speak()
	s.say(nil, string(out)+">"+content+"</db:result>")
	if typ != "valid" {
		return
	}
	s.srv.log.Info("a server has connected", "peer", p.remote, "addr", s.source, "how", "dialback")
	if s.bidi.Load() {
		s.srv.attach(p, s) // before the peer may speak: its answers have to find this stream
	}
}

// ask asks the server of a domain whether it made a key.
func (srv *Server) ask(p pair, id, key string) (valid bool, err error) {
	ctx, cancel := context.WithTimeout(srv.ctx, srv.cfg.DialTimeout)
	defer cancel()
	select {
	case srv.checks <- struct{}{}:
		defer func() { <-srv.checks }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	s, _, err := srv.converse(ctx, p)
	if err != nil {
		return false, err
	}
	defer s.leave()
	out := wire.AppendAttr(append([]byte(nil), "<db:verify"...), "from", p.local)
	out = wire.AppendAttr(wire.AppendAttr(out, "to", p.remote), "id", id)
	if err := s.send(append(wire.AppendEscaped(append(out, '>'), key), "</db:verify>"...)); err != nil {
		return false, err
	}
	answer, err := s.await(func(q *wire.Packet) bool {
		name, ok := s.dialback(q)
		return ok && name == "verify" && len(q.Type()) > 0 && wire.UnescapeString(q.ID()) == id &&
			wire.UnescapeString(q.From()) == p.remote && wire.UnescapeString(q.To()) == p.local
	})
	if err != nil {
		return false, err
	}
	switch string(answer.Type()) {
	case "valid":
		return true, nil
	case "error":
		return false, errNotFound
	}
	return false, nil
}

// leave closes a stream that was never more than asked something.
func (s *stream) leave() {
	s.tcp.SetDeadline(time.Now().Add(s.srv.linger))
	s.send([]byte("</stream:stream>"))
	s.tcp.Close()
}
