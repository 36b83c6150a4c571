package s2s

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"parley/xmpp/wire"
)

// offer is what a server says may come next.
type offer struct {
	startTLS, bidi, external, dialback, counts bool
}

var (
	errOldServer = errors.New("s2s: the other server does not speak XMPP 1.0")
	errPlain     = errors.New("s2s: the other server has no TLS")
	errNoProof   = errors.New("s2s: the other server takes no proof of who we are that we have")
	errUnlisted  = errors.New("s2s: we do not federate with that domain")
	errNotTaken  = errors.New("does not take us for")
	errLate      = errors.New("s2s: the stream cannot be resumed any more")
	errStarted   = errors.New("s2s: the other server refuses TLS")
)

// converse opens a stream to the server of a domain that is secure, and on which nobody has proved anything. It lasts no
// longer than the context unless it is kept.
func (srv *Server) converse(ctx context.Context, p pair) (*stream, offer, error) {
	nc, _, err := srv.connect(ctx, p)
	if err != nil {
		return nil, offer{}, err
	}
	s := newStream(srv, nc, true)
	s.local, s.remote = p.local, p.remote
	s.until, _ = ctx.Deadline()
	s.deadline(s.until)
	s.keep = context.AfterFunc(ctx, func() { s.stop(ctx.Err()) })
	o, err := s.openSecure()
	if err != nil {
		s.fail(err)
		return nil, o, err
	}
	return s, o, nil
}

// openSecure opens the stream, with STARTTLS if TLS is not there (RFC 6120 §5).
func (s *stream) openSecure() (offer, error) {
	o, err := s.open()
	if err != nil || s.secure {
		return o, err
	}
	if !o.startTLS {
		return o, errPlain
	}
	if err := s.send([]byte("<starttls xmlns='" + wire.NSTLS + "'/>")); err != nil {
		return o, err
	}
	answer, err := s.await(func(p *wire.Packet) bool { return string(p.NS()) == wire.NSTLS })
	if err != nil {
		return o, err
	}
	if string(answer.Name()) != "proceed" {
		return o, errStarted
	}
	s.discard()
	if s.from < s.to {
		return o, errPipelined
	}
	s.headed = false
	if err := s.handshake(tls.Client(s.tcp, s.srv.clientTLS(pair{s.local, s.remote}, false))); err != nil {
		return o, err
	}
	return s.open()
}

// open exchanges headers and reads the features.
func (s *stream) open() (o offer, err error) {
	s.fresh()
	if err := s.send(s.appendHeader(nil)); err != nil {
		return o, err
	}
	h, err := s.readHeader()
	if err != nil {
		return o, err
	}
	switch {
	case !versionOK(h.Version) || h.ID == "":
		return o, errOldServer
	case h.ContentNS != wire.NSServer:
		return o, errContent
	}
	s.id = h.ID
	p, err := s.await(func(p *wire.Packet) bool { return string(p.Name()) == "stream:features" })
	if err != nil {
		return o, err
	}
	e := p.Elem()
	o.startTLS = e.Child("starttls", wire.NSTLS).Ok()
	o.bidi = e.Child("bidi", nsOfferBidi).Ok()
	o.dialback = s.scan.Root != "" || e.Child("dialback", nsOfferDB).Ok()
	o.counts = e.Child("sm", NSResumption).Ok()
	for it := e.Child("mechanisms", wire.NSSASL).Children(); it.Next(); {
		o.external = o.external || it.Elem.Is("mechanism", wire.NSSASL) && it.Elem.Text() == mechanism
	}
	return o, nil
}

// await reads until an element comes that is wanted, and handles those before it.
func (s *stream) await(wanted func(*wire.Packet) bool) (*wire.Packet, error) {
	for {
		p, err := s.next()
		if err != nil {
			return nil, err
		}
		if p.Kind == wire.Other && wanted(p) {
			return p, nil
		}
		if err := s.element(p); err != nil {
			return nil, err
		}
	}
}

// initiate opens a stream that carries what goes from a domain of ours to one of others.
func (srv *Server) initiate(p pair) error {
	if !srv.admits(p.remote) {
		return errUnlisted
	}
	ctx, cancel := context.WithTimeout(srv.ctx, srv.cfg.DialTimeout)
	defer cancel()
	select {
	case srv.dials <- struct{}{}:
		defer func() { <-srv.dials }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var left *cut
	if out := srv.find(p); out != nil {
		left = out.resuming()
	}
	s, o, err := srv.converse(ctx, p)
	if err != nil {
		return err
	}
	how, h, err := s.prove(o, left)
	if err == nil && !s.keep() {
		err = ctx.Err()
	}
	if err != nil {
		s.fail(err)
		return err
	}
	s.deadline(time.Time{})
	s.raised = true
	s.limits(srv.cfg.Peer)
	if !srv.enter(s) {
		s.fail(errShutdown)
		return errShutdown
	}
	srv.log.Info("connected to a server", "peer", p.remote, "domain", p.local, "addr", s.tcp.RemoteAddr().String(), "how", how)
	if h != nil {
		if ok, err := s.resume(left, *h, ""); !ok {
			left.giveUp()
			s.end(err)
			return errors.Join(errLate, err)
		}
	}
	srv.attach(p, s)
	if !srv.spawn(func() { s.serve(nil) }) {
		s.end(errShutdown)
	}
	return nil
}

// prove shows the peer who we are, by our certificate or by dialback, once it has shown who it is. It says how. Where a stream was
// cut and is resumed by this one, it returns how many of our stanzas the peer has handled.
func (s *stream) prove(o offer, left *cut) (how string, resumed *uint32, err error) {
	if err := s.certified(s.remote); err != nil {
		if s.srv.cfg.Certificates == Valid {
			s.reject("s2s.cert", err.Error())
			return "", nil, fmt.Errorf("s2s: the certificate of %s is not good: %w", s.remote, err)
		}
		s.srv.rec.Debug("s2s.cert", s.source.String(), "peer", s.remote, "err", err.Error())
	}
	if o.bidi {
		if err := s.send([]byte("<bidi xmlns='" + nsBidi + "'/>")); err != nil {
			return "", nil, err
		}
		s.bidi.Store(true)
	}
	proved := false
	if o.external {
		if proved, err = s.byCertificate(); err != nil {
			return "", nil, err
		}
	}
	if how = "certificate"; proved {
		if s.bidi.Load() && !s.trust(s.remote) {
			return "", nil, errFull
		}
		if o, err = s.open(); err == nil && o.counts {
			resumed, err = s.askToCount(left)
		}
		return how, resumed, err
	}
	if !o.dialback {
		return "", nil, errNoProof
	}
	if err := s.byDialback(); err != nil {
		return "", nil, err
	}
	if s.bidi.Load() && !s.trust(s.remote) {
		return "", nil, errFull
	}
	return "dialback", nil, nil
}

// byCertificate is SASL EXTERNAL (XEP-0178 §3). A refusal is no error: there may be another way.
func (s *stream) byCertificate() (proved bool, err error) {
	claim := base64.StdEncoding.EncodeToString([]byte(s.local))
	if err := s.send([]byte("<auth xmlns='" + wire.NSSASL + "' mechanism='" + mechanism + "'>" + claim + "</auth>")); err != nil {
		return false, err
	}
	p, err := s.await(func(p *wire.Packet) bool { return string(p.NS()) == wire.NSSASL })
	if err != nil {
		return false, err
	}
	if string(p.Name()) == "success" {
		s.headed = false
		return true, nil
	}
	s.srv.rec.Debug("s2s.cert", s.source.String(), "peer", s.remote, "text", "our certificate is refused: "+string(p.Elem().First().Local()))
	return false, nil
}

// byDialback is XEP-0220 §2.1.1.
func (s *stream) byDialback() error {
	out := wire.AppendAttr(append([]byte(nil), "<db:result"...), "from", s.local)
	out = append(wire.AppendAttr(out, "to", s.remote), '>')
	out = append(out, dialbackKey(s.srv.secret, s.remote, s.local, s.id)...)
	if err := s.send(append(out, "</db:result>"...)); err != nil {
		return err
	}
	p, err := s.await(func(p *wire.Packet) bool {
		name, ok := s.dialback(p)
		return ok && name == "result" && len(p.Type()) > 0 &&
			wire.UnescapeString(p.From()) == s.remote && wire.UnescapeString(p.To()) == s.local
	})
	if err != nil {
		return err
	}
	if typ := string(p.Type()); typ != "valid" {
		condition := p.Elem().Child("error", "").First().Local()
		return fmt.Errorf("s2s: %s %w %s: %.16s %.64s", s.remote, errNotTaken, s.local, typ, condition)
	}
	return nil
}

// askToCount asks for XEP-0198: to resume the stream that was cut, if there is one, or else to begin to count.
func (s *stream) askToCount(left *cut) (resumed *uint32, err error) {
	if left != nil && left.bidi == s.bidi.Load() && s.within(mostSettle, left.settled) {
		out := wire.AppendAttr([]byte("<resume xmlns='"+NSResumption+"' h='"+strconv.FormatUint(uint64(left.handled), 10)+"'"), "previd", left.id)
		p, err := s.ask(string(out)+"/>", "resumed")
		if err != nil {
			return nil, err
		}
		v, ok := p.Elem().Attr("h")
		n, malformed := strconv.ParseUint(string(v), 10, 32)
		h := uint32(n)
		switch resumed := string(p.Name()) == "resumed"; {
		case resumed && (!ok || malformed != nil || p.Elem().AttrString("previd") != left.id):
			return nil, errCount
		case resumed:
			return &h, nil
		case ok && malformed == nil:
			left.counted(h)
		}
	}
	p, err := s.ask("<enable xmlns='"+NSResumption+"' resume='true'/>", "enabled")
	if err != nil || string(p.Name()) != "enabled" {
		return nil, err
	}
	e := p.Elem()
	if may := e.AttrString("resume"); may == "true" || may == "1" {
		s.resumption = e.AttrString("id")
	}
	s.mu.Lock()
	s.countLocked()
	s.mu.Unlock()
	return nil, nil
}

// ask says something of XEP-0198 and waits for the answer, which has this name if it is not failed.
func (s *stream) ask(text, answer string) (*wire.Packet, error) {
	if err := s.send([]byte(text)); err != nil {
		return nil, err
	}
	return s.await(func(p *wire.Packet) bool {
		return string(p.NS()) == NSResumption && (string(p.Name()) == answer || string(p.Name()) == "failed")
	})
}
